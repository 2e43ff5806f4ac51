"""What gates cost in quality and what they know about their inputs, on real data; five seeds."""

import numpy as np
import pytest
import torch
from gated_quality import trial
from gated_tasks import TASKS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

SEEDS = 5


@pytest.fixture(scope="module", params=["digits", "mnist1d"])
def results(request) -> dict[str, np.ndarray]:
    torch.set_num_threads(1)
    rows = [trial(TASKS[request.param], seed) for seed in range(SEEDS)]
    found = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    print({name: values.round(3).tolist() for name, values in found.items()})
    return found


def test_half_of_the_blocks_are_active(results):
    assert results["share"] == pytest.approx(np.full(SEEDS, 0.5), abs=0.05)


def test_within_a_point_of_the_dense_network(results):
    assert results["gated"].mean() >= results["dense"].mean() - 1


def test_the_share_follows_the_difficulty(results):
    assert (results["spearman"] >= 0.4).all()


def test_hard_inputs_take_far_more_than_easy_ones(results):
    assert (results["hard"] - results["easy"]).mean() >= 0.15


def test_blocks_of_other_samples_cost_a_point(results):
    assert results["shuffled"].mean() <= results["gated"].mean() - 1

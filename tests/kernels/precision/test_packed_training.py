"""Trainings with packed activations reach the accuracy of those without."""

from functools import cache
from statistics import mean

import packed_bert
import pytest
from precision_cases import CASES
from precision_training import FLOAT32, mean_accuracy

SEEDS = 3


@cache
def bert(bits):
    """Mean accuracy of a small BERT in percent, and the share of bytes that it kept."""
    trained = [packed_bert.train(bits, seed) for seed in range(SEEDS)]
    return mean(one.accuracy for one in trained), mean(one.share for one in trained)


@pytest.mark.slow
@pytest.mark.parametrize(("bits", "share"), [(16, 0.65), (8, 0.4)])
def test_a_bert_learns_as_well_in_fewer_bytes(bits, share):
    exact, packed = bert(None), bert(bits)
    assert packed[0] >= exact[0] - 0.3
    assert packed[1] <= share
    assert exact[1] == 1.0


@pytest.mark.slow
@pytest.mark.parametrize("bits", [8, 16])
def test_a_transformer_learns_as_well(bits):
    exact, packed = (mean_accuracy(CASES["transformer"], FLOAT32, bits=each) for each in (None, bits))
    assert packed >= exact - 0.3

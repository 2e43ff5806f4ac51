"""Policies on real trainings: which layers they spare, what the inspector says, and that accuracy is kept."""

from functools import partial

import pytest
from precision_cases import CASES
from precision_fresh import ALL
from precision_training import FLOAT32, mean_accuracy, train

import deepseek

HARMED = [name for name, case in ALL.items() if case.harmed]

pytestmark = pytest.mark.usefixtures("one_thread")


def findings(name, policy, path):
    """What the inspector finds wrong about precision in the first epoch, or after the units have grown."""
    watch = partial(deepseek.inspect, every=1, run=path)
    session = train(ALL[name], policy, epochs=11 if ALL[name].gain > 1 else 1, watch=watch).session
    return [finding for finding in session.findings if finding.rule in ("harmful_precision", "nonfinite")]


@pytest.mark.parametrize("name", [name for name in CASES if name in HARMED])
def test_layers_that_half_precision_harms_are_spared(name):
    trained = {policy: train(ALL[name], policy, epochs=5) for policy in ("half", "exponent", FLOAT32)}
    spared = {found.layer for found in trained["exponent"].precision.plan.decisions if found.dtype == "float32"}
    assert set(ALL[name].harmed) <= spared
    assert trained["exponent"].accuracy > trained[FLOAT32].accuracy - 2
    assert trained["half"].accuracy < trained[FLOAT32].accuracy - 2


@pytest.mark.parametrize("name", HARMED)
def test_the_inspector_names_the_layer_that_half_precision_harms(name, tmp_path):
    sites = [finding.site for finding in findings(name, "half", tmp_path / "a.dsrun")]
    assert sites
    assert set(sites) <= set(ALL[name].harmed)


@pytest.mark.parametrize("name", ["small loss, no scaler", "signals that fade, no scaler", "logits in other units"])
def test_the_inspector_names_the_layer_that_the_published_rule_harms(name, tmp_path):
    sites = [finding.site for finding in findings(name, "gradient_norm", tmp_path / "a.dsrun")]
    assert sites
    assert set(sites) <= set(ALL[name].harmed)


@pytest.mark.parametrize("name", ["MLP", "CNN", "transformer", "raw measurements, normalised", "texture CNN, AdamW"])
def test_the_inspector_is_silent_where_half_precision_does_no_harm(name, tmp_path):
    assert not findings(name, "half", tmp_path / "a.dsrun")


@pytest.mark.parametrize("name", HARMED)
def test_the_inspector_is_silent_where_the_layer_is_spared(name, tmp_path):
    assert not findings(name, "exponent", tmp_path / "a.dsrun")


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL)
def test_accuracy_stays_within_three_tenths_of_a_point(name):
    exact, adapted = (mean_accuracy(ALL[name], policy) for policy in (FLOAT32, "exponent"))
    assert adapted >= exact - 0.3

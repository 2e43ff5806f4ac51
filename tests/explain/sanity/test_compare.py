"""Explanations beside each other: who agrees, who is faithful, and where the answer flips."""

import numpy as np
import pytest
import torch
from torch import nn

from deepseek.errors import DeepseekError
from deepseek.explain.sanity.compare import compare
from deepseek.explain.shap_values import shap


@pytest.fixture(scope="module")
def linear():
    model = nn.Linear(6, 1).double()
    model.weight.data[:] = torch.tensor([[3.0, -2.0, 1.5, -1.0, 0.5, 0.1]])
    random = torch.Generator().manual_seed(0)
    inputs, background = (torch.randn(count, 6, generator=random).double() for count in (12, 8))
    return model, inputs, background


def test_the_most_faithful_comes_first_and_flips_are_named(linear):
    model, inputs, background = linear
    good = shap(model, inputs, background, target=0, progress=False)
    noise = np.random.default_rng(0).normal(size=(12, 6))
    found = compare(model, inputs, background, {"noise": noise, "Shapley": good, "again": good}, target=0)
    assert found.names[-1] == "noise"
    assert found.correlations[0, 1] == pytest.approx(1)
    assert found.other_top[0, 1] == found.opposite[0, 1] == 0
    assert len(found.flips) == 2
    assert all("noise" in flip and "opposite sign" in flip for flip in found.flips)
    assert "The answer flips between:" in str(found)
    assert list(found.frame()["explanation"]) == list(found.names)


def test_what_agrees_does_not_flip(linear):
    model, inputs, background = linear
    good = shap(model, inputs, background, target=0, progress=False)
    found = compare(model, inputs, background, {"one": good, "other": 2 * good.values}, target=0)
    assert found.flips == ()
    assert "flips between none" in str(found)


def test_attention_says_how_much_and_not_in_which_direction(linear):
    model, inputs, background = linear
    good = shap(model, inputs, background, target=0, progress=False)
    found = compare(model, inputs, background, {"one": good, "sizes": np.abs(good.values)}, target=0)
    assert found.correlations == pytest.approx(np.ones((2, 2)))
    assert found.opposite.max() == 0


def test_by_default_baselines_are_compared():
    pytest.importorskip("captum")
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2)).double()
    inputs, background = torch.randn(6, 4).double(), torch.randn(10, 4).double() + 3
    found = compare(model, inputs, background, target=1, fills=["background"])
    assert {"Shapley values", "integrated gradients from zeros", "integrated gradients from the mean"} < set(
        found.names
    )
    assert "from zeros" in found.names[-1]
    assert any("from zeros" in flip for flip in found.flips)


def test_it_has_a_picture(linear):
    model, inputs, background = linear
    values = {"one": inputs.numpy(), "<b>two</b>": -inputs.numpy()}
    figure = compare(model, inputs, background, values, target=0).plot()
    left, right = figure.axes[:2]
    assert {label.get_text()[3:] for label in left.get_yticklabels()} == {"one", "<b>two</b>"}
    assert len(left.texts) == 4
    assert right.get_xlabel()


@pytest.mark.parametrize(
    ("attributions", "match"),
    [({"one": np.zeros((12, 6))}, "two at least"), ({"one": np.zeros((12, 6)), "two": np.zeros((12, 5))}, "12 rows")],
)
def test_what_does_not_fit_is_refused(linear, attributions, match):
    with pytest.raises(DeepseekError, match=match):
        compare(*linear, attributions, target=0)

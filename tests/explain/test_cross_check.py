"""DeepLIFT and expected gradients are compared on request, and a disagreement is noted; agreement is no false alarm."""

import dataclasses

import numpy as np
import pytest
import torch
from explained import make
from torch import nn

from deepseek.explain.cross_check import beside
from deepseek.explain.shap_values import shap


def checked(model, inputs, background, method="deeplift", **options):
    found = shap(model, inputs, background, method=method, check=True, progress=False, **options)
    (note,) = found.notes
    return found, note


@pytest.mark.parametrize("name", ["F.relu", "LayerNorm", "maxima", "MaxPool2d(3, 2)", "nn.TransformerEncoder", "BERT"])
def test_other_architectures_raise_no_alarm(name):
    case = make(name, torch.float32)
    _, note = checked(case.model, case.inputs, case.background)
    assert note.startswith("Checked beside expected_gradients, which agrees: mean rank correlation")


def test_a_disagreement_is_noted():
    case = make("normalisation and cosine", torch.float32)
    _, note = checked(case.model, case.inputs, case.background)
    assert "expected_gradients disagrees" in note
    assert "permutation" in note


def test_wrong_values_are_noted():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 3))
    found = shap(model, torch.randn(4, 8), torch.randn(5, 8), method="deeplift", progress=False)
    other = dataclasses.replace(found, method="expected_gradients")
    assert "agrees" in beside(found, other)
    turned = dataclasses.replace(other, values_by_input={"input": -found.values})
    shuffled = dataclasses.replace(other, values_by_input={"input": found.values[:, torch.randperm(8).numpy()]})
    assert "disagrees" in beside(found, turned)
    assert "disagrees" in beside(found, shuffled)
    lower = dataclasses.replace(other, values_by_input={"input": found.values - 2 * np.abs(found.values).max()})
    assert "rank correlation 1.00, opposite sign" in beside(found, lower)
    assert "disagrees" in beside(found, lower)


def test_expected_gradients_are_checked_by_deeplift_and_cost_what_both_do():
    torch.manual_seed(0)
    model, inputs, background = nn.Sequential(nn.Linear(4, 6), nn.GELU(), nn.Linear(6, 1)), *torch.randn(2, 3, 4)
    found, note = checked(model, inputs, background, "expected_gradients")
    assert note.startswith("Checked beside deeplift, which agrees")
    alone = shap(model, inputs, background, method="expected_gradients", progress=False)
    assert found.evaluations > alone.evaluations
    assert (found.values == alone.values).all()
    assert alone.notes == ()


class Median(nn.Module):
    def forward(self, x):
        return x.median(1).values + x.sum(1)


def test_what_cannot_be_checked_is_noted():
    _, note = checked(Median(), torch.randn(3, 5), torch.randn(2, 5), "expected_gradients")
    assert note.startswith("It could not be checked: DeepLIFT")


def test_sampled_and_exact_values_need_no_check():
    found = shap(nn.Linear(3, 1), torch.randn(2, 3), torch.randn(2, 3), check=True, progress=False)
    assert found.method == "exact"
    assert found.notes == ()

"""Explanations of a model on a GPU are those of the same model on the CPU."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from deepseek.explain import attention, attribute, faithfulness, shap


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 3)).double().eval()


def both(explain, model, *tensors):
    """Do it on the CPU and on the GPU."""
    here = explain(model, *tensors)
    return here, explain(copy.deepcopy(model).cuda(), *(tensor.cuda() for tensor in tensors))


@pytest.mark.parametrize("method", ["integrated_gradients", "input_x_gradient", "feature_ablation", "deep_lift"])
def test_attributions(method):
    x = torch.randn(4, 6).double()
    one, other = both(lambda model, x: attribute(model, x, method=method, target=1), network(), x)
    np.testing.assert_allclose(one.values, other.values, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("method", ["exact", "kernel", "permutation", "expected_gradients", "deeplift"])
def test_shapley_values_and_their_completeness(method):
    x = torch.randn(9, 6).double()
    one, other = both(lambda model, x: shap(model, x[:4], x[4:], target=1, method=method, progress=False), network(), x)
    np.testing.assert_allclose(one.values, other.values, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(one.completeness_gap, other.completeness_gap, atol=1e-9)


def test_faithfulness_of_an_attribution():
    def measured(model, x):
        return str(faithfulness(model, x, attribute(model, x, target=1), x, target=1))

    one, other = both(measured, network(), torch.randn(4, 6).double())
    assert one == other


def test_attention_maps():
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True).double()
    model = nn.Sequential(nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)).eval()
    one, other = both(attention, model, torch.randn(1, 5, 16).double())
    assert len(one.maps) == len(other.maps) == 2
    for here, there in zip(one.maps, other.maps, strict=True):
        np.testing.assert_allclose(here.weights, there.weights, rtol=1e-6, atol=1e-9)

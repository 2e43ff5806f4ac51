"""Attributions by captum: right where gradients are, with as many points as they need, for every kind of input."""

import numpy as np
import pytest
import torch
from torch import nn

from deepseek.errors import DeepseekError
from deepseek.explain.attribute import attribute
from deepseek.explain.shap_values import shap

pytest.importorskip("captum")


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def tanh_net(features=5, outputs=3):
    return nn.Sequential(nn.Linear(features, 8), nn.Tanh(), nn.Dropout(), nn.Linear(8, outputs)).double()


@pytest.mark.parametrize("method", ["integrated_gradients", "input_x_gradient", "feature_ablation"])
def test_a_linear_model_gives_weight_times_distance(method):
    model = nn.Linear(4, 2).double()
    inputs = torch.randn(3, 4).double()
    baseline = torch.zeros(1, 4) if method == "input_x_gradient" else torch.ones(1, 4)
    found = attribute(model, inputs, method=method, baseline=baseline)
    expected = ((inputs - baseline)[..., None] * model.weight.T).detach().numpy()
    np.testing.assert_allclose(found.values, expected, atol=1e-10)
    assert found.relative_gap < 1e-8
    assert found.notes == ()


def test_paths_get_the_points_that_they_need():
    smooth = attribute(tanh_net(), torch.randn(4, 5).double(), target=1)
    assert smooth.relative_gap < 1e-3
    assert smooth.values.shape == (4, 5)

    class Kinks(nn.Module):
        def forward(self, x):
            return (40 * x).sin().sum(1) + 3 * (x > 0.123).double().mul(x).sum(1)

    kinks = attribute(Kinks(), torch.rand(4, 5).double())
    assert kinks.evaluations > smooth.evaluations


def test_a_step_that_no_path_resolves_is_noted():
    class Step(nn.Module):
        def forward(self, x):
            return (x > 0.5).double().sum(1) + 0 * x.sum(1)

    found = attribute(Step(), torch.ones(1, 3).double())
    assert found.relative_gap == pytest.approx(1)
    assert "not smooth enough" in found.notes[-1]


def test_a_silent_baseline_is_named():
    assert "baseline is zeros" in attribute(tanh_net(), torch.randn(1, 5).double()).notes[0]


def test_dict_inputs_and_targets_for_each_row():
    class Net(nn.Module):
        def forward(self, numbers, mask):
            return {"logits": numbers * mask}

    inputs = {"numbers": torch.randn(2, 3).double(), "mask": torch.tensor([[1, 1, 0], [0, 1, 1]])}
    found = attribute(Net(), inputs, target=[0, 2])
    expected = np.zeros((2, 3))
    expected[0, 0], expected[1, 2] = inputs["numbers"][0, 0], inputs["numbers"][1, 2]
    np.testing.assert_allclose(found.values, expected, atol=1e-12)


def test_layers_get_attributions_that_add_up():
    model = tanh_net()
    found = attribute(model, torch.randn(4, 5).double(), target=0, layer="1")
    assert found.values_by_input["1"].shape == found.data_by_input["1"].shape == (4, 8)
    assert found.relative_gap < 1e-3
    assert not model[1]._forward_hooks
    assert model.training


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"method": "magic"}, "method"),
        ({"layer": "nowhere"}, "layer"),
        ({"layer": "1", "method": "feature_ablation"}, "layer"),
        ({"baseline": torch.zeros(2, 5)}, "baseline"),
        ({"baseline": torch.zeros(1, 4)}, "background"),
        ({"inputs": torch.ones(3, 5, dtype=torch.long)}, "whole numbers"),
        ({"inputs": torch.ones(3, 5, dtype=torch.long), "method": "feature_ablation"}, "floating-point"),
    ],
)
def test_what_does_not_fit_is_refused(options, match):
    options = {"inputs": torch.randn(3, 5).double(), **options}
    with pytest.raises(DeepseekError, match=match):
        attribute(tanh_net(), options.pop("inputs"), **options)


def conv_net(*layers):
    return nn.Sequential(nn.Unflatten(1, (1, 9)), nn.Conv1d(1, 4, 3), *layers, nn.Flatten(), nn.LazyLinear(2)).double()


class Functional(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(9, 8), nn.Linear(8, 2)

    def forward(self, x):
        return self.last(torch.relu(self.first(x)))


class Reused(Functional):
    def __init__(self):
        super().__init__()
        self.relu = nn.ReLU()

    def forward(self, x):
        return self.last(self.relu(1 - self.relu(self.first(x))))


def test_captums_deeplift_is_used_where_it_is_right():
    model = nn.Sequential(nn.Linear(9, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 3))
    inputs, baseline = torch.randn(4, 9).double(), torch.randn(1, 9).double()
    found = attribute(model.double(), inputs, method="deep_lift", baseline=baseline)
    ours = shap(model, inputs, baseline, method="deeplift", progress=False)
    np.testing.assert_allclose(found.values, ours.values, atol=1e-8)
    assert found.relative_gap < 1e-8
    assert not found.notes
    assert not any(module._forward_hooks or module._backward_hooks for module in model.modules())


def test_captums_deeplift_takes_pools_whose_windows_do_not_overlap():
    model = conv_net(nn.ReLU(), nn.MaxPool1d(2))
    inputs, baseline = torch.randn(3, 9).double(), torch.zeros(1, 9).double()
    model(inputs)
    assert attribute(model, inputs, method="deep_lift", baseline=baseline, target=1).relative_gap < 1e-8


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (nn.Sequential(nn.Linear(9, 3), nn.Softmax(1)), "softmax"),
        (conv_net(nn.ReLU(), nn.MaxPool1d(3, 2)), "overlap"),
        (conv_net(nn.ReLU(inplace=True)), "in place"),
        (Functional(), "no rule for aten.relu"),
        (Reused(), "more than once"),
        (nn.Sequential(nn.Linear(9, 8), nn.GELU(), nn.Linear(8, 2)), "no rule for aten.gelu in module `1`"),
        (nn.Sequential(nn.Linear(9, 8), nn.LayerNorm(8), nn.Linear(8, 2)), "no rule for"),
    ],
)
def test_captums_deeplift_is_refused_where_it_is_wrong(model, reason):
    inputs = torch.randn(3, 9).double()
    model.double()(inputs)
    with pytest.raises(DeepseekError, match=reason) as caught:
        attribute(model, inputs, method="deep_lift", target=0)
    assert "method='deeplift'" in str(caught.value)


class Products(nn.Module):
    """Products within pairs of features, which only go together."""

    def forward(self, x):
        return x[:, 0] * x[:, 1] + 3 * x[:, 2] * x[:, 3] + x[:, 4]


@pytest.mark.parametrize("method", ["integrated_gradients", "input_x_gradient", "feature_ablation"])
def test_groups_count_as_one_and_frozen_features_stay(method):
    inputs, groups = torch.rand(3, 5).double() + 1, np.array([0, 0, 1, 1, -1])
    found = attribute(Products(), inputs, method=method, groups=groups)
    first, second = (inputs[:, 0] * inputs[:, 1]).numpy(), (3 * inputs[:, 2] * inputs[:, 3]).numpy()
    factor = 2 if method == "input_x_gradient" else 1
    np.testing.assert_allclose(found.values, factor * np.stack([first, second], 1), rtol=1e-6)
    np.testing.assert_allclose(found.base_values, inputs[:, 4].numpy())
    np.testing.assert_array_equal(found.groups, groups)


def test_groups_of_each_row_and_over_several_inputs_are_replaced_together():
    inputs = torch.rand(2, 5).double() + 1
    of_rows = np.array([[0, 0, 1, 1, 2], [1, 1, 0, 0, 0]])
    found = attribute(Products(), inputs, method="feature_ablation", groups=of_rows)
    first, second, last = inputs[:, 0] * inputs[:, 1], 3 * inputs[:, 2] * inputs[:, 3], inputs[:, 4]
    expected = [[first[0], second[0], last[0]], [second[1] + last[1], first[1], 0]]
    np.testing.assert_allclose(found.values, expected, rtol=1e-6)

    class Two(nn.Module):
        def forward(self, a, b):
            return (a * b).sum(1)

    a, b = torch.rand(2, 2, 3).double()
    together = attribute(
        Two(), {"a": a, "b": b}, method="feature_ablation", groups={"a": np.arange(3), "b": np.arange(3)}
    )
    np.testing.assert_allclose(together.values_by_input["groups"], a * b, rtol=1e-6)


def test_groups_do_not_go_with_a_layer():
    with pytest.raises(DeepseekError, match="pass one of them"):
        attribute(tanh_net(), torch.randn(1, 5).double(), layer="1", groups=np.zeros(5, int))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_groups_may_lie_where_the_model_is():
    inputs, groups = torch.rand(3, 5, device="cuda") + 1, torch.tensor([0, 0, 1, 1, -1], device="cuda")
    for found in (
        attribute(Products(), inputs, groups=groups),
        attribute(Products(), inputs, method="feature_ablation", groups=groups),
        shap(Products(), inputs, inputs[:2], groups=groups, progress=False),
    ):
        assert found.values.shape == (3, 2)
        assert found.groups.tolist() == groups.tolist()

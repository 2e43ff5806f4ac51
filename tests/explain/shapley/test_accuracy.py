"""Shapley values against closed forms, enumeration and shap's exact values for trees."""

from functools import cache

import numpy as np
import pytest
import torch
from sklearn.datasets import load_diabetes
from sklearn.tree import DecisionTreeRegressor
from torch import nn

from deepseek.explain.shap_values import shap

METHODS = ("exact", "kernel", "permutation", "expected_gradients", "deeplift")
SAMPLING = ("kernel", "permutation")


def explained(model, inputs, background, **options):
    return shap(model, inputs, background, progress=False, **options)


def tanh_net(features, seed, outputs=1):
    torch.manual_seed(seed)
    layers = nn.Linear(features, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, outputs)
    return nn.Sequential(*layers).double()


@pytest.mark.parametrize("method", METHODS)
def test_a_linear_model_gives_weight_times_distance(method):
    torch.manual_seed(0)
    model = nn.Linear(5, 3).double()
    inputs, background = torch.randn(4, 5).double(), torch.randn(7, 5).double()
    found = explained(model, inputs, background, method=method)
    expected = (inputs - background.mean(0))[..., None] * model.weight.T
    np.testing.assert_allclose(found.values, expected.detach().numpy(), atol=1e-12)
    np.testing.assert_allclose(found.base_values, model(background).mean(0).detach().expand(4, 3), atol=1e-12)


class Unanimity(nn.Module):
    """1 where all these features are above zero, else 0."""

    def __init__(self, members):
        super().__init__()
        self.members = members

    def forward(self, x):
        return (x[:, self.members] > 0).all(1).to(x.dtype)


@pytest.mark.parametrize("method", ["exact", "kernel", "permutation"])
def test_a_unanimity_game_is_shared_evenly_by_its_members(method):
    found = explained(Unanimity([1, 3, 4]), torch.ones(1, 6), torch.zeros(1, 6), method=method)
    expected = np.array([[0, 1 / 3, 0, 1 / 3, 1 / 3, 0]])
    error = 0 if method != "permutation" else 4 * found.std_error
    assert (np.abs(found.values - expected) <= 1e-12 + error).all()


SEEDS = 15


@cache
def enumerated(features):
    """Games and their values, by enumeration."""
    games = []
    for seed in range(SEEDS):
        model = tanh_net(features, seed)
        inputs, background = torch.randn(1, features).double(), torch.randn(20, features).double()
        games.append((model, inputs, background, explained(model, inputs, background, target=0, method="exact").values))
    return games


LARGE = pytest.mark.slow


@pytest.mark.parametrize(
    ("features", "coalitions", "most"),
    [(10, 256, 0.008), pytest.param(16, 256, 0.025, marks=LARGE), pytest.param(16, 2048, 0.006, marks=LARGE)],
)
def test_the_regression_is_close_to_enumeration_and_knows_how_close(features, coalitions, most):
    errors, covered = [], []
    for seed, (model, inputs, background, exact) in enumerate(enumerated(features)):
        options = {"target": 0, "method": "kernel", "max_evals": 20 * coalitions, "seed": seed}
        found = explained(model, inputs, background, **options)
        assert found.evaluations <= 20 * coalitions
        errors.append(np.linalg.norm(found.values - exact) / np.linalg.norm(exact))
        covered.append(np.abs(found.values - exact) <= 1.96 * found.std_error)
    assert np.median(errors) <= most
    assert np.mean(covered) >= 0.9


def test_the_intervals_of_permutations_hold_as_well():
    covered = []
    for seed in range(15):
        model = tanh_net(8, seed)
        inputs, background = torch.randn(1, 8).double(), torch.randn(5, 8).double()
        exact = explained(model, inputs, background, target=0, method="exact").values
        found = explained(model, inputs, background, target=0, method="permutation", seed=seed)
        covered.append(np.abs(found.values - exact) <= 1.96 * found.std_error)
    assert np.mean(covered) >= 0.9


def test_a_tree_has_the_values_that_shap_finds_exactly():
    treeshap = pytest.importorskip("shap")
    data, target = load_diabetes(return_X_y=True)
    data = data.astype(np.float32).astype(float)  # as trees of scikit-learn see it
    tree = DecisionTreeRegressor(max_depth=5, random_state=0).fit(data, target)

    class Tree(nn.Module):
        def forward(self, x):
            return torch.from_numpy(tree.predict(x.numpy()))

    explainer = treeshap.TreeExplainer(tree, data[:50], feature_perturbation="interventional")
    expected = explainer.shap_values(data[100:105], check_additivity=False)
    found = explained(Tree(), torch.from_numpy(data[100:105]), torch.from_numpy(data[:50]), method="exact")
    np.testing.assert_allclose(found.values, expected, atol=1e-6 * np.abs(expected).max())


@pytest.mark.parametrize("method", METHODS)
def test_values_add_up(method):
    model = tanh_net(6, 0, outputs=2)
    found = explained(model, torch.randn(3, 6).double(), torch.randn(9, 6).double(), method=method)
    assert np.abs(found.completeness_gap).max() < 1e-10
    np.testing.assert_allclose(found.outputs, found.base_values + found.values.sum(1), atol=1e-10)


@pytest.mark.parametrize("method", METHODS)
def test_what_the_model_ignores_gets_nothing(method):
    model = tanh_net(6, 0)
    with torch.no_grad():
        model[0].weight[:, 2] = 0
    found = explained(model, torch.randn(3, 6).double(), torch.randn(9, 6).double(), target=0, method=method)
    within = 0 if method not in SAMPLING else 4 * found.std_error[:, 2]
    assert (np.abs(found.values[:, 2]) <= 1e-12 + within).all()


@pytest.mark.parametrize("method", METHODS)
def test_what_is_alike_gets_alike(method):
    model = tanh_net(6, 0)
    inputs, background = torch.randn(3, 6).double(), torch.randn(9, 6).double()
    with torch.no_grad():
        model[0].weight[:, 4] = model[0].weight[:, 1]
    inputs[:, 4], background[:, 4] = inputs[:, 1], background[:, 1]
    found = explained(model, inputs, background, target=0, method=method)
    within = 0 if method not in SAMPLING else 4 * found.std_error[:, [1, 4]].sum(1)
    assert (np.abs(found.values[:, 1] - found.values[:, 4]) <= 1e-12 + within).all()


@pytest.mark.parametrize("method", METHODS)
def test_values_of_a_sum_are_sums_of_values(method):
    one, two = tanh_net(6, 0), tanh_net(6, 1)

    class Sum(nn.Module):
        def forward(self, x):
            return one(x) - 2 * two(x)

    inputs, background = torch.randn(2, 6).double(), torch.randn(5, 6).double()
    found = [explained(model, inputs, background, method=method, target=0).values for model in (Sum(), one, two)]
    np.testing.assert_allclose(found[0], found[1] - 2 * found[2], atol=1e-10)


@pytest.mark.parametrize("method", METHODS)
def test_a_row_is_explained_alike_whatever_stands_beside_it(method):
    model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Dropout(), nn.Tanh(), nn.Linear(8, 2)).double()
    inputs, background = torch.randn(4, 6).double(), torch.randn(5, 6).double()
    together = explained(model, inputs, background, method=method).values
    alone = explained(model, inputs[2:3], background, method=method).values
    np.testing.assert_allclose(together[2:3], alone, atol=1e-12)


def test_many_features_are_sampled_without_an_overflow():
    weights = torch.linspace(-1, 1, 150).double()

    class Wide(nn.Module):
        def forward(self, x):
            return (x * weights).sum(1)

    inputs = torch.randn(1, 150).double()
    found = explained(Wide(), inputs, torch.zeros(1, 150).double())
    assert found.method == "kernel"
    np.testing.assert_allclose(found.values, (inputs * weights).numpy(), atol=1e-9)

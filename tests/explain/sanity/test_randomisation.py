"""An explanation must change when the weights are random; one that does not look at them is found out."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer
from torch import nn

from deepseek.errors import DeepseekError
from deepseek.explain.attribute import attribute
from deepseek.explain.sanity.randomisation import model_randomisation
from deepseek.explain.sanity.ranks import rank_correlations
from deepseek.explain.shap_values import shap


@pytest.fixture(scope="module")
def trained():
    data, labels = load_breast_cancer(return_X_y=True)
    data, labels = torch.from_numpy((data - data.mean(0)) / data.std(0)), torch.from_numpy(labels).double()
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(30, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 1)).double()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(100):
        optimizer.zero_grad()
        nn.functional.binary_cross_entropy_with_logits(model(data[:400])[:, 0], labels[:400]).backward()
        optimizer.step()
    return model, data[400:420], data[:20]


def shapley(background):
    return lambda model, inputs: shap(model, inputs, background, target=0, method="deeplift", progress=False)


def test_shapley_values_depend_on_what_was_learned(trained):
    model, inputs, background = trained
    found = model_randomisation(model, inputs, shapley(background))
    assert found.layers == ("3", "1", "0")
    assert found.correlations.shape == (3, 3)
    assert found.passed
    assert "it depends on what the model has learned" in str(found)
    assert list(found.frame()["layer"]) == ["3", "1", "0"]


def test_what_only_shows_the_inputs_is_found_out(trained):
    model, inputs, _ = trained
    found = model_randomisation(model, inputs, lambda _model, inputs: inputs.numpy())
    np.testing.assert_allclose(found.correlations, 1)
    assert not found.passed
    assert "must not be used" in str(found)


def test_layers_that_are_randomised_alone_differ_from_the_cascade(trained):
    model, inputs, background = trained
    together = model_randomisation(model, inputs, shapley(background), repeats=1)
    alone = model_randomisation(model, inputs, shapley(background), repeats=1, cascading=False)
    assert alone.layers == ("3", "1", "0", "everything")
    assert alone.correlations[0, 0] == together.correlations[0, 0]
    assert alone.correlations[0, 1] > together.correlations[0, 1]
    assert alone.passed


def test_the_model_and_random_numbers_stay_as_they_are(trained):
    model, inputs, background = trained
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state, modes = torch.get_rng_state(), [module.training for module in model.modules()]
    model_randomisation(model, inputs, shapley(background), repeats=1)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert [module.training for module in model.modules()] == modes


def test_the_order_of_layers_can_be_chosen_and_outputs_be_several(trained):
    _, inputs, _ = trained
    model = nn.Sequential(nn.Linear(30, 8), nn.Tanh(), nn.Linear(8, 3)).double()
    found = model_randomisation(
        model, inputs, lambda model, inputs: attribute(model, inputs, method="input_x_gradient"), layers=["0"]
    )
    assert found.layers == ("0",)
    assert found.passed


def test_it_has_a_picture(trained):
    model, inputs, background = trained
    axes = model_randomisation(model, inputs, shapley(background), repeats=2).plot().axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["nothing", "3", "1", "0"]
    assert len(axes.lines) == 3
    assert axes.get_xlabel()
    assert axes.get_ylabel()


@pytest.mark.parametrize(
    ("options", "match"),
    [({"repeats": 0}, "repeats"), ({"layers": ["2"]}, "'2' with parameters"), ({"layers": []}, "no parameters")],
)
def test_what_does_not_fit_is_refused(trained, options, match):
    model, inputs, background = trained
    with pytest.raises(DeepseekError, match=match):
        model_randomisation(model, inputs, shapley(background), **options)


def test_rank_correlations_are_those_of_scipy():
    stats = pytest.importorskip("scipy.stats")
    random = np.random.default_rng(0)
    one, other = random.integers(0, 5, (6, 20)).astype(float), random.normal(size=(6, 20))
    expected = [stats.spearmanr(a, b).statistic for a, b in zip(one, other, strict=True)]
    np.testing.assert_allclose(rank_correlations(one, other), expected)
    assert rank_correlations(np.ones((1, 4)), other[:1, :4])[0] == 0

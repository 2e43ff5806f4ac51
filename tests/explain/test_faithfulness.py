"""Faithfulness: what ranks features as the model uses them is told from what does not."""

import dataclasses

import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer
from torch import nn

from deepseek.errors import DeepseekError
from deepseek.explain.attribute import attribute
from deepseek.explain.faithfulness import FRACTIONS, POINTS, faithfulness
from deepseek.explain.shap_values import shap


@pytest.fixture(scope="module")
def trained():
    """A classifier of real data, rows to explain and a background."""
    data, labels = load_breast_cancer(return_X_y=True)
    data = torch.from_numpy((data - data.mean(0)) / data.std(0))
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(30, 16), nn.ReLU(), nn.Linear(16, 1)).double()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(200):
        optimizer.zero_grad()
        logits = model(data[:400])[:, 0]
        nn.functional.binary_cross_entropy_with_logits(logits, torch.from_numpy(labels[:400]).double()).backward()
        optimizer.step()
    return model, data[400:420], data[:20]


@pytest.fixture(scope="module")
def attribution(trained):
    return shap(*trained, target=0, progress=False, max_evals=20 * 512)


def test_shapley_values_are_better_than_chance_whatever_is_filled_in(trained, attribution):
    model, inputs, background = trained
    report = faithfulness(model, inputs, attribution, background, target=0)
    assert report.trustworthy
    assert len(report.frame()) == 15
    assert "better than random in every measure" in str(report)
    for curves in report.curves.values():
        assert curves["deletion"].shape == (POINTS,)
        np.testing.assert_allclose([curves["deletion"][0], curves["insertion"][-1]], 1)
        np.testing.assert_allclose([curves["deletion"][-1], curves["insertion"][0]], 0, atol=1e-12)


def test_random_and_reversed_rankings_are_not(trained, attribution):
    model, inputs, background = trained
    noise = np.random.default_rng(1).normal(size=attribution.values.shape)
    for values in (noise, -attribution.values * np.sign(attribution.outputs - attribution.base_values)[:, None]):
        report = faithfulness(model, inputs, values, background, target=0, fills=["mean"])
        assert not report.trustworthy
        assert "not better than random" in str(report)


def test_a_linear_model_has_the_areas_that_sums_give():
    weights = np.array([4.0, 2.0, 1.0, 0.5])
    model = nn.Linear(4, 1, bias=False).double()
    model.weight.data[:] = torch.from_numpy(weights)
    report = faithfulness(model, torch.ones(1, 4).double(), weights[None], torch.zeros(1, 4).double(), target=0)
    kept = [round(share * 4) for share in np.linspace(0, 1, POINTS)]
    inserted = np.array([weights[:count].sum() for count in kept]) / weights.sum()
    few = [weights[: round(share * 4)].sum() / weights.sum() for share in FRACTIONS]
    scores = {score.measure: score.value for score in report.scores if score.fill == "zero"}
    area = np.mean((inserted[1:] + inserted[:-1]) / 2)
    np.testing.assert_allclose(scores["insertion"], area)
    np.testing.assert_allclose(scores["deletion"], 1 - area)
    np.testing.assert_allclose(scores["comprehensiveness"], np.mean(few))
    np.testing.assert_allclose(scores["sufficiency"], 1 - np.mean(few))


def test_curves_have_a_picture(trained, attribution):
    model, inputs, background = trained
    figure = faithfulness(model, inputs[:2], attribution.values[:2], background, target=0, randoms=2).plot()
    assert [axes.get_title() for axes in figure.axes] == [
        f"removed features: {f}" for f in ("background", "mean", "zero")
    ]
    assert all(len(axes.lines) == 4 and axes.get_xlabel() and axes.get_ylabel() for axes in figure.axes)
    assert len(figure.legends[0].get_texts()) == 4


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"fills": ["noise"]}, "fills"),
        ({"randoms": 1}, "randoms"),
        ({"target": None}, "one output"),
        ({"attribution": np.zeros((2, 3))}, "attribution"),
        ({"attribution": np.zeros((1, 4))}, "attribution"),
    ],
)
def test_what_does_not_fit_is_refused(options, match):
    options = {"attribution": np.zeros((2, 4)), "target": 0, **options}
    with pytest.raises(DeepseekError, match=match):
        faithfulness(nn.Linear(4, 2), torch.ones(2, 4), options.pop("attribution"), torch.zeros(1, 4), **options)


def test_infidelity_is_nothing_where_sums_of_attributions_say_what_the_model_does(trained):
    weights = torch.tensor([[3.0, -2.0, 1.0, 0.0]]).double()
    model = nn.Linear(4, 1, bias=False).double()
    model.weight.data[:] = weights
    inputs = torch.randn(5, 4, generator=torch.Generator().manual_seed(0)).double()
    background = torch.zeros(1, 4).double()
    exact = shap(model, inputs, background, target=0, progress=False)
    (score,) = scores(model, inputs, exact, background, "infidelity")
    assert score.value == pytest.approx(0, abs=1e-12)
    assert score.better
    reversed_ = dataclasses.replace(exact, values_by_input={"input": -exact.values})
    (score,) = scores(model, inputs, reversed_, background, "infidelity")
    assert score.value > 0.9
    assert not score.better


def test_infidelity_does_not_depend_on_the_unit_of_the_attribution(trained, attribution):
    model, inputs, background = trained
    found = [
        scores(model, inputs, values, background, "infidelity")[0].value
        for values in (attribution.values, 1000 * attribution.values)
    ]
    assert found[0] == pytest.approx(found[1])


def test_sensitivity_tells_smooth_explanations_from_those_that_jump(trained):
    model, inputs, background = trained

    def gradients(model, inputs):
        return attribute(model, inputs, method="input_x_gradient", target=0)

    def jumping(model, inputs):
        return (torch.sin(1e4 * inputs)).numpy()

    for explain, better in ((gradients, True), (jumping, False)):
        given = explain(model, inputs)
        (score,) = scores(model, inputs, given, background, "max_sensitivity", explain=explain)
        assert score.fill is None
        assert score.better == better
    assert not scores(model, inputs, given, background, "max_sensitivity")


def test_single_features_are_summed_over_groups(trained, attribution):
    model, inputs, background = trained
    groups = np.arange(30) // 10
    summed = attribution.values.reshape(20, 3, 10).sum(2)
    options = {"target": 0, "groups": groups, "fills": ["mean"], "randoms": 2}
    found = faithfulness(model, inputs, attribution.values, background, **options)
    assert found.scores == faithfulness(model, inputs, summed, background, **options).scores


def scores(model, inputs, attribution, background, measure, **options):
    report = faithfulness(model, inputs, attribution, background, target=0, fills=["mean"], **options)
    return [score for score in report.scores if score.measure == measure]

"""A trained vision transformer, with exact Shapley values over its 16 patches as the judge of everything else."""

import numpy as np
import pytest
import torch
from digits_vit import PATCHES, digits_vit

from deepseek.explain import attention, compare, shap
from deepseek.explain.sanity.ranks import rank_correlations

BUDGET = 300
"""Evaluations that ``auto`` has for a picture; exact values take 65,536."""


def judged(count, seed=0):
    """Pictures with the rank correlation of estimated and exact values, the estimate, and what was explained."""
    digits = digits_vit()
    pictures, answers = digits.test[:count], digits.test_digits[:count].tolist()
    background = digits.train.mean(0, keepdim=True)
    options = {"target": answers, "groups": PATCHES, "progress": False}
    exact = shap(digits.model, pictures, background, method="exact", **options)
    found = shap(digits.model, pictures, background, max_evals=BUDGET, seed=seed, **options)
    assert exact.evaluations == count * 2**16
    assert found.evaluations <= count * BUDGET
    return rank_correlations(found.values, exact.values), found, (digits.model, pictures, background, answers)


def ranked(found, model, pictures, background, answers):
    """How faithful the estimate is beside attention: the comparison of them."""
    maps = attention(model, pictures)
    raw = maps[-1].weights.mean(1)[:, 0, 1:]
    explanations = {
        "raw attention": np.asarray(raw, float),
        "rollout": np.asarray(maps.rollout().matrix[:, 0, 1:], float),
        "Shapley": found,
    }
    return compare(model, pictures, background, explanations, target=answers, groups=PATCHES, fills=["mean"])


def test_the_transformer_can_read():
    digits = digits_vit()
    with torch.no_grad():
        right = digits.model(digits.test).argmax(1) == digits.test_digits
    assert right.float().mean() > 0.95


def test_few_evaluations_are_enough_for_two_pictures():
    correlations, _, _ = judged(2)
    assert correlations.mean() >= 0.95


@pytest.mark.slow
def test_few_evaluations_rank_patches_as_exact_values_do_and_are_more_faithful_than_attention():
    correlations, found, explained = judged(12)
    assert correlations.mean() >= 0.97
    assert correlations.min() >= 0.9
    comparison = ranked(found, *explained)
    assert comparison.names[0] == "Shapley"
    gains = {name: report.gains for name, report in comparison.reports.items()}
    for name in ("raw attention", "rollout"):
        less = gains["Shapley"] - gains[name]
        assert less.mean() - 1.96 * less.std(ddof=1) / np.sqrt(len(less)) > 0
    assert any("raw attention" in flip for flip in comparison.flips)

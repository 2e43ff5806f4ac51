"""What smoothing adds to a regression is what a Gaussian process expects, and is nearer to the truth."""

from itertools import combinations
from math import comb

import numpy as np
import pytest

from deepseek.explain.shapley import smoothing
from deepseek.explain.shapley.smoothing import correction


def coalitions_of(count):
    return (np.arange(1 << count)[:, None] >> np.arange(count) & 1).astype(float)


def shapley(worth, count):
    """By the sum over all coalitions, which is slow and plain."""
    numbers = {tuple(row): value for row, value in zip(coalitions_of(count).astype(int), worth, strict=True)}
    values = np.zeros(count)
    for player in range(count):
        others = [each for each in range(count) if each != player]
        for size in range(count):
            for members in combinations(others, size):
                without = tuple(int(each in members) for each in range(count))
                with_it = tuple(int(each in members or each == player) for each in range(count))
                values[player] += (numbers[with_it] - numbers[without]) / (count * comb(count - 1, size))
    return values


@pytest.mark.parametrize("count", [4, 5])
def test_it_has_the_shapley_values_of_the_game_that_the_process_expects(count, monkeypatch):
    correlation = 0.3
    monkeypatch.setattr(smoothing, "CORRELATIONS", (correlation,))
    monkeypatch.setattr(smoothing, "JITTER", 0.0)
    random = np.random.default_rng(0)
    everybody = coalitions_of(count)
    seen = everybody[[1, 3, 6]]
    residuals = random.normal(size=(3, 2))
    factor = correlation ** (1 / count)

    def covariance(one, other):
        return factor ** np.abs(one[:, None] - other).sum(-1)

    # The process sees differences between coalitions and their complements; those of nobody and everybody are known.
    pairs = np.concatenate([seen, np.ones((1, count))])
    beside = covariance(everybody, pairs) - covariance(everybody, 1 - pairs)
    between = sum(
        sign * covariance(one, other)
        for sign, one, other in (
            (1, pairs, pairs),
            (-1, pairs, 1 - pairs),
            (-1, 1 - pairs, pairs),
            (1, 1 - pairs, 1 - pairs),
        )
    )
    expected = beside @ np.linalg.solve(between, np.concatenate([residuals, np.zeros((1, 2))]))
    np.testing.assert_allclose(
        correction(seen, residuals), np.stack([shapley(game, count) for game in expected.T], 1), atol=1e-10
    )


def test_corrections_add_up_to_nothing():
    random = np.random.default_rng(0)
    found = correction((random.random((40, 12)) < 0.5).astype(float), random.normal(size=(40, 3)))
    assert found.any()
    np.testing.assert_allclose(found.sum(0), 0, atol=1e-6)


def test_where_nothing_is_left_over_nothing_is_corrected():
    assert not correction(coalitions_of(4)[[1, 2]], np.zeros((2, 1))).any()

"""What a regression over coalitions leaves over, estimated by a Gaussian process: similar coalitions are worth similar.

The covariance of two coalitions falls with the number of players that only one of them has, by a factor for each. What
such a process expects between the coalitions that were seen is a game with Shapley values in closed form, which are
added to those of the regression. For the smooth games that models play this about halves the error.

Source: Rasmussen and Williams, "Gaussian processes for machine learning", 2006, equations 2.25 and 5.8; the values
follow from the integral form of the Shapley value (Owen, "Multilinear extensions of games", 1972).
"""

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

MOST_PAIRS = 2048
"""With more pairs the regression is precise enough, and the process would take long."""

FEW_PAIRS = 256
"""So many pairs are enough to find out how smooth the game is."""

CORRELATIONS = (0.97, 0.9, 0.7, 0.5, 0.3, 0.1, 0.01, 1e-4, 1e-8)
"""Candidates for the correlation between nobody and everybody: the larger, the smoother the game."""

JITTER = 1e-8


def correction(coalitions: Numbers, residuals: Numbers) -> Numbers:
    """Return what Shapley values gain from what a regression leaves over.

    Args:
        coalitions: Who is present, 0 or 1, ``[P, M]``; each stands for itself and its complement.
        residuals: By how much it is worth more than its complement, beyond what the regression says, ``[P, K]``.

    Returns:
        ``[M, K]``; they add up to 0.
    """
    pairs, count = coalitions.shape
    if pairs > MOST_PAIRS or not residuals.any():
        return np.zeros((count, residuals.shape[1]))
    # That nobody and everybody are explained in full is known as well.
    seen = np.concatenate([coalitions, np.ones((1, count))])
    worth = np.concatenate([residuals, np.zeros((1, residuals.shape[1]))])
    few = np.unique(np.linspace(0, pairs, min(pairs + 1, FEW_PAIRS)).astype(int))
    factors = [correlation ** (1 / count) for correlation in CORRELATIONS]
    best = max(factors, key=lambda factor: _likelihood(seen[few], worth[few], factor))
    weights = np.linalg.solve(_covariance(seen, best), worth)
    return np.asarray(2 * _values(seen, best).T @ weights)


def _covariance(coalitions: Numbers, factor: float) -> Numbers:
    """Covariance of how much coalitions are worth more than their complements, ``[P, P]``."""
    count = coalitions.shape[1]
    sizes = coalitions.sum(1)
    apart = np.rint(sizes[:, None] + sizes - 2 * coalitions @ coalitions.T).astype(int)
    powers = factor ** np.arange(count + 1)
    table = 2 * (powers - powers[::-1])
    found: Numbers = table[apart]
    found.flat[:: len(found) + 1] += JITTER * table[0]
    return found


def _likelihood(coalitions: Numbers, worth: Numbers, factor: float) -> float:
    """Logarithm of the likelihood at the best scale, but for a constant."""
    lower = np.linalg.cholesky(_covariance(coalitions, factor))
    squares = (np.linalg.solve(lower, worth) ** 2).sum(0)
    return float(-len(worth) / 2 * np.log(squares[squares > 0]).mean() - np.log(np.diag(lower)).sum())


def _values(coalitions: Numbers, factor: float) -> Numbers:
    """Shapley values of the covariance with each coalition, as a game of the other coalition, ``[P, M]``."""
    count = coalitions.shape[1]
    nodes, shares = np.polynomial.legendre.leggauss(count // 2 + 1)
    present = (nodes + 1) / 2
    with_it, without = present + factor * (1 - present), factor * present + 1 - present
    sizes = np.rint(coalitions.sum(1, keepdims=True)).astype(int)

    def gained(members: NDArray[np.intp]) -> Numbers:
        others = np.clip(members, 0, count - 1)
        return np.asarray((with_it**others * without ** (count - 1 - others)) @ shares / 2)[:, None]

    return (1 - factor) * np.where(coalitions > 0, gained(sizes - 1), -gained(sizes))

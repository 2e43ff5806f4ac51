"""Deletion and insertion curves, and what the top features do.

Sources: Samek et al., "Evaluating the visualization of what a deep neural network has learned", 2017 (deletion and
insertion); DeYoung et al., "ERASER", ACL 2020 (comprehensiveness, sufficiency).
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from deepseek.explain.shapley.game import Game

POINTS = 21
"""Points of a curve, with everything and with nothing removed among them."""

FRACTIONS = (0.1, 0.2, 0.3, 0.5)
"""Shares of features over which comprehensiveness and sufficiency are averaged."""

OfCurves = Literal["deletion", "insertion", "comprehensiveness", "sufficiency"]

Numbers = NDArray[np.float64]


def outputs(game: Game, order: NDArray[np.intp]) -> Numbers:
    """Return outputs with the top features removed, and with only them, relative to the whole effect.

    Args:
        game: The model, with what stands for removed features.
        order: Places of the features, the top one first, ``[B, M]``; of those that a row has, then the others.

    Returns:
        ``[B, 2, POINTS + len(FRACTIONS)]``.
    """
    shares = np.concatenate([np.linspace(0, 1, POINTS), FRACTIONS])
    result, effects = [], []
    for row in range(len(order)):
        count = game.players.counts[row]
        position = np.argsort(order[row, :count])
        top = position[None, :] < np.round(shares * count)[:, None]
        empty, full = game.ends(row)[:, 0]
        worth = game(row, np.concatenate([~top, top]))[:, 0].reshape(2, -1)
        result.append((worth - empty) * np.sign(full - empty))
        effects.append(abs(full - empty))
    whole = float(np.mean(effects))
    return np.stack(result) / (whole if whole else 1.0)


def measured(measure: OfCurves, found: Numbers) -> Numbers:
    """Return the measure of each row, from outputs ``[..., 2, P]``."""
    removed, alone = found[..., 0, :], found[..., 1, :]
    if measure == "deletion":
        return _area(removed)
    if measure == "insertion":
        return _area(alone)
    drop = alone[..., POINTS - 1 :][..., :1] - (removed if measure == "comprehensiveness" else alone)[..., POINTS:]
    return np.asarray(drop.mean(-1))


def curves(found: Numbers) -> dict[str, Numbers]:
    """Return the mean curves of an attribution and of the random ones after it, from outputs ``[1 + R, B, 2, P]``."""
    removed, alone = found[..., 0, :POINTS], found[..., 1, :POINTS]
    return {
        "deletion": removed[0].mean(0),
        "insertion": alone[0].mean(0),
        "random deletion": removed[1:].mean((0, 1)),
        "random insertion": alone[1:].mean((0, 1)),
    }


def _area(found: Numbers) -> Numbers:
    curve = found[..., :POINTS]
    return np.asarray((curve[..., 1:] + curve[..., :-1]).mean(-1) / 2)

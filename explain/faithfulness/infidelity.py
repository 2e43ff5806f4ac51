"""How well sums of attributions predict what the output does when random sets of features are removed."""

import numpy as np
from numpy.typing import NDArray

from deepseek.explain.shapley.game import Game

SETS = 64
"""Random sets of features that are removed from every row, of all sizes alike."""

Numbers = NDArray[np.float64]


def infidelity(game: Game, rivals: Numbers, chance: np.random.Generator) -> Numbers:
    """Return the share of the output's changes that attributions do not predict, 0 to 1.

    Infidelity with the best scale, so that attributions of any unit, and attention maps, can be compared; it is divided
    by the mean square of the changes. An attribution that predicts the wrong direction has 1, like one of zeros.

    Args:
        game: The model, with what stands for removed features.
        rivals: Attributions towards the output, ``[N, B, M]``.
        chance: Draws the sets.

    Returns:
        ``[N, B]``.

    Source: Yeh et al., "On the (in)fidelity and sensitivity of explanations", NeurIPS 2019, definition 2.1 and
    section 3.
    """
    return np.stack([_of_a_row(game, row, rivals[:, row], chance) for row in range(rivals.shape[1])], axis=1)


def _of_a_row(game: Game, row: int, rivals: Numbers, chance: np.random.Generator) -> Numbers:
    count = rivals.shape[1]
    sizes = chance.integers(1, max(count, 2), SETS)
    removed = chance.permuted(np.tile(np.arange(count), (SETS, 1)), axis=1) < sizes[:, None]
    empty, full = game.ends(row)[:, 0]
    change = (full - game(row, ~removed)[:, 0]) * (-1 if full < empty else 1)
    predicted = rivals @ removed.T
    both = (predicted**2).sum(1) * (change**2).sum()
    explained = np.maximum(predicted @ change, 0) ** 2
    return np.asarray(1 - np.divide(explained, both, out=np.zeros_like(both), where=both > 0))

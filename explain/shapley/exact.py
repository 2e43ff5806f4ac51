"""Shapley values by enumeration of every coalition."""

from typing import TYPE_CHECKING

import numpy as np

from deepseek.explain.shapley.game import Game, shapley_weights

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_PLAYERS = 20


class Exact:
    """The Shapley values of one row, from the values of all ``2^M`` coalitions.

    Args:
        game: The game.
        row: Which row of the inputs.

    Attributes:
        values: ``[M, K]`` once it has advanced.
        errors: None: nothing is estimated.
        done: Whether all is known.
    """

    errors = None

    def __init__(self, game: Game, row: int) -> None:
        self._game = game
        self._row = row
        self.done = False
        self.values: NDArray[np.float64] | None = None

    def advance(self) -> None:
        """Evaluate all coalitions."""
        count = self._game.players.counts[self._row]
        numbers = np.arange(1 << count)
        coalitions = (numbers[:, None] >> np.arange(count) & 1).astype(bool)
        ends = self._game.ends(self._row)
        worth = np.concatenate([ends[:1], self._game(self._row, coalitions[1:-1]), ends[1:]])
        weights = shapley_weights(count)[np.minimum(coalitions.sum(1), count - 1)]
        self.values = np.stack(
            [
                weights[without] @ (worth[without | 1 << player] - worth[without])
                for player in range(count)
                for without in [numbers[~coalitions[:, player]]]
            ]
        )
        self.done = True

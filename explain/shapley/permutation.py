"""Shapley values from antithetic permutations: each order in which players join is followed by its reverse.

Source: Mitchell et al., "Sampling permutations for Shapley value estimation", JMLR 23, 2022, section 3.
"""

import math

import numpy as np
from numpy.typing import NDArray

from deepseek.explain.shapley.game import Game


class Permutation:
    """The Shapley values of one row, estimated better with each pair of permutations.

    Args:
        game: The game, of two players at least.
        row: Which row of the inputs.
        coalitions: Largest number of coalitions to be evaluated, the empty and the full one included; a pair of
            permutations is always made.
        seed: Of the order's choice.

    Attributes:
        values: ``[M, K]``, once it has advanced.
        errors: Standard errors, ``[M, K]``; infinite after a single pair.
        done: Whether the coalitions are spent.
    """

    def __init__(self, game: Game, row: int, coalitions: int, seed: int) -> None:
        self._game = game
        self._row = row
        self._random = np.random.default_rng(seed)
        self._left = max(1, (coalitions - 2) // max(2 * (game.players.count - 1), 1))
        self._pairs: list[NDArray[np.float64]] = []
        self.done = False
        self.values: NDArray[np.float64] | None = None
        self.errors: NDArray[np.float64] | None = None

    def advance(self) -> None:
        """Evaluate one more pair of permutations."""
        count = self._game.players.count
        order = self._random.permutation(count)
        position = np.argsort(order)
        # Row i: the first i + 1 players of the order are present; its complement are the first ones of the reverse.
        joined = position[None, :] <= np.arange(count - 1)[:, None]
        worth = self._game(self._row, np.concatenate([joined, ~joined[::-1]]))
        forward = self._gains(worth[: count - 1])[position]
        backward = self._gains(worth[count - 1 :])[count - 1 - position]
        self._pairs.append((forward + backward) / 2)
        pairs = np.stack(self._pairs)
        self.values = pairs.mean(0)
        number = len(pairs)
        self.errors = pairs.std(0, ddof=1) / math.sqrt(number) if number > 1 else np.full_like(self.values, np.inf)
        self._left -= 1
        self.done = self._left == 0

    def _gains(self, worth: NDArray[np.float64]) -> NDArray[np.float64]:
        """What each player adds as it joins, in the order of joining, ``[M, K]``."""
        empty, full = self._game.ends(self._row)
        return np.diff(np.concatenate([empty[None], worth, full[None]]), axis=0)

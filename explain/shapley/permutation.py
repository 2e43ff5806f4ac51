"""Shapley values from antithetic permutations: each order in which players join is followed by its reverse.

Source: Mitchell et al., "Sampling permutations for Shapley value estimation", JMLR 23, 2022, section 3.
"""

import math

import numpy as np
from numpy.typing import NDArray

from deepseek.explain.shapley.game import TOLERANCE, Game

AT_ONCE = 1024
"""Coalitions that are evaluated in one round."""

FEWEST_PAIRS = 20
"""Standard errors of fewer pairs do not end the sampling: they are too uncertain themselves."""


class Permutation:
    """The Shapley values of one row, estimated better with each round.

    Args:
        game: The game, of two players at least.
        row: Which row of the inputs.
        coalitions: Largest number of coalitions to be evaluated, the empty and the full one included; a pair of
            permutations is always made.
        seed: Of the order's choice.

    Attributes:
        values: ``[M, K]``, once it has advanced.
        errors: Standard errors, ``[M, K]``; infinite after a single pair.
        done: Whether the errors are small enough or the coalitions spent.
    """

    def __init__(self, game: Game, row: int, coalitions: int, seed: int) -> None:
        self._game = game
        self._row = row
        self._random = np.random.default_rng(seed)
        self._left = max(1, (coalitions - 2) // max(2 * (game.players.counts[row] - 1), 1))
        self._pairs: list[NDArray[np.float64]] = []
        self.done = False
        self.values: NDArray[np.float64] | None = None
        self.errors: NDArray[np.float64] | None = None

    def advance(self) -> None:
        """Evaluate some more pairs of permutations."""
        count = self._game.players.counts[self._row]
        fresh = min(self._left, max(1, AT_ONCE // (2 * count)))
        positions = [np.argsort(self._random.permutation(count)) for _ in range(fresh)]
        # Row i: the first i + 1 players of the order are present; its complement are the first ones of the reverse.
        joined = [position[None, :] <= np.arange(count - 1)[:, None] for position in positions]
        worth = self._game(self._row, np.concatenate([part for own in joined for part in (own, ~own[::-1])]))
        for position, (forward, backward) in zip(
            positions, worth.reshape(fresh, 2, count - 1, worth.shape[1]), strict=True
        ):
            gains = self._gains(forward)[position] + self._gains(backward)[count - 1 - position]
            self._pairs.append(gains / 2)
        pairs = np.stack(self._pairs)
        self.values = pairs.mean(0)
        number = len(pairs)
        self.errors = pairs.std(0, ddof=1) / math.sqrt(number) if number > 1 else np.full_like(self.values, np.inf)
        self._left -= fresh
        precise = number >= FEWEST_PAIRS and bool((self.errors <= TOLERANCE * np.abs(self.values).max(0)).all())
        self.done = precise or self._left == 0

    def _gains(self, worth: NDArray[np.float64]) -> NDArray[np.float64]:
        """What each player adds as it joins, in the order of joining, ``[M, K]``."""
        empty, full = self._game.ends(self._row)
        return np.diff(np.concatenate([empty[None], worth, full[None]]), axis=0)

"""Shapley values by weighted regression over sampled coalitions.

A coalition and its complement are drawn together (what interactions of even order contribute cancels), without
replacement within each size, every size about equally often. The regression is projected onto what the values must add
up to, and its residuals give the standard errors. What it leaves over is smoothed; the errors are those before that, so
rather too large.

Source: Covert and Lee, "Improving KernelSHAP", AISTATS 2021 (pairs, constraint, errors); Musco and Witter, "Provably
accurate Shapley value estimation via leverage score sampling", ICLR 2025 (sizes, no replacement).
"""

import math
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from deepseek.explain.shapley.game import TOLERANCE, Game
from deepseek.explain.shapley.smoothing import correction

ENUMERATED = 20_000
"""Sizes with no more coalitions than this are shuffled as a whole; of larger ones, coalitions are drawn one by one."""


class Kernel:
    """The Shapley values of one row, estimated better with each round.

    Args:
        game: The game, of two players at least.
        row: Which row of the inputs.
        coalitions: Largest number of coalitions to be evaluated, the empty and the full one included.
        seed: Of the coalitions' choice.

    Attributes:
        values: ``[M, K]``, once it has advanced.
        errors: Standard errors, ``[M, K]``.
        done: Whether the errors are small enough or the coalitions spent.
    """

    def __init__(self, game: Game, row: int, coalitions: int, seed: int) -> None:
        self._game = game
        self._row = row
        count = game.players.counts[row]
        self._strata = [_Stratum(count, size, np.random.default_rng([seed, size])) for size in range(1, count // 2 + 1)]
        self._most_pairs = min((coalitions - 2) // 2, sum(stratum.pairs for stratum in self._strata))
        least = min(2 * count, self._most_pairs)
        self._rounds = [pairs for share in (8, 4, 2) if (pairs := self._most_pairs // share) >= least]
        self._rounds.append(self._most_pairs)
        self.done = False
        self.values: NDArray[np.float64] | None = None
        self.errors: NDArray[np.float64] | None = None

    def advance(self) -> None:
        """Evaluate one more round of coalitions."""
        for stratum, wanted in zip(self._strata, _allotted(self._strata, self._rounds.pop(0)), strict=True):
            fresh = stratum.draw(wanted)
            if len(fresh):
                worth = self._game(self._row, np.concatenate([fresh, ~fresh]))
                stratum.worth.append(worth[: len(fresh)] - worth[len(fresh) :])
        self._solve()
        largest = np.abs(self.values).max(0) if self.values is not None else 0
        precise = self.errors is not None and bool((self.errors <= TOLERANCE * largest).all())
        self.done = precise or not self._rounds

    def _solve(self) -> None:
        count = self._game.players.counts[self._row]
        empty, full = self._game.ends(self._row)
        even = (full - empty) / count
        # Rows sum to zero: the regression is about how players differ from an even share.
        parts = [(stratum, *stratum.observed()) for stratum in self._strata if stratum.drawn]
        normal = np.full((count, count), 1.0)
        right = np.zeros((count, len(full)))
        rows = []
        for stratum, coalitions, differences in parts:
            centred = coalitions - stratum.size / count
            # v(S) - v(complement) of an even split is (2 s - M) / M of the whole.
            target = differences / 2 - (2 * stratum.size - count) / 2 * even
            weight = stratum.weight
            normal += weight * centred.T @ centred
            right += weight * centred.T @ target
            rows.append((stratum, centred, target, weight))
        inverse = np.linalg.pinv(normal, hermitian=True)
        slopes = inverse @ right
        self.values = even + slopes - slopes.mean(0)
        if any(stratum.drawn < stratum.pairs for stratum in self._strata):
            left_over = np.concatenate([2 * (target - centred @ slopes) for _, centred, target, _ in rows])
            self.values += correction(np.concatenate([coalitions for _, coalitions, _ in parts]), left_over)
        self.errors = np.sqrt(self._variance(rows, slopes, inverse))

    def _variance(
        self,
        rows: list[tuple["_Stratum", NDArray[np.float64], NDArray[np.float64], float]],
        slopes: NDArray[np.float64],
        inverse: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Variance of the slopes by what is left over in each stratum; what was enumerated leaves nothing to chance."""
        count = len(inverse)
        drawn = sum(stratum.drawn for stratum, *_ in rows)
        freedom = drawn / max(drawn - count + 1, 1)
        variance = np.zeros_like(slopes)
        for stratum, centred, target, weight in rows:
            missed = 1 - stratum.drawn / stratum.pairs
            if missed == 0:
                continue
            residuals = target - centred @ slopes
            scores = weight * centred @ inverse
            for output in range(slopes.shape[1]):
                own = scores * residuals[:, output, None]
                if stratum.drawn > 1:
                    own = (own - own.mean(0)) * math.sqrt(stratum.drawn / (stratum.drawn - 1))
                variance[:, output] += missed * freedom * (own**2).sum(0)
        return variance


class _Stratum:
    """The pairs of coalitions of one size and their complements."""

    def __init__(self, count: int, size: int, random: np.random.Generator) -> None:
        self.size = size
        self.worth: list[NDArray[np.float64]] = []
        self.drawn = 0
        self._count = count
        self._random = random
        self._coalitions: list[NDArray[np.bool_]] = []
        self._seen: set[bytes] = set()
        self._halved = 2 * size == count
        self.pairs = math.comb(count, size) // (2 if self._halved else 1)
        self._order = self._shuffled() if self.pairs <= ENUMERATED else None

    @property
    def weight(self) -> float:
        """Weight of a drawn pair: that of the Shapley kernel, for all pairs that it stands for."""
        kernel = (self._count - 1) / (math.comb(self._count, self.size) * self.size * (self._count - self.size))
        return 2 * kernel * self.pairs / self.drawn

    def observed(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the coalitions, and by how much each is worth more than its complement."""
        return np.concatenate(self._coalitions).astype(float), np.concatenate(self.worth)

    def draw(self, wanted: int) -> NDArray[np.bool_]:
        """Draw as many more coalitions as are missing from this number."""
        missing = wanted - self.drawn
        if missing <= 0:
            return np.zeros((0, self._count), bool)
        if self._order is not None:
            members = self._order[self.drawn : wanted]
        else:
            members = np.array([self._new() for _ in range(missing)])
        fresh = np.zeros((missing, self._count), bool)
        np.put_along_axis(fresh, members, values=True, axis=1)
        self._coalitions.append(fresh)
        self.drawn = wanted
        return fresh

    def _shuffled(self) -> NDArray[np.int64]:
        # Of two halves that complete each other only the one with player 0 is kept.
        every = combinations(range(1, self._count), self.size - 1) if self._halved else None
        if every is not None:
            members = np.array([(0, *rest) for rest in every])
        else:
            members = np.array(list(combinations(range(self._count), self.size)))
        return self._random.permutation(members)

    def _new(self) -> NDArray[np.int64]:
        while True:
            members = np.sort(self._random.choice(self._count, self.size, replace=False))
            if self._halved and members[0] != 0:
                members = np.setdiff1d(np.arange(self._count), members)
            key = members.tobytes()
            if key not in self._seen:
                self._seen.add(key)
                return members


def _allotted(strata: list[_Stratum], pairs: int) -> list[int]:
    """Spread the pairs evenly over the sizes; what small sizes cannot take goes to the others."""
    shares = np.array([0.5 if stratum._halved else 1.0 for stratum in strata])
    limits = np.array([stratum.pairs for stratum in strata], float)
    level = _water_level(shares, limits, float(pairs))
    wanted = np.minimum(shares * level, limits)
    whole = np.floor(wanted).astype(int)
    for place in np.argsort(whole - wanted)[: max(pairs - int(whole.sum()), 0)]:
        whole[place] += whole[place] < limits[place]
    return [max(number, stratum.drawn) for number, stratum in zip(whole.tolist(), strata, strict=True)]


def _water_level(shares: NDArray[np.float64], limits: NDArray[np.float64], total: float) -> float:
    """Find the level up to which the total fills vessels of these widths and volumes."""
    low, high = 0.0, min(float((limits / shares).max()), total / float(shares.min()))
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if np.minimum(shares * middle, limits).sum() < total else (low, middle)
    return high

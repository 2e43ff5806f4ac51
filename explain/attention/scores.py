"""What a derived map says of each token, and how faithful that is to what the model does."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from deepseek.errors import DeepseekError
from deepseek.explain.attention.tokens import Tokens
from deepseek.text import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Faithfulness:
    """How far the output moves when tokens are deleted in the order of their scores, beside random orders.

    Deleting is done in steps, from the highest score on; the movement is averaged over steps and rows. With a target,
    it is how much the target falls; without, how far all outputs are from where they were (Euclidean distance).

    Attributes:
        movement: In the order of the scores.
        random: Mean over the random orders.
        low: Lower end of its 95 % confidence interval.
        high: Upper end of it.
        orders: Number of random orders.
        fill: What stands in the place of a deleted token, in words.
    """

    movement: float
    random: float
    low: float
    high: float
    orders: int
    fill: str

    def __str__(self) -> str:
        verdict = (
            "better than chance"
            if self.movement > self.high
            else "worse than chance"
            if self.movement < self.low
            else "no better than chance"
        )
        return printable(
            f"deleting its top tokens moves the output by {self.movement:.3g}, in random order by {self.random:.3g} "
            f"(95 % interval {self.low:.3g} to {self.high:.3g}, {self.orders} orders): {verdict}; deleted tokens "
            f"become {self.fill}"
        )


@dataclass(frozen=True, eq=False, repr=False)
class TokenScores:
    """How much each token of the input is looked at, through one layer or through all.

    Attributes:
        values: Score of each token, ``[B, S]``: the mean over the queries, or what the method says.
        matrix: Score of each token for each query, ``[B, T, S]``.
        method: Name of the method.
        tokens: The tokens.
        faithfulness: What deleting the top tokens does; None where it could not be measured.
        note: Why not; empty otherwise.
        pictures: The pictures whose patches the last tokens are, ``[B, C, H, W]``; None without.
        grid: Rows and columns of patches.
    """

    values: Numbers
    matrix: Numbers
    method: str
    tokens: Tokens
    faithfulness: Faithfulness | None = None
    note: str = ""
    pictures: NDArray[np.float32] | None = None
    grid: tuple[int, int] = (0, 0)

    def __str__(self) -> str:
        return printable(f"Where it looks, by {self.method}, for {len(self.values)} rows: {self.verdict}")

    def __repr__(self) -> str:
        return printable(f"<TokenScores by {self.method}: {' × '.join(map(str, self.values.shape))}; {self.verdict}>")

    @property
    def verdict(self) -> str:
        """How faithful it is, in words."""
        return f"faithfulness not measured: {self.note}" if self.faithfulness is None else str(self.faithfulness)

    def plot(self, row: int = 0) -> "Figure":
        """Draw the tokens of a row colored by their scores, or its picture under the scores of its patches.

        Raises:
            DeepseekError: There is no such row.
        """
        from deepseek.explain.attention.picture import on_patches, on_tokens

        if not 0 <= row < len(self.values):
            raise DeepseekError(f"`row` must be between 0 and {len(self.values) - 1}, not {row}.")
        title = f"Where it looks, by {self.method}"
        if self.pictures is None:
            return on_tokens(self.values[row], self.tokens, row, title, self.verdict)
        heat = self.values[row, -self.grid[0] * self.grid[1] :].reshape(self.grid)
        return on_patches(heat, self.pictures[row], title, self.verdict)

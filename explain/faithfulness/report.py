"""What was measured of an attribution, beside what chance gives."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

Fill = Literal["background", "mean", "zero"]
"""What stands for removed features: the rows of the background one after the other (outputs are averaged), their mean,
or zeros. A verdict that depends on it is about the filling, not about the model."""

Measure = Literal["deletion", "insertion", "comprehensiveness", "sufficiency", "infidelity", "max_sensitivity"]

LARGER_IS_BETTER: dict[Measure, bool] = {
    "deletion": False,
    "insertion": True,
    "comprehensiveness": True,
    "sufficiency": False,
    "infidelity": False,
    "max_sensitivity": False,
}


@dataclass(frozen=True, slots=True)
class Score:
    """One measure of an attribution, beside that of random ones: the same values in random places.

    The first four are relative to how far outputs are, on average, from those with every feature removed. All are means
    over the rows.

    Attributes:
        measure: ``deletion`` and ``insertion``: area under the curve of the output as features are removed from, or
            added in, the order of their attributions. ``comprehensiveness``: the drop without the top features;
            ``sufficiency``: the drop with the top features only. ``infidelity``: share of the output's changes, when
            random sets of features are removed, that the sums of their attributions do not predict, 0 to 1.
            ``max_sensitivity``: largest relative change of the attributions when the inputs move a little.
        fill: What stood for removed features; None where none were removed.
        value: The attribution's; large is good for ``insertion`` and ``comprehensiveness``, small for the others.
        low: Lower end of its 95 % interval over the rows.
        high: Upper end.
        random: Mean over the random ones.
        random_low: 2.5th percentile of the random ones.
        random_high: 97.5th percentile.
    """

    measure: Measure
    fill: Fill | None
    value: float
    low: float
    high: float
    random: float
    random_low: float
    random_high: float

    @classmethod
    def of(cls, measure: Measure, fill: Fill | None, each: NDArray[np.float64]) -> "Score":
        """Summarise what was measured of every row, ``[1 + R, B]``, the attribution before ``R`` random ones."""
        own, random = each[0], each[1:].mean(1)
        spread = 1.96 * own.std(ddof=1) / np.sqrt(len(own)) if len(own) > 1 else float("nan")
        low, high = np.percentile(random, [2.5, 97.5])
        value = own.mean()
        return cls(measure, fill, *map(float, (value, value - spread, value + spread, random.mean(), low, high)))

    @property
    def better(self) -> bool:
        """Whether it is better than 97.5 % of the random ones."""
        if LARGER_IS_BETTER[self.measure]:
            return self.value > self.random_high
        return self.value < self.random_low

    @property
    def name(self) -> str:
        """The measure with its fill."""
        return self.measure if self.fill is None else f"{self.measure} ({self.fill})"


@dataclass(frozen=True, eq=False, repr=False)
class FaithfulnessReport:
    """What was measured of one attribution.

    Attributes:
        scores: One for each measure and fill.
        curves: By fill, the mean output by share of features, relative to the whole effect, ``[POINTS]``: ``deletion``,
            ``insertion`` and the means of the same over random rankings.
        gains: By how much the area under the insertion curve is larger than that under the deletion curve, averaged
            over the fills: one number by row, ``[B]``, to compare attributions with. (The symmetric relevance gain of
            Blücher, Vielhaben and Strodthoff, "Decoupling pixel flipping and occlusion strategy", TMLR 2024.)
        evaluations: Rows that the model computed.
    """

    scores: tuple[Score, ...]
    curves: Mapping[Fill, Mapping[str, NDArray[np.float64]]]
    gains: NDArray[np.float64]
    evaluations: int

    @property
    def trustworthy(self) -> bool:
        """Whether every measure with every fill is better than 97.5 % of random attributions."""
        return all(score.better for score in self.scores)

    def frame(self) -> "pd.DataFrame":
        """Return one row per measure and fill."""
        import pandas as pd

        return pd.DataFrame([{name: getattr(score, name) for name in _FIELDS} for score in self.scores])

    def __str__(self) -> str:
        weak = [score.name for score in self.scores if not score.better]
        verdict = f"not better than random in {', '.join(weak)}" if weak else "better than random in every measure"
        lines = [
            f"  {score.name}: {score.value:.3f} [{score.low:.3f}, {score.high:.3f}], "
            f"random {score.random:.3f} [{score.random_low:.3f}, {score.random_high:.3f}]"
            for score in self.scores
        ]
        return "\n".join([f"Faithfulness: {verdict}", *lines])

    __repr__ = __str__

    def plot(self) -> "Figure":
        """Draw the curves, a panel for each fill."""
        from deepseek.explain.picture import Picture

        figure = Picture(figsize=(4.2 * len(self.curves), 3.4), layout="constrained")
        panels = figure.subplots(1, len(self.curves), squeeze=False)[0]
        for axes, (fill, curves) in zip(panels, self.curves.items(), strict=True):
            shares = np.linspace(0, 1, len(curves["deletion"]))
            for name, color in (("deletion", "#d1495b"), ("insertion", "#2e6fbb")):
                axes.plot(shares, curves[name], color=color, label=name)
                axes.plot(shares, curves[f"random {name}"], color=color, linestyle=":", label=f"{name}, random order")
            axes.set_title(f"removed features: {fill}")
            axes.set_xlabel("share of features removed or added")
            axes.set_ylabel("output, relative to the whole effect")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
        return figure


_FIELDS = ("measure", "fill", "value", "low", "high", "random", "random_low", "random_high", "better")

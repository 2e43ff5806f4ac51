"""``explain.compare``: several explanations of the same outputs beside each other, and whether the answer flips."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from deepseek.errors import DeepseekError
from deepseek.explain.attribute import attribute
from deepseek.explain.attribution import Attribution
from deepseek.explain.call import Call, Inputs
from deepseek.explain.faithfulness import FaithfulnessReport, faithfulness
from deepseek.explain.faithfulness.report import Fill
from deepseek.explain.faithfulness.values import by_player
from deepseek.explain.sanity.ranks import rank_correlations
from deepseek.explain.shap_values import shap
from deepseek.explain.shapley.game import checked_background
from deepseek.explain.shapley.players import Groups, Players
from deepseek.explain.target import Target
from deepseek.text import printable

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

LEAST_ALIKE = 0.5
"""With a smaller mean rank correlation two explanations disagree about the order of features."""

MOST_FLIPS = 0.5
"""In a larger share of rows another feature on top is a flip of the answer."""

MOST_OPPOSITE = 0.2
"""A larger share of the attributions' size with the opposite sign is one, too."""

Numbers = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """How far explanations agree, and how faithful each is.

    Explanations without negative values, such as attention maps, say how much and not in which direction: beside them
    only the sizes of the others count.

    Attributes:
        names: The ``N`` explanations, the most faithful first.
        correlations: Mean rank correlation over the rows, ``[N, N]``.
        other_top: Share of rows in which they put another feature first, ``[N, N]``.
        opposite: Share of the attributions' size that has the opposite sign, ``[N, N]``.
        reports: Faithfulness by name.
    """

    names: tuple[str, ...]
    correlations: Numbers
    other_top: Numbers
    opposite: Numbers
    reports: Mapping[str, FaithfulnessReport]

    @property
    def flips(self) -> tuple[str, ...]:
        """A sentence for each two explanations between which the answer flips."""
        found = []
        for one, other in combinations(range(len(self.names)), 2):
            reasons = [
                f"their rank correlation is {self.correlations[one, other]:.2f}"
                * bool(self.correlations[one, other] < LEAST_ALIKE),
                f"another feature is on top in {self.other_top[one, other]:.0%} of the rows"
                * bool(self.other_top[one, other] > MOST_FLIPS),
                f"{self.opposite[one, other]:.0%} of the size has the opposite sign"
                * bool(self.opposite[one, other] > MOST_OPPOSITE),
            ]
            if any(reasons):
                pair = f"{self.names[one]} and {self.names[other]}"
                found.append(printable(f"{pair}: {', '.join(filter(None, reasons))}"))
        return tuple(found)

    def frame(self) -> "pd.DataFrame":
        """Return a row for each explanation, the most faithful first.

        ``gain`` is by how much the insertion curve's area is larger than the deletion curve's, with its 95 % interval
        over the rows; ``better_share`` the share of measures that are better than random; ``correlation`` and
        ``other_top`` are beside the first one.
        """
        import pandas as pd

        rows = []
        for place, name in enumerate(self.names):
            gain, low, high = _interval(self.reports[name].gains)
            rows.append(
                {
                    "explanation": name,
                    "gain": gain,
                    "low": low,
                    "high": high,
                    "better_share": float(np.mean([score.better for score in self.reports[name].scores])),
                    "correlation": self.correlations[0, place],
                    "other_top": self.other_top[0, place],
                }
            )
        return pd.DataFrame(rows)

    def __str__(self) -> str:
        lines = [f"{len(self.names)} explanations, the most faithful first (area between insertion and deletion):"]
        for place, name in enumerate(self.names):
            gain, low, high = _interval(self.reports[name].gains)
            lines.append(f"  {name}: {gain:.3f} [{low:.3f}, {high:.3f}]{self._beside_the_first(place)}")
        if self.flips:
            lines += ["The answer flips between:", *(f"  {flip}" for flip in self.flips)]
        else:
            lines.append("The answer flips between none of them.")
        return printable("\n".join(lines))

    __repr__ = __str__

    def _beside_the_first(self, place: int) -> str:
        """How much less faithful than the first one, row by row."""
        if place == 0:
            return ""
        less, low, high = _interval(self.reports[self.names[0]].gains - self.reports[self.names[place]].gains)
        sure = "" if low > 0 else ", which may be chance"
        return f"; {less:.3f} [{low:.3f}, {high:.3f}] less than the first{sure}"

    def plot(self) -> "Figure":
        """Draw the rank correlations, and how faithful each explanation is."""
        from deepseek.explain.picture import DOWN, Picture

        labels = [printable(f"{place}. {name}")[:44] for place, name in enumerate(self.names, 1)]
        places = range(len(labels))
        figure = Picture(figsize=(11, 1.6 + 0.55 * len(labels)), layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True)
        drawn = left.imshow(self.correlations, cmap="RdBu", vmin=-1, vmax=1, aspect="auto")
        for row, column in np.ndindex(self.correlations.shape):
            value = self.correlations[row, column]
            left.text(column, row, f"{value:.2f}", ha="center", va="center", color="w" if abs(value) > 0.6 else "k")
        left.set_xticks(places, [f"{place + 1}." for place in places])
        left.set_yticks(places, labels, parse_math=False)
        left.set_title("Do they agree?")
        figure.colorbar(drawn, ax=left, label="rank correlation")
        gains = [_interval(self.reports[name].gains) for name in self.names]
        ends = np.array([[gain - low, high - gain] for gain, low, high in gains]).T
        right.barh(places, [gain for gain, _, _ in gains], xerr=ends if np.isfinite(ends).all() else None, color=DOWN)
        right.tick_params(labelleft=False)
        right.axvline(0, color="0.4", linewidth=0.8)
        right.set_xlabel("area between insertion and deletion\n(relative to the effect; black lines: 95 % intervals)")
        right.set_title("Which is faithful?")
        return figure


def compare(
    model: nn.Module,
    inputs: Inputs,
    background: Any = None,
    attributions: Mapping[str, Attribution | NDArray[Any]] | None = None,
    *,
    target: Target,
    groups: Groups = None,
    fills: Sequence[Fill] = ("background", "mean"),
    seed: int = 0,
) -> Comparison:
    """Compare explanations of the same outputs: do they agree, which is faithful, and does the answer flip?

    Args:
        model: The model.
        inputs: The inputs that were explained.
        background: Rows that stand for absent features.
        attributions: What is compared, by name: attributions of one output a row, or numbers in the shape of the (only)
            input or ``[B, G]``, such as attention. By default Shapley values, expected gradients, and integrated
            gradients from zeros, from the mean of the background, and from its first row, so that what the baseline
            does can be seen.
        target: Which output; the one that was explained.
        groups: The groups that were explained; attributions of single features are summed over them.
        fills: What stands for removed features where faithfulness is measured.
        seed: Of all random numbers.

    Returns:
        Agreement and faithfulness, with a table, a text and a picture.

    Raises:
        DeepseekError: An argument does not fit, or fewer than two explanations are given.
    """
    if attributions is None:
        attributions = _usual(model, inputs, background, target, groups, seed)
    if len(attributions) < 2:
        raise DeepseekError(f"`attributions` must be two at least, to be compared, not {len(attributions)}.")
    call = Call(model, inputs)
    players = Players(call, groups)
    values = {name: by_player(each, players, call) for name, each in attributions.items()}
    reports = {
        name: faithfulness(model, inputs, each, background, target=target, groups=groups, fills=fills, seed=seed)
        for name, each in attributions.items()
    }
    names = sorted(reports, key=lambda name: -reports[name].gains.mean())
    measures = np.array([[_agreement(values[one], values[other]) for other in names] for one in names])
    return Comparison(tuple(names), measures[..., 0], measures[..., 1], measures[..., 2], reports)


def _usual(
    model: nn.Module, inputs: Inputs, background: Any, target: Target, groups: Groups, seed: int
) -> dict[str, Attribution]:
    rows = checked_background(Call(model, inputs), background)
    means = {name: row.double().mean(0, keepdim=True).to(row.dtype) for name, row in rows.items()}
    firsts = {name: row[:1] for name, row in rows.items()}

    def integrated(baseline: Any) -> Attribution:
        return attribute(model, inputs, baseline=baseline, target=target)

    def averaged(method: Any) -> Attribution:
        return shap(model, inputs, background, target=target, method=method, groups=groups, progress=False, seed=seed)

    return {
        "Shapley values": averaged("auto"),
        "expected gradients": averaged("expected_gradients"),
        "integrated gradients from zeros": integrated(None),
        "integrated gradients from the mean": integrated(means),
        "integrated gradients from one row": integrated(firsts),
    }


def _agreement(one: Numbers, other: Numbers) -> tuple[float, float, float]:
    """Mean rank correlation, share of rows with another top feature, share of size with the opposite sign."""
    if (one >= 0).all() or (other >= 0).all():
        one, other = np.abs(one), np.abs(other)
    tops = np.abs(one).argmax(1) != np.abs(other).argmax(1)
    a, b = (each / np.maximum(np.abs(each).sum(1, keepdims=True), 1e-300) for each in (one, other))
    opposite = ((np.abs(a) + np.abs(b)) / 2 * (a * b < 0)).sum(1)
    return float(rank_correlations(one, other).mean()), float(tops.mean()), float(opposite.mean())


def _interval(numbers: Numbers) -> tuple[float, float, float]:
    """The mean with its 95 % interval over the rows."""
    mean = float(numbers.mean())
    margin = 1.96 * float(numbers.std(ddof=1)) / np.sqrt(len(numbers)) if len(numbers) > 1 else float("nan")
    return mean, mean - margin, mean + margin

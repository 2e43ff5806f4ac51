"""The picture of an audit."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from deepseek.explain.picture import DOWN, UP, Picture
from deepseek.explain.shortcuts.estimates import Estimate
from deepseek.explain.shortcuts.report import RegionReport, ShortcutReport, Verdict
from deepseek.text import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_REGIONS = 12
"""Regions that are drawn: the first ones, and all that were said to be irrelevant."""

_COLORS: dict[Verdict, str] = {"shortcut suspected": UP, "used": DOWN, "not used": "0.7", "cannot tell": "0.9"}


def picture(report: ShortcutReport) -> Picture:
    """Draw which decides when a region contradicts the rest, and the accuracy without it and with it alone."""
    shown = [each for place, each in enumerate(report.regions) if place < MOST_REGIONS or each.irrelevant]
    figure = Picture(figsize=(10, 2.2 + 0.32 * len(shown)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    _conflicts(left, shown)
    _accuracies(right, shown, report)
    left.set_yticks(range(len(shown)), [_short(each.name) for each in shown], parse_math=False)
    left.invert_yaxis()
    for axes in (left, right):
        axes.set_xlim(-2, 102)
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower left", ncols=2, fontsize=8)
    figure.legend(*right.get_legend_handles_labels(), loc="outside lower right", ncols=2, fontsize=8)
    found = ", ".join(map(_short, report.suspected)) or "none"
    figure.suptitle(f"Shortcut audit of {report.rows} rows, suspected: {_short(found, 70)}", parse_math=False)
    return figure


def _conflicts(axes: "Axes", shown: Sequence[RegionReport]) -> None:
    named = set()
    for place, each in enumerate(shown):
        label = None if each.verdict in named else each.verdict
        named.add(each.verdict)
        value, reach = _reach(each.exchange.decides)
        axes.barh(place, value, xerr=reach, color=_COLORS[each.verdict], ecolor="0.3", label=label)
    sizes = [100 * each.features_frac for each in shown]
    axes.plot(sizes, range(len(shown)), "k|", markersize=14, label="its share of the features")
    axes.axvline(50, color="0.4", linestyle=":", linewidth=0.9)
    axes.set_title("Where it contradicts the rest, the region decides", fontsize=10)
    axes.set_xlabel("% of contradictions; lines: 95 % intervals")


def _accuracies(axes: "Axes", shown: Sequence[RegionReport], report: ShortcutReport) -> None:
    accuracy = report.accuracy.value
    without = [
        Estimate(
            accuracy - each.exchange.drop.value, accuracy - each.exchange.drop.high, accuracy - each.exchange.drop.low
        )
        for each in shown
    ]
    for estimates, marker, color, label in (
        (without, "o", DOWN, "region from another row"),
        ([each.exchange.alone for each in shown], "D", UP, "all else from another row"),
    ):
        values, reaches = zip(*map(_reach, estimates), strict=True)
        spread = [[reach[end][0] for reach in reaches] for end in range(2)]
        axes.errorbar(values, range(len(shown)), xerr=spread, fmt=marker, color=color, ecolor="0.5", label=label)
    axes.axvline(100 * accuracy, color="0.2", linewidth=0.9, label="as it is")
    axes.axvline(100 * report.chance, color="0.4", linestyle=":", linewidth=0.9, label="by chance")
    axes.set_title("Accuracy that is left", fontsize=10)
    axes.set_xlabel("accuracy, %")


def _reach(estimate: Estimate) -> tuple[float, list[list[float]]]:
    """A number in per cent, and how far its interval reaches below and above it; zero without one."""
    value, low, high = (0.0 if end != end else 100 * end for end in estimate)
    return value, [[max(value - low, 0.0)], [max(high - value, 0.0)]]


def _short(text: str, most: int = 40) -> str:
    return printable(text if len(text) <= most else f"{text[: most - 1]}…")

"""The Bokeh documents of a comparison: differences over depth and step, one step over depth, both losses.

Foreign texts are drawn as plain text: a string that Bokeh reads may hold formulas.
"""

from typing import Any, TypedDict

import numpy as np
from bokeh.models import (
    ColumnDataSource,
    FixedTicker,
    HoverTool,
    LinearColorMapper,
    LogTicker,
    PlainText,
    PrintfTickFormatter,
    Range1d,
)
from bokeh.palettes import Viridis256
from bokeh.plotting import figure

from deepseek.inspector.comparison import Comparison
from deepseek.widgets.comparison_grid import (
    HIGHEST,
    LOWEST,
    both_scalars,
    difference_grid,
    rows_at,
    short,
    shown_step,
    site_labels,
)
from deepseek.widgets.views.charts import (
    EQUAL_COLOR,
    LINE_COLOR,
    NONFINITE_COLOR,
    color_bar,
    item,
    pair_line,
    plain_figure,
)

CELLS = 100_000
MOST_COLUMNS, FEWEST_COLUMNS = 512, 64
MOST_LABELS = 30
SMALLEST = 1e-10
"""Stands for equality on a logarithmic axis."""

LEGEND = "log10, input at the top (grey: equal, red: only one run has a number)"

LARGEST = 10.0
"""Stands for a value that only one run has."""


class ComparedChart(TypedDict):
    """A Bokeh document and what it shows, in a sentence of ours."""

    name: str
    title: str
    item: dict[str, Any]


def comparison_charts(comparison: Comparison) -> list[ComparedChart]:
    """Every chart that the comparison has data for: ``heatmap``, ``values``, ``difference``, ``scalar``."""
    what = f"{comparison.kind.replace('_', ' ')} {comparison.column}"
    step = shown_step(comparison)
    at = "" if step is None else _at(comparison, step)
    made = (
        ("heatmap", f"Relative difference of {what}, {LEGEND}", heatmap_figure(comparison)),
        ("values", f"{what.capitalize()} over depth {at}, input on the left", values_figure(comparison)),
        ("difference", f"Relative difference over depth {at}, input on the left", difference_figure(comparison)),
        ("scalar", "Logged values of both runs", scalar_figure(comparison)),
    )
    return [{"name": name, "title": title, "item": item(plot)} for name, title, plot in made if plot is not None]


def heatmap_figure(comparison: Comparison) -> figure | None:
    """Depth x step; of several steps in a column the largest difference."""
    rows = max(len(comparison.frame), 1)
    grid = difference_grid(comparison, int(np.clip(CELLS // rows, FEWEST_COLUMNS, MOST_COLUMNS)))
    if grid is None or comparison.of_steps:
        return None
    plot = plain_figure(
        height=int(np.clip(60 + 16 * rows, 180, 640)),
        x_range=Range1d(grid.start, grid.stop),
        y_range=Range1d(rows, 0),
    )
    colors = LinearColorMapper(
        palette=Viridis256,
        low=LOWEST,
        high=HIGHEST,
        low_color=EQUAL_COLOR,
        high_color=NONFINITE_COLOR,
        nan_color="#00000000",
    )
    image = {"image": [grid.values], "x": [grid.start], "y": [0], "dw": [grid.stop - grid.start], "dh": [rows]}
    plot.image("image", "x", "y", "dw", "dh", source=ColumnDataSource(image), color_mapper=colors)
    plot.add_layout(color_bar(colors, title="log10"), "right")
    plot.add_tools(HoverTool(tooltips=[("step", "$x{0}"), ("depth", "$y{0}"), ("log10 difference", "@image{0.0}")]))
    plot.xaxis.axis_label = f"step, {grid.merged:.3g} in a column" if grid.merged > 1 else "step"
    plot.grid.visible = False
    plot.yaxis.major_tick_line_color = None
    _label_sites(plot, comparison)
    return plot


def values_figure(comparison: Comparison) -> figure | None:
    """The compared column of both runs at one step, over depth."""
    source = _step_source(comparison)
    if source is None:
        return None
    positive = all(_all_positive(np.asarray(source.data[side])) for side in "ab")
    plot = plain_figure(height=240, y_axis_type="log" if positive else "linear")
    pair_line(plot, "depth", "a", source, "A", legend_label="A")
    pair_line(plot, "depth", "b", source, "B", legend_label="B")
    _finish(plot, "depth", comparison.column)
    _tell(plot, {"A": "a", "B": "b"})
    return plot


def difference_figure(comparison: Comparison) -> figure | None:
    """The relative difference at one step over depth, and the tolerance."""
    source = _step_source(comparison)
    if source is None:
        return None
    plot = plain_figure(height=240, y_axis_type="log")
    ends = [-0.5, len(comparison.frame) - 0.5]
    plot.line("depth", "difference", source=source, line_color=LINE_COLOR, line_width=1.6, legend_label="difference")
    plot.scatter("depth", "difference", source=source, color=LINE_COLOR, size=6, legend_label="difference")
    if comparison.tolerance > 0:
        limit = [comparison.tolerance] * 2
        plot.line(ends, limit, line_color=EQUAL_COLOR, line_dash="dashed", line_width=1.6, legend_label="tolerance")
    _finish(plot, "depth", "relative difference")
    plot.yaxis.ticker = LogTicker(desired_num_ticks=6)
    plot.yaxis.formatter = PrintfTickFormatter(format="%.0e")
    _tell(plot, {"relative difference": "difference"})
    return plot


def scalar_figure(comparison: Comparison) -> figure | None:
    """The loss of both runs over steps, or another scalar that both logged."""
    found = both_scalars(comparison)
    if found is None:
        return None
    name, curves = found
    plot = plain_figure(height=220)
    for side, points in zip("AB", curves, strict=True):
        source = ColumnDataSource({"step": points[0], "value": points[1]})
        pair_line(plot, "step", "value", source, side, dots=False, legend_label=side)
    _finish(plot, "step", PlainText(text=short(name)))
    return plot


def _tell(plot: figure, columns: dict[str, str]) -> None:
    """Show the site and the numbers of the depth that the mouse points at; the first line knows them all."""
    tips = [("site", "@site"), *((name, f"@{column}{{%.4g}}") for name, column in columns.items())]
    formatters = {f"@{column}": "printf" for column in columns.values()}
    line = plot.renderers[0]
    plot.add_tools(
        HoverTool(tooltips=tips, formatters=formatters, renderers=[line], mode="vline", line_policy="nearest")
    )


def _finish(plot: figure, x_label: str, y_label: str | PlainText) -> None:
    plot.xaxis.axis_label, plot.yaxis.axis_label = x_label, y_label
    plot.x_range.range_padding = 0.02
    plot.legend.background_fill_alpha = 0
    plot.legend.border_line_color = None
    plot.legend.orientation = "horizontal"
    plot.add_layout(plot.legend[0], "above")


def _step_source(comparison: Comparison) -> ColumnDataSource | None:
    step = shown_step(comparison)
    if step is None:
        return None
    rows = rows_at(comparison, step)
    labels = site_labels(comparison)
    columns = {name: rows[name].to_numpy() for name in ("depth", "a", "b")}
    difference = np.clip(rows["difference"].to_numpy(), SMALLEST, LARGEST)
    return ColumnDataSource({"site": [labels[depth] for depth in rows["depth"]], "difference": difference} | columns)


def _label_sites(plot: figure, comparison: Comparison) -> None:
    labels = site_labels(comparison)
    places = range(0, len(labels), -(-len(labels) // MOST_LABELS))
    plot.yaxis.ticker = FixedTicker(ticks=[place + 0.5 for place in places])
    plot.yaxis.major_label_overrides = {place + 0.5: PlainText(text=labels[place]) for place in places}


def _all_positive(values: "np.ndarray[Any, np.dtype[np.float64]]") -> bool:
    known = values[np.isfinite(values)]
    return len(known) > 0 and bool(np.all(known > 0))


def _at(comparison: Comparison, step: int) -> str:
    steps = comparison.of_steps
    return f"(step {steps[0]} of A, step {steps[1]} of B)" if steps else f"at step {step}"

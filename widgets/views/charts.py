"""The Bokeh documents of the live view and the report: all charts but the heat map, which waits for nothing.

A document is sent once and holds no data of the run: the browser fills the sources from the messages and sets
colours and ranges. So nothing that users wrote gets into a Bokeh property that may hold HTML or formulas.
"""

from functools import cache
from typing import Any

from bokeh.embed import json_item
from bokeh.models import (
    BasicTicker,
    BasicTickFormatter,
    BoxAnnotation,
    ColorBar,
    ColumnDataSource,
    FixedTicker,
    LinearColorMapper,
    NumeralTickFormatter,
    Range1d,
)
from bokeh.plotting import figure

from deepseek.widgets.message_types import Chart
from deepseek.widgets.metrics import METRICS, Metric

NONFINITE_COLOR = "#e5484d"
"""Cells of steps in which NaN or infinities were measured."""

LINE_COLOR = "#3e7bfa"
OTHER_COLOR = "#e8590c"
EQUAL_COLOR = "#8b95a1"
"""Stands for equal values, and for the border of what counts as different."""
CHOSEN_COLOR = "#ff4d6d"


@cache
def charts() -> list[Chart]:
    """Every chart as a message holds it: ``loss``, ``layer/<metric>`` and ``compare/...``."""
    figures = {"loss": loss_figure()}
    figures |= {f"layer/{metric.name}": layer_figure(metric) for metric in METRICS}
    figures |= {f"compare/{scale}": both_steps_figure(scale) for scale in ("log", "linear")}
    figures["compare/change"] = change_figure()
    return [{"name": name, "item": item(plot)} for name, plot in figures.items()]


def loss_figure() -> figure:
    """One scalar over steps: the mean of each column as a line, its spread as a band."""
    plot = plain_figure(height=190)
    source = ColumnDataSource({"step": [], "mean": [], "low": [], "high": []}, name="loss")
    plot.varea("step", "low", "high", source=source, fill_color=LINE_COLOR, fill_alpha=0.2)
    plot.line("step", "mean", source=source, line_color=LINE_COLOR, line_width=1.8)
    plot.xaxis.axis_label = "step"
    plot.x_range.range_padding = 0.02
    plot.yaxis.ticker.desired_num_ticks = 5
    plot.yaxis.formatter = BasicTickFormatter()
    return plot


def layer_figure(metric: Metric) -> figure:
    """One metric of the chosen layer over steps."""
    plot = plain_figure(height=150, y_axis_type=metric.scale)
    plot.title = metric.title
    plot.x_range.range_padding = 0.02
    plot.xaxis.ticker.desired_num_ticks = 4
    source = ColumnDataSource({"step": [], "value": []}, name=f"layer/{metric.name}")
    plot.line("step", "value", source=source, line_color=LINE_COLOR, line_width=1.6)
    plot.scatter("step", "value", source=source, color=LINE_COLOR, size=4, line_color=None, name="dots")
    if metric.scale == "linear":
        plot.y_range = Range1d(0, 1.05)
        plot.yaxis.ticker.desired_num_ticks = 4
    else:
        plot.yaxis.ticker = FixedTicker(ticks=[], name="ticks")
    return plot


def both_steps_figure(scale: str) -> figure:
    """One metric of every layer at two steps, a row a layer; the browser names the metric and both lines.

    A legend of Bokeh's own would flicker with every step that arrives.
    """
    plot = plain_figure(height=320, y_range=Range1d(1, 0), x_axis_type=scale)
    plot.title = "Both steps"
    source = ColumnDataSource({"depth": [], "a": [], "b": []}, name="values")
    for side in ("a", "b"):
        pair_line(plot, side, "depth", source, side.upper())
    _numbers_below(plot)
    if scale == "log":
        plot.xaxis.ticker = FixedTicker(ticks=[], name="ticks")
    _rows_of_layers(plot)
    return plot


def change_figure() -> figure:
    """How far each layer's value in B is from that in A, a bar a layer, and what counts as a change."""
    plot = plain_figure(height=320, y_range=Range1d(1, 0))
    plot.title = "Change from A to B"
    source = ColumnDataSource({"depth": [], "change": []}, name="changes")
    plot.hbar("depth", right="change", height=0.7, source=source, color=LINE_COLOR)
    limits = ColumnDataSource({"limit": []}, name="limits")
    plot.vspan("limit", source=limits, line_color=EQUAL_COLOR, line_dash="dashed")
    _numbers_below(plot)
    _rows_of_layers(plot)
    return plot


def _numbers_below(plot: figure) -> None:
    """Give the horizontal axis to numbers, where other charts have steps."""
    plot.xaxis.formatter = BasicTickFormatter()
    plot.xaxis.ticker = BasicTicker(desired_num_ticks=5)


def _rows_of_layers(plot: figure) -> None:
    """Give the vertical axis to layers, which the browser names, with a frame around the chosen one."""
    plot.add_layout(
        BoxAnnotation(
            name="chosen", fill_color=None, line_color=CHOSEN_COLOR, line_alpha=1, line_width=2, visible=False
        ),
        "center",
    )
    plot.yaxis.ticker = FixedTicker(ticks=[])
    plot.yaxis.major_tick_line_color = None
    plot.ygrid.visible = False


def pair_line(
    plot: figure, x: str, y: str, source: ColumnDataSource, side: str, *, dots: bool = True, **options: Any
) -> None:
    """Draw one of two that are compared, as a line; they differ in colour, dash and marker."""
    color, dash, marker = (LINE_COLOR, "solid", "circle") if side == "A" else (OTHER_COLOR, "dashed", "square")
    plot.line(x, y, source=source, line_color=color, line_dash=dash, line_width=1.8, **options)
    if dots:
        plot.scatter(x, y, source=source, color=color, size=6, marker=marker, **options)


def plain_figure(**options: Any) -> figure:
    """An empty figure without tools and background; the browser gives it the colours of the page."""
    plot = figure(sizing_mode="stretch_width", toolbar_location=None, tools="", min_border=4, **options)
    plot.background_fill_color = plot.border_fill_color = plot.outline_line_color = None
    plot.xaxis.formatter = NumeralTickFormatter(format="0,0")
    plot.xaxis.ticker.min_interval = 1
    plot.axis.axis_label_text_font_style = "normal"
    plot.axis.minor_tick_line_color = None
    plot.axis.axis_line_color = None
    plot.axis.major_tick_out = 3
    plot.axis.major_tick_in = 0
    plot.title.text_font_style = "normal"
    plot.title.text_font_size = "12px"
    return plot


def color_bar(colors: LinearColorMapper, **options: Any) -> ColorBar:
    """A narrow color bar without lines or background, as both themes take it."""
    return ColorBar(
        color_mapper=colors,
        width=10,
        padding=4,
        label_standoff=6,
        border_line_color=None,
        background_fill_color=None,
        major_tick_line_color=None,
        bar_line_color=None,
        **options,
    )


def item(plot: figure) -> dict[str, Any]:
    """The figure as a message holds it."""
    found: dict[str, Any] = json_item(plot)
    return found

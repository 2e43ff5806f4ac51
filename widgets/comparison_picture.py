"""One picture of a comparison for places without a browser program, as PNG."""

from typing import TYPE_CHECKING

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure

from deepseek.inspector.comparison import Comparison
from deepseek.widgets.comparison_grid import (
    HIGHEST,
    LOWEST,
    both_scalars,
    difference_grid,
    log_difference,
    rows_at,
    short,
    shown_step,
    site_labels,
)
from deepseek.widgets.picture import BLUE, MOST_COLUMNS, drawn

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ORANGE = "#e8590c"
GREY = "#5b6675"
COLOUR_MAP = colormaps["viridis"].with_extremes(under="#8b95a1", over="#e5484d")
MOST_LABELS, LABEL_LENGTH = 20, 18
WIDE, NARROW = (0.13, 0.31), (0.56, 0.41)
"""Left edge and width of the left and of the right axes."""


def png(comparison: Comparison) -> bytes:
    """Draw the differences over depth and step, both losses, and one step over depth; on white."""

    def draw(figure: Figure) -> None:
        heat = figure.add_axes((WIDE[0], 0.11, WIDE[1], 0.81))
        bar = figure.add_axes((0.45, 0.11, 0.012, 0.81))
        scalar, depth = (figure.add_axes((NARROW[0], bottom, NARROW[1], 0.33)) for bottom in (0.59, 0.11))
        _draw_grid(heat, bar, comparison)
        _draw_scalar(scalar, comparison)
        _draw_depth(depth, comparison)

    return drawn(4.6, draw)


def _draw_grid(axes: "Axes", bar: "Axes", comparison: Comparison) -> None:
    _prepare(axes, "log10 relative difference", "step")
    grid = difference_grid(comparison, MOST_COLUMNS)
    if grid is None:
        bar.set_axis_off()
        _say(axes, "no common steps")
        return
    extent = (grid.start, grid.stop, len(grid.values), 0)
    image = axes.imshow(
        grid.values, aspect="auto", vmin=LOWEST, vmax=HIGHEST, cmap=COLOUR_MAP, extent=extent, interpolation="nearest"
    )
    axes.figure.colorbar(image, cax=bar).ax.tick_params(labelsize=8)
    labels = site_labels(comparison)
    places = range(0, len(labels), -(-len(labels) // MOST_LABELS))
    shown = [labels[place][-LABEL_LENGTH:] for place in places]
    axes.set_yticks([place + 0.5 for place in places], shown, parse_math=False)


def _draw_scalar(axes: "Axes", comparison: Comparison) -> None:
    found = both_scalars(comparison)
    _prepare(axes, short(found[0]) if found else "logged values", "step")
    if found is None:
        _say(axes, "two steps" if comparison.of_steps else "nothing logged in both")
        return
    for side, points, color, dash in zip("AB", found[1], (BLUE, ORANGE), ("-", "--"), strict=True):
        axes.plot(points[0], points[1], color=color, linestyle=dash, linewidth=1.3, label=side)
    axes.legend(fontsize=8, frameon=False)


def _draw_depth(axes: "Axes", comparison: Comparison) -> None:
    step = shown_step(comparison)
    _prepare(axes, "log10 relative difference" + (f" at step {step}" if step is not None else ""), "depth")
    if step is None:
        _say(axes, "no common steps")
        return
    rows = rows_at(comparison, step)
    values = np.clip(log_difference(rows["difference"].to_numpy()), LOWEST - 1, HIGHEST + 0.7)
    axes.plot(rows["depth"], values, color=BLUE, marker="o", markersize=3, linewidth=1)
    if comparison.tolerance > 0:
        axes.axhline(np.log10(comparison.tolerance), color=GREY, linestyle="--", linewidth=1, label="tolerance")
        axes.legend(fontsize=8, frameon=False)
    axes.set_ylim(LOWEST - 1.3, HIGHEST + 1)


def _prepare(axes: "Axes", title: str, x_label: str) -> None:
    axes.set_title(title, fontsize=10, loc="left", parse_math=False)
    axes.set_xlabel(x_label, fontsize=9)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)


def _say(axes: "Axes", text: str) -> None:
    axes.text(0.5, 0.5, text, ha="center", color=GREY, transform=axes.transAxes)

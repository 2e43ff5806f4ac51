"""One picture of a run for places without a browser program: loss and gradient norms, as PNG."""

import io
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

import matplotlib.style
import numpy as np
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from deepseek.widgets.history import History
from deepseek.widgets.message_types import Layer

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_COLUMNS = 160
"""Columns of the heat map: more would not be told apart, and would make the file large."""

MOST_LABELS = 24
LABEL_LENGTH = 30
DPI = 96
COLOURS = 200
COLUMNS = ((0.045, 0.25), (0.49, 0.44), (0.94, 0.014))
"""Left edge and width of the scalar's axes, of the heat map and of its colour bar."""

BLUE = "#2f6bed"
COLOUR_MAP = colormaps["viridis"].with_extremes(over="#e5484d")


def png(history: History) -> bytes:
    """Draw the loss and the gradient norm of every layer; on white, so that it reads in any theme."""
    rows, values = history.matrix("gradient_norm")

    def draw(figure: Figure) -> None:
        # Fixed places: measuring all labels, as automatic layouts do, takes longer than drawing.
        loss, heat, bar = (figure.add_axes((x, 0.15, width, 0.75)) for x, width in COLUMNS)
        _draw_scalar(loss, history)
        _draw_heatmap(heat, bar, history, rows, values)

    return drawn(3.0 if len(rows) <= MOST_LABELS else 3.8, draw)


def drawn(height: float, draw: Callable[[Figure], None]) -> bytes:
    """Have a figure so many inches high drawn on white, and return it as a small PNG."""
    with warnings.catch_warnings(), matplotlib.style.context("default"):
        # A name in a script that the font lacks is drawn as boxes: not worth a warning in the user's notebook.
        warnings.simplefilter("ignore", UserWarning)
        figure = Figure(figsize=(9.6, height), dpi=DPI)
        draw(figure)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
    buffer = io.BytesIO()
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    picture.quantize(COLOURS, Image.Quantize.FASTOCTREE).save(buffer, "PNG")
    return buffer.getvalue()


def _draw_scalar(axes: "Axes", history: History) -> None:
    name, series = next(
        ((n, s) for n, s in sorted(history.series.items(), key=lambda item: item[0] != "loss")), ("loss", None)
    )
    axes.set_title(name[:LABEL_LENGTH], fontsize=10, loc="left", parse_math=False)
    axes.set_xlabel("step", fontsize=9)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    if series is None:
        axes.text(0.5, 0.5, "nothing logged", ha="center", color="#5b6675", transform=axes.transAxes)
        return
    step, mean, low, high = np.where(np.isfinite(series.points), series.points, np.nan)
    axes.fill_between(step, low, high, color=BLUE, alpha=0.2, linewidth=0)
    axes.plot(step, mean, color=BLUE, linewidth=1.3)


def _draw_heatmap(
    axes: "Axes", bar: "Axes", history: History, rows: NDArray[np.intp], values: NDArray[np.float32]
) -> None:
    axes.set_title("gradient norm", fontsize=10, loc="left")
    axes.tick_params(labelsize=8, length=2)
    if values.size == 0 or not np.any(values > 0):
        bar.set_axis_off()
        axes.text(0.5, 0.5, "no gradients observed", ha="center", color="#5b6675", transform=axes.transAxes)
        return
    starts = history.columns.starts
    grid = even(values, starts, history.columns.stride)
    positive = grid[np.isfinite(grid) & (grid > 0)]
    norm = LogNorm(max(positive.min(), positive.max() * 1e-9) * 0.999, positive.max())
    extent = (int(starts[0]), int(starts[-1]) + history.columns.stride, len(rows), 0)
    image = axes.imshow(grid, aspect="auto", norm=norm, cmap=COLOUR_MAP, extent=extent, interpolation="nearest")
    axes.figure.colorbar(image, cax=bar).ax.tick_params(labelsize=8)
    axes.set_xlabel("step", fontsize=9)
    every = -(-len(rows) // MOST_LABELS)
    names = [_label(history.layers[row]) for row in rows[::every]]
    axes.set_yticks(np.arange(0, len(rows), every) + 0.5, names, parse_math=False)


def even(
    values: NDArray[np.float32], starts: NDArray[np.int32], stride: int, most: int = MOST_COLUMNS
) -> NDArray[np.float32]:
    """Return the largest value of each of at most ``most`` equal spans of steps; unobserved spans repeat the last.

    Args:
        values: ``[rows, columns]``.
        starts: First step of each column, in order.
        stride: Steps that a column covers.
        most: Largest number of spans.
    """
    span = int(starts[-1]) + stride - int(starts[0])
    count = min(most, -(-span // stride))
    cell = (starts - starts[0]).astype(np.int64) * count // span
    out = np.full((len(values), count), np.nan, np.float32)
    first = np.flatnonzero(np.diff(cell, prepend=-1))
    out[:, cell[first]] = np.fmax.reduceat(values, first, axis=1)
    filled = np.maximum.accumulate(np.where(np.isin(np.arange(count), cell), np.arange(count), 0))
    return out[:, filled]


def _label(layer: Layer) -> str:
    """End of a layer's name; where it ends in a number, its type says what it is."""
    name = layer["name"]
    if name.rpartition(".")[2].isdigit():
        name = f"{name} {layer['type']}"
    return name if len(name) <= LABEL_LENGTH else "…" + name[1 - LABEL_LENGTH :]

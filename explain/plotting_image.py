"""Attributions over the picture that they belong to."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from numpy.typing import NDArray

from deepseek.explain.part import Part
from deepseek.explain.picture import DIVERGING, Picture, short

Numbers = NDArray[np.float64]


def on_image(part: Part) -> Picture:
    """Draw the picture, and beside it the attributions: of groups, laid over it with their borders."""
    cells = None if part.groups is None else _flat(part.groups[None] if part.groups.ndim == 2 else part.groups)
    heat = _heat(part)
    limit = float(np.abs(heat).max()) or 1.0
    figure = Picture(figsize=(7.5, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    _show(left, part.data)
    left.set_title("input")
    if cells is not None:
        right.imshow(_gray(part.data), cmap="gray")
        _borders(left, cells)
        _borders(right, cells)
    drawn = right.imshow(heat, cmap=DIVERGING, vmin=-limit, vmax=limit, alpha=1.0 if cells is None else 0.7)
    right.set_title("attribution")
    figure.colorbar(drawn, ax=right, label="in units of the output: red raises, blue lowers")
    for axes in (left, right):
        axes.set_xticks([])
        axes.set_yticks([])
    figure.suptitle(short(part.title), parse_math=False)
    return figure


def _heat(part: Part) -> Numbers:
    """The value of every pixel ``[H, W]``, or of its group; where channels differ, their sum."""
    if part.groups is None:
        return np.asarray(part.values.sum(0) if part.values.ndim == 3 else part.values)
    spread = np.append(part.values, 0.0)[part.groups]
    if spread.ndim == 2:
        return np.asarray(spread)
    return np.asarray(spread[0] if (part.groups == part.groups[0]).all() else spread.sum(0))


def _flat(groups: NDArray[np.intp]) -> NDArray[np.intp]:
    """One number for every pixel ``[H, W]``, which differs where any channel ``[C, H, W]`` belongs to another group."""
    channels = groups.reshape(len(groups), -1)
    return np.asarray(np.unique(channels, axis=1, return_inverse=True)[1].reshape(groups.shape[1:]))


def _borders(axes: Axes, cells: NDArray[np.intp]) -> None:
    """Draw lines between pixels of different cells."""
    beside = np.argwhere(cells[:, 1:] != cells[:, :-1])
    below = np.argwhere(cells[1:] != cells[:-1])
    lines = [((column + 0.5, row - 0.5), (column + 0.5, row + 0.5)) for row, column in beside]
    lines += [((column - 0.5, row + 0.5), (column + 0.5, row + 0.5)) for row, column in below]
    axes.add_collection(LineCollection(lines, colors="0.5", linewidths=0.6))


def _show(axes: Axes, data: Numbers) -> None:
    if data.ndim == 3 and len(data) == 3:
        low, high = float(data.min()), float(data.max())
        axes.imshow(np.moveaxis((data - low) / ((high - low) or 1.0), 0, -1))
    else:
        axes.imshow(_gray(data), cmap="gray")


def _gray(data: Numbers) -> Numbers:
    """An image ``[C, H, W]`` as ``[H, W]``."""
    return np.asarray(data.mean(0) if data.ndim == 3 else data)

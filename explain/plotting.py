"""The picture that fits an attribution: over the input, over its words, or as bars."""

import numpy as np
from numpy.typing import NDArray

from deepseek.errors import DeepseekError
from deepseek.explain.part import Part
from deepseek.explain.picture import DOWN, UP, Picture, short
from deepseek.explain.plotting_image import on_image
from deepseek.explain.plotting_words import on_words

MOST_BARS = 20
"""Features that a bar chart names; the others are one bar together."""


def plotted(part: Part) -> Picture:
    """Draw attributions as an image where rows have two or three dimensions, as words of a text, or else as bars.

    Raises:
        DeepseekError: There is no picture for their shape.
    """
    if part.data.ndim in (2, 3) and (part.groups is not None or part.values.ndim == part.data.ndim):
        return on_image(part)
    if part.values.ndim != 1:
        raise DeepseekError(
            f"Attributions of shape {part.values.shape} have no picture: sum them over some dimensions, or join "
            "features by `groups`."
        )
    return on_words(part) if part.words else _bars(part)


def _bars(part: Part) -> Picture:
    errors = None if part.errors is None else 1.96 * part.errors
    order = np.argsort(-np.abs(part.values))
    shown, rest = order[:MOST_BARS], order[MOST_BARS:]
    lengths = [*part.values[shown], *([part.values[rest].sum()] if len(rest) else [])]
    names = [*(part.labels[place] for place in shown), *([f"{len(rest)} others together"] if len(rest) else [])]
    figure = Picture(figsize=(7, 1.2 + 0.3 * len(names)), layout="constrained")
    axes = figure.subplots()
    colors = [UP if length > 0 else DOWN for length in lengths]
    axes.barh(range(len(names)), lengths, color=colors, xerr=_intervals(errors, shown, rest))
    axes.set_yticks(range(len(names)), [short(name) for name in names], parse_math=False)
    axes.invert_yaxis()
    axes.axvline(0, color="0.4", linewidth=0.8)
    axes.set_xlabel("attribution, in units of the output" + ("" if errors is None else "; black lines: 95 % intervals"))
    axes.set_title(short(part.title), parse_math=False)
    return figure


def _intervals(
    errors: NDArray[np.float64] | None, shown: NDArray[np.intp], rest: NDArray[np.intp]
) -> list[float] | None:
    if errors is None:
        return None
    return [*errors[shown], *([np.sqrt((errors[rest] ** 2).sum())] if len(rest) else [])]

"""Attributions over the words of a text."""

import numpy as np
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize

from deepseek.explain.part import Part
from deepseek.explain.picture import DIVERGING, Picture, short

WIDTH = 88
"""Characters of a line."""

SMALL = 0.8
"""Size of the numbers, relative to the words."""

LONGEST = 88
"""Characters of a word or sentence that are shown."""

PALE = 0.6
"""Share of the colours' strength that is used, so that black text stays readable."""


def on_words(part: Part) -> Picture:
    """Draw the text with its parts colored by their attributions, and the numbers below."""
    texts = [short(" ".join(label.split()), LONGEST) for label in part.labels]
    numbers = [f"{value:+.2g}" for value in part.values]
    places, lines = _flow([max(len(text), SMALL * len(number)) for text, number in zip(texts, numbers, strict=True)])
    limit = float(np.abs(part.values).max()) or 1.0
    norm = Normalize(-limit, limit)
    strengths = np.linspace(0.5 - PALE / 2, 0.5 + PALE / 2, 256)
    pale = LinearSegmentedColormap.from_list("pale", colormaps[DIVERGING](strengths))
    figure = Picture(figsize=(8.4, 1.4 + 0.45 * lines), layout="constrained")
    axes = figure.subplots()
    axes.set(xlim=(0, WIDTH), ylim=(lines - 0.3, -0.6))
    axes.set_axis_off()
    for text, number, value, (line, start) in zip(texts, numbers, part.values, places, strict=True):
        box = {"facecolor": pale(norm(value)), "edgecolor": "0.8", "boxstyle": "round,pad=0.25", "linewidth": 0.5}
        axes.text(
            start, line, text, family="monospace", fontsize=9, color="black", va="center", bbox=box, parse_math=False
        )
        axes.text(start, line + 0.4, number, family="monospace", fontsize=9 * SMALL, va="center", parse_math=False)
    figure.colorbar(
        ScalarMappable(norm, pale), ax=axes, label="in units of the output:\nred raises, blue lowers", fraction=0.03
    )
    errors = "" if part.errors is None or not part.errors.any() else f"; standard error at most {part.errors.max():.1g}"
    axes.set_title(short(part.title + errors, 100), parse_math=False, fontsize=10, loc="left")
    return figure


def _flow(lengths: list[float]) -> tuple[list[tuple[int, float]], int]:
    """Return line and start of texts that are set one after the other, and the number of lines."""
    places: list[tuple[int, float]] = []
    line, start = 0, 1.0
    for length in lengths:
        if start > 1 and start + length > WIDTH:
            line, start = line + 1, 1.0
        places.append((line, start))
        start += length + 2.2
    return places, line + 1

"""Pictures of attention maps, on white, for notebooks and papers."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from deepseek.errors import DeepseekError
from deepseek.explain.attention.maps import AttentionMaps
from deepseek.explain.attention.one_map import AttentionMap
from deepseek.explain.attention.tokens import Tokens
from deepseek.text import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_LABELS = 40
"""Tokens that an axis names; of more, every second one, every third ..."""

TILE = 48
"""Cells of a small map along each side."""

_LABEL = 24
_COLORS = "viridis"


def grid(maps: AttentionMaps, row: int) -> "Figure":
    """Draw all maps of a row, layers below each other and heads side by side; see ``AttentionMaps.plot``."""
    check_row(maps, row)
    names = [short(f"{each.name} ({each.kind})", 36) for each in maps]
    heads = max((each.heads for each in maps), key=len)
    image = _mosaic([each.weights[row] for each in maps], len(heads))
    with white() as new:
        figure = new((max(2.6 + 0.52 * len(heads), 5.4), max(1.5 + 0.52 * len(maps), 4.2)))
        axes = figure.subplots()
        _draw(figure, axes, image, "weight (square-root scale)")
        middle = (TILE - 1) / 2
        axes.set_xticks(np.arange(len(heads)) * (TILE + 1) + middle, [str(head) for head in heads])
        axes.set_yticks(np.arange(len(maps)) * (TILE + 1) + middle, names, parse_math=False)
        axes.set_xlabel("head; within a map: token that is looked at")
        axes.set_ylabel("attention call; within a map: token that looks")
        axes.spines[:].set_visible(False)
        axes.set_title(short(f"Where {maps.model} looks, row {row}", 80), parse_math=False)
    return figure


def one_head(maps: AttentionMaps, each: AttentionMap, head: int, row: int) -> "Figure":
    """Draw one head with its tokens; see ``AttentionMaps.plot``."""
    check_row(maps, row)
    if head not in each.heads:
        raise DeepseekError(
            printable(
                f"`head` must be one of those kept of {each.name}: {', '.join(map(str, each.heads))}, not {head}."
            )
        )
    weights = each.weights[row, each.heads.index(head)]
    queries, keys = weights.shape
    with white() as new:
        figure = new((2.8 + 0.2 * min(keys, MOST_LABELS), 2.4 + 0.2 * min(queries, MOST_LABELS)))
        axes = figure.subplots()
        _draw(figure, axes, weights, "weight (square-root scale)")
        _name(axes.set_xticks, maps.seen(each), row, range(keys), rotation=90)
        _name(axes.set_yticks, maps.looking(each), row, each.queries)
        axes.set_xlabel("token that is looked at")
        axes.set_ylabel("token that looks")
        axes.set_title(
            short(f"Where head {head} of {each.name} looks ({each.kind})", 80), parse_math=False, fontsize=10
        )
    return figure


def on_tokens(values: NDArray[np.float64], tokens: Tokens, row: int, title: str, verdict: str) -> "Figure":
    """Draw the tokens of a row, colored by their scores ``[S]``."""
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, Normalize

    texts = [short(tokens.label(row, place), _LABEL) for place in range(len(values))]
    places, lines = _flow([len(text) for text in texts])
    norm = Normalize(0, max(values[counted(tokens, row, len(values))].max(initial=0), np.finfo(float).tiny))
    pale = LinearSegmentedColormap.from_list("pale", colormaps["Blues"](np.linspace(0, 0.75, 64)))  # for black text
    colors = pale(np.clip(norm(values), 0, 1))
    with white() as new:
        figure = new((8.4, 1.9 + 0.3 * lines))
        axes = figure.subplots()
        axes.set(xlim=(0, _WIDTH), ylim=(lines - 0.3, -0.7))
        axes.set_axis_off()
        for text, color, (line, start) in zip(texts, colors, places, strict=True):
            box = {"facecolor": color, "edgecolor": "0.8", "boxstyle": "round,pad=0.25", "linewidth": 0.5}
            axes.text(start, line, text, family="monospace", fontsize=9, va="center", bbox=box, parse_math=False)
        figure.colorbar(ScalarMappable(norm, pale), ax=axes, label="score", fraction=0.03)
        _explain(figure, axes, title, verdict)
    return figure


def on_patches(heat: NDArray[np.float64], picture: NDArray[Any], title: str, verdict: str) -> "Figure":
    """Draw a picture, and beside it the same under the scores of its patches.

    Args:
        heat: Scores, by patch, ``[rows, columns]``.
        picture: ``[C, H, W]``.
        title: What the scores are.
        verdict: How faithful they are.
    """
    seen = picture[:3] if len(picture) >= 3 else picture[:1]
    low, high = float(seen.min()), float(seen.max())
    shown = ((seen - low) / (high - low or 1)).transpose(1, 2, 0)
    extent = (0, picture.shape[2], picture.shape[1], 0)
    with white() as new:
        figure = new((8.4, 4.6))
        left, right = figure.subplots(1, 2)
        for axes, image in ((left, shown.squeeze()), (right, shown.mean(2))):  # gray below colors that mean something
            axes.imshow(image, cmap="gray", extent=extent)
            axes.set(xlabel="pixel column", ylabel="pixel row")
        drawn = right.imshow(heat, cmap=_COLORS, alpha=0.6, extent=extent, vmin=0)
        left.set_title("input", fontsize=10)
        right.set_title("where it looks", fontsize=10)
        figure.colorbar(drawn, ax=right, label="score", fraction=0.045)
        figure.suptitle(short(title, 100), parse_math=False, fontsize=11)
        figure.supxlabel(fill(printable(verdict), 110), parse_math=False, fontsize=8)
    return figure


def counted(tokens: Tokens, row: int, count: int) -> NDArray[np.bool_]:
    """Return which tokens set the scale of colors, ``[S]``: special ones would hide the rest."""
    out = np.ones(count, bool)
    for flags in (tokens.real, None if tokens.special is None else ~tokens.special):
        out &= True if flags is None else flags[row]
    return out if out.any() else np.ones(count, bool)


def short(text: str, most: int) -> str:
    """Return the end of a text, on one line, without what terminals and pictures would be misled by."""
    line = " ".join(printable(text).split()) or "␣"
    return line if len(line) <= most else f"…{line[1 - most :]}"


def check_row(maps: AttentionMaps, row: int) -> None:
    """Raise an error where there is no such row, or nothing at all."""
    rows = min((len(each.weights) for each in maps), default=0)
    if not 0 <= row < rows:
        raise DeepseekError(f"`row` must be between 0 and {rows - 1}, not {row}." if rows else "There are no maps.")


@contextmanager
def white() -> "Iterator[Callable[[tuple[float, float]], Figure]]":
    """Give a function that makes a figure of so many inches, which looks the same whatever style is set."""
    import matplotlib.style

    from deepseek.explain.picture import Picture

    with warnings.catch_warnings(), matplotlib.style.context("default"):
        warnings.simplefilter("ignore", UserWarning)
        yield lambda size: Picture(figsize=size, layout="constrained")


_WIDTH = 100
"""Characters of a line of tokens."""


def _flow(lengths: Sequence[int]) -> tuple[list[tuple[int, float]], int]:
    """Return line and start of texts that are set one after the other, and the number of lines."""
    places: list[tuple[int, float]] = []
    line, start = 0, 1.0
    for length in lengths:
        if start > 1 and start + length * 1.1 > _WIDTH:
            line, start = line + 1, 1.0
        places.append((line, start))
        start += length * 1.1 + 2
    return places, line + 1


def _mosaic(maps: Sequence[NDArray[np.float32]], columns: int) -> NDArray[np.float32]:
    """Set maps ``[H, T, S]`` below each other and their heads side by side, with gaps of NaN."""
    out = np.full((len(maps) * (TILE + 1) - 1, columns * (TILE + 1) - 1), np.nan, np.float32)
    for down, heads in enumerate(maps):
        for across, weights in enumerate(heads):
            top, left = down * (TILE + 1), across * (TILE + 1)
            out[top : top + TILE, left : left + TILE] = _sized(_sized(weights, 0), 1)
    return out


def _sized(weights: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    """Bring an axis to the size of a tile: of several cells the largest is taken, or one is repeated."""
    size = weights.shape[axis]
    starts = np.arange(TILE) * size // TILE
    return np.maximum.reduceat(weights, starts, axis) if size >= TILE else weights.take(starts, axis)


def _draw(figure: "Figure", axes: "Axes", weights: NDArray[np.float32], label: str) -> None:
    from matplotlib import colormaps
    from matplotlib.colors import PowerNorm

    norm = PowerNorm(0.5, 0, max(float(np.nanmax(weights)), 1e-12))
    image = axes.imshow(weights, cmap=colormaps[_COLORS].with_extremes(bad="white"), norm=norm, aspect="auto")
    axes.tick_params(labelsize=8, length=0)
    figure.colorbar(image, ax=axes, label=label, fraction=0.04)


def _name(set_ticks: Any, tokens: Tokens, row: int, places: Sequence[int], **options: Any) -> None:
    every = -(-len(places) // MOST_LABELS)
    labels = [short(tokens.label(row, place), _LABEL) for place in places[::every]]
    set_ticks(range(0, len(places), every), labels, parse_math=False, **options)


def _explain(figure: "Figure", axes: "Axes", title: str, verdict: str) -> None:
    axes.set_title(short(title, 100), parse_math=False, fontsize=11, loc="left")
    figure.supxlabel(fill(printable(verdict), 120), parse_math=False, fontsize=8)

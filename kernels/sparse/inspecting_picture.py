"""A picture of what gates do: ratio by class and against the loss, the path of one sample, what is skipped."""

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import MaxNLocator

from deepseek.errors import DeepseekError
from deepseek.picture import Picture

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from deepseek.kernels.sparse.inspecting import GateSummary

NAME_LENGTH = 24
BINS = 20
SIZE = 10
FAR_APART = 100
"""Losses so many times apart are drawn on a log axis."""


def draw(summary: "GateSummary", sample: int) -> Picture:
    """Draw four axes; ``sample`` is the one whose path is shown."""
    path, blocks = summary.path(sample), summary.blocks()
    figure = Picture(figsize=(11, 7), layout="constrained")
    (by_class, by_loss), (one, skipped) = figure.subplots(2, 2)
    _draw_classes(by_class, summary)
    _draw_loss(by_loss, summary)
    _draw_blocks(one, path, "margin", f"path of sample {sample}: what is blue computes", "gate - threshold")
    title = "what skipped blocks would add (white: never skipped)"
    _draw_blocks(skipped, blocks, "added_frac", title, "relative to the layer's output")
    return figure


def _draw_classes(axes: "Axes", summary: "GateSummary") -> None:
    try:
        table = summary.classes()
    except DeepseekError:
        axes.hist(summary.active_frac.mean(1).tolist(), bins=BINS)
        axes.set_title("how much samples activate", fontsize=SIZE)
        axes.set(xlabel="active blocks (share)", ylabel="samples")
        return
    axes.bar([str(name) for name in table.index], table["active_frac"])
    axes.axhline(float(summary.active_frac.mean()), color="0.4", linestyle="--", label="all samples")
    axes.set_title("active blocks by class", fontsize=SIZE)
    axes.set(xlabel="class", ylabel="active blocks (share)", ylim=(0, 1))
    axes.legend()


def _draw_loss(axes: "Axes", summary: "GateSummary") -> None:
    table, found = summary.samples(), summary.difficulty()
    axes.scatter(table["loss"], table["active_frac"], s=10, alpha=0.5)
    axes.set_title(f"Spearman with the loss {found['loss']:.2f}, with entropy {found['entropy']:.2f}", fontsize=SIZE)
    axes.set(xlabel="loss", ylabel="active blocks (share)", ylim=(0, 1))
    least, most = table["loss"].min(), table["loss"].max()
    if 0 < FAR_APART * least < most:
        axes.set_xscale("log")


def _draw_blocks(axes: "Axes", table: "pd.DataFrame", column: str, title: str, unit: str) -> None:
    """Gates as rows, blocks as columns; margins have two colours, below and above zero."""
    gates = list(dict.fromkeys(table["gate"]))
    numbers = np.full((len(gates), table["block"].max() + 1), np.nan)
    numbers[table["gate"].map(gates.index), table["block"]] = table[column]
    finite = np.abs(numbers[np.isfinite(numbers)])
    most = float(finite.max()) if finite.size and finite.max() > 0 else 1.0
    least, colours = (-most, "RdBu") if column == "margin" else (0.0, "viridis")
    image = axes.imshow(numbers, aspect="auto", vmin=least, vmax=most, cmap=colours, interpolation="nearest")
    axes.figure.colorbar(image, ax=axes, label=unit)
    axes.set_title(title, fontsize=SIZE)
    axes.set(xlabel="block")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    names = [name if len(name) <= NAME_LENGTH else f"…{name[1 - NAME_LENGTH :]}" for name in gates]
    axes.set_yticks(range(len(names)), names, parse_math=False, fontsize=SIZE - 2)

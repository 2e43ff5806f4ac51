"""A picture of what gates do: ratio by class and against the loss, the path of one sample, what is skipped."""

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import TwoSlopeNorm

from deepseek.errors import DeepseekError
from deepseek.picture import Picture

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from deepseek.kernels.sparse.inspecting import GateSummary

NAME_LENGTH = 24
BINS = 20


def draw(summary: "GateSummary", sample: int) -> Picture:
    """Draw four axes; ``sample`` is the one whose path is shown."""
    path, blocks = summary.path(sample), summary.blocks()
    figure = Picture(figsize=(11, 7), layout="constrained")
    (by_class, by_loss), (one, skipped) = figure.subplots(2, 2)
    _draw_classes(by_class, summary)
    _draw_loss(by_loss, summary)
    _draw_blocks(one, path, "margin", f"path of sample {sample}: gate minus threshold, blue computes")
    _draw_blocks(skipped, blocks, "added_frac", "what skipped blocks would add, relative to the output")
    return figure


def _draw_classes(axes: "Axes", summary: "GateSummary") -> None:
    axes.set_ylabel("active blocks (share)")
    try:
        table = summary.classes()
    except DeepseekError:
        axes.hist(summary.active_frac.mean(1).tolist(), bins=BINS)
        axes.set(title="how much samples activate", xlabel="active blocks (share)", ylabel="samples")
        return
    axes.bar([str(name) for name in table.index], table["active_frac"])
    axes.axhline(float(summary.active_frac.mean()), color="0.4", linestyle="--", label="all samples")
    axes.set(title="active blocks by class", xlabel="class", ylim=(0, 1))
    axes.legend()


def _draw_loss(axes: "Axes", summary: "GateSummary") -> None:
    table, found = summary.samples(), summary.difficulty()
    axes.scatter(table["loss"], table["active_frac"], s=10, alpha=0.5)
    title = f"active blocks against the loss (Spearman {found['loss']:.2f}; entropy {found['entropy']:.2f})"
    axes.set(title=title, xlabel="loss", ylabel="active blocks (share)", ylim=(0, 1))
    if (table["loss"] > 0).all():
        axes.set_xscale("log")


def _draw_blocks(axes: "Axes", table: "pd.DataFrame", column: str, title: str) -> None:
    """Gates as rows, blocks as columns."""
    gates = list(dict.fromkeys(table["gate"]))
    numbers = np.full((len(gates), table["block"].max() + 1), np.nan)
    numbers[table["gate"].map(gates.index), table["block"]] = table[column]
    finite = np.abs(numbers[np.isfinite(numbers)])
    most = float(finite.max()) if finite.size and finite.max() > 0 else 1.0
    signed = column == "margin"
    norm = TwoSlopeNorm(0, -most, most) if signed else None
    image = axes.imshow(
        numbers, aspect="auto", norm=norm, cmap="RdBu" if signed else "viridis", interpolation="nearest"
    )
    axes.figure.colorbar(image, ax=axes)
    axes.set(title=title, xlabel="block", xticks=range(numbers.shape[1]))
    names = [name if len(name) <= NAME_LENGTH else f"…{name[1 - NAME_LENGTH :]}" for name in gates]
    axes.set_yticks(range(len(names)), names, parse_math=False)

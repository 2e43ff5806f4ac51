"""What the pictures of a comparison show: differences as a grid over depth and step, and both runs' scalar."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from deepseek.inspector.comparison import Comparison
from deepseek.text import well_formed
from deepseek.widgets.columns import Series
from deepseek.widgets.picture import even

EQUAL, ENDLESS = -99.0, 99.0
"""Stand for the logarithms of 0 and of infinity: beyond every scale."""

LOWEST, HIGHEST = -9.0, float(np.log10(2))
"""Ends of the scale of log10 relative differences; no difference of two numbers exceeds twice the larger one."""

LABEL_LENGTH = 30


@dataclass(frozen=True, slots=True)
class Grid:
    """Log10 of the relative differences.

    Attributes:
        values: ``[sites, columns] float32``, the largest of each column's steps; NaN where nothing was observed yet.
        start: First step.
        stop: Step after the last one.
        merged: Steps that one column covers.
    """

    values: NDArray[np.float32]
    start: int
    stop: int
    merged: float


def difference_grid(comparison: Comparison, columns: int) -> Grid | None:
    """Return the differences over depth and step in at most so many columns; None without common steps."""
    history = comparison.history
    steps = np.array(comparison.steps, np.int64)
    if len(steps) == 0:
        return None
    dense = np.full((len(comparison.frame), len(steps)), np.nan)
    column = np.searchsorted(steps, history["step"].to_numpy())
    dense[history["depth"].to_numpy(), column] = log_difference(history["difference"].to_numpy())
    values = even(dense.astype(np.float32), steps, 1, columns)  # type: ignore[arg-type]
    start, stop = int(steps[0]), int(steps[-1]) + 1
    return Grid(values, start, stop, (stop - start) / values.shape[1])


def log_difference(difference: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log10, with finite numbers for 0 and infinity."""
    with np.errstate(divide="ignore"):
        return np.clip(np.log10(difference), EQUAL, ENDLESS)


def shown_step(comparison: Comparison) -> int | None:
    """The step whose depths are drawn: the one of the first divergence, else the last common one."""
    if (first := comparison.first_divergence) is not None:
        return first.step
    return comparison.steps[-1] if comparison.steps else None


def rows_at(comparison: Comparison, step: int) -> pd.DataFrame:
    """``site, depth, a, b, difference`` of one step, by depth."""
    history = comparison.history
    return history[history["step"] == step]


def both_scalars(comparison: Comparison) -> tuple[str, list[NDArray[np.float32]]] | None:
    """Name of the scalar that is drawn, and ``[step, mean, low, high]`` of each run; None where there is no curve."""
    names = [set(side.scalars["name"]) for side in (comparison.a, comparison.b)]
    common = sorted(names[0] & names[1], key=lambda name: (name != "loss", name))
    if not common or comparison.of_steps:
        return None
    return common[0], [_points(side.scalars, common[0]) for side in (comparison.a, comparison.b)]


def site_labels(comparison: Comparison) -> list[str]:
    """Short names of the sites, by depth; where a name ends in a number, its type says what it is."""
    frame = comparison.frame
    return [
        short(f"{site} {kind}" if site.rpartition(".")[2].isdigit() else site, call)
        for site, kind, call in zip(frame["site"], frame["type"], frame["call"], strict=True)
    ]


def short(name: str, call: int = 0) -> str:
    """End of a name, fit for an axis, and which call it was."""
    end = f" ({call})" if call else ""
    room = LABEL_LENGTH - len(end)
    return well_formed(name if len(name) <= room else "…" + name[1 - room :]) + end


def _points(scalars: pd.DataFrame, name: str) -> NDArray[np.float32]:
    series = Series()
    own = scalars[scalars["name"] == name]
    for step, value in zip(own["step"].tolist(), own["value"].tolist(), strict=True):
        series.add(step, value)
    points = series.points
    return np.where(np.isfinite(points), points, np.float32("nan"))

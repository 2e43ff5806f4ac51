"""The metrics that the heat map can show: one number per layer and step, made from the frames of a step."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from deepseek.inspector.record import Frame, TensorKind
from deepseek.kernels.summary.columns import COLUMNS

Values = NDArray[np.float64]
_COLUMN = {name: index for index, name in enumerate(COLUMNS)}


@dataclass(frozen=True, slots=True)
class Metric:
    """What the heat map shows.

    Attributes:
        name: Key in messages and test hooks.
        title: What users read on tabs and axes.
        scale: Colour and axis scale.
        worst: Which of several steps a decimated column keeps.
        description: One sentence: how it is computed and what to look for.
    """

    name: str
    title: str
    scale: Literal["log", "linear"]
    worst: Literal["max", "min"]
    description: str


METRICS: tuple[Metric, ...] = (
    Metric(
        "gradient_norm",
        "gradient norm",
        "log",
        "max",
        "L2 norm of the gradients of a layer's own parameters. Rows that fade towards the input vanish, rows that "
        "brighten explode.",
    ),
    Metric(
        "activation_ratio",
        "activation ratio",
        "linear",
        "min",
        "Share of a layer's output elements that are not zero. A rectifier near 0 is mostly dead.",
    ),
    Metric(
        "update_ratio",
        "update ratio",
        "log",
        "max",
        "L2 norm of the optimizer's update over the L2 norm of the parameters. Around 1e-3 is usual; far below "
        "nothing is learned, far above training is unstable.",
    ),
    Metric(
        "absmax",
        "absmax",
        "log",
        "max",
        "Largest magnitude in a layer's output. Above 65504 it does not fit into float16.",
    ),
)


@dataclass(frozen=True, slots=True)
class SiteTable:
    """What the metrics need to know about sites and layouts.

    Attributes:
        layer: Row of the heat map that a site belongs to, ``[sites] int``.
        numel: Number of elements of each layout, ``[layouts] float``.
        rows: Number of layers.
    """

    layer: NDArray[np.intp]
    numel: Values
    rows: int


def layer_values(frames: Mapping[TensorKind, Frame], table: SiteTable) -> dict[str, Values]:
    """Compute every metric for every layer.

    Returns:
        By metric name ``[layers] float64``: NaN where nothing was measured, infinite where the measured tensor
        held NaN or infinities.
    """
    parameter, update = _norm(frames.get("parameter"), table), _norm(frames.get("update"), table)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(np.isinf(update) | np.isinf(parameter), np.inf, update / parameter)
    ratio[parameter == 0] = np.nan
    activation = frames.get("activation")
    return {
        "gradient_norm": _norm(frames.get("gradient"), table),
        "activation_ratio": _nonzero_share(activation, table),
        "update_ratio": ratio,
        "absmax": _absmax(activation, table),
    }


def _column(frame: Frame, name: str) -> Values:
    return frame.values[:, _COLUMN[name]]


def _norm(frame: Frame | None, table: SiteTable) -> Values:
    """L2 norm over all parameters of a layer; of several calls the last one counts (accumulated gradients)."""
    if frame is None:
        return np.full(table.rows, np.nan)
    l2 = np.full(len(table.layer), np.nan)
    l2[frame.site] = np.where(_column(frame, "nonfinite_count") > 0, np.inf, _column(frame, "l2"))
    seen = np.flatnonzero(~np.isnan(l2))
    layer = table.layer[seen]
    total = np.bincount(layer, weights=l2[seen] ** 2, minlength=table.rows)
    total[np.bincount(layer, minlength=table.rows) == 0] = np.nan
    return np.sqrt(total)


def _nonzero_share(frame: Frame | None, table: SiteTable) -> Values:
    if frame is None:
        return np.full(table.rows, np.nan)
    zero_frac = _column(frame, "zero_frac")
    seen = ~np.isnan(zero_frac)
    layer, numel = table.layer[frame.site[seen]], table.numel[frame.layout[seen]]
    nonzero = np.bincount(layer, weights=numel * (1 - zero_frac[seen]), minlength=table.rows)
    with np.errstate(invalid="ignore"):
        return nonzero / np.bincount(layer, weights=numel, minlength=table.rows)


def _absmax(frame: Frame | None, table: SiteTable) -> Values:
    out = np.full(table.rows, np.nan)
    if frame is not None:
        values = np.where(_column(frame, "nonfinite_count") > 0, np.inf, _column(frame, "absmax"))
        np.fmax.at(out, table.layer[frame.site], values)
    return out

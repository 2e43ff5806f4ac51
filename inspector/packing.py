"""Turns a finished step into a record, once its numbers have arrived on the host."""

import math

import numpy as np
from numpy.typing import NDArray

from deepseek.inspector.accounts import PendingStep
from deepseek.inspector.record import Frame, StepRecord, TensorKind, UnitCounts
from deepseek.inspector.recorder import Row, Units
from deepseek.kernels.summary import HostCopy, Transfer


def to_record(pending: PendingStep) -> StepRecord:
    """Wait for the step's numbers and pack them into frames."""
    return StepRecord(
        step=pending.step,
        time=pending.time,
        wall_ms=pending.wall_ms,
        inspector_ms=pending.inspector_ms,
        observed=pending.observed,
        scalars={name: float(value) for name, value in pending.scalars.items()},
        frames={} if pending.transfer is None else _frames(pending.rows, pending.transfer),
        sites=pending.sites,
        layouts=pending.layouts,
        units=tuple(map(_unit_counts, pending.units)),
        events=pending.events,
        gradient_norm=_norm(pending.gradient_norm),
        graph=pending.graph,
    )


def _frames(rows_by_kind: dict[TensorKind, list[Row]], transfer: Transfer) -> dict[TensorKind, Frame]:
    values = transfer.wait()
    frames: dict[TensorKind, Frame] = {}
    start = 0
    for kind, rows in rows_by_kind.items():
        frames[kind] = _frame(rows, values[start : start + len(rows)])
        start += len(rows)
    return frames


def _frame(rows: list[Row], values: NDArray[np.float64]) -> Frame:
    site, call, layout, _ = zip(*rows, strict=True)
    return Frame(_ids(site), _ids(call), _ids(layout), values)


def _ids(ids: tuple[int, ...]) -> NDArray[np.uint32]:
    return np.fromiter(ids, np.uint32, len(ids))


def _unit_counts(units: Units) -> UnitCounts:
    site, samples, active, saturated = units
    return UnitCounts(site, samples, *(counts.wait().numpy().astype(np.uint32) for counts in (active, saturated)))


def _norm(norm: float | HostCopy) -> float:
    """A plain NaN stands for a norm that was not measured; one that torch computed stands for gradients not finite."""
    if isinstance(norm, HostCopy):
        value = float(norm)
        return value if math.isfinite(value) else math.inf
    return norm

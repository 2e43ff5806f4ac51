"""The first NaN or infinity, and where it came from."""

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from deepseek.inspector.record import Finding, Frame, Site, StepRecord, TensorKind
from deepseek.inspector.rules.window import Window
from deepseek.kernels.summary import COLUMNS

_COUNT = COLUMNS.index("nonfinite_count")
_ABSMAX = COLUMNS.index("absmax")

_STAGES: tuple[tuple[TensorKind, str], ...] = (
    ("activation", "the output of"),
    ("activation_gradient", "the gradient of the output of"),
    ("gradient", "the gradient of"),
    ("parameter", "the value of"),
)
"""In the order in which a step computes them: the first one hit is where the trouble began."""


class _Hit(NamedTuple):
    kind: TensorKind
    what: str
    frame: Frame
    row: int


def nonfinite(window: Window) -> Iterable[Finding]:
    """Name the first site of the first step in which a value is NaN or infinite.

    A step that a loss scaler skipped because of such a gradient went as it should.
    """
    record = window.newest
    earlier = list(window.records)[:-1]
    if any(event.kind == "step_skipped" for event in record.events):
        return
    if earlier and (_first_hit(earlier[-1]) or _bad_scalar(earlier[-1])):
        return
    if (hit := _first_hit(record)) is not None:
        yield _finding(window, hit, earlier)
    elif (name := _bad_scalar(record)) is not None:
        yield _scalar_finding(record, name)
    elif math.isinf(record.gradient_norm):
        yield _norm_finding(record)


def has_nonfinite_signal(record: StepRecord) -> bool:
    """Whether the signals that are there at every step, observed or not, show a NaN or an infinity."""
    return math.isinf(record.gradient_norm) or _bad_scalar(record) is not None


def _first_hit(record: StepRecord) -> _Hit | None:
    for kind, what in _STAGES:
        frame = record.frames.get(kind)
        if frame is not None and (rows := np.flatnonzero(frame.values[:, _COUNT] > 0)).size:
            return _Hit(kind, what, frame, int(rows[0]))
    return None


def _bad_scalar(record: StepRecord) -> str | None:
    return next((name for name, value in record.scalars.items() if not math.isfinite(value)), None)


def _finding(window: Window, hit: _Hit, earlier: list[StepRecord]) -> Finding:
    site = window.sites[hit.frame.site[hit.row]]
    layout = window.layouts[hit.frame.layout[hit.row]]
    count = int(hit.frame.values[hit.row, _COUNT])
    direction = "forward" if hit.kind == "activation" else "backward"
    if hit.kind == "parameter":
        direction = "update"
    evidence: dict[str, float | str] = {
        "nonfinite_count": float(count),
        "numel": float(layout.numel),
        "direction": direction,
        "dtype": layout.dtype,
        "threshold": 0.0,
    }
    before = _absmax_before(hit, site, earlier)
    if before is not None:
        evidence["absmax_before"] = before
    cause, fix = _explain(window, hit, site, layout.dtype, before)
    return Finding(
        rule="nonfinite",
        severity="error",
        site=site.name,
        step=window.newest.step,
        message=(
            f"{count:,} of {layout.numel:,} elements of {hit.what} {site.name} are NaN or infinite "
            f"(step {window.newest.step}, {direction})."
        ),
        evidence=evidence,
        cause=cause,
        fix=fix,
    )


def _explain(window: Window, hit: _Hit, site: Site, dtype: str, before: float | None) -> tuple[str, str]:
    if dtype == "float16" and (before is None or before > 1e3):
        return (
            "float16 ends at 65,504 and the values were growing towards it.",
            "Use bfloat16, or GradScaler with float16; keep this layer in float32.",
        )
    if hit.kind == "activation" and hit.row == 0:
        return (
            f"{site.name} computes first: its input is not finite, or its parameters are since the last update.",
            "Check the batch with torch.isfinite(x).all(); if it is clean, lower the learning rate or clip gradients.",
        )
    if hit.kind == "activation":
        previous = window.sites[hit.frame.site[hit.row - 1]].name
        return (
            f"The output of {previous}, computed just before, was finite: the value arose in {site.name} or in a "
            "function called between the two (a logarithm or root of zero, a division, an exponential that overflows), "
            "or in parameters that the last update ruined.",
            "Clamp the argument or add an epsilon there; lower the learning rate; clip gradients.",
        )
    if hit.kind == "parameter":
        return (
            "Gradients were finite, the updated parameter is not: the optimizer overflowed or divided by zero.",
            "Lower the learning rate, raise the optimizer's eps, clip gradients.",
        )
    return (
        "The forward pass was finite: the derivative of the loss or of a function behind this place is not (a root or "
        "a norm at zero, a masked NaN, an overflow).",
        "Add an epsilon under roots and norms, mask before and not after the operation, clip gradients.",
    )


def _absmax_before(hit: _Hit, site: Site, earlier: list[StepRecord]) -> float | None:
    frame = earlier[-1].frames.get(hit.kind) if earlier else None
    if frame is None or not (rows := np.flatnonzero(frame.site == site.id)).size:
        return None
    return float(frame.values[rows[0], _ABSMAX])


def _norm_finding(record: StepRecord) -> Finding:
    return Finding(
        rule="nonfinite",
        severity="error",
        site="all gradients",
        step=record.step,
        message=f"A gradient is NaN or infinite at step {record.step}, which was not observed layer by layer.",
        evidence={"gradient_norm": str(record.gradient_norm), "direction": "backward", "threshold": 0.0},
        cause="The next observed step names the layer.",
        fix="Lower the learning rate; clip gradients; observe each step with every=1 to see where it begins.",
    )


def _scalar_finding(record: StepRecord, name: str) -> Finding:
    return Finding(
        rule="nonfinite",
        severity="error",
        site=name,
        step=record.step,
        message=(
            f"The logged value {name} is {record.scalars[name]} at step {record.step}, "
            + ("but all observed tensors are finite." if record.observed else "which was not observed layer by layer.")
        ),
        evidence={"value": str(record.scalars[name]), "direction": "forward", "threshold": 0.0},
        cause=(
            "It arose outside the observed modules, most likely in the loss function (log(0), division by zero)."
            if record.observed
            else "The next observed step tells whether it arose in the model or in the loss function."
        ),
        fix="Use a numerically stable loss (CrossEntropyLoss on logits, log_softmax), or add an epsilon.",
    )

"""Layers that compute in half precision although it harms them."""

from collections.abc import Iterable, Mapping
from typing import Any

from deepseek.inspector.precision import PRECISION
from deepseek.inspector.record import Finding
from deepseek.inspector.rules.window import Window
from deepseek.kernels.precision import NOISE_LIMIT, UNDERFLOW_LIMIT


def harmful_precision(window: Window) -> Iterable[Finding]:
    """Name the layer that loses most, when an ``AdaptivePrecision`` of another policy than ``exponent`` has decided.

    What is judged are the shares of values that were predicted from the measured step: any that overflow, more than
    1 % of a gradient that becomes zero, more than 0.1 % of noise.
    """
    decisions = [event.data for event in window.newest.events if event.kind == PRECISION]
    harmed = [decision for decision in decisions if is_harmful(decision)]
    if harmed:
        worst = max(harmed, key=_shares)
        yield _finding(window.newest.step, worst, len(harmed), len(decisions))


def is_harmful(decision: Mapping[str, Any]) -> bool:
    """Whether a layer computes in half precision and loses more than the policy ``exponent`` would let it."""
    return decision["dtype"] != "float32" and _harm(decision) is not None


def _shares(decision: Mapping[str, Any]) -> tuple[float, float, float]:
    return decision["overflow_frac"], decision["underflow_frac"], decision["noise_frac"]


def _harm(decision: Mapping[str, Any]) -> str | None:
    overflow, underflow, noise = _shares(decision)
    if overflow > 0:
        return f"{overflow:.3g} of its {decision['overflow_in']} becomes infinite"
    if underflow > UNDERFLOW_LIMIT:
        return f"{underflow:.3g} of its {decision['underflow_in']} becomes zero"
    if noise > NOISE_LIMIT:
        return f"rounding buries {noise:.3g} of what tells its {decision['noise_in']}s apart"
    return None


def _finding(step: int, worst: dict[str, Any], harmed: int, layers: int) -> Finding:
    overflow, underflow, noise = _shares(worst)
    evidence: dict[str, float | str] = {
        "overflow_frac": overflow,
        "underflow_frac": underflow,
        "noise_frac": noise,
        "loss_scale": worst["loss_scale"],
        "harmed_layers": float(harmed),
        "threshold": UNDERFLOW_LIMIT,
    }
    others = f" So it is with {harmed} of {layers} layers." if harmed > 1 else ""
    return Finding(
        rule="harmful_precision",
        severity="warning",
        site=worst["layer"],
        step=step,
        message=f"{worst['layer']} computes in {worst['dtype']}, where {_harm(worst)}.{others}",
        evidence=evidence,
        cause=f"The policy {worst['policy']} does not look at the range of the values.",
        fix='Leave such layers in float32: AdaptivePrecision(..., policy="exponent"); or try dtype=torch.bfloat16.',
    )

"""From what was measured of the layers to the precision of each: pure functions."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from deepseek.kernels.precision.evidence import Damage, Evidence, damage
from deepseek.kernels.precision.plan import Decision, Plan, decide

UNDERFLOW_LIMIT = 0.01
"""Share of a gradient's values that may become zero."""

SUBNORMAL_LIMIT = 0.1
"""Share of a gradient's values that may lose precision."""

NOISE_LIMIT = 1e-3
"""Share of the variance between samples, or units of a weight, that rounding may turn into noise."""

HEADROOM = 16.0
"""How many times larger than measured all values may grow before one overflows."""

_SHIFTS = range(-32, 33)


@dataclass(frozen=True, slots=True)
class Situation:
    """What a policy knows beside the layers.

    Attributes:
        epoch: The epoch, from 0.
        half: The half-precision type to consider.
        loss_scale: The loss scale that the gradients carried; 1 without a gradient scaler.
        scalable: Whether another loss scale can be chosen.
        speedup: How many times faster half precision is than float32 on the device; None where that does not matter.
        tau: Threshold of the gradient norm.
        quantile: Of which quantile of the gradient norms ``tau`` was when it was first used; None before.
    """

    epoch: int
    half: torch.dtype
    loss_scale: float
    scalable: bool
    speedup: float | None
    tau: float
    quantile: float | None


Policy = Callable[[Sequence[Evidence], Situation], Plan]


def exponent(layers: Sequence[Evidence], situation: Situation) -> Plan:
    """Take half precision where nothing overflows and hardly anything is lost, at the loss scale that allows most.

    A layer goes to half precision when its inputs, weights, outputs and gradients would not overflow if they were 16
    times larger, at most 1 % of the values of its gradients become zero and 10 % subnormal, and the noise of rounding
    is at most 0.1 % of the variance between samples of its inputs and outputs, and between units of its weights. Of the
    loss scales that are powers of two, the one that allows half precision for most parameters is taken; of several, the
    one nearest to the present scale. Where half precision is not faster than float32 no layer takes it.
    """
    if situation.speedup is not None and situation.speedup <= 1:
        reason = f"{_name(situation.half)} is {1 / situation.speedup:.3g} times slower than float32 on this device"
        decisions = [decide(layer, torch.float32, reason, damage(layer, situation.half)) for layer in layers]
        return _plan("exponent", situation, 1.0, decisions)
    factor = _best_factor(layers, situation) if situation.scalable else 1.0
    return _plan("exponent", situation, factor, [_by_exponent(layer, situation.half, factor) for layer in layers])


def gradient_norm(layers: Sequence[Evidence], situation: Situation) -> Plan:
    """Take half precision where the norm of a layer's gradient is below ``tau``, whatever that does to it.

    The published rule. ``tau`` is used as given at first; later it is the same quantile of the norms then measured as
    it was of the first ones.
    """
    norms = [layer.gradient_norm for layer in layers if math.isfinite(layer.gradient_norm)]
    tau = situation.tau if situation.quantile is None or not norms else float(np.quantile(norms, situation.quantile))
    decisions = [_by_norm(layer, situation.half, tau) for layer in layers]
    return _plan("gradient_norm", situation, 1.0, decisions, tau)


def half(layers: Sequence[Evidence], situation: Situation) -> Plan:
    """Take half precision everywhere, as plain mixed precision does."""
    decisions = [decide(layer, situation.half, "all layers do", damage(layer, situation.half)) for layer in layers]
    return _plan("half", situation, 1.0, decisions)


POLICIES: dict[str, Policy] = {"exponent": exponent, "gradient_norm": gradient_norm, "half": half}


def _plan(name: str, situation: Situation, factor: float, decisions: Sequence[Decision], tau: float = math.nan) -> Plan:
    scale = situation.loss_scale * factor
    return Plan(situation.epoch, name, _name(situation.half), scale, tau, tuple(decisions))


def _by_norm(layer: Evidence, half: torch.dtype, tau: float) -> Decision:
    below = layer.gradient_norm < tau
    reason = f"gradient norm {layer.gradient_norm:.3g} is {'below' if below else 'not below'} tau = {tau:.3g}"
    return decide(layer, half if below else torch.float32, reason, damage(layer, half))


def _by_exponent(layer: Evidence, half: torch.dtype, factor: float) -> Decision:
    objection = _objection(layer, half, factor)
    reason = objection or f"{_name(half)} loses next to nothing here"
    return decide(layer, torch.float32 if objection else half, reason, damage(layer, half, factor))


def _best_factor(layers: Sequence[Evidence], situation: Situation) -> float:
    """The power of two by which to multiply the loss scale."""
    factors = [2.0**shift for shift in sorted(_SHIFTS, key=abs) if situation.loss_scale * 2.0**shift >= 1]
    allowed = [_allowed(layers, situation.half, factor) for factor in factors]
    return factors[allowed.index(max(allowed))] if factors else 1.0


def _allowed(layers: Sequence[Evidence], half: torch.dtype, factor: float) -> int:
    return sum(layer.numel for layer in layers if _objection(layer, half, factor) is None)


def _objection(layer: Evidence, half: torch.dtype, factor: float) -> str | None:
    """Why a layer must not compute in half precision; None where it may."""
    if not layer.counts.get("output_gradient") and not layer.counts.get("weight_gradient"):
        return "no gradient reached it"
    if any(counts.nonfinite for counts in layer.counts.values()):
        return "it has values that are NaN or infinite in float32"
    found, grown = damage(layer, half, factor), damage(layer, half, factor, HEADROOM)
    return _describe(found, grown, _name(half))


def _describe(found: Damage, grown: Damage, half: str) -> str | None:
    if found.overflow_frac > 0:
        return f"{_percent(found.overflow_frac)} of its {found.overflow_in} would become infinite in {half}"
    if grown.overflow_frac > 0:
        return f"{_percent(grown.overflow_frac)} of its {grown.overflow_in} would nearly overflow in {half}"
    if found.underflow_frac > UNDERFLOW_LIMIT:
        return f"{_percent(found.underflow_frac)} of its {found.underflow_in} would become zero in {half}"
    if found.subnormal_frac > SUBNORMAL_LIMIT:
        return f"{_percent(found.subnormal_frac)} of its {found.subnormal_in} would lose precision in {half}"
    if not found.noise_frac <= NOISE_LIMIT:
        noise = _percent(found.noise_frac)
        return f"rounding to {half} would bury what tells its {found.noise_in}s apart: noise of {noise}"
    return None


def _percent(share: float) -> str:
    return f"{100 * share:.3g}%"


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")

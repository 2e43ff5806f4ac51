"""What was measured of a layer in float32, and what half precision would do to it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch

from deepseek.kernels.precision.exponents import ExponentCounts

Role = Literal["input", "weight", "output", "output_gradient", "weight_gradient"]

FORWARD: tuple[Role, ...] = ("input", "weight", "output")
BACKWARD: tuple[Role, ...] = ("output_gradient", "weight_gradient")
"""Gradients carry the loss scale; what goes forward does not."""


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What one training step in float32 told about a layer.

    Attributes:
        layer: Qualified name of the module.
        numel: Number of its parameters.
        counts: Values by exponent, for each role that was seen; gradients as they were, loss scale included.
        gradient_norm: L2 norm of the gradient of its parameters, free of the loss scale.
        noise: For each half-precision type and each role of ``FORWARD``, the share of the variance between samples, or
            between the units of a weight, that rounding would replace by noise; 0 where there is one only.
    """

    layer: str
    numel: int
    counts: Mapping[Role, ExponentCounts]
    gradient_norm: float
    noise: Mapping[torch.dtype, Mapping[Role, float]]


class Damage(NamedTuple):
    """What half precision would do to a layer: the worst of its tensors, each share with where it is found.

    Attributes:
        underflow_frac: Largest share of a gradient's values other than zero that would become zero.
        underflow_in: Of which tensor.
        subnormal_frac: Largest share of a gradient's values that would lose precision.
        subnormal_in: Of which tensor.
        overflow_frac: Largest share of a tensor's values that would become infinite.
        overflow_in: Of which tensor.
        noise_frac: Largest share of the variance of what goes forward, between samples or units, that would become
            noise.
        noise_in: Of which tensor.
    """

    underflow_frac: float
    underflow_in: str
    subnormal_frac: float
    subnormal_in: str
    overflow_frac: float
    overflow_in: str
    noise_frac: float
    noise_in: str


def damage(evidence: Evidence, dtype: torch.dtype, scale: float = 1.0, headroom: float = 1.0) -> Damage:
    """Say what computing a layer in ``dtype`` would lose.

    Args:
        evidence: What was measured.
        dtype: ``torch.float16`` or ``torch.bfloat16``.
        scale: What the loss scale would be multiplied with; a power of two.
        headroom: How many times larger values must fit as well; a power of two.
    """
    lost = {role: counts.lost(dtype, scale if role in BACKWARD else 1.0) for role, counts in evidence.counts.items()}
    overflow = {
        role: counts.lost(dtype, headroom * (scale if role in BACKWARD else 1.0)).overflow_frac
        for role, counts in evidence.counts.items()
    }
    underflow = {role: lost[role].underflow_frac for role in BACKWARD if role in lost}
    subnormal = {role: lost[role].subnormal_frac for role in BACKWARD if role in lost}
    return Damage(*_worst(underflow), *_worst(subnormal), *_worst(overflow), *_worst(evidence.noise.get(dtype, {})))


def _worst(shares: Mapping[Role, float]) -> tuple[float, str]:
    role = max(shares, key=lambda role: shares[role], default=None)
    return (0.0, "") if role is None else (shares[role], role.replace("_", " "))

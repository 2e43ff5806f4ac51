"""How many values of a tensor a half-precision type would lose, counted exactly and for any loss scale afterwards."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from deepseek.errors import DeepseekError

HALVES = (torch.float16, torch.bfloat16)
"""The types of half precision."""

_CHUNK = 2**17
"""Elements that are looked at together: bounds the memory that counting takes."""

_BITS = {dtype: 1 - round(math.log2(torch.finfo(dtype).eps)) for dtype in HALVES}
"""Bits of the significand, the hidden one included."""

_LOWEST = -148
"""The binade of 2**-149, the smallest float32; binade e is [2**(e-1), 2**e)."""

_BINADES = 128 - _LOWEST + 1

# Where rounding turns over within a binade. Its lower end is a tie that goes down to zero; the others are ties that go
# up: to the smallest normal number, and to infinity. Only these need telling apart.
_TURNS = sorted({bits + extra for bits in _BITS.values() for extra in (0, 1)})
_EDGES = [1, *(round(2**23 * (1 - 2.0 ** (1 - bits))) for bits in _TURNS)]
"""The 23 stored bits of the significand from which on a part of a binade begins."""

_PARTS = len(_EDGES) + 1


class Lost(NamedTuple):
    """What becomes of the values of a tensor when it is rounded to a half-precision type.

    Attributes:
        nonzero: Finite values other than zero: what the others are counted among.
        underflow: Those that become zero.
        subnormal: Those that become subnormal: neither zero nor of full precision.
        overflow: Those that become infinite.
    """

    nonzero: int
    underflow: int
    subnormal: int
    overflow: int

    @property
    def underflow_frac(self) -> float:
        """Share of the values other than zero that become zero."""
        return self.underflow / max(self.nonzero, 1)

    @property
    def subnormal_frac(self) -> float:
        """Share of the values other than zero that become subnormal."""
        return self.subnormal / max(self.nonzero, 1)

    @property
    def overflow_frac(self) -> float:
        """Share of the values other than zero that become infinite."""
        return self.overflow / max(self.nonzero, 1)


@dataclass(frozen=True, slots=True, eq=False)
class ExponentCounts:
    """The values of one or more tensors by their binary exponent; ``+`` joins two of them.

    Attributes:
        numel: Number of elements.
        nonfinite: How many are NaN or infinite; they are in none of the counts.
        counts: Finite elements other than zero by exponent, and by where they lie between two powers of two as far as
            rounding distinguishes that, ``[binades, parts] int64``.
    """

    numel: int
    nonfinite: int
    counts: NDArray[np.int64]

    def __add__(self, other: "ExponentCounts") -> "ExponentCounts":
        return ExponentCounts(self.numel + other.numel, self.nonfinite + other.nonfinite, self.counts + other.counts)

    @property
    def nonzero(self) -> int:
        """Number of finite elements other than zero."""
        return int(self.counts.sum())

    def lost(self, dtype: torch.dtype, scale: float = 1.0) -> Lost:
        """Say what rounding to ``dtype`` would lose after multiplication with ``scale``.

        Exactly what ``(tensor.float() * scale).to(dtype)`` loses, ties included, unless a ``scale`` below 1 takes
        values below 2**-126, where the product itself would already be rounded.

        Args:
            dtype: ``torch.float16`` or ``torch.bfloat16``.
            scale: A loss scale; a power of two, as gradient scalers choose them.

        Raises:
            DeepseekError: Another dtype, or a scale that is not a power of two.
        """
        bits, shift = _bits(dtype), _exponent(scale)
        lowest, highest = _exponent(torch.finfo(dtype).smallest_normal), math.frexp(torch.finfo(dtype).max)[1]
        below = np.concatenate([[0], np.cumsum(self.counts.ravel())])
        zero = below[_place(lowest - bits + 1 - shift, 1)]
        narrow = below[_place(lowest - shift, _TURNS.index(bits) + 2)]
        fitting = below[_place(highest - shift, _TURNS.index(bits + 1) + 2)]
        return Lost(int(below[-1]), int(zero), int(narrow - zero), int(below[-1] - fitting))


NOTHING = ExponentCounts(0, 0, np.zeros((_BINADES, _PARTS), np.int64))
"""The counts of no tensor at all."""


def count_exponents(tensor: torch.Tensor) -> ExponentCounts:
    """Count the values of a tensor by their exponent.

    Args:
        tensor: Dense, of any shape, device and floating-point dtype. float64 is rounded to float32 first, as torch does
            when it casts to half precision. An accelerator is waited for.

    Raises:
        DeepseekError: The tensor is not dense or not of floating point.
    """
    if not tensor.is_floating_point() or tensor.layout is not torch.strided or tensor.device.type == "meta":
        raise DeepseekError(
            f"Expected a dense floating-point tensor, got {tensor.dtype}, {tensor.layout} on {tensor.device}; only "
            "those can be rounded to half precision."
        )
    with torch._C.DisableTorchFunction(), torch.no_grad():
        values = tensor.detach().reshape(-1)
        counts, nonfinite = np.zeros((_BINADES, _PARTS), np.int64), 0
        for start in range(0, len(values), _CHUNK):
            chunk = values[start : start + _CHUNK].float()
            normal = _count(chunk)
            counts[-_FIELDS + 2 :] += normal[1:-1]
            nonfinite += int(normal[-1].sum())
            if normal[0, 1:].any():
                counts += _subnormal(chunk)
        return ExponentCounts(len(values), nonfinite, counts)


_FIELDS = 256
"""Values of the exponent field of a float32: 0 for zero and subnormal numbers, 255 for what is not finite."""


def _count(values: torch.Tensor) -> NDArray[np.int64]:
    """Count float32 values by exponent field and part, ``[_FIELDS, _PARTS]``."""
    bits = values.view(torch.int32) & 0x7FFF_FFFF
    fraction = bits & 0x7F_FFFF
    place = (bits >> 23).mul_(_PARTS)
    for edge in _EDGES:
        place += fraction >= edge
    return torch.bincount(place, minlength=_FIELDS * _PARTS).cpu().numpy().reshape(_FIELDS, _PARTS)


def _subnormal(values: torch.Tensor) -> NDArray[np.int64]:
    """Count the values that are subnormal in float32, ``[_BINADES, _PARTS]``."""
    fraction = values.view(torch.int32) & 0x7FFF_FFFF
    subnormal = fraction[(fraction > 0) & (fraction < 2**23)]
    # A subnormal number is its stored bits as a whole number times 2**-149; that has an exponent of the usual kind.
    counts = np.zeros((_BINADES, _PARTS), np.int64)
    fields = _count(subnormal.float())
    counts[:23] = fields[127 : 127 + 23]
    return counts


def _place(exponent: int, part: int) -> int:
    """Where the values of a binade from this part on begin."""
    return min(max((exponent - _LOWEST) * _PARTS + part, 0), _BINADES * _PARTS)


def _bits(dtype: torch.dtype) -> int:
    if dtype not in _BITS:
        raise DeepseekError(f"Expected torch.float16 or torch.bfloat16, got {dtype}.")
    return _BITS[dtype]


def _exponent(power: float) -> int:
    mantissa, exponent = math.frexp(power)
    if mantissa != 0.5:
        raise DeepseekError(f"A loss scale must be a power of two, such as 65536.0, not {power!r}.")
    return exponent - 1

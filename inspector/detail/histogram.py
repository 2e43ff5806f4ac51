"""Counts the values of a tensor, exactly."""

import math
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from deepseek.inspector.detail.data import BINS, EXPONENTS, FORMATS, Format, Histogram, HistogramKind
from deepseek.inspector.tensors import local

_CHUNK = 2**20
"""Elements that are converted to float64 at a time."""


def histogram(kind: HistogramKind, name: str, tensor: torch.Tensor) -> Histogram | None:
    """Count the values of ``tensor``; None for one that is not dense and of floating point.

    An accelerator is waited for.
    """
    with torch._C.DisableTorchFunction(), torch.no_grad():
        values = local(tensor.detach())
        if not values.is_floating_point() or values.layout is not torch.strided or values.device.type == "meta":
            return None
        return _histogram(kind, name, str(values.dtype).removeprefix("torch."), values.reshape(-1))


def _histogram(kind: HistogramKind, name: str, dtype: str, values: torch.Tensor) -> Histogram:
    finite, low, high = 0, math.inf, -math.inf
    for chunk in _finite(values):
        finite += len(chunk)
        low, high = min(low, float(chunk.min())), max(high, float(chunk.max()))
    if low == high:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, BINS + 1) if finite and math.isfinite(high - low) else None
    counts, magnitudes, zeros = np.zeros(BINS, np.int64), np.zeros(len(_EDGES) + 1, np.int64), 0
    for chunk in _finite(values):
        if edges is not None:
            counts += _counts(chunk, edges[1:-1])
        magnitudes += _counts(chunk.abs(), _EDGES)
        zeros += int((chunk == 0).sum())
    magnitudes[0] -= zeros
    ends = (low, high) if finite else (math.nan, math.nan)
    numbers = (values.numel(), zeros, values.numel() - finite, *ends)
    return Histogram(kind, name, dtype, *numbers, counts, _exponents(magnitudes), _formats(magnitudes))


def _finite(values: torch.Tensor) -> Iterator[torch.Tensor]:
    """Yield the finite values as float64, a part at a time; parts without any are left out."""
    for start in range(0, len(values), _CHUNK):
        chunk = values[start : start + _CHUNK].to(torch.float64)
        chunk = chunk[chunk.isfinite()]
        if len(chunk):
            yield chunk


def _counts(values: torch.Tensor, edges: NDArray[np.float64]) -> NDArray[np.int64]:
    """Count the values below the first edge, from each edge to the next, and from the last one on."""
    places = torch.bucketize(values, torch.from_numpy(edges).to(values.device), right=True)
    return torch.bincount(places, minlength=len(edges) + 1).cpu().numpy()


def _limits(form: Format) -> tuple[float, float, float]:
    """The smallest magnitudes that do not become zero, that do not become subnormal, and that overflow.

    Half of the smallest number is rounded to zero, and what lies half of it below the normal numbers becomes normal:
    ties go to even.
    """
    half = form.smallest / 2
    return math.nextafter(half, math.inf), form.normal - half, form.overflow


_POWERS = [2.0**exponent for exponent in EXPONENTS[1:]]
_EDGES = np.array(sorted({*_POWERS, *(limit for form in FORMATS for limit in _limits(form))}))


def _below(magnitudes: NDArray[np.int64], limits: list[float]) -> NDArray[np.int64]:
    """How many magnitudes are below each limit, which is one of the edges."""
    below: NDArray[np.int64] = np.cumsum(magnitudes)[np.searchsorted(_EDGES, limits)]
    return below


def _exponents(magnitudes: NDArray[np.int64]) -> NDArray[np.int64]:
    below = [*_below(magnitudes, _POWERS), magnitudes.sum()]
    return np.diff(below, prepend=0)


def _formats(magnitudes: NDArray[np.int64]) -> NDArray[np.int64]:
    below = [_below(magnitudes, list(_limits(form))) for form in FORMATS]
    total = magnitudes.sum()
    return np.array([(zero, normal - zero, total - overflow) for zero, normal, overflow in below], np.int64)

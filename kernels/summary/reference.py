"""The summary row in plain torch: fallback without a compiler, oracle of the native code, path of accelerators."""

import math

import torch
from torch import Tensor

from deepseek.kernels.summary.columns import COLUMNS

SMALLEST_NORMAL16 = 2.0**-14
OVERFLOW16 = 65520.0

NOT_APPLICABLE = (math.nan,) * len(COLUMNS)
"""The row of a tensor for which a summary makes no sense."""

EMPTY = tuple(0.0 if column in ("l2", "nonfinite_count") else math.nan for column in COLUMNS)
"""The row of a tensor without elements."""


def reference_row(tensor: Tensor) -> Tensor:
    """Compute the summary row of a dense real tensor on its own device, without synchronising.

    Sums are accumulated in float64, on devices without it (``mps``) in float32.

    Args:
        tensor: Any shape and strides; floating-point, integer or bool.

    Returns:
        ``[12]`` float64 (float32 on ``mps``) on the tensor's device, in the order of ``COLUMNS``.
    """
    wide = _wide(tensor)
    if tensor.numel() == 0:
        return torch.tensor(EMPTY, dtype=wide, device=tensor.device)
    x = as_float(tensor.detach())
    finite = x.isfinite()
    count = finite.sum().to(wide)
    kept = torch.where(finite, x, 0.0)
    mean = kept.sum(dtype=wide) / count
    centred = torch.where(finite, x - mean.to(x.dtype), 0.0)
    deviation = torch.linalg.vector_norm(centred, dtype=wide)
    l2 = torch.linalg.vector_norm(kept, dtype=wide)
    low, high = (_or_nan(extreme, count) for extreme in _extremes(x, finite))
    shares = _counts(x, finite).to(wide) / x.numel()
    scale = count.sqrt()
    columns = [mean, deviation / scale, l2, l2 / scale, low, high, torch.maximum(-low, high)]
    tail = [shares[0], shares[1], x.numel() - count, shares[2], shares[3]]
    return torch.stack([column.to(wide) for column in (*columns, *tail)])


def as_float(tensor: Tensor) -> Tensor:
    """Return the tensor as float32 or float64, whichever holds its values (float32 at most on ``mps``)."""
    if tensor.dtype in (torch.float32, torch.float64):
        return tensor
    return tensor.to(torch.float32 if tensor.is_floating_point() else _wide(tensor))


def _wide(tensor: Tensor) -> torch.dtype:
    return torch.float32 if tensor.device.type == "mps" else torch.float64


def _extremes(x: Tensor, finite: Tensor) -> tuple[Tensor, Tensor]:
    return torch.where(finite, x, math.inf).amin(), torch.where(finite, x, -math.inf).amax()


def _or_nan(value: Tensor, count: Tensor) -> Tensor:
    return torch.where(count > 0, value, math.nan)


def _counts(x: Tensor, finite: Tensor) -> Tensor:
    """Count zeros, positives, float16 subnormals and float16 overflows."""
    magnitude = x.abs()
    masks = (
        magnitude == 0,
        finite & (x > 0),
        (magnitude > 0) & (magnitude < SMALLEST_NORMAL16),
        finite & (magnitude >= OVERFLOW16),
    )
    return torch.stack([mask.sum() for mask in masks])

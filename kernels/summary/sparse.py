"""The summary row of a sparse tensor, from the row of its stored values."""

import torch
from torch import Tensor


def with_implicit_zeros(row: Tensor, stored: int, numel: int) -> Tensor:
    """Add the elements that a sparse tensor does not store to the row of those it stores.

    Args:
        row: ``[12]`` row of the stored values.
        stored: Number of stored values.
        numel: Number of elements of the whole tensor.

    Returns:
        ``[12]`` row of the whole tensor.
    """
    zeros = numel - stored
    if zeros == 0:
        return row
    mean, std, l2, _, low, high, absmax, zero, positive, nonfinite, small, overflow = row.nan_to_num(0.0)
    kept = stored - nonfinite
    finite = kept + zeros
    variance = (kept * std**2 + mean**2 * (kept * zeros / finite)) / finite
    share = stored / numel
    columns = [mean * (kept / finite), variance.sqrt(), l2, l2 / finite.sqrt()]
    columns += [low.clamp(max=0.0), high.clamp(min=0.0), absmax]
    columns += [zero * share + zeros / numel, positive * share, nonfinite, small * share, overflow * share]
    return torch.stack(columns)

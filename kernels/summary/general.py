"""Summaries of the tensors that cannot be read as they lie in memory: strided, sparse, integer, on accelerators."""

import struct

import torch
from torch import Tensor

from deepseek.errors import DeepseekError
from deepseek.kernels.summary.columns import COLUMNS
from deepseek.kernels.summary.layouts import is_sparse, is_summarisable, stored_values
from deepseek.kernels.summary.native import in_place_code, native
from deepseek.kernels.summary.reference import EMPTY, NOT_APPLICABLE, as_float, reference_row
from deepseek.kernels.summary.sparse import with_implicit_zeros

Row = bytes | Tensor
"""One summary: float64 columns as bytes, or ``[12]`` on the device where torch computed it."""

_ROW = struct.Struct(f"={len(COLUMNS)}d")
_NOT_APPLICABLE = _ROW.pack(*NOT_APPLICABLE)
_EMPTY = _ROW.pack(*EMPTY)


def general_row(tensor: Tensor) -> Row:
    """Summarise any tensor."""
    if not is_summarisable(tensor):
        return _NOT_APPLICABLE
    if tensor.numel() == 0:
        return _EMPTY
    if is_sparse(tensor):
        values = stored_values(tensor.detach())
        return with_implicit_zeros(reference_row(values), values.numel(), tensor.numel())
    plain = _plain(tensor)
    code = in_place_code(plain)
    if code is None:
        return reference_row(plain)
    return native.summarize(plain.data_ptr(), plain.numel(), code)


def general_difference_row(new: Tensor, old: Tensor) -> Row:
    """Summarise the difference of any two tensors of the same shape, dtype and device."""
    if not (is_summarisable(new) and is_summarisable(old)) or is_sparse(new) or is_sparse(old):
        return _NOT_APPLICABLE
    if new.shape != old.shape or new.dtype != old.dtype or new.device != old.device:
        raise DeepseekError(
            f"Expected two tensors of the same shape, dtype and device, got {_describe(new)} and {_describe(old)}; "
            "compare a tensor with an earlier copy of itself."
        )
    if new.numel() == 0:
        return _EMPTY
    new, old = _plain(new).contiguous(), _plain(old).contiguous()
    code = in_place_code(new)
    if code is None:
        return reference_row(as_float(new) - as_float(old))
    return native.summarize_difference(new.data_ptr(), old.data_ptr(), new.numel(), code)


def general_count_live_rows(counts: Tensor, gradient: Tensor) -> None:
    """Count the live rows of any gradient that fits the counts."""
    if not is_summarisable(gradient):
        return
    rows = len(counts) if counts.ndim == 1 else -1
    if gradient.shape[:1] != (rows,) or counts.dtype != torch.float32 or counts.device != gradient.device:
        raise DeepseekError(
            f"Expected counts of shape [rows], float32, on the device of the gradient, got {_describe(counts)} "
            f"for a gradient of {_describe(gradient)}; create them with torch.zeros(len(gradient))."
        )
    if is_sparse(gradient):
        counts += _live_rows_of_sparse(gradient.detach().to_sparse_coo().coalesce())
    elif gradient.numel() > 0:
        counts += (gradient != 0).reshape(rows, -1).any(1)


def _live_rows_of_sparse(gradient: Tensor) -> Tensor:
    values = gradient.values()
    live = (values != 0).reshape(len(values), -1).any(1) if len(values) else values.new_zeros(0)
    hits = torch.zeros(gradient.shape[0], dtype=torch.float32, device=gradient.device)
    return hits.index_add_(0, gradient.indices()[0], live.to(hits.dtype)).clamp(max=1)


def _plain(tensor: Tensor) -> Tensor:
    """Give a strided tensor's elements as an ordinary tensor, copied only where memory has gaps, overlaps or views."""
    plain = tensor.detach().as_subclass(Tensor).resolve_neg()
    return plain if not plain.is_cpu or in_place_code(plain) is not None else plain.contiguous()


def _describe(tensor: Tensor) -> str:
    return f"{tuple(tensor.shape)} {tensor.dtype} on {tensor.device}"

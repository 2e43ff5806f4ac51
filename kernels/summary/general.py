"""Summaries of the tensors that cannot be read as they lie in memory: strided, sparse, integer, on accelerators."""

import struct

from torch import Tensor

from deepseek.errors import DeepseekError
from deepseek.kernels.summary.columns import COLUMNS
from deepseek.kernels.summary.cuda import cuda_row, cuda_update_rows
from deepseek.kernels.summary.layouts import describe, is_sparse, is_summarisable, stored_values
from deepseek.kernels.summary.native import in_place_code, native, plain
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
    tensor = plain(tensor)
    code = in_place_code(tensor)
    if code is None:
        row = cuda_row(tensor)
        return reference_row(tensor) if row is None else row
    return native.summarize(tensor.data_ptr(), tensor.numel(), code)


def general_update_rows(new: Tensor, old: Tensor) -> tuple[Row, Row]:
    """Summarise any tensor and its difference from an older copy, and bring the copy up to date."""
    both = is_summarisable(new) and is_summarisable(old)
    if both and new.is_cuda and not is_sparse(new) and (rows := cuda_update_rows(plain(new), old)) is not None:
        return rows
    computed = general_row(new), _difference_row(new, old)
    if both:
        old.copy_(new)
    return computed


def _difference_row(new: Tensor, old: Tensor) -> Row:
    if not (is_summarisable(new) and is_summarisable(old)) or is_sparse(new) or is_sparse(old):
        return _NOT_APPLICABLE
    if new.shape != old.shape or new.dtype != old.dtype or new.device != old.device:
        raise DeepseekError(
            f"Expected two tensors of the same shape, dtype and device, got {describe(new)} and {describe(old)}; "
            "compare a tensor with an earlier copy of itself."
        )
    return general_row(as_float(new.detach()) - as_float(old.detach()))

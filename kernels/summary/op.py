"""The summary op: one pass over a tensor for all columns, native where possible, in plain torch elsewhere."""

import torch
from torch import Tensor
from torch._C import _is_torch_function_mode_enabled as _has_function_mode

from deepseek.kernels.summary.general import Row, general_count_live_rows, general_difference_row, general_row
from deepseek.kernels.summary.layouts import has_dense_rows, unobserved
from deepseek.kernels.summary.native import CODES, in_place_code, native


def summarize_row(tensor: Tensor) -> Row:
    """Summarise a tensor as one row of ``COLUMNS``; made to be called inside hooks.

    Dense float tensors on the CPU are read in place, whatever their order in memory; other strided ones are copied.
    Autograd, the random state and the modes of the user neither see the computation nor change it. Of sparse tensors
    (which synchronise on an accelerator) the elements that are not stored count as zeros.

    Args:
        tensor: Any shape, dtype, layout and device.

    Returns:
        96 bytes (float64 in native order), or a ``[12]`` tensor where torch computed the row: on an accelerator it has
        not been synchronised, ``start_transfer`` brings many of them over at once. All columns are NaN where a summary
        makes no sense: complex, meta, nested, quantised and fake tensors, tensors inside a ``torch.func`` transform.
    """
    if _has_function_mode():
        with torch._C.DisableTorchFunction():
            return _row(tensor)
    return _row(tensor)


def summarize_difference_row(new: Tensor, old: Tensor) -> Row:
    """Summarise ``new - old``, subtracted in float32 (float64 for float64 tensors); made to be called inside hooks.

    Args:
        new: A dense tensor.
        old: A tensor of the same shape, dtype and device.

    Returns:
        As ``summarize_row`` does; all NaN where that is, and for sparse tensors.

    Raises:
        DeepseekError: If shapes, dtypes or devices differ.
    """
    if _has_function_mode():
        with torch._C.DisableTorchFunction():
            return _difference_row(new, old)
    return _difference_row(new, old)


def count_live_rows(counts: Tensor, gradient: Tensor) -> None:
    """Add 1 to the count of each row of ``gradient`` that holds anything but zeros (NaN counts), in place.

    Nothing is synchronised. Gradients that cannot be summarised leave the counts as they are.

    Args:
        counts: ``[rows]`` float32 on the device of ``gradient``.
        gradient: ``[rows, ...]``.

    Raises:
        DeepseekError: If ``counts`` does not fit.
    """
    if _has_function_mode():
        with torch._C.DisableTorchFunction():
            _count_live_rows(counts, gradient)
    else:
        _count_live_rows(counts, gradient)


def _row(tensor: Tensor) -> Row:
    code = in_place_code(tensor)
    if code is not None:
        try:
            return native.summarize(tensor.data_ptr(), tensor.numel(), code)
        except RuntimeError:  # no memory of its own: released, or inside a torch.func transform
            pass
    with unobserved():
        return general_row(tensor)


def _difference_row(new: Tensor, old: Tensor) -> Row:
    code = in_place_code(new)
    if code is not None and in_place_code(old) == code and new.shape == old.shape and new.stride() == old.stride():
        try:
            return native.summarize_difference(new.data_ptr(), old.data_ptr(), new.numel(), code)
        except RuntimeError:  # as above
            pass
    with unobserved():
        return general_difference_row(new, old)


def _count_live_rows(counts: Tensor, gradient: Tensor) -> None:
    code = in_place_code(gradient)
    if code is not None and in_place_code(counts) == CODES[torch.float32] and has_dense_rows(gradient, counts):
        try:
            rows = len(counts)
            return native.zero_rows(gradient.data_ptr(), rows, gradient.numel() // rows, code, counts.data_ptr())
        except RuntimeError:  # as above
            pass
    with unobserved():
        return general_count_live_rows(counts, gradient)

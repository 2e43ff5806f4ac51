"""The summary op: one pass over a tensor for all columns, native where possible, in plain torch elsewhere."""

import torch
from torch import Tensor
from torch._C import _is_torch_function_mode_enabled as _has_function_mode

from deepseek.kernels.summary.general import Row, general_row, general_update_rows
from deepseek.kernels.summary.layouts import unobserved
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


def summarize_update_row(new: Tensor, old: Tensor) -> tuple[Row, Row]:
    """Summarise ``new`` and ``new - old``, then write ``new`` into ``old``: one pass; made to be called inside hooks.

    Args:
        new: A dense tensor.
        old: A copy of an earlier state, of the same shape, dtype and device; not tracked by autograd. It is left as it
            is where a summary makes no sense.

    Returns:
        The row of ``new``, as ``summarize_row`` gives it, and that of the difference, subtracted in float32 (float64
        for float64 tensors): all NaN where a summary makes no sense, and for sparse tensors.

    Raises:
        DeepseekError: If shapes, dtypes or devices differ.
    """
    if _has_function_mode():
        with torch._C.DisableTorchFunction():
            return _update_rows(new, old)
    return _update_rows(new, old)


def _row(tensor: Tensor) -> Row:
    if CODES and (row := native.summarize_tensor(tensor)) is not None:
        return row
    code = in_place_code(tensor)
    if code is not None:
        try:
            return native.summarize(tensor.data_ptr(), tensor.numel(), code)
        except RuntimeError:  # no memory of its own: released, or inside a torch.func transform
            pass
    with unobserved():
        return general_row(tensor)


def _update_rows(new: Tensor, old: Tensor) -> tuple[Row, Row]:
    if CODES and (rows := native.update_tensor(new, old)) is not None:
        return rows
    code = in_place_code(new)
    if code is not None and in_place_code(old) == code and new.shape == old.shape and new.stride() == old.stride():
        try:
            return native.summarize_update(new.data_ptr(), old.data_ptr(), new.numel(), code)
        except RuntimeError:  # as above
            pass
    with unobserved():
        return general_update_rows(new, old)

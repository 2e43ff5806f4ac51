"""Which rows of a gradient hold anything but zeros, counted over many steps."""

import torch
from torch import Tensor
from torch._C import _is_torch_function_mode_enabled as _has_function_mode

from deepseek.errors import DeepseekError
from deepseek.kernels.summary.layouts import describe, has_dense_rows, is_sparse, is_summarisable, unobserved
from deepseek.kernels.summary.native import counts_address, in_place_code, native


def count_live_rows(counts: Tensor, gradient: Tensor) -> None:
    """Add 1 to the count of each row of ``gradient`` that holds anything but zeros (NaN counts), in place.

    Nothing is synchronised. Gradients that cannot be summarised leave the counts as they are.

    Args:
        counts: ``[rows]`` int32 on the device of ``gradient``.
        gradient: ``[rows, ...]``.

    Raises:
        DeepseekError: If ``counts`` does not fit.
    """
    if _has_function_mode():
        with torch._C.DisableTorchFunction():
            _count_live_rows(counts, gradient)
    else:
        _count_live_rows(counts, gradient)


def _count_live_rows(counts: Tensor, gradient: Tensor) -> None:
    code = in_place_code(gradient)
    if code is not None and has_dense_rows(gradient):
        try:
            rows = gradient.shape[0]
            address = counts_address(counts, rows)
            if address:
                return native.count_live_rows(gradient.data_ptr(), rows, gradient.numel() // rows, code, address)
        except RuntimeError:  # no memory of its own: released, or inside a torch.func transform
            pass
    with unobserved():
        return reference_count_live_rows(counts, gradient)


def reference_count_live_rows(counts: Tensor, gradient: Tensor) -> None:
    """Count the live rows of any gradient in plain torch."""
    if not is_summarisable(gradient):
        return
    rows = len(counts) if counts.ndim == 1 else -1
    fits = counts.dtype is torch.int32 and counts.device == gradient.device
    if gradient.shape[:1] != (rows,) or not fits:
        raise DeepseekError(
            f"Expected counts of shape [rows], int32, on the device of the gradient, got {describe(counts)} "
            f"for a gradient of {describe(gradient)}; create them with torch.zeros(len(gradient), dtype=torch.int32)."
        )
    if is_sparse(gradient):
        counts += _live_rows_of_sparse(gradient.detach().to_sparse_coo().coalesce())
    elif gradient.numel() > 0:
        counts += (gradient != 0).reshape(rows, -1).any(1)


def _live_rows_of_sparse(gradient: Tensor) -> Tensor:
    values = gradient.values()
    live = (values != 0).reshape(len(values), -1).any(1) if len(values) else values.new_zeros(0)
    hits = torch.zeros(gradient.shape[0], dtype=torch.int32, device=gradient.device)
    return hits.index_add_(0, gradient.indices()[0], live.to(hits.dtype)).clamp(max=1)

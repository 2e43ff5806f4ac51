"""Summary rows of tensors on a GPU in one pass, where there is Triton; without waiting for the GPU."""

import logging
from importlib.util import find_spec

import torch
from torch import Tensor

from deepseek.kernels.rounding import FUSED
from deepseek.kernels.summary.columns import COLUMNS
from deepseek.kernels.summary.layouts import is_dense

log = logging.getLogger("deepseek")

_TILE, _WARPS = 1024, 8
_LEAST_SHARE = 4 * _TILE
_MOST_PROGRAMS = 512
_DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
_working = find_spec("triton") is not None


def cuda_row(tensor: Tensor) -> Tensor | None:
    """Summarise a strided tensor on its device as ``reference_row`` does; None where that has to.

    Args:
        tensor: With elements, not tracked by autograd.
    """
    if not _can(tensor):
        return None
    rows = _rows(tensor if is_dense(tensor) else tensor.contiguous(), None)
    return None if rows is None else rows[0]


def cuda_update_rows(new: Tensor, old: Tensor) -> tuple[Tensor, Tensor] | None:
    """Summarise ``new`` and ``new - old``, then write ``new`` into ``old``; None, and nothing done, where torch has to.

    Args:
        new: As for ``cuda_row``.
        old: Of the same shape, dtype and device.
    """
    alike = new.shape == old.shape and new.dtype == old.dtype and new.device == old.device
    if not (alike and _can(new) and new.stride() == old.stride() and is_dense(new)):
        return None
    rows = _rows(new, old)
    return None if rows is None else (rows[0], rows[1])


def _can(tensor: Tensor) -> bool:
    return (
        _working
        and tensor.is_cuda
        and tensor.dtype in _DTYPES
        and tensor.numel() > 0
        and not torch.cuda.is_current_stream_capturing()  # a kernel may have to be compiled and loaded first
    )


def _rows(values: Tensor, old: Tensor | None) -> Tensor | None:
    global _working
    try:
        with torch.cuda.device_of(values):
            return launch(values, old)
    except Exception as error:  # noqa: BLE001 - Triton needs a C compiler and a driver that fit
        _working = False
        log.warning("deepseek: summaries on the GPU are computed by torch, slower: Triton failed (%s).", error)
        return None


def launch(values: Tensor, old: Tensor | None) -> Tensor:
    """Start the kernels.

    Args:
        values: Dense, of a floating-point type.
        old: Alike in memory; changed.

    Returns:
        ``[1, 12]`` float64, or ``[2, 12]`` with the difference from ``old``.
    """
    from deepseek.kernels.summary.cuda_kernels import PARTS, gather, merge  # loads Triton: only where there is a GPU

    numel = values.numel()
    programs = min(-(-numel // _LEAST_SHARE), _MOST_PROGRAMS)
    share = -(-numel // (programs * _TILE)) * _TILE
    programs = -(-numel // share)
    count = 1 if old is None else 2
    rows = torch.empty(count, len(COLUMNS), dtype=torch.float64, device=values.device)
    parts = rows
    if programs > 1:
        parts = torch.empty(count, PARTS.value, programs, dtype=torch.float64, device=values.device)
    gather[(programs, count)](
        *(values, values if old is None else old, parts, rows, numel, share), tile=_TILE, num_warps=_WARPS, **FUSED
    )
    if programs > 1:
        merge[(count,)](parts, rows, numel, programs, most=_MOST_PROGRAMS, **FUSED)
    return rows

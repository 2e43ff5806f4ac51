"""The native code, where it could be built, and which tensors it may read as they lie in memory."""

from contextlib import suppress

import torch
from torch import Tensor
from torch.nn import Parameter

from deepseek.kernels.openmp import addresses_in_torch
from deepseek.kernels.summary.layouts import is_dense

__all__ = ["CODES", "counts_address", "implementation", "in_place_code", "native", "plain"]

try:
    from deepseek.kernels.summary import _native as native
except ImportError:
    native = None  # type: ignore[assignment]

if native and hasattr(Tensor, "__dlpack_c_exchange_api__"):
    native.connect(Tensor, Parameter, torch.strided, Tensor.is_neg, Tensor.__dlpack_c_exchange_api__)

if native:
    with suppress(OSError, AttributeError):  # another build of torch, another OpenMP: one thread does
        native.share_threads(*addresses_in_torch())  # long tensors are read by the threads that torch computes with

CODES = {torch.float32: 0, torch.float64: 1, torch.float16: 2, torch.bfloat16: 3} if native else {}
"""The dtypes that the native code reads; none where it could not be built."""

_PLAIN = (Tensor, Parameter)
_STRIDED = torch.strided


def in_place_code(tensor: Tensor) -> int | None:
    """Return the dtype code of a tensor that the native code may read where it is, else None.

    Asks only what is needed to know that this is safe; whether the tensor has memory at all, its address will tell.
    """
    if (
        type(tensor) in _PLAIN
        and tensor.is_cpu
        and tensor.layout is _STRIDED
        and not tensor.is_nested
        and not tensor.is_neg()
        and (tensor.is_contiguous() or is_dense(tensor))
    ):
        return CODES.get(tensor.dtype)
    return None


def plain(tensor: Tensor) -> Tensor:
    """Give a strided tensor's elements as an ordinary tensor, copied only where memory has gaps, overlaps or views."""
    ordinary = tensor.detach().as_subclass(Tensor).resolve_neg()
    return ordinary if not ordinary.is_cpu or in_place_code(ordinary) is not None else ordinary.contiguous()


def counts_address(counts: Tensor, length: int) -> int:
    """Return where ``[length]`` int32 counts lie that the native code may write to, 0 if they are anything else."""
    fits = type(counts) is Tensor and counts.is_cpu and counts.dtype is torch.int32 and counts.shape == (length,)
    return counts.data_ptr() if fits and counts.is_contiguous() else 0


def implementation() -> str:
    """Name what computes the summaries of CPU tensors.

    Returns:
        ``avx512``, ``avx2``, ``neon`` or ``scalar`` for the native code, ``torch`` where it could not be built.
    """
    return native.instruction_set() if CODES else "torch"

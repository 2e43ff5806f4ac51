"""Which tensors can be summarised, and how their elements lie in memory."""

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes

_SPARSE = (torch.sparse_coo, torch.sparse_csr, torch.sparse_csc, torch.sparse_bsr, torch.sparse_bsc)


@contextlib.contextmanager
def unobserved() -> Iterator[None]:
    """Run torch operations that neither autograd nor any mode of the user sees."""
    with torch._C.DisableTorchFunction(), _disable_current_modes(), torch.no_grad():
        yield


def is_sparse(tensor: Tensor) -> bool:
    """Tell whether the tensor stores only some of its elements."""
    return tensor.layout in _SPARSE


def is_summarisable(tensor: Tensor) -> bool:
    """Tell whether the tensor holds real numbers in memory of its own.

    False for complex, quantised, nested and meta tensors, and for subclasses and wrappers that stand for something
    else (fake tensors, distributed tensors, tensors inside ``torch.func`` transforms).
    """
    if type(tensor).__torch_dispatch__ is not Tensor.__torch_dispatch__:
        return False
    if tensor.is_complex() or tensor.is_quantized or tensor.is_nested or tensor.is_meta:
        return False
    return is_sparse(tensor) or (tensor.layout is torch.strided and _has_memory(tensor))


def is_dense(tensor: Tensor) -> bool:
    """Tell whether the elements fill one piece of memory without gaps or overlaps, in whatever order."""
    expected = 1
    for stride, size in sorted(zip(tensor.stride(), tensor.shape, strict=True)):
        if size != 1:
            if stride != expected:
                return False
            expected *= size
    return True


def has_dense_rows(matrix: Tensor) -> bool:
    """Tell whether a dense tensor's rows (dimension 0) lie one after the other."""
    if matrix.ndim == 0 or matrix.numel() == 0:
        return False
    return matrix.is_contiguous() or matrix.stride(0) * matrix.shape[0] == matrix.numel()


def describe(tensor: Tensor) -> str:
    """Name shape, dtype and device, for messages."""
    return f"{tuple(tensor.shape)} {tensor.dtype} on {tensor.device}"


def stored_values(tensor: Tensor) -> Tensor:
    """Return the elements that a sparse tensor stores, duplicates added up."""
    return (tensor.coalesce() if tensor.layout is torch.sparse_coo else tensor).values()


def _has_memory(tensor: Tensor) -> bool:
    try:
        return tensor.numel() == 0 or tensor.data_ptr() != 0
    except RuntimeError:
        return False

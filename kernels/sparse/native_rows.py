"""Gated feed-forward layers, natively: each weight is read from memory once, for all rows that want its block."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn import Parameter

from deepseek.errors import DeepseekError
from deepseek.kernels.openmp import addresses_in_torch

if TYPE_CHECKING:
    from deepseek.kernels.sparse.block_paths import Layer

try:
    from deepseek.kernels.sparse import _native as native
except ImportError:
    native = None  # type: ignore[assignment]

if native:
    with suppress(OSError, AttributeError):  # another build of torch, another OpenMP: one thread does
        native.share_threads(*addresses_in_torch())

FEW_ROWS = 8
"""More rows are computed faster by matrix products where the native code has no wide vectors."""

TILE = 4
"""The units of a block are a multiple of this."""


def can_run(layer: Layer, rows: Tensor) -> bool:
    """Whether rows ``[N, D]`` can be computed natively: nobody may want a gradient or watch the operations."""
    return (
        native is not None
        and len(rows) > 0
        and (len(rows) <= FEW_ROWS or native.has_wide_vectors())
        and len(layer.up_weight) // layer.blocks % TILE == 0
        and not torch.is_grad_enabled()
        and forward_ad._current_level < 0
        and not torch.is_autocast_enabled("cpu")
        and torch._C._len_torch_dispatch_stack() == 0
        and all(map(_is_plain, (rows, layer.up_weight, layer.up_bias, layer.down_weight, layer.down_bias)))
        and layer.up_weight.is_contiguous()
        and layer.down_weight.is_contiguous()
    )


def run_native(layer: Layer, rows: Tensor, mask: Tensor, counts: Sequence[int]) -> Tensor:
    """Compute each block for the rows that want it; arguments as ``run_masked``.

    Raises:
        DeepseekError: This cannot be computed natively.
    """
    if native is None or not can_run(layer, rows):
        raise DeepseekError(
            f"The executor 'native' computes contiguous float32 on the CPU in blocks of multiples of {TILE} units, "
            "without gradients or autocast, where a compiler was there at installation, and without AVX2 up to "
            f"{FEW_ROWS} rows; got {len(rows)} rows of {rows.dtype}. Take executor='auto'."
        )
    rows, mask = rows.contiguous(), mask.contiguous()
    sizes = (len(rows), layer.blocks, len(layer.up_weight) // layer.blocks)
    hidden = rows.new_empty(sum(counts), sizes[-1])
    output = rows.new_empty(len(rows), len(layer.down_bias))
    _call(native.hidden, (mask, layer.up_weight, layer.up_bias, hidden, rows), sizes)
    hidden = layer.activation(hidden)
    _call(native.output, (mask, layer.down_weight, layer.down_bias, hidden, output), sizes)
    return output


def _call(function: Callable[..., None], tensors: tuple[Tensor, ...], sizes: tuple[int, ...]) -> None:
    function(*(tensor.data_ptr() for tensor in tensors), *sizes, tensors[-1].shape[1])


def _is_plain(tensor: Tensor) -> bool:
    """Whether native code may read a tensor, if it is contiguous."""
    return (
        type(tensor) in (Tensor, Parameter)
        and tensor.is_cpu
        and tensor.dtype is torch.float32
        and tensor.layout is torch.strided
        and not tensor.is_neg()
    )

"""Gated feed-forward blocks in Triton: each block for the rows that want it, while the host does not know which.

The kernels stand in ``triton_kernels``. Programs are started for as many rows as there are at most; those whose rows do
not want the block end at once.

Source:
    Gale et al. 2022, MegaBlocks, section 4, for products of the rows that belong to a block.
"""

from typing import Any, cast

import torch
import triton
from torch import Tensor
from torch.autograd.function import once_differentiable

from deepseek.errors import DeepseekError
from deepseek.kernels.sparse.block_paths import Layer, run_masked
from deepseek.kernels.sparse.feed_forward import ACTIVATIONS
from deepseek.kernels.sparse.triton_kernels import down, up

ROWS, FEW_ROWS, COLUMNS, DEPTH = 64, 16, 64, 32
"""Sizes of the tiles; no more rows than a batch needs."""

_NAMES = {function: name for name, function in ACTIVATIONS.items()}


def run_blocks(layer: Layer, rows: Tensor, mask: Tensor) -> Tensor:
    """Compute a feed-forward layer; gradients are those of ``run_masked``, at its cost.

    Args:
        layer: The weights.
        rows: ``[N, D]``.
        mask: ``[N, blocks]``, 1 for active.

    Returns:
        ``[N, D_out]``.

    Raises:
        DeepseekError: The tensors are not on a CUDA device, or of several dtypes.
    """
    if not rows.is_cuda and isinstance(up, triton.JITFunction):  # another class in Triton's interpreter
        raise DeepseekError(
            f"The executor 'triton' computes on CUDA devices, got {rows.device}. Take executor='auto' there."
        )
    tensors = [rows, layer.up_weight, layer.up_bias, layer.down_weight, layer.down_bias]
    if torch.is_autocast_enabled(rows.device.type) and rows.dtype != torch.float64:  # which autocast leaves alone
        tensors = [tensor.to(torch.get_autocast_dtype(rows.device.type)) for tensor in tensors]
    if len({tensor.dtype for tensor in tensors}) > 1:
        raise DeepseekError(f"Expected an input of the weights' dtype, {layer.up_weight.dtype}, got {rows.dtype}.")
    return cast("Tensor", _Blocks.apply(layer, mask, *tensors))  # type: ignore[no-untyped-call]


class _Blocks(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, layer: Layer, mask: Tensor, rows: Tensor, *weights: Tensor) -> Tensor:
        ctx.layer = layer
        ctx.save_for_backward(mask, rows, *weights)
        with torch.cuda.device_of(rows):
            return _launch(_NAMES[layer.activation], rows.contiguous(), mask != 0, *map(Tensor.contiguous, weights))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        mask, *tensors = ctx.saved_tensors
        rows, up_weight, up_bias, down_weight, bias = leaves = [one.detach().requires_grad_() for one in tensors]
        layer = Layer(up_weight, up_bias, down_weight, bias, ctx.layer.activation, ctx.layer.blocks)
        with torch.enable_grad(), torch.autocast(rows.device.type, enabled=False):
            output = run_masked(layer, rows, mask.to(rows.dtype), [])
        return None, None, *torch.autograd.grad(output, leaves, gradient)


def _launch(
    activation: str, rows: Tensor, active: Tensor, up_weight: Tensor, up_bias: Tensor, down_weight: Tensor, bias: Tensor
) -> Tensor:
    (count, width), blocks, outputs = rows.shape, active.shape[1], len(bias)
    size = len(up_weight) // blocks
    output = bias.to(torch.promote_types(rows.dtype, torch.float32)).repeat(count, 1)
    if not count:
        return output.to(rows.dtype)
    wants = active.t().byte().contiguous()
    order = wants.argsort(dim=1, descending=True, stable=True)  # of each block, the rows that want it first
    wanting = active.sum(0, dtype=torch.int32)
    hidden = rows.new_empty(blocks, count, size)
    tile = ROWS if count > FEW_ROWS else FEW_ROWS
    options = {
        "precision": "ieee" if torch.get_float32_matmul_precision() == "highest" else "tf32",
        "tile_rows": tile,
        "tile_columns": COLUMNS,
        "tile_depth": DEPTH,
    }
    grid = (triton.cdiv(count, tile), triton.cdiv(size, COLUMNS), blocks)
    up[grid](rows, order, wanting, up_weight, up_bias, hidden, count, width, size, activation=activation, **options)
    grid = (triton.cdiv(count, tile), triton.cdiv(outputs, COLUMNS), 1)
    for block in range(blocks):  # one after the other: no atomics, and sums always in the same order
        down[grid](hidden, order, wanting, down_weight, output, block, count, size, outputs, **options)
    return output.to(rows.dtype)

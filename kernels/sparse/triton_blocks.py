"""Gated feed-forward blocks in Triton: each block for the rows that want it, while the host does not know which.

The kernels stand in ``triton_kernels``. Programs are started for as many rows as there are at most; those whose rows do
not want the block end at once.

Source:
    Gale et al. 2022, MegaBlocks, section 4, for products of the rows that belong to a block.
"""

from typing import Any, NamedTuple, cast

import torch
import triton
from torch import Tensor
from torch.autograd.function import once_differentiable

from deepseek.errors import DeepseekError
from deepseek.kernels.rounding import FUSED
from deepseek.kernels.sparse.block_paths import Layer, run_masked
from deepseek.kernels.sparse.feed_forward import ACTIVATIONS
from deepseek.kernels.sparse.triton_kernels import add, choose, down, up


class Tiles(NamedTuple):
    """How a matrix product is divided: rows, columns and depth of a program's tiles, and its warps.

    They were timed on an H100 and take less than 100 KiB of shared memory, which smaller GPUs have too.
    """

    rows: int
    columns: int
    depth: int
    warps: int = 4

    def options(self, precision: str) -> dict[str, Any]:
        """What the kernels are told of them."""
        sizes = {"tile_rows": self.rows, "tile_columns": self.columns, "tile_depth": self.depth}
        return FUSED | sizes | {"precision": precision, "num_warps": self.warps, "num_stages": 3}


FEW, EXACT, TF32, HALF = Tiles(16, 64, 64), Tiles(64, 64, 32), Tiles(128, 128, 32, 8), Tiles(128, 128, 64, 8)
"""For few rows; for many that tensor cores do not multiply, and that they do in float32 or in half precision."""

FEW_ROWS = 64

MASK_ROWS = 4096
"""Rows whose mask is looked at at a time."""

SUM_ROWS, SUM_COLUMNS = 16, 128
"""Size of the tiles in which parts are added up."""

ROWS_AT_A_TIME = 8192
"""The parts of all blocks of so many rows lie in memory together."""

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
        precision = "ieee" if torch.get_float32_matmul_precision() == "highest" else "tf32"
        tiles = tiles_for(rows.dtype, precision, len(rows))
        up_weight, up_bias, down_weight, down_bias = map(Tensor.contiguous, weights)
        if tiles is EXACT:  # which takes three times as long where weights do not lie the way they are multiplied
            up_weight = up_weight.t().contiguous().t()
        ready = Layer(up_weight, up_bias, down_weight, down_bias, layer.activation, layer.blocks)
        output = rows.new_empty(len(rows), len(down_bias))
        split = (tensor.split(ROWS_AT_A_TIME) for tensor in (output, rows.contiguous(), mask.contiguous()))
        with torch.cuda.device_of(rows):
            for to, part, mask_of_part in zip(*split, strict=True):
                _launch(to, part, mask_of_part, ready, tiles, precision)
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        mask, *tensors = ctx.saved_tensors
        rows, up_weight, up_bias, down_weight, bias = leaves = [one.detach().requires_grad_() for one in tensors]
        layer = Layer(up_weight, up_bias, down_weight, bias, ctx.layer.activation, ctx.layer.blocks)
        with torch.enable_grad(), torch.autocast(rows.device.type, enabled=False):
            output = run_masked(layer, rows, mask.to(rows.dtype), [])
        return None, None, *torch.autograd.grad(output, leaves, gradient)


def tiles_for(dtype: torch.dtype, precision: str, rows: int) -> Tiles:
    """The tiles for a dtype, a precision of products of float32, and so many rows."""
    if rows <= FEW_ROWS:
        return FEW
    if dtype in (torch.float16, torch.bfloat16):
        return HALF
    return EXACT if dtype == torch.float64 or precision == "ieee" else TF32


def _launch(output: Tensor, rows: Tensor, mask: Tensor, layer: Layer, tiles: Tiles, precision: str) -> None:
    (count, width), blocks, outputs = rows.shape, layer.blocks, len(layer.down_bias)
    if not count:
        return
    size = len(layer.up_weight) // blocks
    options = tiles.options(precision)
    order = mask.new_empty(blocks, count, dtype=torch.int32)
    slots, wanting = torch.empty_like(mask, dtype=torch.int32), mask.new_empty(blocks, dtype=torch.int32)
    choose[(blocks,)](mask, order, slots, wanting, count, blocks, tile_rows=MASK_ROWS, **FUSED)
    hidden = rows.new_empty(blocks, count, size)
    up[_grid(size, tiles.columns, count, tiles.rows, blocks)](
        *(rows, order, wanting, layer.up_weight, layer.up_bias, hidden, count, width, size, *layer.up_weight.stride()),
        activation=_NAMES[layer.activation],
        **options,
    )
    parts = rows.new_empty(blocks, count, outputs, dtype=torch.promote_types(rows.dtype, torch.float32))
    down[_grid(outputs, tiles.columns, count, tiles.rows, blocks)](
        *(hidden, wanting, layer.down_weight, parts, count, size, outputs), **options
    )
    add[_grid(outputs, SUM_COLUMNS, count, SUM_ROWS, 1)](
        *(parts, slots, layer.down_bias, output, count, blocks, outputs),
        tile_rows=SUM_ROWS,
        tile_columns=SUM_COLUMNS,
        **FUSED,
    )


def _grid(columns: int, tile_columns: int, rows: int, tile_rows: int, blocks: int) -> tuple[int, int, int]:
    return triton.cdiv(columns, tile_columns), triton.cdiv(rows, tile_rows), blocks

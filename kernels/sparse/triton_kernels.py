"""Kernels of gated feed-forward blocks, in Triton's language; ``triton_blocks`` starts them.

Rows of matrices lie together in memory. Products are added in float32, those of float64 in float64.
"""

import triton
import triton.language as tl


@triton.jit
def up(
    rows,
    order,
    wanting,
    weight,
    bias,
    hidden,
    count,
    width,
    size,
    activation: tl.constexpr,
    precision: tl.constexpr,
    tile_rows: tl.constexpr,
    tile_columns: tl.constexpr,
    tile_depth: tl.constexpr,
):
    """Compute ``hidden[block, i] = act(W[block] rows[order[block, i]] + b[block])`` for the rows that want the block.

    Args:
        rows: ``[count, width]``.
        order: For each block the rows, those that want it first, ``[blocks, count]``.
        wanting: How many rows want each block, ``[blocks]``.
        weight: ``[blocks * size, width]``.
        bias: ``[blocks * size]``.
        hidden: ``[blocks, count, size]``; left alone beyond the rows that want a block.
        count: Number of rows.
        width: Width of a row.
        size: Units of a block.
        activation: Its name.
        precision: Of products of float32, as ``tl.dot`` takes it.
        tile_rows: Rows of a program.
        tile_columns: Units of a program.
        tile_depth: Numbers of a row that are multiplied at a time.
    """
    block = tl.program_id(2).to(tl.int64)
    wanted = tl.load(wanting + block)
    if tl.program_id(0) * tile_rows < wanted:
        place = tl.program_id(0) * tile_rows + tl.arange(0, tile_rows)
        unit = tl.program_id(1) * tile_columns + tl.arange(0, tile_columns)
        row = tl.load(order + block * count + place, mask=place < wanted, other=0)
        left, right = rows + row * width, weight + (block * size + unit) * width
        total = _product(left, place < wanted, right, unit < size, width, 1, precision, tile_depth)
        total += tl.load(bias + block * size + unit, mask=unit < size, other=0.0).to(total.dtype)[None, :]
        at = hidden + (block * count + place)[:, None] * size + unit[None, :]
        value = _activated(total, activation).to(hidden.dtype.element_ty)
        tl.store(at, value, mask=(place < wanted)[:, None] & (unit < size)[None, :])


@triton.jit(do_not_specialize=["block"])
def down(
    hidden,
    order,
    wanting,
    weight,
    output,
    block,
    count,
    size,
    width,
    precision: tl.constexpr,
    tile_rows: tl.constexpr,
    tile_columns: tl.constexpr,
    tile_depth: tl.constexpr,
):
    """Add ``W[block] hidden[block, i]`` to ``output[order[block, i]]`` for the rows that want one block.

    Args:
        hidden: As ``up`` leaves it.
        order: As for ``up``.
        wanting: As for ``up``.
        weight: ``[blocks * size, width]``.
        output: ``[count, width]``, in the dtype of sums.
        block: Which one.
        count: Number of rows.
        size: Units of a block.
        width: Width of the output.
        precision: As for ``up``.
        tile_rows: As for ``up``.
        tile_columns: Outputs of a program.
        tile_depth: As for ``up``.
    """
    wanted = tl.load(wanting + block)
    if tl.program_id(0) * tile_rows < wanted:
        place = tl.program_id(0) * tile_rows + tl.arange(0, tile_rows)
        column = tl.program_id(1) * tile_columns + tl.arange(0, tile_columns)
        first = tl.full((), block, tl.int64)
        row = tl.load(order + first * count + place, mask=place < wanted, other=0)
        left, right = hidden + (first * count + place) * size, weight + first * size * width + column
        total = _product(left, place < wanted, right, column < width, size, width, precision, tile_depth)
        at = output + row[:, None] * width + column[None, :]
        inside = (place < wanted)[:, None] & (column < width)[None, :]
        tl.store(at, tl.load(at, mask=inside, other=0.0) + total, mask=inside)


@triton.jit
def _product(left, left_inside, right, right_inside, depth, step, precision: tl.constexpr, tile_depth: tl.constexpr):
    """Give ``sum_k left[i][k] right[j][k * step]`` of numbers that begin at pointers, 0 where they are not inside."""
    dtype: tl.constexpr = tl.float64 if left.dtype.element_ty == tl.float64 else tl.float32
    total = tl.zeros((left.shape[0], right.shape[0]), dtype=dtype)
    for start in range(0, depth, tile_depth):
        k = start + tl.arange(0, tile_depth)
        a = tl.load(left[:, None] + k[None, :], mask=left_inside[:, None] & (k < depth)[None, :], other=0.0)
        b = tl.load(right[None, :] + (k * step)[:, None], mask=right_inside[None, :] & (k < depth)[:, None], other=0.0)
        total = tl.dot(a, b, total, input_precision=precision, out_dtype=dtype)
    return total


@triton.jit
def _activated(x, activation: tl.constexpr):
    if activation == "relu":
        x = tl.where(x < 0, 0.0, x)  # keeps NaN
    elif activation == "tanh":
        x = 2 * _sigmoid(2 * x) - 1
    elif activation == "silu":
        x = x * _sigmoid(x)
    elif activation == "gelu_tanh":
        x = x * _sigmoid(2 * 0.7978845608028654 * (x + 0.044715 * x * x * x))
    else:
        tl.static_assert(activation == "gelu")
        x = 0.5 * x * (1 + tl.erf(x * 0.7071067811865476))
    return x


@triton.jit
def _sigmoid(x):
    return 1 / (1 + tl.exp(-x))

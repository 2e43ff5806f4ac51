"""Kernels of gated feed-forward blocks, in Triton's language; ``triton_blocks`` starts them.

Rows of matrices lie together in memory. Products are added in float32, those of float64 in float64.
"""

import triton
import triton.language as tl


@triton.jit
def choose(mask, order, slots, wanting, count, blocks, tile_rows: tl.constexpr):
    """List the rows that want each block; a program does one block.

    Args:
        mask: Not 0 where a row wants a block, ``[count, blocks]``.
        order: Gets for each block the rows that want it, ascending, ``[blocks, count]``; left alone beyond them.
        slots: Gets where in that list a row stands, -1 where it does not, ``[count, blocks]``.
        wanting: Gets how many rows want each block, ``[blocks]``.
        count: Number of rows.
        blocks: Number of blocks.
        tile_rows: Rows that are looked at at a time.
    """
    block = tl.program_id(0)
    total = 0
    for start in range(0, count, tile_rows):
        row = start + tl.arange(0, tile_rows)
        at = row.to(tl.int64) * blocks + block
        wants = tl.load(mask + at, mask=row < count, other=0) != 0
        slot = total + tl.cumsum(wants.to(tl.int32), 0) - 1
        tl.store(order + block.to(tl.int64) * count + slot, row, mask=wants)
        tl.store(slots + at, tl.where(wants, slot, -1), mask=row < count)
        total += tl.sum(wants.to(tl.int32), 0)
    tl.store(wanting + block, total)


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
    unit_step,
    step,
    activation: tl.constexpr,
    precision: tl.constexpr,
    tile_rows: tl.constexpr,
    tile_columns: tl.constexpr,
    tile_depth: tl.constexpr,
):
    """Compute ``hidden[block, i] = act(W[block] rows[order[block, i]] + b[block])`` for the rows that want the block.

    Args:
        rows: ``[count, width]``.
        order: As ``choose`` gives it.
        wanting: As ``choose`` gives it.
        weight: ``[blocks * size, width]``, with any steps.
        bias: ``[blocks * size]``.
        hidden: ``[blocks, count, size]``; left alone beyond the rows that want a block.
        count: Number of rows.
        width: Width of a row.
        size: Units of a block.
        unit_step: From one row of ``weight`` to the next.
        step: From one number in it to the next.
        activation: Its name.
        precision: Of products of float32, as ``tl.dot`` takes it.
        tile_rows: Rows of a program.
        tile_columns: Units of a program.
        tile_depth: Numbers of a row that are multiplied at a time.
    """
    block = tl.program_id(2).to(tl.int64)
    wanted = tl.load(wanting + block)
    if tl.program_id(1) * tile_rows < wanted:
        place = tl.program_id(1) * tile_rows + tl.arange(0, tile_rows)
        unit = tl.program_id(0) * tile_columns + tl.arange(0, tile_columns)
        row = tl.load(order + block * count + place, mask=place < wanted, other=0).to(tl.int64)
        left, right = rows + row * width, weight + (block * size + unit) * unit_step
        total = _product(left, place < wanted, right, unit < size, width, step, precision, tile_depth)
        total += tl.load(bias + block * size + unit, mask=unit < size, other=0.0).to(total.dtype)[None, :]
        at = hidden + (block * count + place)[:, None] * size + unit[None, :]
        value = _activated(total, activation).to(hidden.dtype.element_ty)
        tl.store(at, value, mask=(place < wanted)[:, None] & (unit < size)[None, :])


@triton.jit
def down(
    hidden,
    wanting,
    weight,
    parts,
    count,
    size,
    width,
    precision: tl.constexpr,
    tile_rows: tl.constexpr,
    tile_columns: tl.constexpr,
    tile_depth: tl.constexpr,
):
    """Compute ``parts[block, i] = W[block] hidden[block, i]`` for the rows that want the block.

    Args:
        hidden: As ``up`` leaves it.
        wanting: As ``choose`` gives it.
        weight: ``[blocks * size, width]``.
        parts: ``[blocks, count, width]``, in the dtype of sums; left alone beyond the rows that want a block.
        count: Number of rows.
        size: Units of a block.
        width: Width of the output.
        precision: As for ``up``.
        tile_rows: As for ``up``.
        tile_columns: Outputs of a program.
        tile_depth: As for ``up``.
    """
    block = tl.program_id(2).to(tl.int64)
    wanted = tl.load(wanting + block)
    if tl.program_id(1) * tile_rows < wanted:
        place = tl.program_id(1) * tile_rows + tl.arange(0, tile_rows)
        column = tl.program_id(0) * tile_columns + tl.arange(0, tile_columns)
        left, right = hidden + (block * count + place) * size, weight + block * size * width + column
        total = _product(left, place < wanted, right, column < width, size, width, precision, tile_depth)
        at = parts + (block * count + place)[:, None] * width + column[None, :]
        tl.store(at, total, mask=(place < wanted)[:, None] & (column < width)[None, :])


@triton.jit
def add(parts, slots, bias, output, count, blocks, width, tile_rows: tl.constexpr, tile_columns: tl.constexpr):
    """Add up for each row, always in the same order, the bias and the parts of the blocks that it wants.

    Args:
        parts: As ``down`` leaves them.
        slots: As ``choose`` gives them.
        bias: ``[width]``.
        output: ``[count, width]``.
        count: Number of rows.
        blocks: Number of blocks.
        width: Width of the output.
        tile_rows: Rows of a program.
        tile_columns: Outputs of a program.
    """
    row = (tl.program_id(1) * tile_rows + tl.arange(0, tile_rows)).to(tl.int64)
    column = tl.program_id(0) * tile_columns + tl.arange(0, tile_columns)
    inside = (row < count)[:, None] & (column < width)[None, :]
    total = tl.zeros((tile_rows, tile_columns), dtype=parts.dtype.element_ty)
    total += tl.load(bias + column, mask=column < width, other=0.0).to(total.dtype)[None, :]
    first = tl.zeros((), dtype=tl.int64)
    for block in range(blocks):
        slot = tl.load(slots + row * blocks + block, mask=row < count, other=-1)
        at = parts + (first + slot)[:, None] * width + column[None, :]
        total += tl.load(at, mask=inside & (slot >= 0)[:, None], other=0.0)
        first += count
    tl.store(output + row[:, None] * width + column[None, :], total.to(output.dtype.element_ty), mask=inside)


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

"""The ways to compute a feed-forward layer whose hidden units are gated in blocks, and what each costs."""

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from deepseek.errors import DeepseekError
from deepseek.kernels.sparse.masking import masked
from deepseek.kernels.sparse.native_rows import run_native

ONE_ROW, MORE_ROWS = 5, 12
"""Reading a weight takes as long as this many rows of arithmetic: by a matrix-vector product, and in addition to the
rows by a matrix product, which packs it first."""

NATIVE_ROW, NATIVE_SUM, NATIVE_READ = 0.8, 52.0, 3.0
"""What a row takes natively, how many more numbers its sums seem to have, and reading the weights."""

CALL_WORK = 600_000
"""What the calls for one piece cost beside its arithmetic, in multiplications; twice that with gathering."""

MOVE_WORK = 16
"""What it costs to gather or scatter one number, in multiplications."""


class Layer(NamedTuple):
    """The parts of a feed-forward layer.

    Attributes:
        up_weight: ``[H, D]``.
        up_bias: ``[H]``.
        down_weight: ``[H, D_out]``.
        down_bias: ``[D_out]``.
        activation: Elementwise.
        blocks: Number of blocks; ``H`` is a multiple of it.
    """

    up_weight: Tensor
    up_bias: Tensor
    down_weight: Tensor
    down_bias: Tensor
    activation: Callable[[Tensor], Tensor]
    blocks: int

    def hidden(self, rows: Tensor, part: slice) -> Tensor:
        """Activations of some hidden units, ``[N, units]``."""
        return self.activation(functional.linear(rows, self.up_weight[part], self.up_bias[part]))

    def units(self, first: int, last: int) -> slice:
        """The hidden units of the blocks from ``first`` to before ``last``."""
        size = len(self.up_weight) // self.blocks
        return slice(first * size, last * size)


def run_masked(layer: Layer, rows: Tensor, mask: Tensor, counts: Sequence[int]) -> Tensor:
    """Compute everything and switch off what is not wanted: the oracle of the other ways.

    Args:
        layer: The weights.
        rows: ``[N, D]``.
        mask: ``[N, blocks]``, 1 for active.
        counts: How many rows want each block; empty where nobody may look.

    Returns:
        ``[N, D_out]``.
    """
    hidden = layer.activation(functional.linear(rows, layer.up_weight, layer.up_bias))
    if not counts or min(counts) < len(rows):
        hidden = masked(hidden, mask, in_place=bool(counts) and not hidden.requires_grad)
    return torch.addmm(layer.down_bias, hidden, layer.down_weight)


def run_runs(layer: Layer, rows: Tensor, mask: Tensor, counts: Sequence[int]) -> Tensor:
    """Compute for all rows what any row wants, neighbouring blocks at once; arguments as ``run_masked``."""
    output = layer.down_bias
    for first, last in [*_runs(counts)] or [(0, 0)]:
        part = layer.units(first, last)
        hidden = layer.hidden(rows, part)
        if any(0 < count < len(rows) for count in counts[first:last]):
            hidden = masked(hidden, mask[:, first:last])
        output = torch.addmm(output, hidden, layer.down_weight[part])
    return output


def run_gathered(layer: Layer, rows: Tensor, mask: Tensor, counts: Sequence[int]) -> Tensor:
    """Compute each block for the rows that want it; arguments as ``run_masked``."""
    output = run_runs(layer, rows, mask, [0] * layer.blocks)
    wanting = mask.t().nonzero()[:, 1].split(list(counts))
    for block, index in enumerate(wanting):
        if not len(index):
            continue
        part = layer.units(block, block + 1)
        if len(index) == len(rows):
            output = torch.addmm(output, layer.hidden(rows, part), layer.down_weight[part])
        else:
            output.index_add_(0, index, layer.hidden(rows.index_select(0, index), part) @ layer.down_weight[part])
    return output


def run_triton(layer: Layer, rows: Tensor, mask: Tensor, _counts: Sequence[int]) -> Tensor:
    """Compute each block for the rows that want it, without being told how many; arguments as ``run_masked``.

    Raises:
        DeepseekError: There is no Triton, or the tensors are not on a CUDA device.
    """
    try:
        from deepseek.kernels.sparse.triton_blocks import run_blocks  # loads Triton: only where it is asked for
    except ImportError as error:
        raise DeepseekError(
            "The executor 'triton' needs Triton: pip install triton, or take executor='auto'. CUDA builds of torch for "
            "Linux bring it along."
        ) from error
    return run_blocks(layer, rows, mask)


Path = Callable[[Layer, Tensor, Tensor, Sequence[int]], Tensor]

PATHS: dict[str, Path] = {
    "masked": run_masked,
    "native": run_native,
    "runs": run_runs,
    "gathered": run_gathered,
    "triton": run_triton,
}

UNSEEING = ("masked", "triton")
"""Ways that look at no value of the mask: an accelerator would have to hand it over."""


def cheapest(layer: Layer, rows: int, counts: Sequence[int], *, native: bool) -> str:
    """Name the way that takes the least work; ``masked`` where the others save less than they cost.

    The estimate depends on nothing but its arguments, so that equal inputs are rounded equally.

    Args:
        layer: The weights.
        rows: How many.
        counts: How many of them want each block.
        native: Whether the native code can compute them.
    """
    width, size = layer.up_weight.shape[1] + layer.down_weight.shape[1], len(layer.up_weight) // layer.blocks
    each = width * size
    wanted = sum(count > 0 for count in counts)
    runs = sum(1 for _ in _runs(counts))
    moved = sum(count for count in counts if count < rows) * width * MOVE_WORK
    work: dict[str, float] = {
        "masked": layer.blocks * each * _as_rows(rows) + CALL_WORK,
        "runs": wanted * each * _as_rows(rows) + runs * CALL_WORK,
        "gathered": each * sum(map(_as_rows, counts)) + 2 * wanted * CALL_WORK + moved,
    }
    if native:
        work["native"] = each * _native_rows(layer, counts) + CALL_WORK
    return min(work, key=work.__getitem__)


def saves_natively(layer: Layer, rows: int, counts: Sequence[int]) -> bool:
    """Whether the native way takes less work than computing everything.

    It is asked in every forward, after which all caches are cold: so it is short.
    """
    return _native_rows(layer, counts) < layer.blocks * _as_rows(rows)


def _native_rows(layer: Layer, counts: Sequence[int]) -> float:
    """How many rows of mere arithmetic with one block take as long as all that is wanted natively."""
    width = (layer.up_weight.shape[1] + layer.down_weight.shape[1]) / 2
    return (NATIVE_ROW + NATIVE_SUM / width) * sum(counts) + NATIVE_READ * (len(counts) - counts.count(0))


def _as_rows(rows: int) -> int:
    """How many rows of mere arithmetic take as long as a product with so many rows."""
    return rows + MORE_ROWS if rows > 1 else rows * ONE_ROW


def _runs(counts: Sequence[int]) -> Iterator[tuple[int, int]]:
    """First and last of neighbouring blocks that any row wants, the last one not included."""
    for wanted, group in groupby(range(len(counts)), key=lambda block: counts[block] > 0):
        if wanted:
            blocks = list(group)
            yield blocks[0], blocks[-1] + 1

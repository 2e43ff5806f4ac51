"""How many pairs of rows fit into memory at once."""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor
from torch.utils import _pytree as pytree

from deepseek.explain.deeplift.program import Program


@dataclass(frozen=True)
class Block:
    """Some rows against some background rows, for some outputs; each a range of places."""

    rows: range
    background: range
    outputs: range

    def halves(self) -> "tuple[Block, Block] | None":
        """Two that make up this one, with fewer rows, else background rows, else outputs; None for a single one."""
        for name in ("rows", "background", "outputs"):
            whole: range = getattr(self, name)
            if len(whole) > 1:
                middle = len(whole) // 2
                first, second = ({**vars(self), name: part} for part in (whole[:middle], whole[middle:]))
                return Block(**first), Block(**second)
        return None


def blocks(program: Program, whole: Block, limit_bytes: int) -> Iterator[Block]:
    """Cut the work into blocks of about the given size, all those of some background rows one after the other."""
    seed, pair = bytes_per_seed(program), bytes_per_pair(program)
    outputs = min(len(whole.outputs), max(1, (limit_bytes - pair) // seed))
    pairs = max(1, limit_bytes // (outputs * seed + pair))
    background = min(len(whole.background), pairs)
    rows = min(len(whole.rows), max(1, pairs // background))
    for reference in _cut(whole.background, background):
        for row in _cut(whole.rows, rows):
            for output in _cut(whole.outputs, outputs):
                yield Block(row, reference, output)


def bytes_per_seed(program: Program) -> int:
    """What sharing out one output of one pair of rows takes at its fullest, in bytes, by the shapes of all tensors."""
    waiting: dict[str, int] = {}
    fullest = 1
    for operation, _ in reversed(program.operations):
        own = _bytes(operation.node.meta["example"])
        waiting.pop(operation.node.name, None)
        shares = {node.name: _bytes(node.meta["example"]) for node in operation.inputs}
        fullest = max(fullest, sum(waiting.values()) + 2 * (own + sum(shares.values())))
        waiting |= shares
    return fullest


def bytes_per_pair(program: Program) -> int:
    """What the slopes of one operation take for one pair of rows, in bytes: formulas have up to about eight parts."""
    return 8 * max(_bytes(operation.node.meta["example"]) for operation, _ in program.operations)


def _cut(whole: range, size: int) -> Iterator[range]:
    return (whole[start : start + size] for start in range(0, len(whole), size))


def _bytes(value: object) -> int:
    return sum(leaf.nbytes for leaf in pytree.tree_leaves(value) if isinstance(leaf, Tensor))

"""Contributions of all pairs of rows, added up block by block."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from deepseek.errors import DeepseekError
from deepseek.explain.call import Call
from deepseek.explain.deeplift.gap import where_the_gap_arises
from deepseek.explain.deeplift.memory import Block, blocks
from deepseek.explain.deeplift.pairs import Activations, run_references, run_rows, share_out
from deepseek.explain.deeplift.program import Program, Tensors
from deepseek.explain.deeplift.tracing import ROWS
from deepseek.explain.out_of_memory import is_out_of_memory
from deepseek.explain.target import Chooser

MOST_REFERENCES = 32
"""How many background rows are looked at to find where a gap arises."""

LARGE_GAP = 1e-3
"""From which gap on, relative to the output's distance from its base value, it is said where it arises."""


@dataclass(frozen=True, eq=False)
class DeepLift:
    """Attributions by DeepLIFT, averaged over a background; everything in float64 on the CPU.

    Attributes:
        values: By name of the explained input ``[B, ...]``: attributions ``[B, ..., K]``. Token ids get the sum over
            the width of their embeddings.
        base_values: Expectation of the outputs over the background, ``[B, K]``.
        outputs: The outputs, ``[B, K]``.
        notes: Where a large completeness gap arises.
    """

    values: Tensors
    base_values: Tensor
    outputs: Tensor
    notes: tuple[str, ...] = ()

    @property
    def gap(self) -> Tensor:
        """What the values do not account for, ``[B, K]``."""
        total = sum(values.flatten(1, -2).sum(1) for values in self.values.values())
        return self.outputs - self.base_values - total


class Work:
    """Adds up contributions, block by block."""

    def __init__(self, call: Call, background: Tensors, count: int, advance: Callable[[int], object]) -> None:
        shape = (call.rows, count)
        self._call, self._background, self._advance = call, background, advance
        self._size = len(next(iter(background.values())))
        self._outputs = torch.zeros(shape, dtype=torch.float64)
        self._base = torch.zeros(shape, dtype=torch.float64)
        self._sums = {
            name: torch.zeros(*shape, *tensor.shape[1:], dtype=torch.float64) for name, tensor in background.items()
        }
        self._programs: list[tuple[Tensor, Program]] = []
        self._references: tuple[range | None, Activations] = (None, {})

    def explain(self, program: Program, rows: Tensor, memory_bytes: int) -> None:
        """Explain some rows ``[N]``."""
        self._programs.append((rows, program))
        self._references = (None, {})
        whole = Block(range(len(rows)), range(self._size), range(self._outputs.shape[1]))
        for block in blocks(program, whole, memory_bytes):
            self._add_or_halve(program, rows, block)

    def compare(self, chooser: Chooser) -> None:
        """Refuse a model whose outputs are not those of the operations that it was seen to compute for one row."""
        _compare(self._outputs, chooser.initial.detach())
        rows, program = self._programs[0]
        few = {name: tensor[:2].clone() for name, tensor in self._background.items()}
        same = rows[:1].expand(min(2, self._size))
        inputs = self._inputs(program, rows[:1])
        found = run_references(program, few, {name: inputs[name] for name in program.contexts})
        _compare(program.outputs(found).flatten(0, -2), chooser(self._call(same, few), same))

    def result(self) -> DeepLift:
        """Return the averages."""
        values = {name: (sums / self._size).movedim(1, -1) for name, sums in self._sums.items()}
        found = DeepLift(values, self._base / self._size, self._outputs)
        reach, gap = _reach(found.outputs - found.base_values), found.gap.abs()
        worst = int(gap.nan_to_num(torch.inf).argmax())
        size = gap.flatten()[worst].item()
        if size <= LARGE_GAP * reach:
            return found
        row, output = divmod(worst, gap.shape[1])
        note = f"The completeness gap is {size:.2g} in row {row}, output {output}: {self._where(row, output)}."
        return DeepLift(found.values, found.base_values, found.outputs, (note,))

    def _add_or_halve(self, program: Program, rows: Tensor, block: Block) -> None:
        try:
            self._add(program, rows, block)
        except Exception as error:
            halves = block.halves()
            if halves is None or not is_out_of_memory(error):
                raise
        else:
            return
        for half in halves:
            self._add_or_halve(program, rows, half)

    def _add(self, program: Program, among: Tensor, block: Block) -> None:
        rows = among[block.rows.start : block.rows.stop]
        inputs = self._inputs(program, rows)
        actual = run_rows(program, inputs)
        context = {name: inputs[name] for name in program.contexts}
        references = self._run_references(program, block.background, context)
        outputs = program.outputs(actual)
        seeds = outputs.new_zeros(len(block.outputs), outputs.shape[-1])
        seeds.diagonal(block.outputs.start).fill_(1)
        found = share_out(program, actual, references, seeds, bool(context))
        expected = program.outputs(references).double().sum(-3).cpu()
        places = torch.arange(self._outputs.shape[1])[_slice(block.outputs)]
        self._outputs[rows[:, None], places] = outputs[:, 0].double().cpu()[:, places]
        self._base[rows[:, None], places] += expected[..., 0, places]
        for name, contributions in found.items():
            self._sums[name][rows[:, None], places] += contributions.sum(1, dtype=torch.float64).squeeze(2).cpu()
        if block.outputs.stop == self._outputs.shape[1]:
            self._advance(len(rows) * len(block.background))

    def _inputs(self, program: Program, rows: Tensor) -> Tensors:
        """What a program takes of some rows, ``[N, ...]``."""
        given = {name: tensor[rows.to(tensor.device)] for name, tensor in self._call.tensors.items()}
        given[ROWS] = rows
        return {name: given[name] for name in (*self._background, *program.contexts)}

    def _run_references(self, program: Program, places: range, context: Tensors) -> Activations:
        if context or self._references[0] != places:
            chosen = {name: tensor[_slice(places)] for name, tensor in self._background.items()}
            self._references = places, run_references(program, chosen, context)
        return self._references[1]

    def _where(self, row: int, output: int) -> str:
        rows = torch.tensor([row])
        program = next(program for rows_of, program in self._programs if row in rows_of.tolist())
        inputs = self._inputs(program, rows) | {ROWS: rows}
        few = {name: tensor[:MOST_REFERENCES] for name, tensor in self._background.items()}
        return where_the_gap_arises(program, inputs, few, output)


def _compare(found: Tensor, expected: Tensor) -> None:
    tolerance = torch.finfo(expected.dtype).eps ** 0.4
    found, expected = found.double().cpu(), expected.double().cpu()
    if not torch.allclose(found, expected, rtol=tolerance, atol=tolerance * _reach(expected), equal_nan=True):
        raise DeepseekError(
            f"The model's outputs differ by {(found - expected).abs().max():.2g} from those of the operations that it "
            "was seen to compute for one row: its rows influence each other (then explain one at a time), or some "
            'of it is computed outside of torch (then use `method="expected_gradients"` or another that only calls it).'
        )


def _slice(places: range) -> slice:
    return slice(places.start, places.stop)


def _reach(distances: Tensor) -> float:
    return float(distances.abs().nan_to_num(0, 0, 0).max())

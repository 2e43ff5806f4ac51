"""DeepLIFT against a real background: every row against every background row."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from deepseek.errors import DeepseekError
from deepseek.explain.call import Call, evaluating
from deepseek.explain.deeplift.gap import where_the_gap_arises
from deepseek.explain.deeplift.memory import Block, blocks, is_out_of_memory
from deepseek.explain.deeplift.pairs import Activations, run_references, run_rows, share_out
from deepseek.explain.deeplift.program import Program, Tensors
from deepseek.explain.deeplift.recorder import NotTraceableError
from deepseek.explain.deeplift.tracing import ROWS, trace
from deepseek.explain.target import Chooser

MEMORY_BYTES = 2**28
"""Limit on the memory for pairs of rows by default."""

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


def deeplift(
    call: Call,
    background: Mapping[str, Tensor],
    chooser: Chooser,
    *,
    memory_bytes: int = MEMORY_BYTES,
    advance: Callable[[int], object] | None = None,
) -> DeepLift:
    """Attribute outputs to inputs by DeepLIFT on the graph of the operations that the model computes.

    Functions of one number have the slope of their secant between row and reference (the Rescale rule), products are
    shared out symmetrically, and what is linear keeps its derivative. The attributions of a row never depend on the
    other rows.

    Args:
        call: The model with the rows to be explained.
        background: By name of the explained inputs, reference rows ``[M, ...]``; every row is compared with each.
        chooser: Takes the ``K`` outputs.
        memory_bytes: About how much memory the pairs of rows that are computed at once may take. It is halved as often
            as the machine has less.
        advance: Called with a number of pairs of row and background row whenever these are done.

    Returns:
        The attributions.

    Raises:
        DeepseekError: The background does not fit the inputs, the model cannot be followed, its rows influence each
            other, or it uses an operation without a rule, which is named.

    Source: Shrikumar, Greenside and Kundaje 2017; the average over a background after Lundberg and Lee 2017.
    """
    with torch.no_grad(), evaluating(call.model):
        references = _checked(call, background)
        work = _Work(call, references, chooser.count, advance or (lambda _pairs: None))
        for rows, program in _programs(call, references, chooser):
            work.explain(program, rows, memory_bytes)
        work.compare(chooser.initial.detach())
        return work.result()


class _Work:
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

    def compare(self, expected: Tensor) -> None:
        """Refuse a model that gives other outputs for a row among others than for the row alone."""
        tolerance = torch.finfo(expected.dtype).eps ** 0.4
        expected = expected.double().cpu()
        if not torch.allclose(
            self._outputs, expected, rtol=tolerance, atol=tolerance * _reach(expected), equal_nan=True
        ):
            raise DeepseekError(
                f"The model gives outputs for a row alone that differ by {(self._outputs - expected).abs().max():.2g} "
                "from those for the row among the others: its rows influence each other. Explain one row at a time."
            )

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
        seeds = torch.eye(outputs.shape[-1], dtype=outputs.dtype, device=outputs.device)[_slice(block.outputs)]
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
        given[ROWS] = rows[:, None]
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


def _programs(call: Call, background: Tensors, chooser: Chooser) -> Iterator[tuple[Tensor, Program]]:
    """Follow the model once; or, where it looks at the numbers in the other inputs, once for rows alike in these."""
    rows = torch.arange(call.rows)
    others = {name: tensor for name, tensor in call.tensors.items() if name not in background}
    varying = {name: tensor for name, tensor in others.items() if not torch.equal(tensor, tensor[:1].expand_as(tensor))}
    fixed = {name: tensor[:1] for name, tensor in others.items() if name not in varying}
    explained = {name: call.tensors[name][:1] for name in background}
    try:
        example = {**explained, **{name: tensor[:1] for name, tensor in varying.items()}, ROWS: rows[:1]}
        yield rows, trace(call, chooser, example, fixed)
    except NotTraceableError:
        if not varying:
            raise
        for group in _alike(varying, call.rows):
            first = {name: tensor[group[:1]] for name, tensor in varying.items()}
            yield group, trace(call, chooser, {**explained, ROWS: group[:1]}, {**fixed, **first})


def _alike(tensors: Tensors, count: int) -> list[Tensor]:
    """Put rows together that are equal in all tensors."""
    groups: dict[bytes, list[int]] = {}
    for row in range(count):
        key = b"".join(
            tensor[row].cpu().contiguous().view(torch.uint8).numpy().tobytes() for tensor in tensors.values()
        )
        groups.setdefault(key, []).append(row)
    return [torch.tensor(group) for group in groups.values()]


def _checked(call: Call, background: Mapping[str, Tensor]) -> Tensors:
    missing = [name for name in call.explained if name not in background]
    if missing:
        raise DeepseekError(
            f"The background needs rows for {', '.join(call.explained)}; {', '.join(missing)} is missing."
        )
    found = {}
    for name in call.explained:
        rows, tensor = background[name], call.tensors[name]
        if rows.dim() == 0 or len(rows) == 0 or rows.shape[1:] != tensor.shape[1:]:
            raise DeepseekError(
                f"Background rows of {name} must be shaped like its rows, {tuple(tensor.shape[1:])}; the background is "
                f"{tuple(rows.shape)}."
            )
        found[name] = rows.detach().to(tensor)
    if len({len(rows) for rows in found.values()}) > 1:
        sizes = ", ".join(f"{name} {len(rows)}" for name, rows in found.items())
        raise DeepseekError(f"All inputs must have the same number of background rows, not {sizes}.")
    return found


def _slice(places: range) -> slice:
    return slice(places.start, places.stop)


def _reach(distances: Tensor) -> float:
    return float(distances.abs().nan_to_num(0, 0, 0).max())

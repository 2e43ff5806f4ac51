"""DeepLIFT against a real background: every row against every background row."""

from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor

from deepseek.explain.call import Call
from deepseek.explain.deeplift.program import Program, Tensors
from deepseek.explain.deeplift.recorder import NotTraceableError
from deepseek.explain.deeplift.tracing import ROWS, trace
from deepseek.explain.deeplift.work import DeepLift, Work
from deepseek.explain.shapley.game import checked_background
from deepseek.explain.target import Chooser
from deepseek.kernels.evaluating import evaluating

MEMORY_BYTES = 2**27
"""Limit on the memory for pairs of rows by default."""


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
        references = checked_background(call, background)
        work = Work(call, references, chooser.count, advance or (lambda _pairs: None))
        for rows, program in programs(call, references, chooser):
            work.explain(program, rows, memory_bytes)
        work.compare(chooser)
        return work.result()


def programs(call: Call, background: Tensors, chooser: Chooser) -> Iterator[tuple[Tensor, Program]]:
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

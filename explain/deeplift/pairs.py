"""A program for one row, run for many rows against many background rows at once."""

from typing import Any

from torch import Tensor
from torch.func import vmap

from deepseek.explain.deeplift.program import Program, Tensors

Activations = dict[str, Any]


def run_rows(program: Program, rows: Tensors) -> Activations:
    """Run a program forward.

    Args:
        program: The program.
        rows: By name of the placeholder, ``[B, ...]``.

    Returns:
        What the rules need, ``[B, 1, ...]``.
    """
    found: Activations = vmap(lambda row: program.forward(_alone(row)))(rows)
    return found


def run_references(program: Program, background: Tensors, context: Tensors) -> Activations:
    """Run a program forward for background rows.

    Args:
        program: The program.
        background: By name of the explained inputs, ``[M, ...]``.
        context: By name of the other ones, ``[B, ...]``; without any, each background row is run just once.

    Returns:
        What the rules need, ``[M, 1, ...]``, or ``[B, M, 1, ...]`` with a context.
    """
    if not context:
        return run_rows(program, background)

    def run(reference: Tensors, row: Tensors) -> Activations:
        return program.forward(_alone({**reference, **row}))

    found: Activations = vmap(vmap(run, (0, None)), (None, 0))(background, context)
    return found


def share_out(program: Program, actual: Activations, references: Activations, seeds: Tensor, per_row: bool) -> Tensors:
    """Share the changes of outputs out to the inputs, for all pairs.

    Args:
        program: The program.
        actual: Of the rows.
        references: Of the background rows.
        seeds: Weights of the outputs, ``[L, K]``.
        per_row: Whether there are references for each row.

    Returns:
        By name of the explained input, the contributions, ``[B, M, L, 1, ...]``.
    """
    outputs = vmap(program.share_out, (None, None, 0))
    pairs = vmap(vmap(outputs, (None, 0, None)), (0, 0 if per_row else None, None))
    found: Tensors = pairs(actual, references, seeds)
    return found


def _alone(row: Tensors) -> Tensors:
    return {name: tensor[None] for name, tensor in row.items()}

"""Where a completeness gap arises."""

import torch
from torch import Tensor
from torch.func import vmap

from deepseek.explain.deeplift.program import Program, Tensors


def where_the_gap_arises(program: Program, row: Tensors, background: Tensors, output: int) -> str:
    """Find the operation whose rule leaves most of a change over.

    What the rules of all operations leave over adds up to the gap.

    Args:
        program: The program.
        row: One row of all inputs, ``[1, ...]``.
        background: The explained inputs of some background rows, ``[M, ...]``.
        output: Which output.

    Returns:
        A sentence that names it.
    """
    actual = program.forward(row, everything=True)
    seed = torch.zeros_like(program.outputs(actual)[0])
    seed[output] = 1

    def residuals(reference: Tensors) -> dict[int, Tensor]:
        found: dict[int, Tensor] = {}
        alone = {name: tensor[None] for name, tensor in reference.items()}
        program.share_out(actual, program.forward({**row, **alone}, everything=True), seed, found)
        return found

    left_over = {place: values.mean().item() for place, values in vmap(residuals)(background).items()}
    broken = [place for place, value in left_over.items() if value != value]
    worst = max(broken) if broken else max(left_over, key=lambda place: abs(left_over[place]))
    return f"{program.operations[worst][0].place} leaves {left_over[worst]:.2g} of it unexplained"

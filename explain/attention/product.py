"""Products of weights with values, as models write them."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Product:
    """A product of weights with values.

    Attributes:
        weights: ``[..., T, S]``.
        values: ``[..., S, D]``, or broadcast to it.
        output: What the model made of them, in its own order of dimensions.
        arrange: Brings the output, or its gradient, into the order ``[..., T, D]``.
        partial: Whether some of each query's weights are for no key, but for a sink that has no value.
    """

    weights: Tensor
    values: Tensor
    output: Tensor
    arrange: Callable[[Tensor], Tensor]
    partial: bool = False


def read_einsum(equation: str, weights: Tensor, values: Tensor, output: Tensor, *, swapped: bool) -> Product | None:
    """Read a product such as ``bhts,bshd->bthd`` of weights with values.

    Args:
        equation: As torch.einsum takes it.
        weights: The operand that descends from a softmax.
        values: The other one.
        output: What was returned.
        swapped: Whether the values came first.

    Returns:
        None where the weights are not summed over their last dimension, or where the equation is not written out.
    """
    left, arrow, out = equation.replace(" ", "").partition("->")
    of_weights, _, of_values = left.partition(",")
    if swapped:
        of_weights, of_values = of_values, of_weights
    width = set(of_values) - set(of_weights)
    *lead, query, key = list(of_weights.rjust(3, "?"))
    fits = arrow and "." not in equation and len(width) == 1 and key in of_values and key not in out
    if not fits or query in of_values or set(out) != {*lead, query, *width}:
        return None
    by_values, by_output = [*lead, key, *width], [*lead, query, *width]
    missing = [letter for letter in lead if letter not in of_values]
    spread = values.permute([of_values.index(letter) for letter in by_values if letter in of_values])
    for letter in missing:
        spread = spread.unsqueeze(lead.index(letter))
    return Product(weights, spread, output, lambda made: made.permute([out.index(letter) for letter in by_output]))

"""What one attention call computed, head by head, and whether what is shown of it is true.

Shapes: ``N`` rows; ``H`` heads; ``T`` queries; ``S`` keys; ``D`` width of a head.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

Weigh = Callable[[Tensor, Tensor], Tensor]
"""Takes the indices of heads and of queries, and returns the weights ``[N, h, t, S]``."""


@dataclass(frozen=True)
class Taken:
    """The weights that were asked for.

    Attributes:
        weights: ``[N, h, t, S]``.
        deviation: Largest difference between weights x values and what the call returned, relative to the largest
            number that it returned.
    """

    weights: Tensor
    deviation: float


class ByHead(Protocol):
    """An attention call, whatever function computed it.

    Attributes:
        shape: ``N, H, T, S``.
        values: ``[N, H, S, D]``.
        output: What the call returned and the model goes on with.
        partial: Whether some of each query's weights are for no key, but for a sink that has no value.
    """

    shape: tuple[int, int, int, int]
    values: Tensor
    output: Tensor
    partial: bool

    def take(self, heads: Tensor, queries: Tensor) -> Taken:
        """Return the weights of some heads and queries, checked against the output."""

    def split(self, gradient: Tensor) -> Tensor:
        """Return ``[N, H, T, D]``: the gradient of weights x values, of the output's gradient."""


class Separate:
    """A call whose output still keeps the heads apart: weights x values.

    Args:
        weigh: Gives the weights.
        values: ``[N, H, S, D]``.
        output: What the call returned.
        split: Brings it, or its gradient, into the shape ``[N, H, T, D]``.
        partial: See ``ByHead``.
    """

    def __init__(
        self,
        weigh: Weigh,
        values: Tensor,
        output: Tensor,
        split: Callable[[Tensor], Tensor],
        *,
        partial: bool = False,
    ) -> None:
        self.values, self.output, self.split, self.partial = values, output, split, partial
        self._weigh = weigh
        rows, heads, queries, _ = split(output).shape
        self.shape = (rows, heads, queries, values.shape[-2])

    def take(self, heads: Tensor, queries: Tensor) -> Taken:
        """Return the weights of some heads and queries, checked against the output."""
        weights = self._weigh(heads, queries)
        expected = self.split(self.output)[:, heads][:, :, queries]
        made = weights.to(wide(weights)) @ self.values[:, heads].to(wide(weights))
        return Taken(weights, deviation(made, expected, weights))


def deviation(made: Tensor, expected: Tensor, weights: Tensor) -> float:
    """Compare ``[..., t, D]``, leaving out the queries that are not allowed to look anywhere.

    Args:
        made: Weights x values.
        expected: The model's own.
        weights: ``[..., t, S]``.
    """
    looks = (weights != 0).any(-1)
    difference = (made - expected.to(made.dtype)).abs().amax(-1)[looks]
    if not difference.numel():
        return 0.0
    largest = expected.abs().amax(-1)[looks].max().item()
    return float(difference.max().item()) / (largest or 1.0)


def normalised(scores: Tensor) -> Tensor:
    """Return the softmax of ``[..., S]``; a query that may not look anywhere has weights of 0, as in torch."""
    nowhere = (scores == -torch.inf).all(-1, keepdim=True)
    return torch.softmax(scores, -1).masked_fill(nowhere, 0.0)


def chosen_of(tensor: Tensor, dimension: int, places: Tensor) -> Tensor:
    """Take some places along a dimension.

    All of them are taken without a copy: products of one round otherwise than those of the model's own tensors, by some
    1e-6 where scores are large.
    """
    every = torch.arange(tensor.shape[dimension], device=places.device)
    return tensor if places.equal(every) else tensor.index_select(dimension, places)


def wide(tensor: Tensor) -> torch.dtype:
    """Return the dtype to compute with: float64 stays, halves become float32."""
    return torch.promote_types(tensor.dtype, torch.float32)


def four_dimensional(tensor: Tensor, rows: int) -> Tensor:
    """Bring ``[..., T, D]`` into the shape ``[N, H, T, D]``.

    Args:
        tensor: With three dimensions these are rows x heads, as batched matrix products take them; what more than four
            begin with are rows.
        rows: Number of rows that the model was called with.
    """
    if tensor.dim() == 3:
        first = len(tensor)
        return tensor.reshape(rows, first // rows, *tensor.shape[1:]) if first % rows == 0 else tensor[:, None]
    return tensor.reshape(-1, *tensor.shape[-3:])

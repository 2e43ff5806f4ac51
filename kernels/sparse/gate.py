"""A gate that decides, for each row of its input, which blocks of a layer compute."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from deepseek.errors import DeepseekError
from deepseek.kernels.sparse.tracing import is_traced


class GateDecision(NamedTuple):
    """What a gate decided in one forward.

    Attributes:
        gates: Gate values between 0 and 1, ``[..., blocks]``.
        threshold: A block is active where its gate exceeds this; a single number.
    """

    gates: Tensor
    threshold: Tensor

    @property
    def active(self) -> Tensor:
        """Which blocks compute, ``[..., blocks]`` bool."""
        return _is_open(self.gates, self.threshold)

    @property
    def margin(self) -> Tensor:
        """By how much each gate exceeds the threshold, ``[..., blocks]``; negative for blocks that are skipped."""
        return self.gates - self.threshold

    @property
    def active_frac(self) -> Tensor:
        """Share of the blocks that are active, ``[B]``: over all positions of each sample."""
        return self.active.double().flatten(1).mean(1)


class SparseGate(nn.Module):
    """Opens the blocks whose gate ``g = sigmoid(W x + b)`` exceeds a threshold.

    In training the decision is passed on with the gradient of ``g`` (straight-through estimator, Bengio et al. 2013,
    section 4); in evaluation it is a plain step. Gates are computed in the precision of their weights, whatever the
    autocast. A gate that was just made opens about half of the blocks.

    Args:
        features: Width of the input.
        blocks: Number of blocks.
        threshold: Between 0 and 1.
        ordered: The active blocks are always the first ones: all blocks share one row of ``W``, and their biases fall.

    Attributes:
        threshold: A buffer, so that it is saved with the weights.
        last: The decision of the last forward outside of tracing and of forced shares, without its graph.
    """

    threshold: Tensor

    def __init__(self, features: int, blocks: int, *, threshold: float = 0.5, ordered: bool = False) -> None:
        super().__init__()
        if not 0 < threshold < 1:
            raise DeepseekError(f"Expected a threshold between 0 and 1, got {threshold}.")
        self.blocks = blocks
        self.ordered = ordered
        self.weight = nn.Parameter(torch.randn(1 if ordered else blocks, features) / features**0.5)
        self.bias = nn.Parameter(torch.zeros(blocks))
        if ordered:
            nn.init.constant_(self.bias[:1], _SPREAD / 2)
            nn.init.constant_(self.bias[1:], _inverse_softplus(_SPREAD / max(blocks - 1, 1)))
        self.register_buffer("threshold", torch.tensor(threshold))
        self.last: GateDecision | None = None
        self.forced: float | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Decide for rows ``[..., features]``.

        Returns:
            ``[..., blocks]`` in the dtype of ``x``: 1 where a block is active, else 0.
        """
        if self.forced is not None:
            return self._first(self.forced, x)
        gates = self.gates(x)
        if not is_traced():
            self.last = GateDecision(gates.detach(), self.threshold)
        open_ = _is_open(gates, self.threshold).to(x.dtype)
        if not self.training:
            return open_
        # The difference is exactly zero: it adds the gradient of the gate and leaves the value alone.
        return open_ + (gates - gates.detach()).to(x.dtype)

    def gates(self, x: Tensor) -> Tensor:
        """Compute the gate values ``[..., blocks]`` of rows ``[..., features]``."""
        if torch.is_autocast_enabled(x.device.type):
            with torch.autocast(x.device.type, enabled=False):
                return self.gates(x)
        x = x.to(self.weight.dtype)
        if self.ordered:
            return torch.sigmoid(functional.linear(x, self.weight) + self._falling())
        return torch.sigmoid(functional.linear(x, self.weight, self.bias))

    @torch.no_grad()
    def open_all(self) -> None:
        """Set the weights so that every block is active for every input, by a margin that lets it be closed again."""
        self.weight.zero_()
        self.bias.copy_(torch.logit(self.threshold) + 2.0)
        if self.ordered:
            self.bias[1:] = _inverse_softplus(1.0 / max(self.blocks - 1, 1))

    def extra_repr(self) -> str:
        """What ``repr`` shows."""
        text = f"{self.weight.shape[1]}, blocks={self.blocks}"
        return f"{text}, ordered=True" if self.ordered else text

    def _falling(self) -> Tensor:
        return torch.cat([self.bias[:1], self.bias[:1] - functional.softplus(self.bias[1:]).cumsum(0)])

    def _first(self, share: float, x: Tensor) -> Tensor:
        mask = torch.arange(self.blocks, device=x.device) < round(share * self.blocks)
        return mask.to(x.dtype).expand(*x.shape[:-1], self.blocks)


def _is_open(gates: Tensor, threshold: Tensor) -> Tensor:
    return ~(gates <= threshold)  # NaN opens every block: it shall be seen in the output


_SPREAD = 2.0
"""Distance of the first from the last bias of a new ordered gate."""


def _inverse_softplus(value: float) -> float:
    return float(torch.tensor(value, dtype=torch.float64).expm1().log())

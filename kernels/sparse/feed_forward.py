"""A transformer MLP whose hidden units compute in blocks, where the input asks for them."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from deepseek.errors import DeepseekError
from deepseek.kernels.sparse.block_paths import PATHS, UNSEEING, Layer, cheapest, saves_natively
from deepseek.kernels.sparse.executor import EXECUTORS
from deepseek.kernels.sparse.gate import SparseGate
from deepseek.kernels.sparse.native_rows import can_run
from deepseek.kernels.sparse.tracing import is_traced

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": functional.gelu,
    "gelu_tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "relu": functional.relu,
    "silu": functional.silu,
    "tanh": torch.tanh,
}


class SparseFeedForward(nn.Module):
    """``y = W2 (m * act(W1 x + b1)) + b2``: units form blocks, and a gate chooses ``m`` for each row.

    In training the whole layer is computed and masked, so that the gates learn; in evaluation only what is active is,
    where that is faster. Gradients with respect to inputs and weights are there in both.

    Args:
        d_model: Width of the input.
        d_hidden: Number of hidden units; a multiple of ``blocks``.
        blocks: Number of blocks.
        threshold: A block computes where its gate exceeds this.
        activation: ``gelu``, ``gelu_tanh``, ``relu``, ``silu`` or ``tanh``.
        d_out: Width of the output; that of the input if None.
        executor: ``auto`` takes the fastest for the numbers of rows; or a name of ``EXECUTORS``.

    Attributes:
        gate: The ``SparseGate``.
        executed: Name of the executor that the last forward took.

    Raises:
        DeepseekError: The sizes do not fit, or a name is unknown.
    """

    def __init__(
        self,
        d_model: int,
        d_hidden: int,
        *,
        blocks: int = 8,
        threshold: float = 0.5,
        activation: str = "gelu",
        d_out: int | None = None,
        executor: str = "auto",
    ) -> None:
        super().__init__()
        _check(d_hidden, blocks, activation, executor)
        self.d_model, self.activation, self.executor = d_model, activation, executor
        self.executed = ""
        self.gate = SparseGate(d_model, blocks, threshold=threshold)
        up, down = nn.Linear(d_model, d_hidden), nn.Linear(d_hidden, d_out or d_model)
        self.up_weight, self.up_bias = up.weight, up.bias
        # Hidden units are rows in both weights, so that a block of either is one piece of memory.
        self.down_weight, self.down_bias = nn.Parameter(down.weight.detach().t().contiguous()), down.bias

    def forward(self, x: Tensor) -> Tensor:
        """Compute ``[..., d_model]`` to ``[..., d_out]``.

        Raises:
            DeepseekError: The last dimension is not ``d_model``.
        """
        if x.shape[-1:] != (self.d_model,):
            raise DeepseekError(f"Expected an input of shape [..., {self.d_model}], got {list(x.shape)}.")
        rows = x.reshape(-1, self.d_model)
        mask = self.gate(x).reshape(-1, self.gate.blocks)
        return self._execute(rows, mask).view(*x.shape[:-1], len(self.down_bias))

    def forward_masked(self, x: Tensor, mask: Tensor) -> Tensor:
        """Compute all units, then mask them with a choice of blocks, ``[..., blocks]``."""
        rows, choice = x.reshape(-1, self.d_model), mask.reshape(-1, mask.shape[-1])
        return PATHS["masked"](self._layer(), rows, choice, []).view(*x.shape[:-1], len(self.down_bias))

    def extra_repr(self) -> str:
        """What ``repr`` shows."""
        sizes = f"{self.d_model}, {len(self.up_weight)}, blocks={self.gate.blocks}, activation={self.activation!r}"
        return f"{sizes}, executed={self.executed!r}" if self.executed else sizes

    def _execute(self, rows: Tensor, mask: Tensor) -> Tensor:
        layer = self._layer()
        if self.training or is_traced():
            return PATHS["masked"](layer, rows, mask, [])
        counts: list[int] = []
        if self.executor == "auto" and not rows.is_cpu:
            name = "masked"
        elif self.executor in UNSEEING:
            name = self.executor
        else:
            counts = mask.count_nonzero(0).tolist()
            name = _fastest(layer, rows, counts) if self.executor == "auto" else self.executor
        if self.executed != name:  # setting an attribute of a module takes longer
            self.executed = name
        return PATHS[name](layer, rows, mask, counts)

    def _layer(self) -> Layer:
        act, blocks = ACTIVATIONS[self.activation], self.gate.blocks
        return Layer(self.up_weight, self.up_bias, self.down_weight, self.down_bias, act, blocks)


def _fastest(layer: Layer, rows: Tensor, counts: list[int]) -> str:
    native = saves_natively(layer, len(rows), counts) and can_run(layer, rows)
    if not native and min(counts) == len(rows):
        return "masked"
    return cheapest(layer, len(rows), counts, native=native)


def _check(d_hidden: int, blocks: int, activation: str, executor: str) -> None:
    if blocks < 1 or d_hidden % blocks:
        raise DeepseekError(f"Expected d_hidden to be a multiple of blocks, got {d_hidden} units in {blocks} blocks.")
    if activation not in ACTIVATIONS:
        raise DeepseekError(f"There is no activation {activation!r}; take one of {', '.join(ACTIVATIONS)}.")
    if executor not in ("auto", *PATHS):
        own = [name for name in EXECUTORS if name in PATHS]
        raise DeepseekError(f"There is no executor {executor!r} for this layer; take one of auto, {', '.join(own)}.")

"""The gates of a model together: what they decided, and how much they shall open."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from deepseek.errors import DeepseekError
from deepseek.kernels.evaluating import evaluating, restored
from deepseek.kernels.sparse.gate import GateDecision, SparseGate


def gates_of(model: nn.Module) -> dict[str, SparseGate]:
    """Give the gates of a model by their qualified names.

    Raises:
        DeepseekError: There is none.
    """
    gates = {name: module for name, module in model.named_modules() if isinstance(module, SparseGate)}
    if not gates:
        raise DeepseekError(
            f"{type(model).__name__} has no sparse gates. Build it with SparseFeedForward or SparseConv2d, "
            "or convert it with deepseek.kernels.sparsify(model)."
        )
    return gates


@contextmanager
def forced_share(model: nn.Module, share: float) -> Iterator[None]:
    """Have every gate open the first so many of its blocks, whatever the input; 1 makes the dense network.

    Args:
        model: A model with gates.
        share: From 0 to 1, rounded to whole blocks.

    Raises:
        DeepseekError: There is no gate, or the share is out of range.
    """
    if not 0 <= share <= 1:
        raise DeepseekError(f"Expected a share from 0 to 1, got {share}.")
    gates = gates_of(model).values()
    with restored(gates, "forced"):
        for gate in gates:
            gate.forced = share
        yield


def call(model: nn.Module, inputs: Any) -> Any:
    """Call a model with a tensor, a tuple (positional) or a mapping (keyword arguments)."""
    if isinstance(inputs, Mapping):
        return model(**inputs)
    return model(*inputs) if isinstance(inputs, tuple) else model(inputs)


def gate_decisions(model: nn.Module, inputs: Any) -> dict[str, GateDecision]:
    """Tell which blocks of each gate some inputs activate in evaluation, and by what margin.

    Args:
        model: A model with gates; its modes and its gradients are left alone.
        inputs: A tensor, a tuple (positional) or a dict (keyword arguments).

    Returns:
        By the qualified name of each gate that was used. Of a gate used several times, the last decision.

    Raises:
        DeepseekError: There is no gate.
    """
    gates = gates_of(model)
    for gate in gates.values():
        gate.last = None
    with evaluating(model), torch.no_grad():
        call(model, inputs)
    return {name: gate.last for name, gate in gates.items() if gate.last is not None}


def active_frac(model: nn.Module, inputs: Any) -> Tensor:
    """Share of the blocks that each sample activates in evaluation, the mean over the gates, ``[B]``.

    Args:
        model: A model with gates.
        inputs: As ``gate_decisions`` takes them.

    Raises:
        DeepseekError: There is no gate, or none was used.
    """
    decisions = gate_decisions(model, inputs).values()
    if not decisions:
        raise DeepseekError(f"No gate of {type(model).__name__} was used by its forward.")
    return torch.stack([decision.active_frac for decision in decisions]).mean(0)


def set_threshold(model: nn.Module, threshold: float) -> None:
    """Give all gates of a model the same threshold.

    Raises:
        DeepseekError: There is no gate.
    """
    for gate in gates_of(model).values():
        gate.threshold = torch.full_like(gate.threshold, threshold)  # decisions of before keep theirs

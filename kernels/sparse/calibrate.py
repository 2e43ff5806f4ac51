"""Finds the threshold at which a model's gates are as active as wanted."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from deepseek.errors import DeepseekError
from deepseek.kernels.sparse.control import active_frac, gates_of

HALVINGS = 12
"""Each halves the interval in which the threshold lies."""


def calibrate_gates(model: nn.Module, inputs: Iterable[Any], *, target: float) -> float:
    """Set one threshold for all gates of a model, so that their mean activation on some inputs is a wanted one.

    Args:
        model: A model with gates; their thresholds are changed.
        inputs: Batches of inputs, each as ``gate_decisions`` takes them; gone through once.
        target: Wanted mean share of active blocks, from 0 to 1.

    Returns:
        The threshold. Where many gates have the same value, the activation jumps over the target there; the threshold
        is then the one whose activation is just above.

    Raises:
        DeepseekError: There are no gates or no inputs, or the target is out of range.
    """
    batches = list(inputs)
    if not batches or not 0 <= target <= 1:
        raise DeepseekError(f"Expected at least one batch and a target from 0 to 1, got {len(batches)} and {target}.")
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        set_threshold(model, middle)
        shares = torch.cat([active_frac(model, batch) for batch in batches])
        low, high = (middle, high) if float(shares.mean()) >= target else (low, middle)
    set_threshold(model, low)
    return low


def set_threshold(model: nn.Module, threshold: float) -> None:
    """Give all gates of a model the same threshold.

    Raises:
        DeepseekError: There is no gate.
    """
    for gate in gates_of(model).values():
        gate.threshold = torch.full_like(gate.threshold, threshold)  # decisions of before keep theirs

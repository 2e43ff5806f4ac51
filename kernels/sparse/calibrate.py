"""Finds the threshold at which a model's gates are as active, or the model as fast, as wanted."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from deepseek.errors import DeepseekError
from deepseek.kernels.sparse.control import active_frac, set_threshold
from deepseek.kernels.sparse.latency import threshold_within

HALVINGS = 12
"""Each halves the interval in which the threshold lies."""


def calibrate_gates(
    model: nn.Module, inputs: Iterable[Any], *, target: float | None = None, latency_ms: float | None = None
) -> float:
    """Set one threshold for all gates of a model, by their mean activation on some inputs or by the time it takes.

    Args:
        model: A model with gates; their thresholds are changed.
        inputs: Batches of inputs, each as ``gate_decisions`` takes them; gone through once.
        target: Wanted mean share of active blocks, from 0 to 1.
        latency_ms: Or the longest mean time of a forward, in milliseconds, for batches of these sizes on this device:
            measured at a few thresholds, interpolated between them. The more blocks the better within it.

    Returns:
        The threshold. Where many gates have the same value, the activation jumps over the target there; the threshold
        is then the one whose activation is just above.

    Raises:
        DeepseekError: There are no gates or no inputs, the target is out of range, or no threshold is fast enough; the
            thresholds are then as before.
    """
    batches = list(inputs)
    if not batches or not 0 <= (target or 0) <= 1:
        raise DeepseekError(f"Expected at least one batch and a target from 0 to 1, got {len(batches)} and {target}.")
    if target is not None and latency_ms is None:
        threshold = _threshold_at(model, batches, target)
    elif latency_ms is not None and target is None:
        threshold = threshold_within(model, batches, latency_ms)
    else:
        raise DeepseekError(f"Expected either target or latency_ms, got {target} and {latency_ms}.")
    set_threshold(model, threshold)
    return threshold


def _threshold_at(model: nn.Module, batches: list[Any], target: float) -> float:
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        set_threshold(model, middle)
        shares = torch.cat([active_frac(model, batch) for batch in batches])
        low, high = (middle, high) if float(shares.mean()) >= target else (low, middle)
    return low

"""Finds the threshold at which a model with gates takes as long as it may."""

import time
from collections.abc import Sequence
from itertools import accumulate
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from deepseek.errors import DeepseekError
from deepseek.kernels.evaluating import evaluating
from deepseek.kernels.sparse.control import call, gate_decisions, gates_of, set_threshold

LEVELS = 9
"""Thresholds at which the time is taken; what lies between them is interpolated."""

ROUNDS = 7
"""How often it is taken at each; the median counts. One more round comes first and is thrown away."""


def threshold_within(model: nn.Module, batches: Sequence[Any], latency_ms: float) -> float:
    """Find the lowest threshold at which a forward in evaluation takes no longer than it may, on this device, now.

    The time is taken where all blocks are open, none, and at seven thresholds that lie evenly among the values of the
    gates; all of them in turn, so that what else the machine does falls on all alike. Where a higher threshold took
    longer than a lower one, the shorter time counts for both.

    Args:
        model: A model with gates; its thresholds are afterwards as they were.
        batches: Inputs, each as ``gate_decisions`` takes them, of the sizes that shall be that fast; at least one.
        latency_ms: Longest mean time of a forward over the batches, in milliseconds.

    Raises:
        DeepseekError: No threshold makes the model that fast, or there is no gate.
    """
    values = _gate_values(model, batches)
    places = torch.linspace(0, len(values) - 1, LEVELS).round().long()
    levels: list[float] = values[places].tolist()
    times = [*accumulate(_milliseconds(model, batches, levels), min)]
    place = next((place for place, needed in enumerate(times) if needed <= latency_ms), None)
    if place is None:
        raise DeepseekError(
            f"Expected a latency_ms of at least {times[-1]:.3g}, got {latency_ms:g}: depending on its gates this model "
            f"takes {times[-1]:.3g} to {times[0]:.3g} ms a forward here. Allow more, or give smaller batches."
        )
    if place == 0:
        return levels[0]
    slower, faster = times[place - 1], times[place]
    between = (place - 1 + (slower - latency_ms) / (slower - faster)) / (LEVELS - 1)
    return float(values[round(between * (len(values) - 1))])


def _gate_values(model: nn.Module, batches: Sequence[Any]) -> Tensor:
    """Sorted values of all gates, between the threshold that opens everything and the one that closes everything."""
    gates = [decision.gates.flatten() for batch in batches for decision in gate_decisions(model, batch).values()]
    return torch.cat([torch.zeros(1), *(values.float().cpu() for values in gates), torch.ones(1)]).sort().values


def _milliseconds(model: nn.Module, batches: Sequence[Any], levels: Sequence[float]) -> list[float]:
    """Mean time of a forward at each threshold."""
    gates = list(gates_of(model).values())
    before = [gate.threshold for gate in gates]
    times: list[list[float]] = [[] for _ in levels]
    try:
        with evaluating(model), torch.no_grad():
            for _ in range(ROUNDS + 1):
                for level, own in zip(levels, times, strict=True):
                    set_threshold(model, level)
                    own.append(_seconds(model, batches, gates[0].weight.device))
    finally:
        for gate, threshold in zip(gates, before, strict=True):
            gate.threshold = threshold
    return [1e3 * median(own[1:]) / len(batches) for own in times]


def _seconds(model: nn.Module, batches: Sequence[Any], device: torch.device) -> float:
    _wait(device)
    started = time.perf_counter()
    for batch in batches:
        call(model, batch)
    _wait(device)
    return time.perf_counter() - started


def _wait(device: torch.device) -> None:
    if device.type != "cpu":
        torch.accelerator.synchronize(device)

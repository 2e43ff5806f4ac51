"""Finds the threshold at which a model with gates takes as long as it may."""

import time
from collections.abc import Sequence
from itertools import accumulate
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from deepseek.errors import DeepseekError
from deepseek.kernels.evaluating import evaluating, restored
from deepseek.kernels.sparse.control import call, gate_decisions, gates_of, set_threshold

LEVELS, ZOOMS = 6, 2
"""Thresholds at which the time is taken, and how often between the two where it passes the limit; the rest is
interpolated."""

ROUNDS = 7
"""How often it is taken at each; the median counts. One more round comes first and is thrown away."""


def threshold_within(model: nn.Module, batches: Sequence[Any], latency_ms: float) -> float:
    """Find the lowest threshold at which a forward in evaluation takes no longer than it may, on this device, now.

    The time is taken where all blocks are open, where none is, and at thresholds that lie evenly among the values of
    the gates between them; all of them in turn, so that what else the machine does falls on all alike. Where a higher
    threshold took longer than a lower one, the shorter time counts for both.

    Args:
        model: A model with gates; its thresholds are afterwards as they were.
        batches: Inputs, each as ``gate_decisions`` takes them, of the sizes that shall be that fast; at least one.
        latency_ms: Longest mean time of a forward over the batches, in milliseconds.

    Raises:
        DeepseekError: No threshold makes the model that fast, or there is no gate.
    """
    values = _gate_values(model, batches)
    first, last = 0.0, len(values) - 1.0
    for zoom in range(ZOOMS):
        places = torch.linspace(first, last, LEVELS, dtype=torch.float64).tolist()
        levels = [float(values[round(place)]) for place in places]
        times = [*accumulate(_milliseconds(model, batches, levels), min)]
        if times[-1] > latency_ms and not zoom:
            raise _too_short(latency_ms, times)
        within = next((index for index, needed in enumerate(times) if needed <= latency_ms), LEVELS - 1)
        if within == 0:
            return levels[0]
        first, last = places[within - 1 : within + 1]
    slower, faster = times[within - 1 : within + 1]
    part = (slower - latency_ms) / (slower - faster) if slower > latency_ms > faster else 1.0
    return float(values[round(first + part * (last - first))])


def _too_short(latency_ms: float, times: list[float]) -> DeepseekError:
    return DeepseekError(
        f"Expected a latency_ms of at least {times[-1]:.3g}, got {latency_ms:g}: depending on its gates this model "
        f"takes {times[-1]:.3g} to {times[0]:.3g} ms a forward here. Allow more, or give smaller batches."
    )


def _gate_values(model: nn.Module, batches: Sequence[Any]) -> Tensor:
    """Sorted values of all gates, between the threshold that opens everything and the one that closes everything."""
    gates = [decision.gates.flatten() for batch in batches for decision in gate_decisions(model, batch).values()]
    return torch.cat([torch.zeros(1), *(values.float().cpu() for values in gates), torch.ones(1)]).sort().values


def _milliseconds(model: nn.Module, batches: Sequence[Any], levels: Sequence[float]) -> list[float]:
    """Mean time of a forward at each threshold."""
    gates = list(gates_of(model).values())
    times: list[list[float]] = [[] for _ in levels]
    with evaluating(model), restored(gates, "threshold"), torch.no_grad():
        for _ in range(ROUNDS + 1):
            for level, own in zip(levels, times, strict=True):
                set_threshold(model, level)
                own.append(_seconds(model, batches, gates[0].weight.device))
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

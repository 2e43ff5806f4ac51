"""What watching costs, measured from the times of steps."""

from collections.abc import Iterable
from math import isnan
from statistics import median, quantiles
from typing import NamedTuple

from deepseek.inspector.recording import Overhead

MEASURED_STEPS = 100
"""Number of past steps that a measurement looks at."""

_FEWEST = 5


class Timing(NamedTuple):
    """Duration of a step, the inspector's part of it, and whether the step was observed."""

    wall_ms: float
    inspector_ms: float
    observed: bool


def steps_per_second(timings: Iterable[Timing]) -> float:
    """Steps per second over the newest 20 steps; NaN without a timed one."""
    walls = [timing.wall_ms for timing in timings if not isnan(timing.wall_ms)][-20:]
    return 1e3 * len(walls) / max(sum(walls), 1e-9) if walls else float("nan")


def measure_overhead(timings: Iterable[Timing]) -> Overhead | None:
    """Estimate which share of the step time the inspector costs, from the newest ``MEASURED_STEPS`` steps.

    Observed and unobserved steps of the same run are compared where there are at least five of each; otherwise the
    time spent inside the probes is related to the rest of the step. None with fewer than five steps.
    """
    known = [timing for timing in timings if not isnan(timing.wall_ms)][-MEASURED_STEPS:]
    observed = [timing for timing in known if timing.observed]
    bare = [timing for timing in known if not timing.observed]
    if len(known) < _FEWEST or not observed:
        return None
    share_observed = len(observed) / len(known)
    interleaved = min(len(bare), len(observed)) >= _FEWEST
    if interleaved:
        base = max(median(timing.wall_ms - timing.inspector_ms for timing in bare), 1e-9)
        always = median(timing.inspector_ms for timing in bare)
        costs = [timing.wall_ms - base for timing in observed]
    else:
        base = max(median(timing.wall_ms - timing.inspector_ms for timing in known), 1e-9)
        always = median(timing.inspector_ms for timing in bare) if bare else 0.0
        costs = [timing.inspector_ms for timing in observed]
    spread = quantiles(costs, n=4) if len(costs) > 1 else costs * 3
    low, middle, high = ((max(cost, 0.0) * share_observed + always * (1 - share_observed)) / base for cost in spread)
    return Overhead(middle, low, high, "interleaved" if interleaved else "self-timed")

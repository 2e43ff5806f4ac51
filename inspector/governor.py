"""Decides which steps are observed, so that observing stays within its budget."""

from collections import deque
from collections.abc import Iterable
from math import ceil, isnan
from statistics import median, quantiles
from typing import NamedTuple

from deepseek.inspector.recording import Overhead

WINDOW = 100
"""Number of past steps that measurements of cost look at."""

FIRST_STEPS = 5
"""Steps at the start of a run that are observed whatever they cost: most faults show there, and rules need a few."""

_MAX_CADENCE = 1000
_FEWEST = 5


class Timing(NamedTuple):
    """Duration of a step, the inspector's part of it, and whether the step was observed."""

    wall_ms: float
    inspector_ms: float
    observed: bool


class Governor:
    """Measures what an observed step costs and spreads observations out until their share fits the budget.

    Args:
        budget: Largest share of step time that the inspector may cost (0.05 = 5 %).
        every: Observe each ``every``-th step instead, whatever it costs.
    """

    def __init__(self, budget: float, every: int | None) -> None:
        self._budget = budget
        self._every = every
        self._cadence = every or 1
        self._timings: deque[Timing] = deque(maxlen=WINDOW)
        self._costs: deque[float] = deque(maxlen=_FEWEST)
        self._since_observed = 0
        self._steps = 0

    def add(self, timing: Timing) -> None:
        """Account for a finished step."""
        self._steps += 1
        self._since_observed = 1 if timing.observed else self._since_observed + 1
        if isnan(timing.wall_ms):
            return
        self._timings.append(timing)
        if timing.observed:
            self._costs.append(timing.inspector_ms)
        if self._every is None and self._costs:
            bare = median(past.wall_ms - past.inspector_ms for past in self._timings)
            affordable = self._budget * max(bare, 1e-6)
            self._cadence = min(max(ceil(median(self._costs) / affordable), 1), _MAX_CADENCE)

    def observe_next(self) -> bool:
        """Whether the next step should be observed."""
        starting = self._every is None and self._steps < FIRST_STEPS
        return starting or self._since_observed >= self._cadence

    @property
    def steps_per_second(self) -> float:
        """Over the newest 20 steps; NaN before the second one."""
        return steps_per_second(self._timings)

    @property
    def overhead(self) -> Overhead | None:
        """The measured share of the step time, once there is enough to measure."""
        return measure_overhead(self._timings)


def steps_per_second(timings: Iterable[Timing]) -> float:
    """Steps per second over the newest 20 steps; NaN without a timed one."""
    walls = [timing.wall_ms for timing in timings if not isnan(timing.wall_ms)][-20:]
    return 1e3 * len(walls) / max(sum(walls), 1e-9) if walls else float("nan")


def measure_overhead(timings: Iterable[Timing]) -> Overhead | None:
    """Estimate which share of the step time the inspector costs, from the newest ``WINDOW`` steps.

    Observed and unobserved steps of the same run are compared where there are at least five of each; otherwise the
    time spent inside the probes is related to the rest of the step. None with fewer than five steps.
    """
    known = [timing for timing in timings if not isnan(timing.wall_ms)][-WINDOW:]
    observed = [timing for timing in known if timing.observed]
    bare = [timing.wall_ms for timing in known if not timing.observed]
    if len(observed) < _FEWEST:
        return None
    share_observed = len(observed) / len(known)
    if len(bare) >= _FEWEST:
        base = max(median(bare), 1e-9)
        costs = [timing.wall_ms - base for timing in observed]
    else:
        base = max(median(timing.wall_ms - timing.inspector_ms for timing in known), 1e-9)
        costs = [timing.inspector_ms for timing in observed]
    low, middle, high = (max(cost, 0.0) / base * share_observed for cost in quantiles(costs, n=4))
    return Overhead(middle, low, high, "interleaved" if len(bare) >= _FEWEST else "self-timed")

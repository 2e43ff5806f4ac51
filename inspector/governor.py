"""Decides what is observed in which step, so that observing stays within its budget."""

from collections import deque
from collections.abc import Iterable, Mapping
from math import ceil, isnan
from statistics import median
from typing import NamedTuple

from deepseek.inspector.overhead import MEASURED_STEPS, Timing, measure_overhead, steps_per_second
from deepseek.inspector.recorder import Group
from deepseek.inspector.recording import Overhead

WINDOW = 50
"""Over any so many steps in a row the cost stays within the budget, the first step, of unknown duration, apart."""

FIRST_STEPS = 5
"""Steps at the start of a run that are observed as soon as the window has room: most faults show there."""

BURST_EVERY = 10
"""Functions are observed in at most one of so many observed steps."""

MAX_PASSES = 64
"""Forwards without gradients of one phase that are observed within one training step."""

_COLD = 2.0
"""What code at the end of a step costs, relative to the time inside it: it finds the caches cold and leaves them so."""

_PLANNED = 0.5
"""Share of the budget that is planned with; the rest is for what cannot be measured from inside."""

_NOTHING: frozenset[Group] = frozenset()
_LONGEST_PAUSE = 5 * WINDOW
"""Steps after which a group is observed even if what every step costs leaves nothing for it: of the five groups there
are, one in each window."""

_REFRESH_EVERY = 50
_MAX_CADENCE = 1000
_LARGEST_FACTOR = 3.0
_FEWEST_COMPARED = 10


class Governor:
    """Measures what each group of probes costs and gives each a cadence, so that their sum fits the budget.

    The time inside the probes is corrected for what they cost elsewhere (caches, the worker's thread): by comparing
    observed with unobserved steps of this run, and by the CPU time of the worker. A ledger of the last steps then
    guards the promise: a group is observed only if the window would still be within the budget.

    Args:
        budget: Largest share of step time that the inspector may cost (0.05 = 5 %).
        every: Observe each ``every``-th step instead, whatever it costs.
        groups: The groups of probes there are.

    Attributes:
        next_due: Number of the first step for which it is worth asking what to observe.
    """

    def __init__(self, budget: float, every: int | None, groups: Iterable[Group]) -> None:
        self._budget = _PLANNED * budget
        self._every = every
        self._last: dict[Group, int] = dict.fromkeys(groups, -_MAX_CADENCE)
        self._costs: dict[Group, deque[float]] = {group: deque(maxlen=5) for group in ("boundary", "norm", *self._last)}
        self._timings: deque[Timing] = deque(maxlen=MEASURED_STEPS)
        self._background: deque[float] = deque(maxlen=MEASURED_STEPS)
        self._ledger: deque[float] = deque(maxlen=WINDOW - 1)
        self._steps = 0
        self.next_due = 0
        self._alarmed = -WINDOW
        self._estimate = _Estimate(0.0, 0.0, 1, 1.0, {}, {})

    def add(
        self, step: int, timing: Timing, spent: Mapping[Group, float], groups: Iterable[Group], background_ms: float
    ) -> None:
        """Account for a finished step.

        Args:
            step: Its number. Those between it and the one before were not watched and count for no cadence.
            timing: Its duration; NaN for the first one, and for the first one after a pause.
            spent: Milliseconds spent by each group of probes.
            groups: The groups that were observed.
            background_ms: CPU time that the worker used meanwhile.
        """
        if unwatched := step - self._steps:
            self._last = {group: last + unwatched for group, last in self._last.items()}
        for group in groups:
            self._last[group] = step
            self._costs[group].append(spent.get(group, 0.0))
        self._steps = step + 1
        boundary = spent.get("boundary", 0.0)
        self._costs["boundary"].append(boundary)
        if "norm" in spent:
            self._costs["norm"].append(spent["norm"])
        if step:
            asked_for = spent.get("detail", 0.0)
            probes = self._estimate.outside * (timing.inspector_ms - boundary - asked_for)
            self._ledger.append(_COLD * boundary + probes + background_ms)
            self._background.append(background_ms)
        if isnan(timing.wall_ms):
            return
        self._timings.append(timing)
        if self._every is None and (self._steps < 3 * FIRST_STEPS or self._steps % _REFRESH_EVERY == 0):
            self._estimate = self._new_estimate()

    def next_groups(self) -> frozenset[Group]:
        """Say what the next step should observe."""
        self.next_due = self._steps + 1
        if self._every is not None:
            return self._by_number(self._every)
        if self._steps in (0, self._alarmed):
            return frozenset(self._last)
        if not self._timings:
            return _NOTHING
        return self._within_budget()

    def alarm(self) -> None:
        """Have everything observed in the next step, whatever it costs, but not more than once in a window."""
        if self._steps - self._alarmed > WINDOW:
            self._alarmed = self._steps

    @property
    def norm_cadence(self) -> int:
        """Steps from one norm of all gradients to the next: each affords one, unless half the budget is too little."""
        return self._estimate.norm_cadence

    @property
    def steps_per_second(self) -> float:
        """Over the newest 20 steps; NaN before the second one."""
        return steps_per_second(self._timings)

    @property
    def overhead(self) -> Overhead | None:
        """The measured share of the step time, once there is enough to measure."""
        return measure_overhead(self._timings)

    def _by_number(self, every: int) -> frozenset[Group]:
        if self._steps % every:
            self.next_due = self._steps + every - self._steps % every
            return _NOTHING
        burst = self._steps // every % BURST_EVERY == 0
        return frozenset(group for group in self._last if burst or group != "function")

    def _within_budget(self) -> frozenset[Group]:
        estimate = self._estimate
        since = {group: self._steps - last for group, last in self._last.items()}
        starting = self._steps < FIRST_STEPS
        due = [
            group
            for group, cadence in estimate.cadences.items()
            if starting or since[group] >= min(cadence, _LONGEST_PAUSE)
        ]
        if not due:
            longest = (last + min(estimate.cadences[group], _LONGEST_PAUSE) for group, last in self._last.items())
            self.next_due = min(longest, default=0)
            return _NOTHING
        reserved = estimate.always_ms * (WINDOW - len(self._ledger))
        room = self._budget * estimate.bare_ms * WINDOW - sum(self._ledger) - reserved
        overdue_apart = min(since.values()) >= _LONGEST_PAUSE // len(since)
        chosen: set[Group] = set()
        for group in sorted(due, key=lambda group: -since[group] / estimate.cadences[group]):
            overdue = since[group] >= _LONGEST_PAUSE and overdue_apart and not chosen
            if (overdue or estimate.costs[group] <= room) and not (group == "function" and since[group] < BURST_EVERY):
                chosen.add(group)
                room -= estimate.costs[group]
        if not chosen:
            self.next_due = self._steps + self._steps_until(min(estimate.costs[group] for group in due) - room)
        return frozenset(chosen)

    def _steps_until(self, lacking: float) -> int:
        """In how many steps so many milliseconds have left the window, when nothing is observed meanwhile."""
        for steps, leaving in enumerate(self._ledger, 1):
            lacking -= leaving - self._estimate.always_ms
            if lacking <= 0:
                return steps
        return WINDOW

    def _new_estimate(self) -> "_Estimate":
        bare = median(timing.wall_ms - timing.inspector_ms for timing in self._timings)
        boundary, norm = _COLD * _typical(self._costs["boundary"]), _typical(self._costs["norm"])
        allowed = self._budget * bare
        norm_cadence = _cadence(norm, max(allowed / 2 - boundary, allowed / 8))
        always, outside = boundary + norm / norm_cadence, self._outside()
        inside = sum(timing.inspector_ms for timing in self._timings)
        behind = sum(self._background) / inside if inside > 0 else 0.0
        factor = min(max(1.0 + behind, outside), _LARGEST_FACTOR)
        # A measurement grows old, so that one that was unlucky does not shut a group out for ever.
        costs = {
            group: factor * _typical(self._costs[group]) * 0.5 ** ((self._steps - last) // _LONGEST_PAUSE)
            for group, last in self._last.items()
        }
        return _Estimate(bare, always, norm_cadence, outside, costs, _cadences(costs, allowed - always))

    def _outside(self) -> float:
        """Difference between observed and unobserved steps, relative to the time inside the probes."""
        observed = [timing for timing in self._timings if timing.observed]
        bare = [timing.wall_ms - timing.inspector_ms for timing in self._timings if not timing.observed]
        if min(len(observed), len(bare)) < _FEWEST_COMPARED:
            return 1.0
        base, inside = median(bare), median(timing.inspector_ms for timing in observed)
        ratio = median(timing.wall_ms - base for timing in observed) / max(inside, 1e-9)
        return min(max(ratio, 1.0), _LARGEST_FACTOR)


class _Estimate(NamedTuple):
    """What is known about costs.

    Attributes:
        bare_ms: Duration of a step without the inspector.
        always_ms: What the inspector costs on every step.
        norm_cadence: Steps from one measurement of the norm of all gradients to the next.
        outside: How much longer an observed step takes than the time inside the probes says, as a factor.
        costs: What observing each group costs, in milliseconds, everything included.
        cadences: Steps from one observation of a group to the next.
    """

    bare_ms: float
    always_ms: float
    norm_cadence: int
    outside: float
    costs: Mapping[Group, float]
    cadences: Mapping[Group, int]


class PassGovernor:
    """Decides which forwards of one phase without gradients (evaluation, generation) are observed.

    Args:
        budget: Largest share of their time that the inspector may cost.
        every: Observe each ``every``-th instead, whatever it costs.
    """

    def __init__(self, budget: float, every: int | None) -> None:
        self._budget = _PLANNED * budget
        self._every = every
        self._bare: deque[float] = deque(maxlen=MEASURED_STEPS)
        self._costs: deque[float] = deque(maxlen=5)
        self._since = _MAX_CADENCE
        self._observed = 0

    def add(self, wall_ms: float, inspector_ms: float, *, observed: bool) -> None:
        """Account for a finished forward."""
        self._bare.append(wall_ms - inspector_ms)
        self._since = 1 if observed else self._since + 1
        if observed:
            self._costs.append(inspector_ms)
            self._observed += 1

    def end_step(self) -> None:
        """Begin to count anew, because a training step has ended."""
        self._observed = 0

    def observe_next(self) -> bool:
        """Whether the next forward should be observed."""
        if self._observed >= MAX_PASSES:
            return False
        if self._every is not None:
            return self._since >= self._every
        if not self._costs:
            return True
        return self._since >= _cadence(_typical(self._costs), self._budget * median(self._bare))


def _cadences(costs: Mapping[Group, float], allowed: float) -> dict[Group, int]:
    """Share out the allowed cost of a step: all groups alike, and what the cheap ones leave goes to the others."""
    cadences: dict[Group, int] = {}
    left = max(allowed, 1e-9)
    for place, group in enumerate(sorted(costs, key=lambda group: costs[group])):
        share = left / (len(costs) - place)
        cadences[group] = _cadence(costs[group], share)
        left = max(left - costs[group] / cadences[group], 1e-9)
    return cadences


def _cadence(cost: float, allowed: float) -> int:
    return min(max(ceil(cost / max(allowed, 1e-9)), 1), _MAX_CADENCE)


def _typical(costs: deque[float]) -> float:
    """The median; at first the smallest, because the very first observation finds everything cold."""
    if len(costs) < 3:
        return min(costs, default=0.0)
    return median(costs)

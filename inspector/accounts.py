"""Finished steps on their way to the worker, and the books that the governor is given."""

import math
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import NamedTuple, TypeVar

from deepseek.inspector.governor import Governor
from deepseek.inspector.graph import ModuleGraph
from deepseek.inspector.overhead import Timing
from deepseek.inspector.record import Event, Layout, Site, TensorKind
from deepseek.inspector.recorder import Group, Recorder, Row, Units
from deepseek.kernels.summary import HostCopy, Transfer

Step = TypeVar("Step")
_SETTLE_EVERY_S = 0.1


@dataclass(slots=True)
class PendingStep:
    """A finished step whose numbers may still be on their way from the accelerator."""

    step: int
    time: float
    wall_ms: float
    inspector_ms: float
    observed: bool
    rows: dict[TensorKind, list[Row]] = field(default_factory=dict)
    transfer: Transfer | None = None
    sites: tuple[Site, ...] = ()
    layouts: tuple[Layout, ...] = ()
    scalars: dict[str, float | HostCopy] = field(default_factory=dict)
    units: Sequence[Units] = ()
    events: tuple[Event, ...] = ()
    gradient_norm: float | HostCopy = math.nan
    graph: ModuleGraph | None = None


class BareStep(NamedTuple):
    """What is known of every step; of one in which nothing was observed it is all."""

    step: int
    time: float
    wall_ms: float
    gradient_norm: float | HostCopy
    scalars: dict[str, float | HostCopy]


class Accounts:
    """Keeps finished steps back until values logged after them are in, and tells the governor what they cost.

    Of steps in which nothing was observed only a tuple is kept at first; their accounts are made for many at once,
    because every line of code at the end of a step finds the processor's caches cold.

    Args:
        recorder: Knows the time spent inside the inspector.
        governor: Is told what each step took.
        emit: Takes each finished step.
        background_ns: CPU time that the worker has used so far.
    """

    def __init__(
        self,
        recorder: Recorder,
        governor: Governor,
        emit: Callable[[PendingStep], None],
        background_ns: Callable[[], int],
    ) -> None:
        self._recorder = recorder
        self._governor = governor
        self._emit = emit
        self._background_ns = background_ns
        self._background_seen = background_ns()
        self._bare: deque[BareStep] = deque()
        self._newest: deque[PendingStep] = deque()
        self._settled_at = perf_counter()

    def note(self, bare: BareStep) -> bool:
        """Keep a step in which nothing was observed; return whether it is time to settle the accounts."""
        self._bare.append(bare)
        norm = bare.gradient_norm
        if norm is math.inf or bare.step + 1 >= self._governor.next_due:
            return True
        return perf_counter() - self._settled_at > _SETTLE_EVERY_S

    def add(self, pending: PendingStep, groups: Collection[Group]) -> None:
        """Keep a step in which something was observed and settle the accounts."""
        self._settle((*self._take_bare(), pending), groups)

    def settle(self) -> None:
        """Tell the governor of all steps so far and emit them, all but the newest."""
        self._settle(self._take_bare(), ())

    def log(self, scalars: dict[str, float | HostCopy]) -> bool:
        """Add named values to the newest step; return whether there is one."""
        newest = self._bare or self._newest
        if newest:
            newest[-1].scalars.update(scalars)
        return bool(newest)

    def forget_background(self) -> None:
        """Leave out what the worker has used so far: no step went on meanwhile."""
        self._background_seen = self._background_ns()

    def release(self) -> None:
        """Emit everything."""
        for pending in (*_drain(self._newest), *self._take_bare()):
            self._emit(pending)

    def _take_bare(self) -> list[PendingStep]:
        return [
            PendingStep(bare.step, bare.time, bare.wall_ms, 0.0, False, {}, scalars=bare.scalars, gradient_norm=bare[3])
            for bare in _drain(self._bare)
        ]

    def _settle(self, finished: Sequence[PendingStep], groups: Collection[Group]) -> None:
        """Charge the time spent since the last settlement to the finished steps; only the last one was observed."""
        if not finished:
            return
        self._settled_at = perf_counter()
        background_ns = self._background_ns()
        background_ms = (background_ns - self._background_seen) / 1e6 / len(finished)
        self._background_seen = background_ns
        spent = self._recorder.take_spent_ms()
        each: dict[Group, float] = {"boundary": spent.pop("boundary", 0.0) / len(finished)}
        measured = [pending for pending in finished if _is_measured(pending)]
        norm_ms = spent.pop("norm", 0.0) / max(len(measured), 1)
        for pending in finished:
            charged = each | (spent if pending is finished[-1] else {})
            if _is_measured(pending):
                charged["norm"] = norm_ms
            pending.inspector_ms = sum(charged.values())
            observed = groups if pending is finished[-1] else ()
            timing = Timing(pending.wall_ms, pending.inspector_ms, pending.observed)
            self._governor.add(pending.step, timing, charged, observed, background_ms)
        for pending in (*_drain(self._newest), *finished[:-1]):
            self._emit(pending)
        self._newest.append(finished[-1])


def _is_measured(pending: PendingStep) -> bool:
    return isinstance(pending.gradient_norm, HostCopy) or not math.isnan(pending.gradient_norm)


def _drain(steps: deque[Step]) -> list[Step]:
    """Take out everything; another thread may add or take meanwhile."""
    taken = []
    while True:
        try:
            taken.append(steps.popleft())
        except IndexError:
            return taken

"""The thread that stores steps, judges them and tells the views, away from the training thread."""

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Literal, Protocol

from deepseek.inspector.accounts import PendingStep
from deepseek.inspector.detail import Detail
from deepseek.inspector.packing import to_record
from deepseek.inspector.record import Event, Finding, StepRecord
from deepseek.inspector.recorder import Recorder

Listener = Callable[[Sequence[StepRecord]], None]

PACE_S = 0.2
"""Steps are gathered this long, so that files and browsers see at most five batches a second."""

QUEUE_STEPS = 2000
"""Steps that may wait; beyond that the oldest are dropped and counted."""

MAX_FINDINGS = 1000
"""Findings of a run; further ones are not kept, which an event says."""

SLICE_S = 0.001
"""After so much work the worker lets the training thread go first: it would wait 5 ms for the interpreter otherwise."""

REST_S = 0.0001

SLICE_STEPS = 64
SLICE_ROWS = 1000
"""Steps, or rows in them, that are stored together; so many take about as long."""


class Store(Protocol):
    """Where steps are kept."""

    def write(self, records: Sequence[StepRecord]) -> None:
        """Append steps durably."""

    def add_details(self, details: Sequence[Detail]) -> None:
        """Keep closer looks at layers, the newest of each."""

    def add_events(self, events: Sequence[Event]) -> None:
        """Append events to the step written last."""

    def close(self, state: Literal["closed", "interrupted"]) -> None:
        """Finish."""


class Worker:
    """Takes finished steps from the training thread through a bounded queue.

    Args:
        store: Receives every step.
        judge: Maps a step to the findings it gives rise to.
        recorder: Is told about failures.
        on_idle: Called about five times a second.
        on_record: Called with each step after it was judged.

    Attributes:
        dropped: Steps that were lost because the queue was full.
        findings: What the rules have found so far.
        cpu_ns: CPU time that the worker has used so far.
    """

    def __init__(
        self,
        store: Store,
        judge: Callable[[StepRecord], list[Finding]],
        recorder: Recorder,
        on_idle: Callable[[], None],
        on_record: Callable[[StepRecord], None],
    ) -> None:
        self.dropped = 0
        self.findings: list[Finding] = []
        self.cpu_ns = 0
        self._store: Store | None = store
        self._judge: Callable[[StepRecord], list[Finding]] | None = judge
        self._recorder = recorder
        self._on_idle = on_idle
        self._on_record: Callable[[StepRecord], None] | None = on_record
        self._listeners: list[Listener] = []
        self._queue: queue.SimpleQueue[PendingStep] = queue.SimpleQueue()
        self._hurry = threading.Event()
        self._drained = threading.Condition()
        self._busy = False
        self._details: dict[str, Detail] = {}
        self._told: StepRecord | None = None
        self._orphans: deque[PendingStep] = deque()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="deepseek-worker", daemon=True)
        self._thread.start()

    def emit(self, pending: PendingStep) -> None:
        """Queue a step; never blocks. When the queue is full the oldest step is dropped."""
        if self._queue.qsize() >= QUEUE_STEPS:
            try:
                self._orphans.append(self._queue.get_nowait())
                self.dropped += 1
            except queue.Empty:
                pass
        self._queue.put(pending)

    def emit_detail(self, detail: Detail) -> None:
        """Have a closer look at a layer stored and shown; it replaces one of the same layer that still waits."""
        self._details[detail.site] = detail

    def flush(self, timeout_s: float = 10.0) -> None:
        """Wait until every step emitted so far is stored."""
        if threading.current_thread() is self._thread or not self._thread.is_alive():
            return
        self._hurry.set()
        with self._drained:
            self._drained.wait_for(self._is_idle, timeout_s)

    def hurry(self) -> None:
        """Have what is queued stored and shown now; does not wait."""
        self._hurry.set()

    def close(self, state: Literal["closed", "interrupted"], events: Sequence[Event] = ()) -> None:
        """Store what is queued and events that no step follows, tell the listeners that it is over, end the thread."""
        self.flush()
        self._closing = True
        self._hurry.set()
        self._thread.join(timeout=10.0)
        if self._store is not None:
            if events:
                self._guard("writing the run file", self._store.add_events, events)
            self._guard("closing the run file", lambda store: store.close(state), self._store)
            self._store = None
        self._tell([])

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` with each batch; return the function that ends it."""
        self._listeners.append(listener)

        def unsubscribe() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return unsubscribe

    def _run(self) -> None:
        while not self._closing:
            self._hurry.wait(PACE_S)
            self._hurry.clear()
            self._guard("releasing a step", lambda _: self._on_idle(), None)
            self._busy = True
            self._guard("working through the queue", lambda _: self._process(), None)
            self.cpu_ns = time.thread_time_ns()
            with self._drained:
                self._busy = False
                self._drained.notify_all()

    def _take(self) -> Iterator[PendingStep]:
        for _ in range(self._queue.qsize()):
            try:
                yield self._adopt(self._queue.get_nowait())
            except queue.Empty:
                return

    def _adopt(self, pending: PendingStep) -> PendingStep:
        """Give a step the new sites, layouts and graph of those dropped before it."""
        while self._orphans:
            orphan = self._orphans.popleft()
            pending.sites = tuple(sorted(orphan.sites + pending.sites, key=lambda site: site.id))
            pending.layouts = tuple(sorted(orphan.layouts + pending.layouts, key=lambda layout: layout.id))
            pending.graph = pending.graph or orphan.graph
        return pending

    def _process(self) -> None:
        records = []
        for part in self._slices():
            if self._store and not self._guard("writing the run file", self._store.write, part):
                self._store = None
            records += part
        details = self._take_details()
        if details and self._store:
            self._guard("keeping closer looks at layers", self._store.add_details, details)
        # A closer look that no new step goes with, as in a pause, is told with the newest step once more.
        if details and not records and self._told is not None:
            records = [self._told]
        if records:
            self._told = replace(records[-1], details=())
            records[-1] = replace(records[-1], details=details)
            self._tell(records)
        if not self._queue.empty():
            self._hurry.set()

    def _is_idle(self) -> bool:
        return self._queue.empty() and not self._busy and not self._details

    def _take_details(self) -> tuple[Detail, ...]:
        """Take the closer looks that wait; the thread that trains may add some meanwhile."""
        taken = []
        while self._details:
            taken.append(self._details.pop(next(iter(self._details))))
        return tuple(taken)

    def _slices(self) -> Iterator[list[StepRecord]]:
        """Yield what has been queued by now, as much at a time as takes little to store, and rest in between."""
        part: list[StepRecord] = []
        rows = 0
        until = time.perf_counter() + SLICE_S
        for pending in self._take():
            if (record := self._record(pending)) is not None:
                part.append(record)
                rows += sum(map(len, record.frames.values()))
            if len(part) >= SLICE_STEPS or rows >= SLICE_ROWS:
                yield part
                part, rows = [], 0
            if time.perf_counter() > until:
                time.sleep(REST_S)
                until = time.perf_counter() + SLICE_S
        if part:
            yield part

    def _record(self, pending: PendingStep) -> StepRecord | None:
        try:
            record = to_record(pending)
        except Exception as error:  # noqa: BLE001 - one bad step must not end the recording
            self._recorder.failed("packing a step", error)
            return None
        record = self._judged(record)
        if self._on_record is not None and not self._guard("watching for breakpoints", self._on_record, record):
            self._on_record = None
        return record

    def _judged(self, record: StepRecord) -> StepRecord:
        if self._judge is None:
            return record
        try:
            found = self._judge(record)
        except Exception as error:  # noqa: BLE001 - a failing rule must not end the recording
            self._recorder.failed("judging", error)
            self._judge = None
            return record
        if not found:
            return record
        kept = found[: MAX_FINDINGS - len(self.findings)]
        self.findings += kept
        events = record.events
        if len(kept) < len(found):
            events += (Event("findings_full", {"limit": float(MAX_FINDINGS), "lost": float(len(found) - len(kept))}),)
        return replace(record, findings=tuple(kept), events=events)

    def _tell(self, records: Sequence[StepRecord]) -> None:
        for listener in list(self._listeners):
            if not self._guard("a live view", listener, records):
                self._listeners.remove(listener)

    def _guard(self, part: str, action: Callable[[Any], None], argument: Any) -> bool:
        try:
            action(argument)
        except Exception as error:  # noqa: BLE001 - the part that failed is switched off by the caller
            self._recorder.failed(part, error)
            return False
        return True

"""From a recording to the messages that show it."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from deepseek.inspector.detail import Detail
from deepseek.inspector.graph import ModuleGraph
from deepseek.inspector.record import StepRecord
from deepseek.inspector.recording import Recording
from deepseek.widgets.detail_message import detail_packet
from deepseek.widgets.graph_message import graph_packet
from deepseek.widgets.history import History
from deepseek.widgets.messages import Packet

SNAPSHOT_BYTES_PER_SECOND = 20_000
"""Sets how soon a snapshot follows the one before: small ones at once, one of 200 kB after ten seconds."""

GROWING = ("running", "paused")
"""States of a recording to which steps will be added."""


Stored = tuple[Iterable[StepRecord], ModuleGraph, Iterable[Detail]]


class Feed:
    """Makes messages of a recording: a snapshot, and later what is new, as an increment or as a snapshot again.

    Whoever takes messages less often gets larger ones; a page that missed one is healed by the next snapshot.

    Args:
        recording: What to show; one that is still growing is followed until ``close``.
        read: Gives the steps that are stored by now, the module graph, and the closer looks at layers.

    Attributes:
        history: What has been read so far; hold ``lock`` while using it.
        lock: Held by whoever uses the history.
        close: Ends the following.
        growing: Whether there is anything to follow.
        ended: Whether the recording has told that it is over.
    """

    def __init__(self, recording: Recording, read: Callable[[], Stored]) -> None:
        self.history = History()
        self.lock = threading.RLock()
        self.ended = False
        self._recording = recording
        self._batches: deque[Sequence[StepRecord]] = deque()
        self._notify: Callable[[], None] = lambda: None
        self._extras: dict[str, Packet] = {}
        self._snapshot_due = 0.0
        subscribe: Any = getattr(recording, "subscribe", None)
        self.growing = subscribe is not None and recording.status.state in GROWING
        self.close: Callable[[], None] = subscribe(self._collect) if self.growing else lambda: None
        records, graph, details = read()
        with self.lock:
            self.history.add(records)
            self._show_graph(graph)
            self._show_details(details)

    @property
    def waits(self) -> bool:
        """Whether there is something to tell of which nobody notifies."""
        return False

    def start(self, notify: Callable[[], None]) -> None:
        """Have ``notify`` called when there is news, in the recording's thread; it must not raise there."""
        self._notify = notify
        if self._batches:
            notify()

    def snapshot(self) -> Packet:
        """Everything as one message."""
        with self.lock:
            self._take()
            return self._snapshot()

    def news(self) -> Packet:
        """What is new since the message before: an increment, or a snapshot if one is due or nothing else can tell."""
        with self.lock:
            self._take()
            whole = self.ended or time.monotonic() >= self._snapshot_due
            increment = None if whole else self.history.increment(self._recording.status)
            return increment or self._snapshot()

    def extras(self) -> list[Packet]:
        """What is new beside the steps since the last call: the module graph, the newest look at each layer."""
        with self.lock:
            self._take()
            extras, self._extras = list(self._extras.values()), {}
            return extras

    def take(self) -> None:
        """Read what has come since the last call; what is not read takes memory."""
        with self.lock:
            self._take()

    def ask_whole(self) -> None:
        """Have the next news be a snapshot, for a page that may have missed some."""
        self._snapshot_due = 0.0

    def _collect(self, batch: Sequence[StepRecord]) -> None:
        self._batches.append(batch)
        self._notify()

    def _take(self) -> None:
        while self._batches:
            batch = self._batches.popleft()
            self.history.add(batch)
            self.ended = self.ended or not batch
            for record in batch:
                if record.graph is not None:
                    self._show_graph(record.graph)
                self._show_details(record.details)

    def _show_graph(self, graph: ModuleGraph) -> None:
        if graph.nodes:
            self._extras["graph"] = graph_packet(graph)

    def _show_details(self, details: Iterable[Detail]) -> None:
        for detail in details:
            self._extras[f"detail/{detail.site}"] = detail_packet(detail)

    def _snapshot(self) -> Packet:
        whole = self.history.snapshot(self._recording.status)
        self._snapshot_due = time.monotonic() + len(whole.payload) / SNAPSHOT_BYTES_PER_SECOND
        return whole

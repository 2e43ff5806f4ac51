"""The messages of a session for hosts outside the notebook cell: a comm of their own, fed by a thread of its own."""

import json
import logging
import time
from collections.abc import Callable
from contextlib import closing
from threading import Event, Thread
from typing import Any, Protocol

from deepseek.inspector import Session
from deepseek.inspector.run import Run
from deepseek.text import printable
from deepseek.widgets.feed import Feed, Stored
from deepseek.widgets.live import setup_message
from deepseek.widgets.messages import Packet

log = logging.getLogger("deepseek")

MESSAGES_PER_SECOND = 10
BYTES_PER_SECOND = 250_000
"""What the streams of a Jupyter kernel may send together; a Jupyter server cuts off at four times as much."""

LOOK_S = 0.25
"""So often a stream looks whether the session was paused or resumed, which no step tells."""

LEASE_S = 150.0
"""A stream ends when its page has been silent for so long: pages close without a word, and hidden ones speak seldom."""


class Comm(Protocol):
    """What is used of a comm."""

    comm_id: str

    def send(self, data: Any, metadata: None = None, buffers: list[bytes] | None = None) -> None:
        """Publish a message."""

    def close(self, data: Any) -> None:
        """Close the comm."""


class Stream:
    """Sends a session over a comm until the session or the page ends.

    A page for which more is new than may be sent gets it in fewer, larger messages.

    Args:
        session: What to send.
        comm: Where; the thread closes it at the end.
        sharers: Tells how many streams share the limits.
        bokeh: BokehJS for a page that has none yet: sent once, so it does not count.

    Attributes:
        seen: When the page gave its last sign of life, by ``time.monotonic``.
    """

    def __init__(self, session: Session, comm: Comm, sharers: Callable[[], int], bokeh: bytes = b"") -> None:
        self.seen = time.monotonic()
        self._session = session
        self._comm = comm
        self._sharers = sharers
        self._bokeh = bokeh
        self._stopped = Event()
        self._news = Event()
        Thread(target=self._run, name="deepseek-stream", daemon=True).start()

    @property
    def alive(self) -> bool:
        """Whether more may come."""
        return not self._stopped.is_set()

    def stop(self) -> None:
        """End the stream soon."""
        self._stopped.set()
        self._news.set()

    def _run(self) -> None:
        reason = "The training has ended."
        try:
            self._serve()
        except Exception as error:  # noqa: BLE001  a broken view must not end in the user's cell
            reason = f"The live view stopped: {type(error).__name__}: {error}. Training goes on."
            log.warning("deepseek: %s", printable(reason))
        self.stop()
        self._comm.close({"reason": reason})

    def _serve(self) -> None:
        feed = Feed(self._session, self._stored)
        try:
            setup = setup_message(self._session, self._session.key)
            self._comm.send(setup, None, [self._bokeh] if self._bokeh else [])
            feed.start(self._news.set)
            told = self._session.status.state
            self._send(feed.snapshot(), *feed.extras())
            while not feed.ended and self._waited(told):
                told = self._session.status.state
                self._send(feed.news(), *feed.extras())
        finally:
            feed.close()

    def _stored(self) -> Stored:
        """Read the run file: the session's own reader belongs to the thread that trains."""
        with closing(Run(self._session.path)) as run:
            return list(run.records()), run.graph(), run.details()

    def _waited(self, told: str) -> bool:
        """Wait for something to tell; return False when there is nobody left to tell it to."""
        while not self._news.wait(LOOK_S) and self._session.status.state in (told, "closed"):
            if time.monotonic() - self.seen > LEASE_S:
                self.stop()
        self._news.clear()
        return self.alive

    def _send(self, *packets: Packet) -> None:
        for packet in packets:
            self._comm.send(packet.message, None, [packet.payload])
            size = len(packet.payload) + len(json.dumps(packet.message))
            self._stopped.wait(self._sharers() * max(1 / MESSAGES_PER_SECOND, size / BYTES_PER_SECOND))

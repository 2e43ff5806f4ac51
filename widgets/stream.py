"""The messages of a session for hosts outside the notebook cell: a comm of their own, fed by a thread of its own."""

import logging
import time
from collections.abc import Callable
from contextlib import closing
from threading import Thread
from typing import Any, Protocol

from deepseek.inspector import Session
from deepseek.inspector.run import Run
from deepseek.text import printable
from deepseek.widgets.explaining.feed import ExplainedFeed
from deepseek.widgets.feed import Stored
from deepseek.widgets.messages import Packet, long_text, validated
from deepseek.widgets.setup_message import setup_message
from deepseek.widgets.teller import Teller

log = logging.getLogger("deepseek")

LEASE_S = 150.0
"""A stream ends when its page has been silent for so long: pages close without a word, and hidden ones speak seldom."""


class Comm(Protocol):
    """What is used of a comm."""

    comm_id: str

    def send(self, data: Any, metadata: None = None, buffers: list[bytes] | None = None) -> None:
        """Publish a message."""


class Stream:
    """Sends a session over a comm until the session or the page ends.

    The last message says why. The comm is not closed as comms are: JupyterLab takes the close of a comm for an error
    where it has forgotten the comm, as in every other page and after a restart.

    Args:
        session: What to send.
        comm: Where.
        program: Whether BokehJS is sent with the charts, for a page that has none yet.
        ended: Called at the end, in the thread of the stream.

    Attributes:
        seen: When the page gave its last sign of life, by ``time.monotonic``.
    """

    def __init__(self, session: Session, comm: Comm, *, program: bool, ended: Callable[[], None]) -> None:
        self.seen = time.monotonic()
        self._session = session
        self._comm = comm
        self._ended = ended
        self._teller = Teller(session, self._send, program=program, gone=self._is_silent)
        Thread(target=self._run, name="deepseek-stream", daemon=True).start()

    @property
    def alive(self) -> bool:
        """Whether more may come."""
        return self._teller.alive

    def stop(self) -> None:
        """End the stream soon."""
        self._teller.stop()

    def _run(self) -> None:
        reason = "The training has ended."
        try:
            self._comm.send(setup_message(self._session, self._session.key))
            self._teller.hurry()
            self._teller.tell(ExplainedFeed(self._session, self._stored))
        except Exception as error:  # noqa: BLE001  a broken view must not end in the user's cell
            reason = f"The live view stopped: {type(error).__name__}: {error}. Training goes on."
            log.warning("deepseek: %s", printable(reason))
        self.stop()
        self._comm.send(validated({"type": "end", "reason": long_text(printable(reason))}))
        self._ended()

    def _stored(self) -> Stored:
        """Read the run file: the session's own reader belongs to the thread that trains."""
        with closing(Run(self._session.path)) as run:
            return list(run.records()), run.graph(), run.details()

    def _is_silent(self) -> bool:
        return time.monotonic() - self.seen > LEASE_S

    def _send(self, packet: Packet) -> None:
        self._comm.send(packet.message, None, [packet.payload])

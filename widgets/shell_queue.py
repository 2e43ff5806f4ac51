"""Requests from browsers where the Jupyter kernel has no subshells: picked out of its messages while a cell runs."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from deepseek.text import printable

log = logging.getLogger("deepseek")

LOOK_S = 0.05
"""So often the messages that wait for the cell to end are looked at at most; a look costs microseconds."""


class ShellQueue:
    """Stands before the Jupyter kernel where it takes its messages.

    Handles the messages of one comm target as soon as they are read. All others go on to the Jupyter kernel, in their
    order; it gets to them when the cell has ended. It stays there from the first moment on: what the Jupyter kernel has
    read waits in a queue of its own, out of reach.

    Args:
        kernel: The Jupyter kernel.
        target: Name of the comm target.
    """

    def __init__(self, kernel: Any, target: str) -> None:
        self._kernel = kernel
        self._target = target
        self._stream = kernel.shell_stream
        self._next = 0.0
        self._read_by_kernel = self._stream._recv_callback
        self._stream.on_recv(self.sort, copy=False)

    def look(self) -> None:
        """Handle what has come; never raises. To be called in the thread that runs the cell."""
        now = time.monotonic()
        if now < self._next or threading.current_thread() is not threading.main_thread():
            return
        self._next = now + LOOK_S
        try:
            if self._stream.socket.poll(0):
                self._stream.flush()
        except Exception as error:  # noqa: BLE001  whatever is wrong with the queue must not reach the training loop
            self._next = float("inf")
            log.warning("deepseek: browsers are not heard while a cell runs: %s", printable(error))

    def sort(self, frames: list[Any]) -> Any:
        """Handle a message, or hand it on to the Jupyter kernel."""
        return None if self._handled(frames) else self._read_by_kernel(frames)

    def _handled(self, frames: list[Any]) -> bool:
        """Handle a message if it is one of ours."""
        session, comms = self._kernel.session, self._kernel.comm_manager
        try:
            identities, parts = session.feed_identities(frames, copy=False)
            message = session.deserialize(parts, content=False, copy=False)
            kind = message["header"]["msg_type"]
            if kind not in ("comm_open", "comm_msg", "comm_close"):
                return False
            content = session.unpack(message["content"])
            comm = comms.comms.get(content["comm_id"])
            if (content.get("target_name") if comm is None else comm.target_name) != self._target:
                return False
            whole = session.deserialize(parts, copy=False)
        except Exception:  # noqa: BLE001  the Jupyter kernel says what is wrong with it
            return False
        getattr(comms, kind)(self._stream, identities, whole)
        return True


def look_at_boundaries(kernel: Any, target: str) -> Callable[[], None] | None:
    """Return what is to be called between steps so that browsers are heard; None where that is not needed."""
    stream = getattr(kernel, "shell_stream", None)
    reads = getattr(stream, "_recv_callback", None)
    reader = getattr(reads, "__self__", None)
    if isinstance(reader, ShellQueue):
        return reader.look
    has_subshells = getattr(kernel, "shell_channel_thread", None) is not None
    usable = callable(reads) and callable(getattr(stream, "flush", None))
    return None if has_subshells or not usable else ShellQueue(kernel, target).look

"""The way from the browser to the sessions of a Jupyter kernel: a comm that works while a cell runs.

The browser opens the comm, and only the thread that handles its messages ever publishes on it: under these conditions
a subshell of the Jupyter kernel delivers them at once. That thread does not touch the training; it queues commands,
which the session obeys between two steps.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from comm import create_comm
from comm.base_comm import BaseComm

from deepseek.errors import DeepseekError
from deepseek.inspector import Session
from deepseek.inspector.control.commands import parse
from deepseek.inspector.session import living_sessions
from deepseek.text import printable
from deepseek.widgets.audience import audience_of, forget_page
from deepseek.widgets.explaining.cancelling import cancel
from deepseek.widgets.messages import long_text, validator
from deepseek.widgets.request_types import Answer, SessionInfo, SessionsReply
from deepseek.widgets.shell_queue import look_at_boundaries

if TYPE_CHECKING:
    from deepseek.widgets.stream import Stream

log = logging.getLogger("deepseek")

SCHEMA = Path(__file__).parent / "schema" / "requests.schema.json"
TARGET = "deepseek.control"
STREAM = "deepseek.stream"

REQUESTS_PER_SECOND = 50.0
MAX_STREAMS = 8
MAX_SESSIONS = 100

_REQUESTS = {
    "sessions": "SessionsRequest",
    "command": "CommandRequest",
    "follow": "FollowRequest",
    "unfollow": "UnfollowRequest",
    "seen": "SeenRequest",
    "cancel": "CancelExplaining",
}


def register(shell: Any) -> Callable[[], None] | None:
    """Let the browsers of a Jupyter kernel reach its sessions; nothing happens where there is no Jupyter kernel.

    Returns:
        What is to be called between the steps of a training where no subshell hears the browsers; None otherwise.
    """
    kernel = getattr(shell, "kernel", None)
    comms = getattr(kernel, "comm_manager", None)
    if comms is None:
        return None
    if TARGET not in comms.targets:
        comms.register_target(TARGET, ControlServer(comms).open)
    return look_at_boundaries(kernel, TARGET)


class ControlServer:
    """Answers requests from browsers, which follow ``requests.schema.json``.

    Args:
        comms: The manager of the Jupyter kernel's comms.
        requests_per_second: How many are answered; a second's worth may come at once.

    Attributes:
        refused: Messages that asked for nothing that may be asked for; they changed nothing.
    """

    def __init__(self, comms: Any, requests_per_second: float = REQUESTS_PER_SECOND) -> None:
        self.refused = 0
        self._comms = comms
        self._rate = self._credit = requests_per_second
        self._then = time.monotonic()
        self._lock = threading.Lock()
        self._streams: dict[str, tuple[BaseComm, Stream]] = {}

    def open(self, comm: BaseComm, _message: Any) -> None:
        """Take a comm that a browser has opened."""
        # Not `on_msg`: it tells the shell that a cell begins and ends, and matplotlib would then show, in the midst of
        # the user's cell, the figures that this cell is still drawing.
        comm.handle_msg = partial(self.receive, comm)  # type: ignore[method-assign]
        comm.on_close(lambda _message: self._leave(comm))

    def receive(self, comm: BaseComm, message: Any) -> None:
        """Answer one message, if it is a request; never raises."""
        try:
            with self._lock:
                reply = self._reply(comm, message)
            comm.send(dict(reply))
        except Exception as error:  # noqa: BLE001  whatever a browser sends, nothing may come of it
            self._refuse(error)

    def _reply(self, comm: BaseComm, message: Any) -> Answer | SessionsReply:
        self._streams = {key: each for key, each in self._streams.items() if each[1].alive}
        self._spend()
        request = message["content"]["data"]
        validator(SCHEMA, _REQUESTS[request["type"]])(request)
        for owner, stream in self._streams.values():
            if owner is comm:
                stream.seen = time.monotonic()
        if request["type"] == "sessions":
            sessions = [_info(session) for session in living_sessions()[-MAX_SESSIONS:]]
            return {"type": "sessions", "id": request["id"], "sessions": sessions}
        error = None
        try:
            self._obey(comm, request)
        except DeepseekError as refusal:
            self._refuse(refusal)
            error = long_text(printable(refusal))
        return {"type": "answer", "id": request["id"], "error": error}

    def _obey(self, comm: BaseComm, request: Mapping[str, Any]) -> None:
        if request["type"] == "command":
            _find(request["session"]).submit(parse(request["command"]), who="browser")
        elif request["type"] == "follow":
            self._follow(comm, _find(request["session"]), request["stream"], request.get("bokeh", False))
        elif request["type"] == "seen":
            audience_of(request["view"]).hear(comm.comm_id, request["sees"])
        elif request["type"] == "cancel":
            cancel(request["view"])
        elif request["stream"] in self._streams:
            self._streams.pop(request["stream"])[1].stop()

    def _follow(self, comm: BaseComm, session: Session, name: str, bokeh: bool) -> None:
        from deepseek.widgets.stream import Stream

        if len(self._streams) >= MAX_STREAMS:
            raise DeepseekError(
                f"{MAX_STREAMS} views follow sessions of this Jupyter kernel already: close one of them."
            )
        if name in self._comms.comms:
            raise DeepseekError(f"A stream needs an id of its own, and {name} is taken: reload the page.")
        # The browser has made its end under this id: were it announced, other pages would answer by closing it.
        stream_comm = create_comm(target_name=STREAM, comm_id=name, primary=False)
        self._comms.register_comm(stream_comm)
        stream = Stream(session, stream_comm, program=bokeh, ended=partial(self._forget, name))
        stream_comm.on_close(lambda _message: stream.stop())
        self._streams[name] = (comm, stream)

    def _forget(self, name: str) -> None:
        """Let a comm go as if the page had closed it: to close it from here would alarm pages that do not know it."""
        if name in self._comms.comms:
            self._comms.comm_close(None, "", {"content": {"comm_id": name}})

    def _leave(self, comm: BaseComm) -> None:
        forget_page(comm.comm_id)
        with self._lock:
            for owner, stream in self._streams.values():
                if owner is comm:
                    stream.stop()

    def _spend(self) -> None:
        now = time.monotonic()
        self._credit = min(self._rate, self._credit + (now - self._then) * self._rate)
        self._then = now
        if self._credit < 1:
            raise DeepseekError(f"At most {self._rate:g} requests a second are answered.")
        self._credit -= 1

    def _refuse(self, error: Exception) -> None:
        self.refused += 1
        if self.refused == 1:
            log.warning("deepseek: a request from the browser was refused: %s", long_text(printable(error)))


def _find(key: str) -> Session:
    for session in living_sessions():
        if session.key == key:
            return session
    raise DeepseekError("The session has ended: commands need one that runs.")


def _info(session: Session) -> SessionInfo:
    status = session.status
    return {
        "key": session.key,
        "title": long_text(session.title),
        "state": status.state,
        "step": int(status.step),
        "path": long_text(str(session.path.absolute())),
    }

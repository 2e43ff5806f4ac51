"""The live view of a recording in a notebook."""

import time
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import uuid4

import anywidget
import traitlets

from deepseek.inspector.recording import Recording
from deepseek.widgets.audience import Audience
from deepseek.widgets.feed import Feed
from deepseek.widgets.messages import Packet, name_text
from deepseek.widgets.setup_message import session_key, setup_message
from deepseek.widgets.static_picture import one_line
from deepseek.widgets.teller import Teller

ANSWER_S = 1.0
"""A page that asks for the state is answered at most this often."""

MAX_DETAILS = 32
"""Layers of which the widget keeps the newest closer look, each up to 100 kB."""

STATIC = Path(__file__).parent / "static"


class LiveWidget(anywidget.AnyWidget):
    """Shows a recording and follows it while it grows.

    The widget only ever sends: it needs no message from the browser, because the cell that trains blocks them.
    Increments are custom messages, which are lost until the browser has started; the ``snapshot`` trait heals that.

    Args:
        recording: What to show; a recording that is still growing is followed until it closes.

    Attributes:
        history: What the widget has been told so far; hold ``lock`` while using it.
        lock: Held by whoever uses the history.
        refused: Messages from the browser that were not obeyed.
    """

    _esm = traitlets.Unicode().tag(sync=True)
    _css = traitlets.Unicode().tag(sync=True)
    key = traitlets.Unicode().tag(sync=True)
    setup = traitlets.Dict().tag(sync=True)
    snapshot = traitlets.Dict(allow_none=True).tag(sync=True)
    graph = traitlets.Dict(allow_none=True).tag(sync=True)
    charts = traitlets.Dict(allow_none=True).tag(sync=True)
    details: traitlets.List[dict[str, Any]] = traitlets.List(traitlets.Dict()).tag(sync=True)
    failure = traitlets.Unicode().tag(sync=True)

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self.refused = 0
        self._next_answer = 0.0
        self._known: dict[str, dict[str, Any]] = {}
        self._feed = Feed(recording, lambda: (recording.records(), recording.graph(), recording.details()))
        self.history, self.lock = self._feed.history, self._feed.lock
        key = uuid4().hex
        self._audience = Audience(key, self._come)
        self._teller = Teller(recording, self._carry, absent=lambda: self._audience.absent)
        super().__init__(
            _esm=(STATIC / "widget.js").read_text(encoding="utf-8"),
            _css=(STATIC / "widget.css").read_text(encoding="utf-8"),
            key=key,
            setup=setup_message(recording, session_key(recording)),
            snapshot=_trait(self._feed.snapshot()),
            graph=None,
            charts=None,
            details=[],
        )
        for packet in self._feed.extras():
            self._carry(packet)
        if self._feed.growing:
            Thread(target=self._follow, name="deepseek-view", daemon=True).start()
        else:
            self._carry(self._teller.charts())

    def mimebundle(self) -> dict[str, Any]:
        """The output that shows this widget."""
        view = {"version_major": 2, "version_minor": 0, "model_id": self.model_id}
        text = f"Live view of {one_line(self._recording.title)}"
        return {"application/vnd.jupyter.widget-view+json": view, "text/plain": text}

    def settle(self) -> None:
        """Bring the snapshot up to date, so that a page that is loaded later shows all of it."""
        self._carry(self._feed.snapshot())

    def _handle_msg(self, msg: Any) -> None:
        """Answer a page that was loaded anew; nothing else that a browser sends is obeyed.

        Ipywidgets would let it set every trait, the program of the widget included.
        """
        now = time.monotonic()
        if _asks_for_state(msg) and now >= self._next_answer:
            self._next_answer = now + ANSWER_S
            with self.lock:
                self.details = list(self._known.values())
            self.send_state()
        else:
            self.refused += 1

    def _come(self) -> None:
        """A page that sees the view again gets all of it at once."""
        self._feed.ask_whole()
        self._teller.hurry()

    def _follow(self) -> None:
        try:
            self._teller.tell(self._feed)
        except Exception as error:  # noqa: BLE001  a broken view must not end in the user's cell
            self.failure = name_text(f"The live view stopped: {type(error).__name__}: {error}. Training goes on.")

    def _carry(self, packet: Packet) -> None:
        """Send a packet; one that a page loaded later needs stays here as a trait."""
        message = packet.message
        with self.lock:
            if message["type"] == "increment":
                self.send(message, [packet.payload])
            elif message["type"] == "detail":
                self._carry_detail(message["site"], _trait(packet))
            elif message["type"] != "snapshot" or self._is_newer(message["sequence"]):
                setattr(self, message["type"], _trait(packet))

    def _carry_detail(self, site: str, detail: dict[str, Any]) -> None:
        self._known.pop(site, None)
        self._known[site] = detail
        for old in list(self._known)[:-MAX_DETAILS]:
            del self._known[old]
        self.details = [detail]

    def _is_newer(self, sequence: int) -> bool:
        return self.snapshot is None or bool(sequence > self.snapshot["message"]["sequence"])


def _asks_for_state(message: Any) -> bool:
    try:
        return bool(message["content"]["data"]["method"] == "request_state")
    except (KeyError, TypeError, IndexError):
        return False


def _trait(packet: Packet) -> dict[str, Any]:
    return {"message": packet.message, "payload": packet.payload}

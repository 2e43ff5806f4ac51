"""The live view of a recording in a notebook."""

import time
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import anywidget
import traitlets
from bokeh.resources import Resources

from deepseek.inspector.recording import Recording
from deepseek.widgets.feed import GROWING, Feed
from deepseek.widgets.message_types import Setup
from deepseek.widgets.messages import Packet, facts, name_text, validated
from deepseek.widgets.metrics import METRICS
from deepseek.widgets.static_picture import one_line
from deepseek.widgets.views.charts import charts

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
    bokeh_js = traitlets.Bytes().tag(sync=True)
    setup = traitlets.Dict().tag(sync=True)
    snapshot = traitlets.Dict(allow_none=True).tag(sync=True)
    graph = traitlets.Dict(allow_none=True).tag(sync=True)
    details: traitlets.List[dict[str, Any]] = traitlets.List(traitlets.Dict()).tag(sync=True)
    failure = traitlets.Unicode().tag(sync=True)

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self.refused = 0
        self._next_answer = 0.0
        self._known: dict[str, dict[str, Any]] = {}
        self._feed = Feed(recording, lambda: (recording.records(), recording.graph(), recording.details()))
        self.history, self.lock = self._feed.history, self._feed.lock
        super().__init__(
            _esm=(STATIC / "widget.js").read_text(encoding="utf-8"),
            _css=(STATIC / "widget.css").read_text(encoding="utf-8"),
            key=uuid4().hex,
            bokeh_js=bokeh_js(),
            setup=setup_message(recording, session_key(recording)),
            snapshot=_trait(self._feed.snapshot()),
            graph=None,
            details=[],
        )
        self._carry_extras()
        self._feed.start(self._tell)

    def mimebundle(self) -> dict[str, Any]:
        """The output that shows this widget."""
        view = {"version_major": 2, "version_minor": 0, "model_id": self.model_id}
        text = f"Live view of {one_line(self._recording.title)}"
        return {"application/vnd.jupyter.widget-view+json": view, "text/plain": text}

    def settle(self) -> None:
        """Bring the snapshot up to date, so that a page that is loaded later shows all of it."""
        with self.lock:
            self.snapshot = _trait(self._feed.snapshot())

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

    def _tell(self) -> None:
        """Send what is new; runs in the recording's thread and must never raise there."""
        try:
            with self.lock:
                self._carry(self._feed.news())
                self._carry_extras()
        except Exception as error:  # noqa: BLE001  a broken view must not reach the training loop
            self._feed.close()
            self.failure = name_text(f"The live view stopped: {type(error).__name__}: {error}. Training goes on.")

    def _carry(self, packet: Packet) -> None:
        if packet.message["type"] == "increment":
            self.send(packet.message, [packet.payload])
        else:
            self.snapshot = _trait(packet)

    def _carry_extras(self) -> None:
        """Hand over the graph and closer looks; the looks are kept for pages that are loaded later."""
        new = []
        for packet in self._feed.extras():
            if packet.message["type"] == "detail":
                new.append(_trait(packet))
                self._known.pop(packet.message["site"], None)
                self._known[packet.message["site"]] = new[-1]
            else:
                self.graph = _trait(packet)
        for site in list(self._known)[:-MAX_DETAILS]:
            del self._known[site]
        if new:
            self.details = new


@cache
def bokeh_js() -> bytes:
    """BokehJS of the installed Python package, which alone can read that package's documents."""
    resources = Resources(mode="inline", components=["bokeh"])
    return "\n".join(resources.js_raw).encode()


def session_key(recording: Recording) -> str | None:
    """What the recording is called on the control comm; None where it takes no commands."""
    return getattr(recording, "key", None) if recording.status.state in GROWING else None


def setup_message(recording: Recording, session: str | None = None) -> Setup:
    """What does not change during a run: title, metrics and the Bokeh documents, and whom commands are for."""
    message: Setup = {
        "type": "setup",
        "title": name_text(recording.title),
        "meta": facts(recording.meta),
        "metrics": [
            {
                "name": metric.name,
                "title": metric.title,
                "scale": metric.scale,
                "worst": metric.worst,
                "description": metric.description,
            }
            for metric in METRICS
        ],
        "documents": charts(),
    }
    if session is not None:
        message["session"] = session
    validated(message)
    return message


def _asks_for_state(message: Any) -> bool:
    try:
        return bool(message["content"]["data"]["method"] == "request_state")
    except (KeyError, TypeError, IndexError):
        return False


def _trait(packet: Packet) -> dict[str, Any]:
    return {"message": packet.message, "payload": packet.payload}

"""The live view of a recording in a notebook."""

import threading
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import anywidget
import traitlets
from bokeh.resources import Resources

from deepseek.inspector.record import StepRecord
from deepseek.inspector.recording import Recording
from deepseek.widgets.history import History
from deepseek.widgets.message_types import Setup
from deepseek.widgets.messages import Packet, facts, name_text, validated
from deepseek.widgets.metrics import METRICS
from deepseek.widgets.static_picture import one_line
from deepseek.widgets.views.charts import charts

SNAPSHOT_BYTES_PER_SECOND = 20_000
"""Sets how soon a snapshot follows the one before: small ones at once, one of 200 kB after ten seconds."""

ANSWER_S = 1.0
"""A page that asks for the state is answered at most this often."""

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
    failure = traitlets.Unicode().tag(sync=True)

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self.refused = 0
        self._next_answer = 0.0
        self.history = History()
        self.lock = threading.Lock()
        self._early: list[StepRecord] | None = []
        self._unsubscribe = _subscribe(recording, self._follow)
        stored = list(recording.records())
        with self.lock:
            self.history.add(stored)
        first = self.history.snapshot(recording.status)
        super().__init__(
            _esm=(STATIC / "widget.js").read_text(encoding="utf-8"),
            _css=(STATIC / "widget.css").read_text(encoding="utf-8"),
            key=uuid4().hex,
            bokeh_js=bokeh_js(),
            setup=setup_message(recording),
            snapshot=_trait(first),
        )
        self._next_snapshot = time.monotonic() + _pause(first)
        with self.lock:
            self.history.add(self._early)
            self._early = None

    def mimebundle(self) -> dict[str, Any]:
        """The output that shows this widget."""
        view = {"version_major": 2, "version_minor": 0, "model_id": self.model_id}
        text = f"Live view of {one_line(self._recording.title)}"
        return {"application/vnd.jupyter.widget-view+json": view, "text/plain": text}

    def settle(self) -> None:
        """Bring the snapshot up to date, so that a page that is loaded later shows all of it."""
        with self.lock:
            self._send_snapshot()

    def _handle_msg(self, msg: Any) -> None:
        """Answer a page that was loaded anew; nothing else that a browser sends is obeyed.

        Ipywidgets would let it set every trait, the program of the widget included.
        """
        now = time.monotonic()
        if _asks_for_state(msg) and now >= self._next_answer:
            self._next_answer = now + ANSWER_S
            self.send_state()
        else:
            self.refused += 1

    def _follow(self, records: Sequence[StepRecord]) -> None:
        """Send what a batch of steps changed; runs in the recording's thread and must never raise there."""
        try:
            with self.lock:
                if self._early is None:
                    self._send_news(records)
                else:
                    self._early.extend(records)
        except Exception as error:  # noqa: BLE001  a broken view must not reach the training loop
            self._unsubscribe()
            self.failure = name_text(f"The live view stopped: {type(error).__name__}: {error}. Training goes on.")

    def _send_news(self, records: Sequence[StepRecord]) -> None:
        self.history.add(records)
        status = self._recording.status
        due = not records or time.monotonic() >= self._next_snapshot
        increment = None if due else self.history.increment(status)
        if increment is not None:
            self.send(increment.message, [increment.payload])
            return
        self._send_snapshot()

    def _send_snapshot(self) -> None:
        whole = self.history.snapshot(self._recording.status)
        self._next_snapshot = time.monotonic() + _pause(whole)
        self.snapshot = _trait(whole)


@cache
def bokeh_js() -> bytes:
    """BokehJS of the installed Python package, which alone can read that package's documents."""
    resources = Resources(mode="inline", components=["bokeh"])
    return "\n".join(resources.js_raw).encode()


def setup_message(recording: Recording) -> Setup:
    """What does not change during a run: title, metrics and the Bokeh documents."""
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
    validated(message)
    return message


def _subscribe(recording: Recording, listener: Callable[[Sequence[StepRecord]], None]) -> Callable[[], None]:
    """Follow a recording that still grows; there is nothing to follow in the others."""
    subscribe = getattr(recording, "subscribe", None)
    if subscribe is None or recording.status.state != "running":
        return lambda: None
    end: Callable[[], None] = subscribe(listener)
    return end


def _asks_for_state(message: Any) -> bool:
    try:
        return bool(message["content"]["data"]["method"] == "request_state")
    except (KeyError, TypeError, IndexError):
        return False


def _trait(packet: Packet) -> dict[str, Any]:
    return {"message": packet.message, "payload": packet.payload}


def _pause(packet: Packet) -> float:
    return len(packet.payload) / SNAPSHOT_BYTES_PER_SECOND

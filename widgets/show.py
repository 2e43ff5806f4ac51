"""Showing a recording in whatever place the code runs: a notebook, an executed notebook, a plain script."""

import logging
import sys
import threading
from typing import Any

from deepseek.inspector.recording import Recording
from deepseek.widgets import control_comm
from deepseek.widgets.feed import GROWING
from deepseek.widgets.history import History
from deepseek.widgets.live import LiveWidget
from deepseek.widgets.shell import display_bundle, has_front_end, notebook_shell
from deepseek.widgets.static_picture import static_html, static_text

log = logging.getLogger("deepseek")

SAVED_NOTE = (
    "This picture stands in for the live view, which needs the Jupyter kernel that made it: run the cell again."
)


def show(recording: Recording) -> LiveWidget | None:
    """Display a recording: live where there is a browser, as a static picture in every notebook, else as text.

    In a notebook two outputs are made: the live widget, and below it a static picture that is brought up to date
    after each cell. The widget hides the picture while it lives; a reopened, exported or untrusted notebook shows it.

    Args:
        recording: A live session or an opened run.

    Returns:
        The widget, or None where nothing could show it.
    """
    shell = notebook_shell()
    if shell is None:
        sys.stdout.write(static_text(recording) + "\n")
        return None
    control_comm.register(shell)
    widget = LiveWidget(recording) if has_front_end(shell) else None
    if widget is not None:
        display_bundle(widget.mimebundle())
    StaticPicture(recording, widget).attach(shell)
    return widget


class StaticPicture:
    """The output below the widget: static HTML, brought up to date after each cell until the recording ends.

    Args:
        recording: What it shows.
        widget: The widget above it, or None where there is no front end.
    """

    def __init__(self, recording: Recording, widget: LiveWidget | None) -> None:
        self._recording = recording
        self._widget = widget
        self._history = widget.history if widget else History()
        self._lock = widget.lock if widget else threading.Lock()
        self._shown: object = None

    def attach(self, shell: Any) -> None:
        """Show the output and follow the shell's cells."""
        self._shell = shell
        self._handle = display_bundle(self._bundle(), display_id=True)
        shell.events.register("post_run_cell", self._after_cell)

    def _after_cell(self, _result: Any) -> None:
        try:
            running = self._refresh()
        except Exception as error:  # noqa: BLE001  a broken picture must not disturb the user's cells
            running = False
            log.warning("deepseek: the saved picture is no longer brought up to date (%s)", error)
        if not running:
            self._shell.events.unregister("post_run_cell", self._after_cell)

    def _refresh(self) -> bool:
        """Bring picture and widget up to date; return whether there is more to come."""
        status = self._recording.status
        if self._shown != (status.state, status.step):
            self._handle.update(self._bundle(), raw=True)
            if self._widget is not None:
                self._widget.settle()
        return status.state in GROWING

    def _bundle(self) -> dict[str, str]:
        status = self._recording.status
        self._shown = (status.state, status.step)
        # Read before locking: reading may wait for the thread that feeds the widget, which waits for the lock.
        stored = list(self._recording.records(self._history.next_step))
        with self._lock:
            self._history.add(stored)
            html = static_html(self._recording, self._history)
            text = static_text(self._recording, self._history)
        if self._widget is not None:
            html = f'<div data-deepseek-static="{self._widget.key}">{html}<p>{SAVED_NOTE}</p></div>'
        return {"text/html": html, "text/plain": text}

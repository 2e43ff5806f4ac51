"""An explanation in a notebook: everything it shows is sent once, so that it needs no Jupyter kernel afterwards."""

import time
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import anywidget
import traitlets

from deepseek.widgets.explaining.message import Explanation, explanation_message, title_of
from deepseek.widgets.explaining.static import static_html, static_text
from deepseek.widgets.live import ANSWER_S
from deepseek.widgets.page import static
from deepseek.widgets.shell import display_bundle, has_front_end, notebook_shell
from deepseek.widgets.static_picture import one_line


class ExplanationWidget(anywidget.AnyWidget):
    """Shows an attribution or attention maps.

    Displayed, it makes two outputs: the widget, and below it a static picture, which the widget hides while it lives.

    Args:
        explanation: What to show; None for nothing yet.
        traits: Further traits.

    Attributes:
        refused: Messages from the browser that were not obeyed.

    Raises:
        DeepseekError: It is no explanation, or too large to be shown.
    """

    _esm = traitlets.Unicode().tag(sync=True)
    _css = traitlets.Unicode().tag(sync=True)
    key = traitlets.Unicode().tag(sync=True)
    explanation = traitlets.Dict(allow_none=True).tag(sync=True)

    def __init__(self, explanation: Explanation | None, **traits: Any) -> None:
        self.refused = 0
        self._shown = explanation
        self._picture: Any = None
        self._live = False
        self._next_answer = 0.0
        super().__init__(
            _esm=static("explanation.js"),
            _css=static("widget.css"),
            key=uuid4().hex,
            explanation=None if explanation is None else _trait(explanation),
            **traits,
        )

    def show(self, explanation: Explanation, first: int = 0) -> None:
        """Show another explanation.

        Args:
            explanation: What to show.
            first: What its first row is called.

        Raises:
            DeepseekError: It is too large to be shown.
        """
        self.explanation = _trait(explanation, first)
        self._shown = explanation
        if self._picture is not None:
            self._picture.update(self._static(), raw=True)

    def _ipython_display_(self) -> None:
        shell = notebook_shell()
        self._live = shell is not None and has_front_end(shell)
        if self._live:
            view = {"version_major": 2, "version_minor": 0, "model_id": self.model_id}
            words = "An explanation" if self._shown is None else one_line(title_of(self._shown))
            display_bundle({"application/vnd.jupyter.widget-view+json": view, "text/plain": words})
        self._picture = display_bundle(self._static(), display_id=True)

    def _static(self) -> dict[str, str]:
        """The output below the widget, for places in which no widget lives."""
        if self._shown is None:
            html, text = "<p>Nothing is explained yet.</p>", "Nothing is explained yet."
        else:
            html, text = static_html(self._shown), static_text(self._shown)
        return {
            "text/html": f'<div data-deepseek-static="{self.key}">{html}</div>' if self._live else html,
            "text/plain": text,
        }

    def _handle_msg(self, msg: Any) -> None:
        """Obey what may be asked; ipywidgets would let a browser set every trait, the widget's program included."""
        try:
            data = msg["content"]["data"]
            now = time.monotonic()
            if data["method"] == "request_state" and now >= self._next_answer:
                self._next_answer = now + ANSWER_S
                self.send_state()
            elif data["method"] == "custom":
                self._obey(data["content"])
            else:
                self.refused += 1
        except Exception:  # noqa: BLE001  whatever a browser sends, nothing may come of it
            self.refused += 1

    def _obey(self, _request: Mapping[str, Any]) -> None:
        """Do what a browser asks for; of a widget that computes nothing, nothing may be asked."""
        self.refused += 1


def _trait(explanation: Explanation, first: int = 0) -> dict[str, Any]:
    packed = explanation_message(explanation, first)
    return {"message": packed.message, "payload": packed.payload}

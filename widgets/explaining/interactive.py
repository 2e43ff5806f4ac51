"""A widget in which sample, method, background and output can be chosen; the Jupyter kernel then computes."""

import time
from collections.abc import Mapping
from dataclasses import asdict
from threading import Event
from typing import Any

import traitlets
from torch import nn

from deepseek.errors import DeepseekError
from deepseek.explain.shap_values import INTERRUPTED
from deepseek.text import printable
from deepseek.widgets.explaining.between_cells import BetweenCells
from deepseek.widgets.explaining.cancelling import let_cancel
from deepseek.widgets.explaining.computing import Cancelled, computing
from deepseek.widgets.explaining.message import Explanation
from deepseek.widgets.explaining.packing import SCHEMA
from deepseek.widgets.explaining.question import Explainer, Question
from deepseek.widgets.explaining.widget import ExplanationWidget
from deepseek.widgets.messages import long_text, validator

TELL_S = 0.2
"""So often the browser is told how far a computation is, at most."""

REQUESTS = {"explain": "ExplainRequest", "cancel": "CancelRequest"}


class InteractiveExplanation(ExplanationWidget):
    """Explains samples of a model as they are chosen in the browser.

    Answers are computed in a thread between cells, as the model may be trained by them; see ``BetweenCells``.

    Args:
        model: The model.
        explainer: Explains its samples.
        question: What to answer first.
        shell: The interactive shell, whose cell makes this widget; None outside of one.

    Attributes:
        result: The newest explanation; None before there is one.
    """

    choices = traitlets.Dict().tag(sync=True)
    progress = traitlets.Dict().tag(sync=True)

    def __init__(self, model: nn.Module, explainer: Explainer, question: Question, shell: Any = None) -> None:
        self._model, self._explainer, self._first = model, explainer, question
        self._work = BetweenCells(shell)
        self._told = 0.0
        self._stop_first = Event()
        super().__init__(None, choices=_choices(explainer, question), progress=_progress("idle", ""))
        let_cancel(self.key, self)

    @property
    def result(self) -> Explanation | None:
        """The newest explanation."""
        return self._shown

    def begin(self) -> None:
        """Answer the first question, in this thread; what goes wrong is told in the widget.

        Raises:
            KeyboardInterrupt: It was interrupted before there was anything to show.
        """
        try:
            self._answer(self._first, self._stop_first)
        except KeyboardInterrupt as error:
            self.progress = _progress("failed", "Interrupted: choose Explain to begin again.")
            if not isinstance(error, Cancelled):
                raise

    def cancel(self) -> None:
        """End what is computed, or forget what waits to be; in any thread."""
        self._stop_first.set()
        self._work.cancel()
        if self.progress["state"] == "waiting":
            self.progress = _progress("idle", "Cancelled.")

    def close(self) -> None:
        """End all computing, and the widget."""
        self._work.close()
        super().close()

    def _obey(self, request: Mapping[str, Any]) -> None:
        """Do what a browser asks for, if it is one of the things that may be asked.

        Raises:
            fastjsonschema.JsonSchemaException: It is not.
            KeyError: The same.
        """
        validator(SCHEMA, REQUESTS[request["type"]])(request)
        if request["type"] == "cancel":
            self.cancel()
            return
        question = Question(**{name: value for name, value in request.items() if name != "type"})
        said = "It begins when the running cell has ended." if self._work.cell_runs else "Beginning…"
        self.progress = _progress("waiting", said)
        self._work.submit(lambda stop: self._answer_quietly(question, stop))

    def _answer_quietly(self, question: Question, stop: Event) -> None:
        try:
            self._answer(question, stop)
        except KeyboardInterrupt:
            why = "A cell began" if self._work.cell_runs else "Cancelled"
            self.progress = _progress("failed", f"{why} before anything was known: choose Explain again.")

    def _answer(self, question: Question, stop: Event) -> None:
        began = time.monotonic()

        def tell(passes: int) -> None:
            now = time.monotonic()
            if now >= self._told + TELL_S:
                self._told = now
                self.progress = _progress("computing", f"{passes:,} forward passes, {now - began:.0f} s")

        what = f"Sample {question.sample} by {question.method}"
        self.progress = _progress("computing", what)
        try:
            with computing(self._model, stop, tell):
                explanation = self._explainer.answer(question)
            self.show(explanation, question.sample)
        except Exception as error:  # noqa: BLE001  whatever a model raises is told where it was asked for
            kind = "" if isinstance(error, DeepseekError) else f"{type(error).__name__}: "
            self.progress = _progress("failed", f"{kind}{error}")
        else:
            partial = ", as far as it had got: it was ended early" if INTERRUPTED in explanation.notes else ""
            self.progress = _progress("idle", f"{what}{partial}.")


def _choices(explainer: Explainer, question: Question) -> dict[str, Any]:
    choices = {
        "type": "choices",
        "samples": explainer.samples,
        "targets": explainer.targets,
        "methods": [{"name": name, "against": against} for name, against in explainer.against.items()],
        "asked": {"type": "explain", **asdict(question)},
    }
    return dict(validator(SCHEMA, "Choices")(choices))


def _progress(state: str, said: str) -> dict[str, Any]:
    return dict(validator(SCHEMA, "Progress")({"type": "progress", "state": state, "said": long_text(printable(said))}))

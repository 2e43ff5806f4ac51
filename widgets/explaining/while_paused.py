"""Explains the current weights of a training that is paused, in the thread that trains."""

import sys
from dataclasses import replace
from threading import Event
from typing import Any

from torch import nn

from deepseek.inspector.session import living_sessions
from deepseek.widgets.explaining.computing import computing
from deepseek.widgets.explaining.message import Explanation
from deepseek.widgets.explaining.question import check_method, explained
from deepseek.widgets.explaining.static import static_text
from deepseek.widgets.explaining.widget import ExplanationWidget
from deepseek.widgets.shell import notebook_shell


class WhilePaused:
    """Explains a model on inputs that were chosen before it was trained.

    Args:
        inputs: What to explain.
        background: Rows that stand for absent features, or a baseline.
        method: Its name.
        target: Which outputs.

    Raises:
        DeepseekError: There is no such method.
    """

    def __init__(self, inputs: Any, background: Any, method: str, target: Any) -> None:
        self._method = check_method(method)
        self._inputs, self._background, self._target = inputs, background, target

    def __call__(self, model: nn.Module) -> Explanation:
        """Explain the model as it is now, say after which step, show that below the cell that runs, and return it.

        Raises:
            DeepseekError: The method does not fit the model.
        """
        with computing(model, Event(), lambda _passes: None):
            found = explained(model, self._inputs, self._method, self._background, self._target)
        explanation = replace(found, notes=(*found.notes, *_steps(model)))
        if notebook_shell() is None:
            sys.stdout.write(static_text(explanation) + "\n")
        else:
            ExplanationWidget(explanation)._ipython_display_()
        return explanation


def _steps(model: nn.Module) -> list[str]:
    """After which step the weights of a model are as they are now, in words."""
    watching = [session for session in living_sessions() if session.watches(model)]
    return [f"These are the weights after step {session.status.step}." for session in watching]

"""How recordings are shown; the inspector is handed one, because it must not know the widgets."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepseek.widgets.shell import notebook_shell

if TYPE_CHECKING:
    from torch import nn

    from deepseek.inspector.comparison import Comparison
    from deepseek.inspector.recording import Recording
    from deepseek.widgets.explaining.message import Explanation
    from deepseek.widgets.explaining.widget import ExplanationWidget
    from deepseek.widgets.live import LiveWidget


class Viewer:
    """Shows a recording in a notebook or writes it to a report; loads Bokeh and anywidget at first use."""

    def let_in(self) -> Callable[[], None] | None:
        """Let the browsers of a Jupyter kernel reach its sessions; a script pays nothing for it.

        Returns:
            What is to be called between steps, where the Jupyter kernel has no subshells to hear them with.
        """
        shell = notebook_shell()
        if shell is None:
            return None
        from deepseek.widgets import control_comm

        return control_comm.register(shell)

    def widget(self, recording: "Recording") -> "LiveWidget":
        """Return the live widget of ``recording``."""
        from deepseek.widgets.live import LiveWidget

        return LiveWidget(recording)

    def show(self, recording: "Recording") -> None:
        """Display ``recording`` below the current cell; without a front end, as quiet text."""
        from deepseek.widgets.show import show

        show(recording)

    def report(self, recording: "Recording", path: str | Path, explanations: "Sequence[Explanation]" = ()) -> Path:
        """Write ``recording`` and explanations to ``path`` as one self-contained HTML file and return that path."""
        from deepseek.widgets.report import write_report

        return write_report(recording, path, explanations=explanations)

    def explanation_widget(self, explanation: "Explanation") -> "ExplanationWidget":
        """Return the widget of an attribution or of attention maps."""
        from deepseek.widgets.explaining.widget import ExplanationWidget

        return ExplanationWidget(explanation)

    def explanation_report(self, explanation: "Explanation", path: str | os.PathLike[str]) -> Path:
        """Write ``explanation`` to ``path`` as one self-contained HTML file and return that path."""
        from deepseek.widgets.explaining.page import write_explanation

        return write_explanation(explanation, path)

    def explaining(
        self, inputs: Any, background: Any, method: str, target: Any
    ) -> "Callable[[nn.Module], Explanation]":
        """Return what explains a model on some inputs, shows that below the current cell, and returns it."""
        from deepseek.widgets.explaining.while_paused import WhilePaused

        return WhilePaused(inputs, background, method, target)

    def compared_bundle(self, comparison: "Comparison") -> dict[str, Any]:
        """Return the static picture of ``comparison`` by MIME type, as a notebook's output holds it."""
        from deepseek.widgets.comparison import mimebundle

        return mimebundle(comparison)

    def compared_report(self, comparison: "Comparison", path: str | Path) -> Path:
        """Write ``comparison`` to ``path`` as one self-contained HTML file and return that path."""
        from deepseek.widgets.comparison import write_comparison

        return write_comparison(comparison, path)

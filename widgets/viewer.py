"""How recordings are shown; the inspector is handed one, because it must not know the widgets."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deepseek.inspector.recording import Recording
    from deepseek.widgets.live import LiveWidget


class Viewer:
    """Shows a recording in a notebook or writes it to a report; loads Bokeh and anywidget at first use."""

    def widget(self, recording: "Recording") -> "LiveWidget":
        """Return the live widget of ``recording``."""
        from deepseek.widgets.live import LiveWidget

        return LiveWidget(recording)

    def show(self, recording: "Recording") -> None:
        """Display ``recording`` in the current cell, or as quiet text where there is no front end."""
        from deepseek.widgets.live import show

        show(recording)

    def report(self, recording: "Recording", path: str | Path) -> Path:
        """Write ``recording`` to ``path`` as one self-contained HTML file and return that path."""
        from deepseek.widgets.report import write_report

        return write_report(recording, path)

    def mimebundle(self, recording: "Recording") -> Mapping[str, Any]:
        """Return what a notebook needs to display ``recording``, by MIME type."""
        from deepseek.widgets.live import mimebundle

        return mimebundle(recording)

"""The saved report: one HTML file with the same views as the live widget, and nothing from the network."""

import base64
import os
from pathlib import Path
from typing import Any

from deepseek.inspector.recording import Recording
from deepseek.widgets.detail_message import detail_packet
from deepseek.widgets.graph_message import graph_packet
from deepseek.widgets.history import History
from deepseek.widgets.live import bokeh_js, setup_message
from deepseek.widgets.page import page_html, static, write_page
from deepseek.widgets.static_picture import static_html

REPORT_CELLS = 200_000
"""Heat-map cells over all metrics: 512 columns up to 97 layers, at most 1.1 MB of text."""


def write_report(recording: Recording, path: str | os.PathLike[str], *, overwrite: bool = True) -> Path:
    """Write a run as one self-contained HTML file.

    Args:
        recording: A live session or an opened run.
        path: Where to write; the folder must exist.
        overwrite: Whether an existing file may be replaced.

    Returns:
        The path of the file, made absolute.

    Raises:
        DeepseekError: The file exists and may not be replaced, or it cannot be written.
    """
    return write_page(path, lambda: report_html(recording), overwrite=overwrite)


def report_html(recording: Recording) -> str:
    """Return the text of the report."""
    history = History(REPORT_CELLS)
    history.add(recording.records())
    return page_html(
        title=recording.title,
        style=static("widget.css"),
        summary=static_html(recording, history),
        data=run_data(recording, history),
        bokeh=bokeh_js(),
        script=static("report.js"),
    )


def run_data(recording: Recording, history: History) -> dict[str, Any]:
    """Return what the views need of a recording, as JSON holds it: the setup and messages with Base64 payloads.

    Args:
        recording: A live session or an opened run.
        history: Holds the recording's steps.
    """
    details = map(detail_packet, recording.details())
    packets = (history.snapshot(recording.status), graph_packet(recording.graph()), *details)
    return {
        "setup": setup_message(recording),
        "messages": [
            {"message": packet.message, "payload": base64.b64encode(packet.payload).decode()} for packet in packets
        ],
    }

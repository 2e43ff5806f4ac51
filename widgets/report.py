"""The saved report: one HTML file with the same views as the live widget, and nothing from the network."""

import base64
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepseek.inspector.recording import Recording
from deepseek.widgets.charts_message import bokeh_js, charts_packet
from deepseek.widgets.detail_message import detail_packet
from deepseek.widgets.graph_message import graph_packet
from deepseek.widgets.history import History
from deepseek.widgets.page import page_html, static, write_page
from deepseek.widgets.setup_message import setup_message
from deepseek.widgets.static_picture import static_html

if TYPE_CHECKING:
    from deepseek.widgets.explaining.message import Explanation

REPORT_CELLS = 200_000
"""Heat-map cells over all metrics: 512 columns up to 97 layers, at most 1.1 MB of text."""


def write_report(
    recording: Recording,
    path: str | os.PathLike[str],
    *,
    explanations: "Sequence[Explanation]" = (),
    overwrite: bool = True,
) -> Path:
    """Write a run as one self-contained HTML file.

    Args:
        recording: A live session or an opened run.
        path: Where to write; the folder must exist.
        explanations: Attributions and attention maps that the report shows below the run.
        overwrite: Whether an existing file may be replaced.

    Returns:
        The path of the file, made absolute.

    Raises:
        DeepseekError: The file exists and may not be replaced, or it cannot be written; or an explanation cannot be
            shown.
    """
    return write_page(path, lambda: report_html(recording, explanations), overwrite=overwrite)


def report_html(recording: Recording, explanations: "Sequence[Explanation]" = ()) -> str:
    """Return the text of the report."""
    data, summary = _explained(explanations)
    history = History(REPORT_CELLS)
    history.add(recording.records())
    return page_html(
        title=recording.title,
        style=static("widget.css"),
        summary=static_html(recording, history) + summary,
        data=run_data(recording, history) | data,
        bokeh=bokeh_js(),
        script=static("report.js"),
    )


def _explained(explanations: "Sequence[Explanation]") -> tuple[dict[str, Any], str]:
    """Return what the views need of explanations, and what is seen of them without scripts."""
    if not explanations:
        return {}, ""
    from deepseek.widgets.explaining.page import carried, without_scripts

    return carried(explanations), without_scripts(explanations)


def run_data(recording: Recording, history: History) -> dict[str, Any]:
    """Return what the views need of a recording, as JSON holds it: setup, charts, and messages with Base64 payloads.

    Args:
        recording: A live session or an opened run.
        history: Holds the recording's steps.
    """
    details = map(detail_packet, recording.details())
    packets = (history.snapshot(recording.status), graph_packet(recording.graph()), *details)
    return {
        "setup": setup_message(recording),
        "charts": charts_packet(program=False).message,
        "messages": [
            {"message": packet.message, "payload": base64.b64encode(packet.payload).decode()} for packet in packets
        ],
    }

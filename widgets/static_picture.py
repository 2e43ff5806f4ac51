"""What a run looks like where no program runs: untrusted, exported and reopened notebooks, terminals, reports."""

import base64
from collections.abc import Sequence
from html import escape
from typing import Any

from deepseek.inspector.recording import Recording, Status
from deepseek.widgets.flow import FLOW_COLUMNS
from deepseek.widgets.history import History
from deepseek.widgets.message_types import FindingInfo

MOST_FINDINGS = 8
MOST_ROWS = 20
NAME_LENGTH = 100
TEXT_LENGTH = 400
"""Letters of a name and of a sentence that are shown; together with the numbers of rows they bound the output."""

NO_FORMULAS = "tex2jax_ignore mathjax_ignore"
"""Notebooks look for formulas in every output; a name such as ``$\\href{...}$`` would become one."""

STATES = {"running": "running", "paused": "paused", "closed": "finished", "interrupted": "interrupted"}
SHOWN = ("mean", "std", "absmax", "zero_frac", "nonfinite_count")


def static_html(recording: Recording, history: History | None = None) -> str:
    """Describe a run in HTML without scripts, styles or links: a line, the findings, a picture and a table.

    Args:
        recording: The run.
        history: What has been read of it already; None reads all of it.

    Returns:
        A fragment below 150 kB whose texts are escaped.
    """
    return f'<div class="{NO_FORMULAS}">{_body(recording, history or read(recording))}</div>'


def static_text(recording: Recording, history: History | None = None) -> str:
    """Describe a run in one line of text and one line for each finding."""
    history = history or read(recording)
    line = " · ".join([cut(recording.title, NAME_LENGTH), *status_parts(recording.status, history)])
    findings = [
        f"  {f['severity']}: {cut(f['message'])} Fix: {cut(f['fix'])}" for f in history.findings[-MOST_FINDINGS:]
    ]
    return "\n".join(one_line(text) for text in (line, *findings))


def mimebundle(recording: Recording, widget: Any | None = None, history: History | None = None) -> dict[str, Any]:
    """Everything that one output can hold: the widget (if any), the static picture and plain text.

    Args:
        recording: The run.
        widget: A widget that shows it, or None.
        history: What has been read of the run already; None reads all of it.

    Returns:
        Data by MIME type.
    """
    history = history or read(recording)
    bundle = {"text/html": static_html(recording, history), "text/plain": static_text(recording, history)}
    if widget is not None:
        view = {"version_major": 2, "version_minor": 0, "model_id": widget.model_id}
        bundle["application/vnd.jupyter.widget-view+json"] = view  # type: ignore[assignment]
    return bundle


def read(recording: Recording) -> History:
    """Read a whole recording."""
    history = History()
    history.add(recording.records())
    return history


def one_line(text: str) -> str:
    """The text on one line, each character that controls a terminal or breaks the line replaced."""
    return "".join(letter if letter.isprintable() else "�" for letter in text)


def status_parts(status: Status, history: History) -> list[str]:
    """The header's numbers as short texts."""
    parts = [STATES[status.state], f"step {status.step:,}"]
    if history.newest_scalar is not None:
        name, value = history.newest_scalar
        parts.append(f"{cut(name, NAME_LENGTH)} {value:.4g}")
    if status.steps_per_second == status.steps_per_second:
        parts.append(f"{status.steps_per_second:.3g} steps/s")
    if (overhead := status.overhead) is not None:
        parts.append(f"overhead {overhead.share:.1%} ({overhead.low:.1%} to {overhead.high:.1%})")
    return [*parts, f"{status.dropped:,} steps dropped"]


def _body(recording: Recording, history: History) -> str:
    if history.observed == 0 and not history.series:
        return f"<p><b>{safe(recording.title, NAME_LENGTH)}</b> · nothing recorded yet</p>"
    state = " · ".join(status_parts(recording.status, history))
    return "\n".join(
        [
            f"<p><b>{safe(recording.title, NAME_LENGTH)}</b> · {safe(state)}</p>",
            _findings_html(history.findings),
            f'<p><img alt="{safe(_alternative(history))}" src="data:image/png;base64,{_base64(history)}"></p>',
            _table_html(history),
            _precision_html(history),
            _gates_html(history),
        ]
    )


def _findings_html(findings: Sequence[FindingInfo]) -> str:
    if not findings:
        return "<p>No findings.</p>"
    rows = [
        f"<tr><td><b>{safe(f['severity'])}</b></td><td>{safe(f['site'], NAME_LENGTH)}</td><td>{f['step']:,}</td>"
        f"<td>{safe(f['message'])}</td><td>{safe(f['cause'])}</td><td>{safe(f['fix'])}</td></tr>"
        for f in findings[: -MOST_FINDINGS - 1 : -1]
    ]
    more = f"<p>… and {len(findings) - MOST_FINDINGS} earlier findings</p>" if len(findings) > MOST_FINDINGS else ""
    return table(("finding", "layer", "step", "what", "cause", "fix"), rows) + more


def _table_html(history: History) -> str:
    sites = history.flow_sites()
    rows = []
    for index, site in enumerate(sites[:MOST_ROWS]):
        layout = history.layouts[int(history.flow.layouts[index])]
        numbers = dict(zip(FLOW_COLUMNS, history.flow.values[index].tolist(), strict=True))
        cells = [site["site"], site["type"], "×".join(map(str, layout.shape)), layout.dtype]
        cells += [f"{numbers[name]:.3g}" for name in SHOWN]
        rows.append("<tr>" + "".join(f"<td>{safe(cell, NAME_LENGTH)}</td>" for cell in cells) + "</tr>")
    if not rows:
        return ""
    heads = ("site", "type", "shape", "dtype", "mean", "std", "absmax", "zero", "non-finite")
    return table(heads, rows) + _more(sites, "sites")


def _precision_html(history: History) -> str:
    decisions = history.precision.newest
    rows = [
        f"<tr><td>{safe(each.layer, NAME_LENGTH)}</td><td>{safe(each.texts['dtype'], NAME_LENGTH)}</td>"
        f"<td>{safe(each.texts['reason'])}</td></tr>"
        for each in decisions[:MOST_ROWS]
    ]
    return table(("layer", "computes in", "why"), rows) + _more(decisions, "layers") if rows else ""


def _gates_html(history: History) -> str:
    gates = history.gates()
    measured, values = history.matrix("activation_ratio")
    newest = dict(zip(measured.tolist(), values[:, -1:].tolist(), strict=True))
    rows = []
    for gate in gates[:MOST_ROWS]:
        ratio = [f"{value:.0%}" for value in newest.get(gate["layer"], []) if value == value]
        cells = [
            history.layers[gate["layer"]]["name"],
            *(ratio or ["not measured"]),
            "yes" if gate["constant"] else "no",
        ]
        rows.append("<tr>" + "".join(f"<td>{safe(cell, NAME_LENGTH)}</td>" for cell in cells) + "</tr>")
    return table(("gate", "active blocks", "constant"), rows) + _more(gates, "gates") if rows else ""


def _more(items: Sequence[object], what: str) -> str:
    return f"<p>… and {len(items) - MOST_ROWS} more {what}</p>" if len(items) > MOST_ROWS else ""


def table(heads: Sequence[str], rows: Sequence[str]) -> str:
    """Return a table of rows that are HTML already."""
    head = "".join(f"<th>{name}</th>" for name in heads)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _alternative(history: History) -> str:
    return (
        f"Loss, and gradient norms of {len(history.matrix('gradient_norm')[0])} layers, over {history.observed} steps"
    )


def _base64(history: History) -> str:
    # Matplotlib takes half a second to load, and there is nothing to draw before the first step.
    from deepseek.widgets.picture import png

    return base64.b64encode(png(history)).decode()


def safe(text: str, length: int = TEXT_LENGTH) -> str:
    """Return foreign text as HTML: on one line, cut and escaped."""
    return escape(one_line(cut(text, length)))


def cut(text: str, length: int = TEXT_LENGTH) -> str:
    """Return the text, or its beginning and an ellipsis."""
    return text if len(text) <= length else text[: length - 1] + "…"

"""The saved report: one HTML file with the same views as the live widget, and nothing from the network."""

import base64
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from html import escape
from pathlib import Path
from string import Template

from deepseek.errors import DeepseekError
from deepseek.inspector.recording import Recording
from deepseek.widgets.history import History
from deepseek.widgets.live import STATIC, bokeh_js, setup_message
from deepseek.widgets.static_picture import one_line, static_html

REPORT_CELLS = 200_000
"""Heat-map cells over all metrics: 512 columns up to 97 layers, at most 1.1 MB of text."""

_ESCAPES = {ord(letter): f"\\u{ord(letter):04x}" for letter in "<>&\u2028\u2029"}


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
    with _explained(path):
        target = Path(path).expanduser().absolute()
        taken = target.exists()
    if taken and not overwrite:
        raise DeepseekError(f"Expected a new file, but {target} exists: choose another path or pass overwrite=True.")
    text = report_html(recording)
    with _explained(target):
        _write_whole(target, text)
    return target


def report_html(recording: Recording) -> str:
    """Return the text of the report."""
    history = History(REPORT_CELLS)
    history.add(recording.records())
    snapshot = history.snapshot(recording.status)
    data = {
        "setup": setup_message(recording),
        "message": snapshot.message,
        "payload": base64.b64encode(snapshot.payload).decode(),
    }
    bokeh, script = (_inline(text) for text in (bokeh_js().decode(), _static("report.js")))
    hashes = " ".join(f"'sha256-{_digest(text)}'" for text in (bokeh, script))
    return Template(_static("report.html")).substitute(
        hashes=hashes,
        title=escape(one_line(recording.title)),
        style=_static("widget.css"),
        summary=static_html(recording, history),
        data=json.dumps(data, allow_nan=False).translate(_ESCAPES),
        bokeh=bokeh,
        script=script,
    )


def _write_whole(target: Path, text: str) -> None:
    """Write beside the target and rename, so that no reader ever sees half a report."""
    draft = target.with_name(f".{target.name[:50]}.{secrets.token_hex(6)}.tmp")
    with draft.open("x", encoding="utf-8", newline="\n") as file:
        try:
            file.write(text)
            file.close()
            draft.replace(target)
        except OSError:
            draft.unlink(missing_ok=True)
            raise


@contextmanager
def _explained(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn whatever a path is refused with (``~`` of nobody, NUL, a name too long, a full disk) into our error."""
    try:
        yield
    except (OSError, ValueError, RuntimeError) as error:
        raise DeepseekError(
            f"Expected a path where the report can be written, got {os.fspath(path)[:500]}: "
            f"{getattr(error, 'strerror', None) or error}. "
            "Choose a file in a folder that exists and that you may write to."
        ) from error


def _static(name: str) -> str:
    return (STATIC / name).read_text(encoding="utf-8")


def _inline(script: str) -> str:
    """A script as it may stand inside a script element: nothing in it may close or nest the element."""
    return script.replace("</script", r"<\/script").replace("<!--", r"<\!--").replace("\r", "")


def _digest(script: str) -> str:
    return base64.b64encode(sha256(script.encode()).digest()).decode()

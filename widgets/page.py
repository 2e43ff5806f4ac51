"""Self-contained pages: scripts allowed by their hash, data that cannot become markup, nothing from the network."""

import base64
import json
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from deepseek.errors import DeepseekError
from deepseek.widgets.live import STATIC
from deepseek.widgets.static_picture import one_line

_ESCAPES = {ord(letter): f"\\u{ord(letter):04x}" for letter in "<>&\u2028\u2029"}


def page_html(*, title: str, style: str, summary: str, data: Any, bokeh: bytes, script: str) -> str:
    """Return the text of a page.

    Args:
        title: What the browser shows as the page's name; foreign text.
        style: Style sheet of ours.
        summary: What the page shows where no program runs: HTML whose foreign texts are escaped.
        data: What the script reads from the element ``deepseek-data``; may hold foreign text.
        bokeh: BokehJS.
        script: Script of ours.
    """
    texts = [_inline(text) for text in (bokeh.decode(), script)]
    return Template(static("report.html")).substitute(
        hashes=" ".join(f"'sha256-{_digest(text)}'" for text in texts),
        title=escape(one_line(title)),
        style=style,
        summary=summary,
        data=json.dumps(data, allow_nan=False).translate(_ESCAPES),
        bokeh=texts[0],
        script=texts[1],
    )


def write_page(path: str | os.PathLike[str], make: Callable[[], str], *, overwrite: bool = True) -> Path:
    """Write a page as a whole: no reader ever sees half of it.

    Args:
        path: Where to write; the folder must exist.
        make: Returns the text of the page; called when the path is known to be good.
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
    text = make()
    with _explained(target):
        _write_whole(target, text)
    return target


def static(name: str) -> str:
    """Return the text of a file of ours that the browser loads."""
    return (STATIC / name).read_text(encoding="utf-8")


def _write_whole(target: Path, text: str) -> None:
    """Write beside the target and rename."""
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


def _inline(script: str) -> str:
    """A script as it may stand inside a script element: nothing in it may close or nest the element."""
    return script.replace("</script", r"<\/script").replace("<!--", r"<\!--").replace("\r", "")


def _digest(script: str) -> str:
    return base64.b64encode(sha256(script.encode()).digest()).decode()

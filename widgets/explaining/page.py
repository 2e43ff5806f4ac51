"""Explanations as parts of pages: of a page of their own, and of a run's report."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from deepseek.widgets.explaining.message import Explanation, explanation_message, title_of
from deepseek.widgets.explaining.static import static_html
from deepseek.widgets.page import page_html, static, write_page


def write_explanation(explanation: Explanation, path: str | os.PathLike[str]) -> Path:
    """Write an explanation as one self-contained HTML file that opens offline; an existing one is replaced.

    Returns:
        The path of the file, made absolute.

    Raises:
        DeepseekError: It is too large, or cannot be written.
    """
    return write_page(path, lambda: explanation_html(explanation))


def explanation_html(explanation: Explanation) -> str:
    """Return the text of the page."""
    data = carried([explanation])
    return page_html(
        title=title_of(explanation),
        style=static("widget.css"),
        summary=without_scripts([explanation]),
        data=data,
        bokeh=b"",
        script=static("explanation_page.js"),
    )


def carried(explanations: Sequence[Explanation]) -> dict[str, Any]:
    """Return what the views of explanations need, as JSON holds it.

    Raises:
        DeepseekError: One is no explanation, or too large to be shown.
    """
    return {"explanations": [explanation_message(each).as_text() for each in explanations]}


def without_scripts(explanations: Sequence[Explanation]) -> str:
    """Return what is seen of explanations where no program runs: HTML whose texts are escaped."""
    return "".join(map(static_html, explanations))

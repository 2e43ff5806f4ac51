"""An explanation as one self-contained HTML file, with the view that the widget has."""

import os
from pathlib import Path

from deepseek.widgets.explaining.message import Explanation, explanation_message, title_of
from deepseek.widgets.explaining.static import static_html
from deepseek.widgets.page import page_html, static, write_page


def write_explanation(explanation: Explanation, path: str | os.PathLike[str]) -> Path:
    """Write an explanation as one file that opens offline; an existing one is replaced.

    Returns:
        The path of the file, made absolute.

    Raises:
        DeepseekError: It is too large, or cannot be written.
    """
    return write_page(path, lambda: explanation_html(explanation))


def explanation_html(explanation: Explanation) -> str:
    """Return the text of the page."""
    return page_html(
        title=title_of(explanation),
        style=static("widget.css"),
        summary=static_html(explanation),
        data={"explanations": [explanation_message(explanation).as_text()]},
        bokeh=b"",
        script=static("explanation_page.js"),
    )

"""What an explanation looks like where no program runs: untrusted and reopened notebooks, pages, terminals."""

import base64
import warnings
from contextlib import suppress
from io import BytesIO

from deepseek.errors import DeepseekError
from deepseek.explain import AttentionMaps
from deepseek.text import printable
from deepseek.widgets.explaining.message import Explanation, title_of
from deepseek.widgets.static_picture import MOST_ROWS, NAME_LENGTH, NO_FORMULAS, safe, table

PICTURE_BYTES = 90_000
"""A picture is left out that would take more: a saved cell stays small."""


def static_html(explanation: Explanation) -> str:
    """Describe an explanation in HTML without scripts, styles or links: what it says of itself, and its first row.

    Returns:
        A fragment whose texts are escaped, below 150 kB.
    """
    lines = [line.strip() for line in str(explanation).splitlines()]
    parts = [f"<p><b>{safe(lines[0])}</b></p>", *(f"<p>{safe(line)}</p>" for line in lines[1 : 1 + MOST_ROWS])]
    if len(lines) > 1 + MOST_ROWS:
        parts.append(f"<p>… and {len(lines) - 1 - MOST_ROWS} more lines</p>")
    return f'<div class="{NO_FORMULAS}">{"".join(parts)}{_picture(explanation)}{_heads(explanation)}</div>'


def static_text(explanation: Explanation) -> str:
    """Describe an explanation in a few lines of text."""
    return printable(explanation)


def _picture(explanation: Explanation) -> str:
    buffer = BytesIO()
    with warnings.catch_warnings(), suppress(DeepseekError):  # of some shapes there is no picture
        warnings.simplefilter("ignore", UserWarning)  # names may hold letters that the font has not
        explanation.plot(0).savefig(buffer, format="png", dpi=72)
    if not 0 < buffer.tell() <= PICTURE_BYTES:
        return ""
    url = base64.b64encode(buffer.getvalue()).decode()
    return f'<p><img alt="{safe(title_of(explanation))}, row 0" src="data:image/png;base64,{url}"></p>'


def _heads(explanation: Explanation) -> str:
    """A table of the first attention heads."""
    if not isinstance(explanation, AttentionMaps):
        return ""
    frame = explanation.summary().head(MOST_ROWS)
    rows = [
        "<tr>"
        + "".join(
            f"<td>{f'{cell:.3f}' if isinstance(cell, float) else safe(str(cell), NAME_LENGTH)}</td>" for cell in row
        )
        + "</tr>"
        for row in frame.itertuples(index=False)
    ]
    return table([safe(str(name)) for name in frame.columns], rows)

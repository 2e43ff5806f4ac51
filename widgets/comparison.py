"""What a comparison looks like: a static picture with tables for notebooks, and a self-contained report."""

import base64
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from deepseek.inspector.aligning import Side
from deepseek.inspector.comparison import Comparison
from deepseek.widgets.charts_message import bokeh_js
from deepseek.widgets.comparison_picture import png
from deepseek.widgets.page import page_html, static, write_page
from deepseek.widgets.static_picture import MOST_ROWS, NAME_LENGTH, NO_FORMULAS, one_line, safe, table
from deepseek.widgets.views.comparison import comparison_charts

REPORT_ROWS = 2000
"""Sites in the tables of a report."""

TEXT_LENGTH = 2000
"""Letters of the verdict and its notes; names in them have been cut already."""


def write_comparison(comparison: Comparison, path: str | os.PathLike[str]) -> Path:
    """Write a comparison as one self-contained HTML file; an existing one is replaced.

    Returns:
        The path of the file, made absolute.

    Raises:
        DeepseekError: It cannot be written.
    """
    return write_page(path, lambda: comparison_html(comparison))


def comparison_html(comparison: Comparison) -> str:
    """Return the text of the report."""
    return page_html(
        title=f"{comparison.a.title} compared with {comparison.b.title}",
        style=static("comparison.css"),
        summary=static_html(comparison, REPORT_ROWS),
        data={"charts": comparison_charts(comparison)},
        bokeh=bokeh_js(),
        script=static("comparison.js"),
    )


def mimebundle(comparison: Comparison) -> dict[str, Any]:
    """Everything that one output can hold: the static picture and plain text."""
    return {"text/html": static_html(comparison), "text/plain": one_line(str(comparison))}


def static_html(comparison: Comparison, most: int = MOST_ROWS) -> str:
    """Describe a comparison in HTML without scripts, styles or links: verdict, runs, picture and tables.

    Args:
        comparison: What to describe.
        most: Sites in the table; those that differ first are kept.

    Returns:
        A fragment whose texts are escaped; with 20 rows it is below 150 kB.
    """
    picture = base64.b64encode(png(comparison)).decode()
    parts = [
        f"<p><b>{safe(str(comparison), TEXT_LENGTH)}</b></p>",
        _runs(comparison),
        f'<p><img alt="{safe(_alternative(comparison))}" src="data:image/png;base64,{picture}"></p>',
        _sites(comparison, most),
        _scalars(comparison.scalars),
        *(_only(label, names) for label, names in (("A", comparison.only_a), ("B", comparison.only_b))),
    ]
    return f'<div class="{NO_FORMULAS}">{"".join(parts)}</div>'


def _runs(comparison: Comparison) -> str:
    rows = [_run(label, side) for label, side in (("A", comparison.a), ("B", comparison.b))]
    return table(("run", "model", "file", "steps", f"observed {comparison.kind.replace('_', ' ')}"), rows)


def _run(label: str, side: Side) -> str:
    return _row([label, side.title, side.name or "not a file", f"{len(side.steps):,}", f"{len(side.observed):,} steps"])


def _sites(comparison: Comparison, most: int) -> str:
    frame = comparison.frame
    shown = frame.sort_values("first_step", kind="stable").head(most).sort_values("depth")
    rows = []
    for row in shown.to_dict("records"):
        name = f"{row['site']} (call {row['call']})" if row["call"] else row["site"]
        rows.append(_row([str(row["depth"]), name, row["type"], *_numbers(row)]))
    if not rows:
        return ""
    column = f"{comparison.kind.replace('_', ' ')} {comparison.column}"
    heads = ("depth", "site", "type", f"{column} in A", "in B", "relative difference", "at step", "differs from step")
    more = f"<p>… and {len(frame) - len(rows)} more sites</p>" if len(frame) > len(rows) else ""
    return table(heads, rows) + more


def _scalars(scalars: pd.DataFrame) -> str:
    rows = [_row([row["name"], *_numbers(row)]) for row in scalars.head(MOST_ROWS).to_dict("records")]
    if not rows:
        return ""
    more = f"<p>… and {len(scalars) - len(rows)} more scalars</p>" if len(scalars) > len(rows) else ""
    heads = ("logged", "in A", "in B", "relative difference", "at step", "differs from step")
    return table(heads, rows) + more


def _numbers(row: dict[Any, Any]) -> list[str]:
    """Both values, their difference, its step and the first step that differs; empty where there is none."""
    values = [f"{row[name]:.4g}" for name in ("a", "b")] + [f"{row['difference']:.2g}"]
    return [*values, *("" if pd.isna(row[name]) else f"{row[name]}" for name in ("step", "first_step"))]


def _only(label: str, names: Sequence[str]) -> str:
    if not names:
        return ""
    more = f" … and {len(names) - MOST_ROWS} more" if len(names) > MOST_ROWS else ""
    listed = ", ".join(safe(name, NAME_LENGTH) for name in names[:MOST_ROWS])
    return f"<p>Observed only in {label}: {listed}{more}</p>"


def _row(cells: Sequence[str]) -> str:
    return "<tr>" + "".join(f"<td>{safe(cell, NAME_LENGTH)}</td>" for cell in cells) + "</tr>"


def _alternative(comparison: Comparison) -> str:
    return (
        f"Relative differences of {len(comparison.frame)} sites over depth and {len(comparison.steps)} steps, "
        "and the logged values of both runs"
    )

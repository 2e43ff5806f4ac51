"""Figures for notebooks and papers, and what all those of attributions have in common."""

from io import BytesIO

from matplotlib.figure import Figure

from deepseek.text import printable

UP, DOWN = "#d1495b", "#2e6fbb"
"""Colors of what raised and what lowered the output."""

DIVERGING = "RdBu_r"
"""The same for values of any size: red raises, blue lowers, white does nothing."""


class Picture(Figure):
    """A figure that notebooks show although pyplot does not know it."""

    def _repr_png_(self) -> bytes:
        buffer = BytesIO()
        self.savefig(buffer, format="png", dpi=96)
        return buffer.getvalue()


def short(text: str, most: int = 80) -> str:
    """Return the beginning of a text, without what terminals and pictures would be misled by."""
    return printable(text if len(text) <= most else f"{text[: most - 1]}…")

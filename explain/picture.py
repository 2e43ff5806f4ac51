"""Figures for notebooks and papers, and what all those of attributions have in common."""

from deepseek.picture import Picture
from deepseek.text import printable

__all__ = ["DIVERGING", "DOWN", "UP", "Picture", "short"]

UP, DOWN = "#d1495b", "#2e6fbb"
"""Colors of what raised and what lowered the output."""

DIVERGING = "RdBu_r"
"""The same for values of any size: red raises, blue lowers, white does nothing."""


def short(text: str, most: int = 80) -> str:
    """Return the beginning of a text, without what terminals and pictures would be misled by."""
    return printable(text if len(text) <= most else f"{text[: most - 1]}…")

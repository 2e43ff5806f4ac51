"""Compute: tensor summaries."""

from deepseek.kernels.summary import COLUMNS, Summary, summarize

__all__ = ["COLUMNS", "Summary", "summarize"]

"""Comparisons of recordings that are made by hand."""

from collections.abc import Callable, Sequence
from typing import Any

from synthetic import SyntheticRecording

from deepseek.inspector.comparison import Comparison, compare
from deepseek.kernels.summary.columns import COLUMNS
from deepseek.widgets import Viewer


def comparison(steps: int = 30, *, factor: float = 1.5, start: int = 0, **options: Any) -> Comparison:
    """Two recordings of the same kind; from step ``start`` on the second one's activations are larger."""
    a, b = (SyntheticRecording(**options) for _ in range(2))
    for recording in (a, b):
        recording.advance(steps)
    return of(a, b, factor, start)


def hostile_comparison(make: Callable[..., SyntheticRecording], texts: Sequence[str]) -> Comparison:
    """Two recordings with the same texts in every name, of which the second lacks the first ones."""
    lacking = len(texts) // 8
    ordered = (*texts[lacking:], *texts[:lacking])
    return of(make(ordered), make(ordered[:-lacking]))


def of(a: SyntheticRecording, b: SyntheticRecording, factor: float = 1.5, start: int = 0) -> Comparison:
    """Compare with ``b``, whose activations are made larger from step ``start`` on."""
    absmax = COLUMNS.index("absmax")
    for record in b.stored:
        if record.step >= start and "activation" in record.frames:
            record.frames["activation"].values[:, absmax] *= factor
    return compare(a, b, column="absmax", viewer=Viewer())

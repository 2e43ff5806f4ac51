"""The recent past of a run, arranged for rules."""

from collections import deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from deepseek.inspector.record import Layout, Site, StepRecord, TensorKind
from deepseek.kernels.summary import COLUMNS

WINDOW_STEPS = 50
"""Observed steps that a window holds."""


class Window:
    """The newest observed steps, and the first few for comparison.

    Attributes:
        sites: All sites so far; a site's id is its position.
        layouts: All layouts so far.
        records: The newest observed steps, the newest last.
        baseline: The first observed steps of the run.
        observed: Number of observed steps since the start of the run.
    """

    def __init__(self) -> None:
        self.sites: list[Site] = []
        self.layouts: list[Layout] = []
        self.records: deque[StepRecord] = deque(maxlen=WINDOW_STEPS)
        self.baseline: list[StepRecord] = []
        self.observed = 0

    @property
    def newest(self) -> StepRecord:
        """The step that the window ends with."""
        return self.records[-1]

    def add(self, record: StepRecord) -> None:
        """Move the window's end to ``record``."""
        self.sites += record.sites
        self.layouts += record.layouts
        self.records.append(record)
        self.observed += 1
        if len(self.baseline) < 5:
            self.baseline.append(record)

    def column(self, kind: TensorKind, name: str, records: Sequence[StepRecord] | None = None) -> NDArray[np.float64]:
        """Return one column as ``[steps, sites]``; NaN where a site was not seen; the last call of a step counts."""
        chosen = self.records if records is None else records
        table = np.full((len(chosen), len(self.sites)), np.nan)
        position = COLUMNS.index(name)
        for row, record in zip(table, chosen, strict=True):
            if (frame := record.frames.get(kind)) is not None:
                row[frame.site] = frame.values[:, position]
        return table

    def shapes(self, kind: TensorKind) -> dict[int, tuple[int, ...]]:
        """Map each site to the shape of its newest tensor of this kind."""
        shapes: dict[int, tuple[int, ...]] = {}
        for record in self.records:
            if (frame := record.frames.get(kind)) is not None:
                for site, layout in zip(frame.site.tolist(), frame.layout.tolist(), strict=True):
                    shapes[site] = self.layouts[layout].shape
        return shapes

    def types_between(self, first: int, last: int) -> list[str]:
        """Class names of the modules whose depth lies from ``first`` to ``last``, both included."""
        modules = {site.module: site for site in self.sites if site.role == "module"}
        return [site.type for site in modules.values() if first <= site.order <= last]


def median(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """Median over the steps of ``[steps, sites]``; NaN where a site was never seen."""
    result = np.full(table.shape[1], np.nan)
    seen = ~np.isnan(table).all(axis=0)
    if seen.any():
        result[seen] = np.nanmedian(table[:, seen], axis=0)
    return result

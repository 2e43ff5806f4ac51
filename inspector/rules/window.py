"""The recent past of a run, arranged for rules."""

from collections import deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from deepseek.inspector.record import Frame, Layout, Site, StepRecord, TensorKind
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
        self._columns: dict[tuple[TensorKind, str], NDArray[np.float64]] = {}
        self._newest_layout: dict[TensorKind, NDArray[np.int64]] = {}

    @property
    def newest(self) -> StepRecord:
        """The step that the window ends with."""
        return self.records[-1]

    def learn(self, record: StepRecord) -> None:
        """Take in the sites and layouts that a step brought: one that was not observed may bring those of lost ones."""
        self.sites += record.sites
        self.layouts += record.layouts

    def add(self, record: StepRecord) -> None:
        """Move the window's end to ``record``, whose sites and layouts are known."""
        self.records.append(record)
        self._columns.clear()
        for kind, frame in record.frames.items():
            self._remember_layouts(kind, frame)
        self.observed += 1
        if len(self.baseline) < 5:
            self.baseline.append(record)

    def column(
        self, kind: TensorKind, name: str, records: Sequence[StepRecord] | deque[StepRecord] | None = None
    ) -> NDArray[np.float64]:
        """Return one column as ``[steps, sites]``; NaN where a site was not seen; the last call of a step counts."""
        if records is None:
            if (kind, name) not in self._columns:
                self._columns[kind, name] = self.column(kind, name, self.records)
            return self._columns[kind, name]
        table = np.full((len(records), len(self.sites)), np.nan)
        position = COLUMNS.index(name)
        for row, record in zip(table, records, strict=True):
            if (frame := record.frames.get(kind)) is not None:
                row[frame.site] = frame.values[:, position]
        return table

    def shapes(self, kind: TensorKind) -> dict[int, tuple[int, ...]]:
        """Map each site to the shape of its newest tensor of this kind."""
        layouts = self._newest_layout.get(kind, np.empty(0, np.int64))
        seen = np.flatnonzero(layouts >= 0)
        return {site: self.layouts[layout].shape for site, layout in zip(seen.tolist(), layouts[seen], strict=True)}

    def types_between(self, first: int, last: int) -> list[str]:
        """Class names of the modules whose depth lies from ``first`` to ``last``, both included."""
        modules = {site.module: site for site in self.sites if site.role == "module"}
        return [site.type for site in modules.values() if first <= site.order <= last]

    def _remember_layouts(self, kind: TensorKind, frame: Frame) -> None:
        known = self._newest_layout.get(kind, np.empty(0, np.int64))
        if len(known) < len(self.sites):
            known = np.append(known, np.full(len(self.sites) - len(known), -1))
        known[frame.site] = frame.layout
        self._newest_layout[kind] = known


def median(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """Median over the steps of ``[steps, sites]``; NaN where a site was never seen."""
    steps, sites = table.shape
    if not steps:
        return np.full(sites, np.nan)
    ordered = np.sort(table, axis=0)  # NaN comes last
    seen = steps - np.isnan(table).sum(axis=0)
    middle = np.arange(sites)
    low, high = ordered[np.maximum(seen - 1, 0) // 2, middle], ordered[np.minimum(seen // 2, steps - 1), middle]
    result: NDArray[np.float64] = np.where(seen > 0, 0.5 * low + 0.5 * high, np.nan)
    return result

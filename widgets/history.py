"""What the views show of a recording: layer x step matrices, scalars, newest summaries, findings.

Bounded however long the run is: ``LIVE_CELLS`` numbers over all metrics (64 columns in the deepest models),
``MAX_SERIES`` scalars of 512 points, the findings (a run has at most 1,000), and one row for each site and layout.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from deepseek.inspector.record import Layout, Site, StepRecord
from deepseek.inspector.recording import Status
from deepseek.widgets.columns import Columns, Series
from deepseek.widgets.flow import FlowTable, layout_info
from deepseek.widgets.gates import GateTable
from deepseek.widgets.message_types import FindingInfo, FlowSite, Gate, Increment, Layer, Snapshot
from deepseek.widgets.messages import Packet, finding_info, header, name_text, packet
from deepseek.widgets.metrics import METRICS, SiteTable, layer_values
from deepseek.widgets.precision import PrecisionTable

LIVE_CELLS = 60_000
"""Cells over all metrics that a live view holds: at most 240 kB of a snapshot."""

Arrays = dict[str, NDArray[np.float32] | NDArray[np.int32]]

MAX_FINDINGS = 200
MAX_SERIES = 8


class History:
    """Consumes step records and hands out messages: a full snapshot, or what changed since the message before.

    Args:
        cells: Largest number of heat-map cells over all metrics.
    """

    def __init__(self, cells: int = LIVE_CELLS) -> None:
        self.columns = Columns({metric.name: metric.worst for metric in METRICS}, cells)
        self.series: dict[str, Series] = {}
        self.layers: list[Layer] = []
        self.flow = FlowTable()
        self.precision = PrecisionTable()
        self.findings: list[FindingInfo] = []
        self.newest_scalar: tuple[str, float] | None = None
        self.observed = 0
        self._gates = GateTable()
        self._sites: list[Site] = []
        self.layouts: list[Layout] = []
        self._table = SiteTable(np.zeros(0, np.intp), np.zeros(0), 0)
        self._measured = {metric.name: np.zeros(0, bool) for metric in METRICS}
        self._step = -1
        self._sequence = 0
        self._shape: object = None
        self._first_column = 0
        self._first_point: dict[str, int] = {}
        self._told_findings = 0
        self._told_layouts = 0
        self._flow_changed = False

    def add(self, records: Iterable[StepRecord]) -> None:
        """Take new steps; steps that were taken before are ignored."""
        for record in records:
            if record.step > self._step:
                self._add(record)

    def snapshot(self, status: Status) -> Packet:
        """Return everything as one message."""
        self._sequence += 1
        message: Snapshot = {
            "type": "snapshot",
            "sequence": self._sequence,
            "header": header(status, self.observed, self.newest_scalar),
            "layers": self.layers,
            "stride": self.columns.stride,
            "metrics": [
                {"name": name, "rows": [int(row) for row in np.flatnonzero(rows)]}
                for name, rows in self._measured.items()
            ],
            "series": [name_text(name) for name in self.series],
            "flow": self.flow_sites(),
            "layouts": [layout_info(layout) for layout in self.layouts],
            "findings": self.findings[-MAX_FINDINGS:],
            "arrays": [],
        }
        self._first_column, self._flow_changed = 0, True
        self._first_point = dict.fromkeys(self.series, 0)
        arrays = self._arrays()
        if gates := self.gates():
            message["gates"] = gates
        if described := self.precision.described():
            message["precision"] = described[0]
            arrays |= described[1]
        result = packet(message, arrays)
        self._told()
        return result

    def increment(self, status: Status) -> Packet | None:
        """Return what changed since the last message, or None when only a snapshot can tell it."""
        if self._structure() != self._shape:
            return None
        self._sequence += 1
        message: Increment = {
            "type": "increment",
            "sequence": self._sequence,
            "header": header(status, self.observed, self.newest_scalar),
            "layouts": [layout_info(layout) for layout in self.layouts[self._told_layouts :]],
            "findings": self.findings[self._told_findings :][-MAX_FINDINGS:],
            "arrays": [],
        }
        result = packet(message, self._arrays())
        self._told()
        return result

    @property
    def next_step(self) -> int:
        """Number of the first step that has not been taken yet."""
        return self._step + 1

    def matrix(self, metric: str) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
        """Return the layers in which a metric was measured and its values, ``[rows, columns]``."""
        measured = self._measured[metric]
        return np.flatnonzero(measured), self.columns.values(metric)[measured]

    def flow_sites(self) -> list[FlowSite]:
        """Return what the rows of the tensor-flow table stand for."""
        return self.flow.sites(self._sites, self._table)

    def gates(self) -> list[Gate]:
        """Return what is known of each sparse gate."""
        return self._gates.gates(self._sites, self._table)

    def _add(self, record: StepRecord) -> None:
        self._step = record.step
        self.layouts.extend(record.layouts)
        if record.sites or record.layouts:
            self._grow(record.sites)
        if record.frames:
            self._observe(record)
        self.precision.update(record)
        self._gates.update(record.units, self._sites)
        for name, value in record.scalars.items():
            self._log(record.step, name, value)
        if record.findings:
            self.findings.extend(finding_info(finding) for finding in record.findings)

    def _observe(self, record: StepRecord) -> None:
        values = layer_values(record.frames, self._table)
        column = self.columns.add(record.step, values)
        self._first_column = min(self._first_column, column)
        for name, rows in self._measured.items():
            rows |= ~np.isnan(values[name])
        self.observed += 1
        if "activation" in record.frames:
            self.flow.update(record.frames["activation"])
            self._flow_changed = True

    def _log(self, step: int, name: str, value: float) -> None:
        if name not in self.series and len(self.series) == MAX_SERIES:
            return
        point = self.series.setdefault(name, Series()).add(step, value)
        self._first_point[name] = min(self._first_point.get(name, point), point)
        if self.newest_scalar is None or name == self.newest_scalar[0] or name == "loss":
            self.newest_scalar = (name, value)

    def _grow(self, sites: tuple[Site, ...]) -> None:
        before = [self._sites[i].module for i in self._one_site_per_layer()] if self._sites else []
        self._sites.extend(sites)
        chosen = self._one_site_per_layer()
        row = {self._sites[i].module: r for r, i in enumerate(chosen)}
        layer = np.array([row[site.module] for site in self._sites], np.intp)
        numel = np.array([layout.numel for layout in self.layouts], float)
        self._table = SiteTable(layer, numel, len(row))
        if sites:
            self._move_rows(np.array([row[name] for name in before], np.intp), len(row))
            self.layers = [
                {
                    "name": name_text(self._sites[i].module or "(model)"),
                    "type": name_text(self._sites[i].type),
                }
                for i in chosen
            ]

    def _one_site_per_layer(self) -> list[int]:
        by_module: dict[str, int] = {}
        for index, site in enumerate(self._sites):
            by_module.setdefault(site.module, index)
        return sorted(by_module.values(), key=lambda i: (self._sites[i].order, self._sites[i].module))

    def _move_rows(self, position: NDArray[np.intp], rows: int) -> None:
        self.columns.resize(rows, position)
        for name, old in self._measured.items():
            self._measured[name] = np.zeros(rows, bool)
            self._measured[name][position] = old

    def _arrays(self) -> Arrays:
        columns, first = self.columns, self._first_column
        arrays: Arrays = {}
        if first < columns.count:
            arrays["steps"] = columns.starts[first:]
            for name, rows in self._measured.items():
                arrays[f"metric/{name}"] = columns.values(name)[rows, first:]
        for index, (name, series) in enumerate(self.series.items()):
            if (point := self._first_point[name]) < series.count:
                arrays[f"scalar/{index}"] = series.points[:, point:]
        if self._flow_changed:
            arrays["flow_layouts"], arrays["flow"] = self.flow.layouts, self.flow.values
        return arrays

    def _structure(self) -> object:
        """What both sides must agree on for an increment to make sense."""
        strides = tuple(series.stride for series in self.series.values())
        measured = tuple(rows.tobytes() for rows in self._measured.values())
        return (self.columns.stride, len(self._sites), strides, measured, len(self.flow.order), self.precision.count)

    def _told(self) -> None:
        self._shape = self._structure()
        self._first_column = self.columns.count
        self._first_point = {name: series.count for name, series in self.series.items()}
        self._told_findings, self._told_layouts = len(self.findings), len(self.layouts)
        self._flow_changed = False

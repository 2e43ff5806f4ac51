"""The tensor-flow table: the newest activation summary of every site, in the order in which tensors flow."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from deepseek.inspector.record import Frame, Layout, Site
from deepseek.kernels.summary.columns import COLUMNS
from deepseek.widgets.message_types import FlowSite, TensorLayout
from deepseek.widgets.messages import name_text
from deepseek.widgets.metrics import SiteTable

if TYPE_CHECKING:
    from numpy.typing import NDArray

FLOW_COLUMNS = ("mean", "std", "min", "max", "absmax", "zero_frac", "nonfinite_count")

_INDEX = [COLUMNS.index(name) for name in FLOW_COLUMNS]


class FlowTable:
    """Keeps one row per site that was seen in a forward pass; of several calls in a step the last one counts."""

    def __init__(self) -> None:
        self.order: list[int] = []
        self.layouts: NDArray[np.int32] = np.zeros(0, np.int32)
        self.values: NDArray[np.float32] = np.zeros((0, len(FLOW_COLUMNS)), np.float32)
        self._row: dict[int, int] = {}

    def update(self, frame: Frame) -> None:
        """Take the activation frame of a step."""
        sites = frame.site.tolist()
        for site in sites:
            if site not in self._row:
                self._append(site)
        rows = [self._row[site] for site in sites]
        self.layouts[rows] = frame.layout
        with np.errstate(over="ignore"):
            self.values[rows] = frame.values[:, _INDEX]

    def sites(self, sites: Sequence[Site], table: SiteTable) -> list[FlowSite]:
        """What the rows stand for."""
        return [
            {
                "site": name_text(sites[i].name or "(model)"),
                "type": name_text(sites[i].type),
                "layer": int(table.layer[i]),
            }
            for i in self.order
        ]

    def _append(self, site: int) -> None:
        self._row[site] = len(self.order)
        self.order.append(site)
        self.layouts = np.append(self.layouts, np.int32(0))
        self.values = np.vstack([self.values, np.zeros((1, len(FLOW_COLUMNS)), np.float32)])


def layout_info(layout: Layout) -> TensorLayout:
    """A layout as a message holds it."""
    return {
        "dtype": name_text(layout.dtype),
        "shape": [int(n) for n in layout.shape[:64]],
        "bytes": layout.nbytes,
    }

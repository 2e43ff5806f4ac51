"""What the sparse gates of a run decided, as views show it: the newest window of each."""

from collections.abc import Iterable, Sequence

from deepseek.inspector.record import Site, UnitCounts
from deepseek.inspector.rules.constant_gate import GATE, is_constant
from deepseek.widgets.message_types import Gate
from deepseek.widgets.metrics import SiteTable

MAX_GATES = 256
MAX_BLOCKS = 64
"""What a message holds: of further blocks it tells the number only."""


class GateTable:
    """Keeps the newest window of decisions of every gate; its activation ratio is a metric like any other."""

    def __init__(self) -> None:
        self._newest: dict[int, UnitCounts] = {}

    def update(self, windows: Iterable[UnitCounts], sites: Sequence[Site]) -> None:
        """Take the windows that became full in a step."""
        self._newest |= {counts.site: counts for counts in windows if sites[counts.site].type == GATE}

    def gates(self, sites: Sequence[Site], table: SiteTable) -> list[Gate]:
        """Return what is known of each gate, in the order of the layers."""
        found = [site for site in sites if site.type == GATE and site.role == "module"]
        found.sort(key=lambda site: int(table.layer[site.id]))
        return [_gate(int(table.layer[site.id]), self._newest.get(site.id)) for site in found[:MAX_GATES]]


def _gate(layer: int, counts: UnitCounts | None) -> Gate:
    if counts is None or not counts.samples:
        return {"layer": layer, "samples": 0, "blocks": 0, "open": [], "constant": False}
    return {
        "layer": layer,
        "samples": int(counts.samples),
        "blocks": len(counts.active),
        "open": [round(float(active) / counts.samples, 4) for active in counts.active[:MAX_BLOCKS]],
        "constant": is_constant(counts),
    }

"""Recordings as pandas tables, whose texts can be printed as they are."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from deepseek.errors import DeepseekError
from deepseek.inspector.detail import FORMATS, Detail, Histogram
from deepseek.inspector.precision import PRECISION
from deepseek.inspector.record import TENSOR_KINDS, Event, Finding, Frame, Layout, Site, TensorKind, UnitCounts
from deepseek.inspector.rules.constant_gate import GATE
from deepseek.inspector.runfile import Step
from deepseek.kernels.precision import PLAN_COLUMNS
from deepseek.kernels.summary import COLUMNS
from deepseek.text import printable

if TYPE_CHECKING:
    import pandas as pd

TABLE_KINDS = (
    *TENSOR_KINDS,
    "gate",
    "precision",
    "unit",
    "scalar",
    "timing",
    "event",
    "finding",
    "histogram",
    "memory",
)
"""What ``frame(kind)`` understands."""

_DURING: dict[TensorKind, str] = {
    "activation": "training",
    "eval_activation": "evaluation",
    "generate_activation": "generation",
}

GATED_KINDS = tuple(_DURING)
"""The kinds of rows that gates leave."""

_SUMMARY_KINDS: tuple[TensorKind, ...] = ("activation", "gradient", "parameter", "update")


def check_kind(kind: str) -> None:
    """Raise a DeepseekError for a kind that is not recorded."""
    if kind not in TABLE_KINDS:
        raise DeepseekError(f"There is no table {kind!r}. Recorded are: {', '.join(TABLE_KINDS)}.")


def tensor_table(
    frames: Iterable[tuple[int, Frame]], sites: Sequence[Site], layouts: Sequence[Layout]
) -> "pd.DataFrame":
    """One row per observed tensor: ``step, site, call, numel, shape, dtype`` and the summary columns."""
    import pandas as pd

    found = list(frames)
    steps = np.concatenate([np.full(len(frame), step) for step, frame in found] or [np.empty(0, np.int64)])
    layout = np.concatenate([frame.layout for _, frame in found] or [np.empty(0, np.uint32)])
    site = np.concatenate([frame.site for _, frame in found] or [np.empty(0, np.uint32)])
    values = np.concatenate([frame.values for _, frame in found] or [np.empty((0, len(COLUMNS)))])
    table = {
        "step": steps.astype(np.int64),
        "site": _take([printable(site.name) for site in sites], site),
        "call": np.concatenate([frame.call for _, frame in found] or [np.empty(0, np.uint32)]).astype(np.int64),
        "numel": _take([layout.numel for layout in layouts], layout).astype(np.int64),
        "shape": _take([layout.shape for layout in layouts], layout),
        "dtype": _take([printable(layout.dtype) for layout in layouts], layout),
    }
    return pd.DataFrame(table | dict(zip(COLUMNS, values.T, strict=True)))


def with_update_ratio(updates: "pd.DataFrame", parameters: "pd.DataFrame") -> "pd.DataFrame":
    """Add ``update_ratio``: the norm of each update relative to that of the parameter it led to."""
    keys = ["step", "site", "call"]
    norms = updates[keys].merge(parameters[[*keys, "l2"]].drop_duplicates(keys), on=keys, how="left")["l2"].to_numpy()
    ratio = np.divide(updates["l2"], norms, out=np.full(len(updates), np.nan), where=norms > 0)
    return updates.assign(update_ratio=ratio)


def gate_table(outputs: "dict[TensorKind, pd.DataFrame]", sites: Sequence[Site]) -> "pd.DataFrame":
    """One row per forward of a sparse gate: ``step, site, call, during, rows, blocks, active_frac``."""
    import pandas as pd

    gates = [printable(site.name) for site in sites if site.type == GATE]
    found = [table[table["site"].isin(gates)].assign(during=_DURING[kind]) for kind, table in outputs.items()]
    table = pd.concat(found).sort_values("step", kind="stable", ignore_index=True)
    blocks = np.array([shape[-1] for shape in table["shape"]], np.int64)
    table = table.assign(rows=table["numel"] // blocks, blocks=blocks, active_frac=1 - table["zero_frac"])
    return table[["step", "site", "call", "during", "rows", "blocks", "active_frac"]]


def scalar_table(scalars: list[tuple[int, str, float]]) -> "pd.DataFrame":
    """One row per logged value: ``step, name, value``."""
    return _table(scalars, ("step", "name", "value"))


def timing_table(steps: Iterable[Step]) -> "pd.DataFrame":
    """One row per step: ``step, time, wall_ms, inspector_ms, observed, gradient_norm``."""
    columns = ("step", "time", "wall_ms", "inspector_ms", "observed", "gradient_norm")
    return _table([tuple(getattr(step, name) for name in columns) for step in steps], columns)


def unit_table(counts: Iterable[tuple[int, UnitCounts]], sites: Sequence[Site]) -> "pd.DataFrame":
    """One row per site and full window: how many of its units were never active, and how many always at a limit."""
    columns = ("step", "site", "units", "samples", "dead", "dead_frac", "saturated", "saturated_frac")
    return _table([_unit_row(step, found, sites) for step, found in counts], columns)


def _unit_row(step: int, counts: UnitCounts, sites: Sequence[Site]) -> tuple[Any, ...]:
    units = len(counts.active)
    dead = int(np.count_nonzero(counts.active == 0))
    saturated = int(np.count_nonzero(counts.saturated == counts.samples))
    if not counts.samples:
        dead = saturated = 0
    shares = (dead / units, saturated / units) if units else (np.nan, np.nan)
    return (step, sites[counts.site].name, units, counts.samples, dead, shares[0], saturated, shares[1])


def histogram_table(details: Iterable[Detail]) -> "pd.DataFrame":
    """One row per tensor of a closer look: counts, and the shares that narrower formats would lose of its values."""
    columns = ("step", "site", "kind", "tensor", "dtype", "numel", "zeros", "nonfinite_count", "low", "high", "counts")
    lost = [f"{form.name}_{what}_frac" for form in FORMATS for what in ("underflow", "subnormal", "overflow")]
    rows = [_histogram_row(detail, found) for detail in details for found in detail.histograms]
    return _table(rows, (*columns, *lost))


def _histogram_row(detail: Detail, found: Histogram) -> tuple[Any, ...]:
    names = (detail.step, detail.site, found.kind, found.tensor, found.dtype)
    numbers = (found.numel, found.zeros, found.nonfinite, found.low, found.high)
    shares = found.formats.ravel() / found.numel if found.numel else np.full(found.formats.size, np.nan)
    return (*names, *numbers, found.counts, *shares.tolist())


def memory_table(details: Iterable[Detail]) -> "pd.DataFrame":
    """One row per closer look: what the layer takes, in bytes and milliseconds."""
    columns = ("step", "site", "output_bytes", "parameter_bytes", "gradient_bytes", "forward_ms", "backward_ms")
    return _table([tuple(getattr(detail, name) for name in columns) for detail in details], columns)


def precision_table(events: Iterable[tuple[int, Event]]) -> "pd.DataFrame":
    """One row per decision on the precision of a layer: ``step``, and the columns of ``Plan.table``."""
    decisions = [(step, *map(event.data.get, PLAN_COLUMNS)) for step, event in events if event.kind == PRECISION]
    return _table(decisions, ("step", *PLAN_COLUMNS)).astype({"epoch": np.int64, "numel": np.int64})


def event_table(events: Iterable[tuple[int, Event]]) -> "pd.DataFrame":
    """One row per event: ``step, kind, data``, the latter as JSON."""
    return _table([(step, event.kind, json.dumps(event.data)) for step, event in events], ("step", "kind", "data"))


def finding_table(findings: Iterable[Finding]) -> "pd.DataFrame":
    """One row per finding, its fields as columns."""
    return _table([tuple(asdict(finding).values()) for finding in findings], tuple(Finding.__dataclass_fields__))


def summary_table(newest: dict[TensorKind, Frame], sites: Sequence[Site], layouts: Sequence[Layout]) -> "pd.DataFrame":
    """One row per observed module or parameter: its newest numbers of every kind."""
    import pandas as pd

    rows = dict(_summary_rows(newest, sites, layouts))
    columns = ["type", "shape", "dtype", "mean", "std", "absmax", "activation_ratio", "nonfinite_count"]
    table = pd.DataFrame.from_dict(rows, orient="index")
    table = table.reindex(columns=[*columns, "gradient_norm", "update_ratio"])
    table.index.name = "site"
    return table


def _summary_rows(
    newest: dict[TensorKind, Frame], sites: Sequence[Site], layouts: Sequence[Layout]
) -> Iterator[tuple[str, dict[str, Any]]]:
    cells = {kind: _by_site(newest[kind]) for kind in _SUMMARY_KINDS if kind in newest}
    for site in sorted(sites, key=lambda site: (site.order, site.id)):
        value = cells.get("activation" if site.role == "module" else "parameter", {}).get(site.id)
        gradient = cells.get("gradient", {}).get(site.id)
        update = cells.get("update", {}).get(site.id)
        if value is None and gradient is None:
            continue
        row: dict[str, Any] = {"type": printable(site.type)}
        layout, numbers = value or gradient or (0, {})
        row |= {"shape": layouts[layout].shape, "dtype": printable(layouts[layout].dtype)}
        if value is not None:
            row |= {name: numbers[name] for name in ("mean", "std", "absmax", "nonfinite_count")}
        if site.role == "module" and value is not None:
            row["activation_ratio"] = 1 - numbers["zero_frac"]
        if gradient is not None:
            row["gradient_norm"] = gradient[1]["l2"]
        if update is not None and value is not None and numbers["l2"] > 0:
            row["update_ratio"] = update[1]["l2"] / numbers["l2"]
        yield printable(site.name), row


def _by_site(frame: Frame) -> dict[int, tuple[int, dict[str, float]]]:
    return {
        site: (layout, dict(zip(COLUMNS, values, strict=True)))
        for site, layout, values in zip(frame.site.tolist(), frame.layout.tolist(), frame.values.tolist(), strict=True)
    }


def _take(names: list[Any], index: NDArray[np.uint32]) -> NDArray[Any]:
    lookup = np.empty(len(names), dtype=object)
    lookup[:] = names
    taken: NDArray[Any] = lookup[index]
    return taken


def _table(rows: Sequence[tuple[Any, ...]], columns: tuple[str, ...]) -> "pd.DataFrame":
    import pandas as pd

    return pd.DataFrame.from_records([tuple(map(_clean, row)) for row in rows], columns=list(columns))


def _clean(cell: Any) -> Any:
    if isinstance(cell, dict):
        return {printable(name): _clean(value) for name, value in cell.items()}
    return printable(cell) if isinstance(cell, str) else cell

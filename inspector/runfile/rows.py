"""The records of ``deepseek.inspector.record`` as rows of a run file, and back.

Each ``..._row`` gives the values of one row without its checksum; each ``read_...`` takes such values, already of the
column's types, and raises ``ValueError`` when they say something impossible.
"""

from typing import Any, NamedTuple, get_args

from deepseek.inspector.detail import Detail
from deepseek.inspector.graph import ModuleGraph
from deepseek.inspector.record import (
    Event,
    Finding,
    Layout,
    Severity,
    Site,
    StepRecord,
    UnitCounts,
)
from deepseek.inspector.runfile.checks import need
from deepseek.inspector.runfile.codec import decode_units, encode_frame, encode_units
from deepseek.inspector.runfile.details import decode_detail, encode_detail
from deepseek.inspector.runfile.graphs import decode_graph, encode_graph
from deepseek.inspector.runfile.schema import (
    EVENT,
    FINDING,
    FRAME,
    LAYOUT,
    MAX_IDS,
    MAX_STEP,
    MAX_STEP_ROWS,
    MAX_TEXT,
    SCALAR,
    SITE,
    STEP,
    UNIT,
    Table,
)
from deepseek.inspector.runfile.sealing import Value
from deepseek.inspector.runfile.texts import (
    clean,
    decode_pairs,
    decode_shape,
    decode_texts,
    encode_pairs,
    encode_shape,
    encode_texts,
)

Row = tuple[Value, ...]


Rows = dict[Table, list[Row]]

PINS = (SITE, LAYOUT, FINDING)
"""Tables that the rest of the run refers to, and what it is kept for."""

DETAIL = (FRAME, UNIT)
"""The tables of what makes a run large."""

_ROW_BYTES = 100
"""What a row takes beside its texts and blobs, its share of the index and of half-empty pages included."""


class Step(NamedTuple):
    """A step without what it holds; the fields are those of ``StepRecord``, and ``parts`` counts its rows elsewhere."""

    step: int
    time: float
    wall_ms: float
    inspector_ms: float
    observed: bool
    gradient_norm: float
    parts: int


def record_rows(record: StepRecord) -> Rows:
    """Give the rows of one step by table; tables without any are missing."""
    rows = _part_rows(int(record.step), record)
    times = (float(record.time), float(record.wall_ms), float(record.inspector_ms))
    parts = sum(map(len, rows.values()))
    rows[STEP] = [(int(record.step), *times, int(record.observed), float(record.gradient_norm), parts)]
    return rows


def size(rows: Rows, tables: tuple[Table, ...]) -> int:
    """Estimate the bytes that the rows of some tables take in the file."""
    total = 0
    for table in tables:
        for row in rows.get(table, ()):
            total += _ROW_BYTES
            for position in table.texts:
                total += 2 * len(row[position])  # type: ignore[arg-type]
            for position in table.blobs:
                total += len(row[position])  # type: ignore[arg-type]
    return total


def _part_rows(step: int, record: StepRecord) -> Rows:
    rows: Rows = {}
    if record.scalars:
        scalars = {clean(name): float(value) for name, value in list(record.scalars.items())[:MAX_STEP_ROWS]}
        rows[SCALAR] = [(step, name, value) for name, value in scalars.items()]
    if record.frames:
        rows[FRAME] = [(step, kind, encode_frame(frame)) for kind, frame in record.frames.items()]
    if record.sites:
        rows[SITE] = [site_row(step, site) for site in record.sites]
    if record.layouts:
        rows[LAYOUT] = [layout_row(step, layout) for layout in record.layouts]
    if record.units:
        rows[UNIT] = [unit_row(step, *item) for item in enumerate(record.units[:MAX_STEP_ROWS])]
    if record.events:
        rows[EVENT] = [event_row(step, *item) for item in enumerate(record.events[:MAX_STEP_ROWS])]
    if record.findings:
        rows[FINDING] = [finding_row(step, *item) for item in enumerate(record.findings[:MAX_STEP_ROWS])]
    return rows


def site_row(step: int, site: Site) -> Row:
    """Give the row of a site first seen in ``step``."""
    names = (clean(site.name), site.role, clean(site.type), clean(site.module))
    return (int(site.id), step, *names, int(site.order), encode_texts(site.aliases))


def layout_row(step: int, layout: Layout) -> Row:
    """Give the row of a layout first seen in ``step``."""
    return (int(layout.id), step, clean(layout.dtype), encode_shape(layout.shape), int(layout.itemsize))


def finding_row(step: int, position: int, finding: Finding) -> Row:
    """Give the row of the finding at ``position`` among those of ``step``."""
    texts = (clean(finding.message), encode_pairs(finding.evidence), clean(finding.cause), clean(finding.fix))
    blame = (clean(finding.rule), finding.severity, clean(finding.site), int(finding.step))
    return (step, position, *blame, *texts)


def event_row(step: int, position: int, event: Event) -> Row:
    """Give the row of the event at ``position`` among those of ``step``."""
    return (step, position, clean(event.kind), encode_pairs(event.data))


def unit_row(step: int, position: int, counts: UnitCounts) -> Row:
    """Give the row of the unit counts at ``position`` among those of ``step``."""
    return (step, position, int(counts.site), encode_units(counts))


def read_step(values: tuple[Any, ...]) -> Step:
    """Read a row of ``step``."""
    step, time, wall_ms, inspector_ms, observed, gradient_norm, parts = values
    need(0 <= step <= MAX_STEP, f"its number {step} is out of range")
    need(observed in (0, 1), f"its observed is {observed}, not 0 or 1")
    need(not gradient_norm < 0, f"its gradient_norm is {gradient_norm}, below 0")
    return Step(step, time, wall_ms, inspector_ms, bool(observed), gradient_norm, parts)


def read_site(values: tuple[Any, ...]) -> Site:
    """Read a row of ``site``."""
    id_, _, name, role, type_, module, order, aliases = values
    need(role in ("module", "parameter"), "its role is neither module nor parameter")
    need(0 <= order <= MAX_STEP, f"its order {order} is out of range")
    _check_length(name, type_, module)
    return Site(id_, name, role, type_, module, order, decode_texts(aliases))


def read_layout(values: tuple[Any, ...]) -> Layout:
    """Read a row of ``layout``."""
    id_, _, dtype, shape, itemsize = values
    need(0 <= itemsize <= 1024, f"its itemsize {itemsize} is out of range")
    _check_length(dtype)
    return Layout(id_, dtype, decode_shape(shape, itemsize), itemsize)


def read_scalar(values: tuple[Any, ...]) -> tuple[int, str, float]:
    """Read a row of ``scalar``: step, name, value."""
    step, name, value = values
    _check_length(name)
    return step, name, value


def read_finding(values: tuple[Any, ...]) -> Finding:
    """Read a row of ``finding``."""
    _, _, rule, severity, site, fired, message, evidence, cause, fix = values
    need(severity in get_args(Severity), "its severity is unknown")
    _check_length(rule, site, message, cause, fix)
    return Finding(rule, severity, site, fired, message, decode_pairs(evidence), cause, fix)


def read_event(values: tuple[Any, ...]) -> Event:
    """Read a row of ``event``."""
    _, _, kind, data = values
    _check_length(kind)
    return Event(kind, decode_pairs(data))


def graph_row(step: int, graph: ModuleGraph) -> Row:
    """Give the row of the graph that came with ``step``."""
    return (step, encode_graph(graph))


def read_graph(values: tuple[Any, ...]) -> ModuleGraph:
    """Read a row of ``graph``."""
    step, data = values
    need(0 <= step <= MAX_STEP, f"its step {step} is out of range")
    return decode_graph(data)


def detail_row(detail: Detail) -> Row:
    """Give the row of a closer look at a layer."""
    return (clean(detail.site), int(detail.step), *encode_detail(detail))


def read_detail(values: tuple[Any, ...]) -> Detail:
    """Read a row of ``detail``."""
    return decode_detail(*values)


def read_units(values: tuple[Any, ...]) -> UnitCounts:
    """Read a row of ``unit``."""
    _, _, site, data = values
    need(0 <= site < MAX_IDS, f"its site {site} is out of range")
    return decode_units(site, data)


def _check_length(*texts: str) -> None:
    need(all(len(text) <= MAX_TEXT for text in texts), f"a text is longer than {MAX_TEXT} characters")

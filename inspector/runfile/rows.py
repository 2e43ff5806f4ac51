"""The records of ``deepseek.inspector.record`` as rows of a run file, and back.

Each ``..._row`` gives the values of one row without its checksum; each ``read_...`` takes such values, already of the
column's types, and raises ``ValueError`` when they say something impossible.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, get_args

from deepseek.inspector.record import TENSOR_KINDS, Finding, Frame, Layout, Severity, Site, StepRecord
from deepseek.inspector.runfile.codec import (
    Value,
    clean,
    decode_pairs,
    decode_shape,
    decode_texts,
    encode_frame,
    encode_pairs,
    encode_shape,
    encode_texts,
)
from deepseek.inspector.runfile.schema import (
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
    Table,
)

Row = tuple[Value, ...]


class Step(NamedTuple):
    """A step without its frames; the fields are those of ``StepRecord``, and ``parts`` counts its rows elsewhere."""

    step: int
    time: float
    wall_ms: float
    inspector_ms: float
    observed: bool
    parts: int


class Event(NamedTuple):
    """Something that happened to the run itself, such as a command, a dropped batch, a probe switched off."""

    step: int
    kind: str
    data: dict[str, float | str]


def record_rows(record: StepRecord) -> Iterator[tuple[Table, Row]]:
    """Yield the rows of one step, each with its table."""
    step = int(record.step)
    parts = list(_part_rows(step, record))
    times = (float(record.time), float(record.wall_ms), float(record.inspector_ms))
    yield STEP, (step, *times, int(record.observed), len(parts))
    yield from parts


def _part_rows(step: int, record: StepRecord) -> Iterator[tuple[Table, Row]]:
    yield from ((SITE, site_row(step, site)) for site in record.sites)
    yield from ((LAYOUT, layout_row(step, layout)) for layout in record.layouts)
    yield from ((FRAME, (step, kind, encode_frame(frame))) for kind, frame in record.frames.items())
    scalars = {clean(name): float(value) for name, value in list(record.scalars.items())[:MAX_STEP_ROWS]}
    yield from ((SCALAR, (step, name, value)) for name, value in scalars.items())
    findings = enumerate(record.findings[:MAX_STEP_ROWS])
    yield from ((FINDING, finding_row(step, position, finding)) for position, finding in findings)


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


def event_row(position: int, step: int, kind: str, data: Mapping[str, float | str]) -> Row:
    """Give the row of the ``position``-th event of the run."""
    return (position, int(step), clean(kind), encode_pairs(data))


def read_step(values: tuple[Any, ...]) -> Step:
    """Read a row of ``step``."""
    step, time, wall_ms, inspector_ms, observed, parts = values
    _need(0 <= step <= MAX_STEP, f"its number {step} is out of range")
    _need(observed in (0, 1), f"its observed is {observed}, not 0 or 1")
    return Step(step, time, wall_ms, inspector_ms, bool(observed), parts)


def read_site(values: tuple[Any, ...]) -> Site:
    """Read a row of ``site``."""
    id_, _, name, role, type_, module, order, aliases = values
    _need(role in ("module", "parameter"), "its role is neither module nor parameter")
    _need(0 <= order <= MAX_STEP, f"its order {order} is out of range")
    _check_length(name, type_, module)
    return Site(id_, name, role, type_, module, order, decode_texts(aliases))


def read_layout(values: tuple[Any, ...]) -> Layout:
    """Read a row of ``layout``."""
    id_, _, dtype, shape, itemsize = values
    _need(0 <= itemsize <= 1024, f"its itemsize {itemsize} is out of range")
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
    _need(severity in get_args(Severity), "its severity is unknown")
    _check_length(rule, site, message, cause, fix)
    return Finding(rule, severity, site, fired, message, decode_pairs(evidence), cause, fix)


def read_event(values: tuple[Any, ...]) -> Event:
    """Read a row of ``event``."""
    _, step, kind, data = values
    _check_length(kind)
    return Event(step, kind, decode_pairs(data))


def check_record(record: StepRecord, *, after: int, sites: int, layouts: int) -> None:
    """Raise ``ValueError`` unless a record may follow on step ``after`` in a file of so many sites and layouts."""
    _need(after < record.step <= MAX_STEP, f"step {record.step} does not follow on step {after}")
    check_sequence("site", [site.id for site in record.sites], sites)
    check_sequence("layout", [layout.id for layout in record.layouts], layouts)
    for kind, frame in record.frames.items():
        check_kind(kind)
        check_ids(frame, sites + len(record.sites), layouts + len(record.layouts))


def check_sequence(table: str, ids: list[int], known: int) -> None:
    """Raise ``ValueError`` unless new ids count on from the ``known`` ones and stay below the limit."""
    _need(
        ids == list(range(known, known + len(ids))), f"expected new {table} ids to count on from {known}; got {ids[:5]}"
    )
    _need(known + len(ids) <= MAX_IDS, f"there are more than {MAX_IDS} of {table}")


def check_kind(kind: str) -> None:
    """Raise ``ValueError`` for a kind that no frame has."""
    _need(kind in TENSOR_KINDS, f"expected a kind out of {', '.join(TENSOR_KINDS)}; got {clean(kind)[:80]!r}")


def check_ids(frame: Frame, sites: int, layouts: int) -> None:
    """Raise ``ValueError`` when a frame refers to a site or a layout that is not known yet."""
    for name, ids, known in (("site", frame.site, sites), ("layout", frame.layout, layouts)):
        _need(not len(ids) or int(ids.max()) < known, f"it refers to a {name} beyond the {known} known ones")


def _check_length(*texts: str) -> None:
    _need(all(len(text) <= MAX_TEXT for text in texts), f"a text is longer than {MAX_TEXT} characters")


def _need(condition: bool, fact: str) -> None:
    if not condition:
        raise ValueError(fact)

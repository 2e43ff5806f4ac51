"""Puts steps together from the tables of a run file, in one pass over each."""

from typing import Any

from deepseek.inspector.record import TENSOR_KINDS, Frame, StepRecord, TensorKind
from deepseek.inspector.runfile import checks, rows, schema
from deepseek.inspector.runfile.codec import decode_frame
from deepseek.inspector.runfile.opening import Database


class Assembly:
    """Called with one step after the other, in order, gives each as a record.

    Args:
        db: The run file; it stays open meanwhile.
        start: First step number.
        stop: Step number to end before.
        kinds: The kinds of frames to read. Everything else of a step is always read.
    """

    def __init__(self, db: Database, start: int, stop: int, kinds: tuple[str, ...]) -> None:
        between, steps = "WHERE step >= ? AND step < ?", (start, stop)
        self._sites = db.by_step(schema.SITE, rows.read_site, between, steps)
        self._layouts = db.by_step(schema.LAYOUT, rows.read_layout, between, steps)
        self._frames = db.by_step(schema.FRAME, _read_frame, f"{between} AND {_one_of(kinds)}", (*steps, *kinds))
        self._units = db.by_step(schema.UNIT, rows.read_units, between, steps)
        self._scalars = db.by_step(schema.SCALAR, rows.read_scalar, between, steps)
        self._findings = db.by_step(schema.FINDING, rows.read_finding, between, steps)
        self._events = db.by_step(schema.EVENT, rows.read_event, between, steps)
        self._frame_counts = db.counts_by_step(
            schema.FRAME, f"{between} AND {_one_of(TENSOR_KINDS)}", (*steps, *TENSOR_KINDS)
        )
        self._known = known(db, start)

    def __call__(self, step: rows.Step) -> StepRecord:
        """Take the parts of a step.

        Raises:
            ValueError: They are not all there, or do not follow on those before.
        """
        record = StepRecord(
            *step[:5],
            scalars={name: value for _, name, value in self._scalars.take(step.step)},
            frames=dict(self._frames.take(step.step)),
            sites=tuple(self._sites.take(step.step)),
            layouts=tuple(self._layouts.take(step.step)),
            findings=tuple(self._findings.take(step.step)),
            units=tuple(self._units.take(step.step)),
            events=tuple(self._events.take(step.step)),
            gradient_norm=step.gradient_norm,
        )
        checks.check_parts(record, *self._known)
        self._known = (self._known[0] + len(record.sites), self._known[1] + len(record.layouts))
        # An index that lost an entry hides a row whose checksum is right.
        if _count(record) + sum(self._frame_counts.take(step.step)) != step.parts:
            raise ValueError(f"step {step.step} has lost rows")
        return record

    def end(self, stop: int) -> None:
        """Raise ``RunFileError`` when there are parts of steps that do not exist."""
        sites_and_layouts, detail = (self._sites, self._layouts), (self._frames, self._units)
        for parts in (*sites_and_layouts, *detail, self._scalars, self._findings, self._events):
            parts.pass_over(stop)


def known(db: Database, start: int) -> tuple[int, int]:
    """Count the sites and layouts that were seen before step ``start``."""
    sites = db.value("SELECT count(*) FROM site WHERE step < ?", (start,))
    return sites, db.value("SELECT count(*) FROM layout WHERE step < ?", (start,))


def _one_of(kinds: tuple[str, ...]) -> str:
    return f"kind IN ({', '.join('?' * len(kinds))})"


def _count(record: StepRecord) -> int:
    parts = (record.scalars, record.sites, record.layouts, record.findings, record.units, record.events)
    return sum(map(len, parts))


def _read_frame(values: tuple[Any, ...]) -> tuple[TensorKind, Frame]:
    _, kind, data = values
    return kind, decode_frame(data)

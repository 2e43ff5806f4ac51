"""Reading a run file, finished or still growing."""

import contextlib
import os
import time
from collections.abc import Callable, Collection, Iterator
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

from deepseek.errors import RunFileError
from deepseek.inspector.detail import Detail
from deepseek.inspector.graph import ModuleGraph
from deepseek.inspector.record import (
    TENSOR_KINDS,
    Event,
    Finding,
    Frame,
    Layout,
    Site,
    StepRecord,
    TensorKind,
    UnitCounts,
)
from deepseek.inspector.runfile import checks, rows, schema
from deepseek.inspector.runfile.assembly import Assembly, known
from deepseek.inspector.runfile.codec import decode_frame
from deepseek.inspector.runfile.explaining import damaged, explained
from deepseek.inspector.runfile.opening import Database, opened
from deepseek.inspector.runfile.process import Process

_BATCH_STEPS = 64
_BATCH_BYTES = 16 * 2**20
_SILENCE_SECONDS = 600.0
_T = TypeVar("_T")


class RunReader:
    """Reads a run file, from any number of threads; each call sees everything that was stored by then.

    Args:
        path: A ``.dsrun`` file; with its ``-wal`` beside it while the run is not closed.

    Raises:
        RunFileError: It is missing, foreign, damaged or of another version. Every method raises it when it meets a part
            that is damaged.
    """

    def __init__(self, path: str | Path) -> None:
        with explained(Path(path)):
            # SQLite looks for the log beside the file that a link points to.
            self.path = Path(os.path.realpath(path))
        self._closed = False
        with opened(self.path) as db:
            db.check()
            _writer(db, self.path)
            self._meta = dict(db.rows(schema.META, lambda values: values))

    @property
    def meta(self) -> dict[str, str]:
        """Facts about the run, as given to the writer."""
        return dict(self._meta)

    @property
    def state(self) -> Literal["running", "closed", "interrupted"]:
        """Where the run stands.

        A run that was never closed is interrupted when its process is gone. From another machine that cannot be seen:
        there it counts as interrupted when its newest step is older than ten minutes by this machine's clock.
        """
        with self._opened() as db:
            _, state, host, pid, born, started, _ = _writer(db, self.path)
            if state != "running":
                return "closed" if state == "closed" else "interrupted"
            newest = db.first(schema.STEP, rows.read_step, "ORDER BY step DESC")
        lives = Process(host, pid, born).lives()
        if lives is None:
            lives = time.time() - (newest.time if newest else started) < _SILENCE_SECONDS
        return "running" if lives else "interrupted"

    def sites(self) -> tuple[Site, ...]:
        """All sites seen so far; a site's id is its position."""
        with self._opened() as db:
            sites = tuple(db.rows(schema.SITE, rows.read_site))
            self._check_sequence("site", [site.id for site in sites], 0)
        return sites

    def layouts(self) -> tuple[Layout, ...]:
        """All layouts seen so far; a layout's id is its position."""
        with self._opened() as db:
            layouts = tuple(db.rows(schema.LAYOUT, rows.read_layout))
            self._check_sequence("layout", [layout.id for layout in layouts], 0)
        return layouts

    def steps(self, newest: int | None = None) -> list[rows.Step]:
        """The steps without what they hold: number, times, whether observed; all of them, or the newest ones."""
        with self._opened() as db:
            if newest is None:
                return list(db.rows(schema.STEP, rows.read_step))
            return db.newest(schema.STEP, rows.read_step, newest)

    def counts(self) -> tuple[int, int]:
        """How many steps the file holds, and how many more it held before it was thinned."""
        with self._opened() as db:
            tally = db.tally()
        return tally["step"], tally[schema.REMOVED]

    def scalars(self) -> list[tuple[int, str, float]]:
        """All logged values as step, name, value."""
        with self._opened() as db:
            return list(db.rows(schema.SCALAR, rows.read_scalar))

    def findings(self) -> list[Finding]:
        """All findings in the order of the steps that they came with."""
        with self._opened() as db:
            return list(db.rows(schema.FINDING, rows.read_finding))

    def events(self) -> list[tuple[int, Event]]:
        """What happened to the run itself, with step numbers, in order."""
        return self._numbered(schema.EVENT, rows.read_event)

    def units(self) -> list[tuple[int, UnitCounts]]:
        """Windows of unit counts with the numbers of the steps in which they became full, in order."""
        with self._opened() as db:
            sites, _ = known(db, schema.MAX_STEP + 1)
        counts = self._numbered(schema.UNIT, rows.read_units)
        for _, found in counts:
            self._checked(partial(checks.check_site, found.site, sites))
        return counts

    def graph(self) -> ModuleGraph | None:
        """The newest module graph; None before there was one."""
        with self._opened() as db:
            graphs = list(db.rows(schema.GRAPH, rows.read_graph))
            if len(graphs) != db.tally()[schema.GRAPH.name] or len(graphs) > 1:
                raise damaged(self.path, "it has lost its module graph, or has several")
        return graphs[0] if graphs else None

    def details(self) -> list[Detail]:
        """The newest closer look at every layer that has one, in the order of their steps."""
        with self._opened() as db:
            details = list(db.rows(schema.LAYER, rows.read_detail))
            if len(details) != db.tally()[schema.LAYER.name] or len(details) > schema.MAX_DETAILS:
                raise damaged(self.path, "it has lost details of layers, or has too many")
        return sorted(details, key=lambda detail: detail.step)

    def records(
        self, start: int = 0, stop: int | None = None, kinds: Collection[str] | None = None
    ) -> Iterator[StepRecord]:
        """Yield the steps as they were written, but without graphs and details, in order, holding a few at a time.

        Args:
            start: First step number.
            stop: Step number to end before; None for all that is stored, including what is written meanwhile.
            kinds: The kinds of frames to read; None for all. Everything else of a step is always read.
        """
        wanted = tuple(self._checked_kinds(TENSOR_KINDS if kinds is None else kinds))
        return self._stream(start, schema.MAX_STEP + 1 if stop is None else stop, wanted)

    def frames(self, kind: str, start: int = 0) -> Iterator[tuple[int, Frame]]:
        """Yield the frames of one kind with their step numbers, in order, from step ``start`` on."""
        self._checked_kinds([kind])
        return self._stream_frames(kind, start)

    def newest_frames(self) -> dict[TensorKind, tuple[int, Frame]]:
        """The newest frame of each kind, with its step number; kinds that were never observed are missing."""
        newest = {}
        with self._opened() as db:
            seen = known(db, schema.MAX_STEP + 1)
            for kind in TENSOR_KINDS:
                where = f"WHERE kind = '{kind}' ORDER BY step DESC"
                if (found := db.first(schema.FRAME, lambda values: _with_step(values, seen), where)) is not None:
                    newest[kind] = found
        return newest

    def close(self) -> None:
        """Refuse further reading. No file is held open between calls."""
        self._closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _stream(self, start: int, stop: int, kinds: tuple[str, ...]) -> Iterator[StepRecord]:
        while batch := self._batch(start, stop, kinds):
            yield from batch
            start = batch[-1].step + 1

    def _batch(self, start: int, stop: int, kinds: tuple[str, ...]) -> list[StepRecord]:
        batch: list[StepRecord] = []
        size = 0
        with self._opened() as db:
            assemble = Assembly(db, start, stop, kinds)
            for step in db.rows(schema.STEP, rows.read_step, "WHERE step >= ? AND step < ?", (start, stop)):
                batch.append(self._checked(partial(assemble, step)))
                size += sum(frame.values.nbytes for frame in batch[-1].frames.values())
                if len(batch) == _BATCH_STEPS or size > _BATCH_BYTES:
                    return batch
            assemble.end(stop)
        return batch

    def _stream_frames(self, kind: str, start: int) -> Iterator[tuple[int, Frame]]:
        while batch := self._frame_batch(kind, start):
            yield from batch
            start = batch[-1][0] + 1

    def _frame_batch(self, kind: str, start: int) -> list[tuple[int, Frame]]:
        batch: list[tuple[int, Frame]] = []
        size = 0
        with self._opened() as db:
            seen = known(db, schema.MAX_STEP + 1)
            where, values = "WHERE kind = ? AND step >= ?", (kind, start)
            for step, frame in db.rows(schema.FRAME, lambda values: _with_step(values, seen), where, values):
                batch.append((step, frame))
                size += frame.values.nbytes
                if len(batch) == _BATCH_STEPS or size > _BATCH_BYTES:
                    break
        return batch

    def _checked_kinds(self, kinds: Collection[str]) -> Collection[str]:
        try:
            for kind in kinds:
                checks.check_kind(kind)
        except ValueError as error:
            raise RunFileError(f"{self.path}: {error}") from None
        return kinds

    def _check_sequence(self, table: str, ids: list[int], known: int) -> None:
        self._checked(lambda: checks.check_sequence(table, ids, known))

    def _checked(self, check: Callable[[], _T]) -> _T:
        try:
            return check()
        except ValueError as error:
            raise damaged(self.path, str(error)) from None

    def _numbered(self, table: schema.Table, read: Callable[[tuple[Any, ...]], _T]) -> list[tuple[int, _T]]:
        with self._opened() as db:
            return list(db.rows(table, lambda values: (values[0], read(values))))

    @contextlib.contextmanager
    def _opened(self) -> Iterator[Database]:
        if self._closed:
            raise RunFileError(f"{self.path} was closed here; open it again")
        with opened(self.path) as db:
            yield db


def _writer(db: Database, path: Path) -> tuple[Any, ...]:
    values = db.first(schema.WRITER, lambda values: values, "ORDER BY id")
    if values is None or values[1] not in ("running", "closed", "interrupted"):
        raise damaged(path, "it does not say where its run stands")
    if values[-1] != schema.FINGERPRINT:
        raise RunFileError(
            f"{path} was written by a version with other columns ({values[-1][:40]!r}, not {schema.FINGERPRINT!r}); "
            "open it with the version that wrote it"
        )
    return values


def _with_step(values: tuple[Any, ...], known: tuple[int, int]) -> tuple[int, Frame]:
    frame = decode_frame(values[2])
    checks.check_ids(frame, *known)
    return values[0], frame

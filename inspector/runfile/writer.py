"""Writing a run file."""

import contextlib
import os
import sqlite3
import struct
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Literal

from deepseek.errors import RunFileError
from deepseek.inspector.detail import Detail
from deepseek.inspector.record import Event, StepRecord
from deepseek.inspector.runfile import schema
from deepseek.inspector.runfile.checks import check_record
from deepseek.inspector.runfile.files import create_privately, on_network_filesystem
from deepseek.inspector.runfile.process import Process
from deepseek.inspector.runfile.rows import Row, Rows, detail_row, event_row, graph_row, record_rows
from deepseek.inspector.runfile.sealing import seal
from deepseek.inspector.runfile.texts import clean
from deepseek.inspector.runfile.thinner import Thinner, change_parts

_SETTINGS = {
    "page_size": schema.PAGE_BYTES,
    "max_page_count": schema.MAX_FILE_BYTES // schema.PAGE_BYTES,
    "journal_size_limit": schema.MAX_LOG_BYTES,
    "application_id": schema.APPLICATION_ID,
    "user_version": schema.SCHEMA_VERSION,
    "trusted_schema": "OFF",
    "synchronous": "NORMAL",
    "busy_timeout": 2000,
}


class RunWriter:
    """Appends steps to a new run file; used by one thread at a time, which need not be the one that made it.

    The file is private to its owner. On local disks it has a write-ahead log, so that others read it while it grows;
    on network file systems, where that is unsafe, a rollback journal. Once closed it is a single file. However many
    steps are written, it stays below ``schema.MAX_FILE_BYTES``: see ``thinning`` for what is kept.

    Every method raises ``RunFileError`` when SQLite or the disk refuses; what was written before stays readable.

    Args:
        path: The file to create; it must not exist.
        meta: Facts about the run.

    Raises:
        RunFileError: The file cannot be created.
    """

    def __init__(self, path: str | Path, meta: Mapping[str, str]) -> None:
        self.path = Path(path).absolute()
        self._process = Process.current()
        self._started = time.time()
        self._step = -1
        self._tally = Counter(dict.fromkeys(schema.TALLIED, 0))
        self._closed = False
        _create_file(self.path)
        self._inode = self.path.stat().st_ino
        try:
            self._db = self._create_tables(meta)
        except BaseException:
            self.path.unlink(missing_ok=True)
            raise

    def write(self, records: Sequence[StepRecord]) -> None:
        """Append steps in one transaction: all of them are stored, or none.

        Args:
            records: In the order of their step numbers, each above all written before. A site or layout comes with
                the first step that refers to it, and ids follow on each other. A graph replaces the one before.

        Raises:
            RunFileError: The disk is full, the file is gone, or a record does not follow on what was written.
        """
        if not records:
            return
        with self._transaction() as added:
            batch = list(self._checked(records))
            for table in schema.RECORD_TABLES:
                rows = [row for of_step in batch for row in of_step.get(table, ())]
                self._insert(table, rows)
                added[table.name] = len(rows)
            self._thinner.make_room(batch, added)
            if graphs := [graph_row(int(record.step), record.graph) for record in records if record.graph is not None]:
                added[schema.GRAPH.name] = 1 - self._db.execute("DELETE FROM graph").rowcount
                self._insert(schema.GRAPH, graphs[-1:])
        self._step = records[-1].step

    def add_events(self, events: Sequence[Event]) -> None:
        """Append events to the step that was written last; without any step they are lost.

        Raises:
            RunFileError: The disk is full, or the file is gone.
        """
        with self._transaction() as added:
            if not change_parts(self._db, self._step, len(events)):
                return
            (first,) = self._db.execute("SELECT count(*) FROM event WHERE step = ?", (self._step,)).fetchone()
            self._insert(schema.EVENT, [event_row(self._step, *item) for item in enumerate(events, first)])
            added[schema.EVENT.name] = len(events)

    def add_details(self, details: Sequence[Detail]) -> None:
        """Keep closer looks at layers, each instead of the one before of the same layer.

        Of more than ``schema.MAX_DETAILS`` layers those stay that were looked at last.

        Raises:
            RunFileError: The disk is full, or the file is gone.
        """
        rows = [detail_row(detail) for detail in details]
        with self._transaction() as added:
            for row in rows:
                added[schema.LAYER.name] += 1 - self._db.execute(schema.LAYER.delete("site", 1), row[:1]).rowcount
                self._insert(schema.LAYER, [row])
            excess = self._tally[schema.LAYER.name] + added[schema.LAYER.name] - schema.MAX_DETAILS
            oldest = "DELETE FROM detail WHERE site IN (SELECT site FROM detail ORDER BY step, site LIMIT ?)"
            added[schema.LAYER.name] -= self._db.execute(oldest, (max(excess, 0),)).rowcount

    def close(self, state: Literal["closed", "interrupted"] = "closed") -> None:
        """Mark the run as ended and fold the log into the file, so that it is a single one; twice does nothing.

        Neither does it in a process forked from the one that writes.

        While a reader holds the file for seconds, an empty log stays beside it; the file is complete without it.
        """
        if self._closed or self._process.pid != os.getpid():
            return
        try:
            with self._transaction():
                self._db.execute("DELETE FROM writer")
                self._insert(schema.WRITER, [self._identity(state)])
            _fold(self._db)
        finally:
            self._closed = True
            self._db.close()

    def _create_tables(self, meta: Mapping[str, str]) -> sqlite3.Connection:
        with _translated(self.path):
            # The worker thread that writes is rarely the thread that starts the run.
            db = sqlite3.connect(
                f"{self.path.as_uri()}?mode=rw", uri=True, isolation_level=None, check_same_thread=False
            )
        self._db = db
        self._thinner = Thinner(db)
        with _translated(self.path):
            network = on_network_filesystem(self.path)
            for name, value in (*_SETTINGS.items(), ("journal_mode", "TRUNCATE" if network else "DELETE")):
                db.execute(f"PRAGMA {name} = {value}").fetchall()
        # The tables are in the file itself before any log exists: a copy without its log can tell what it is.
        with self._transaction():
            for statement in schema.STATEMENTS:
                db.execute(statement)
            self._insert(schema.WRITER, [self._identity("running")])
            facts = {clean(key): clean(value) for key, value in list(meta.items())[: schema.MAX_ENTRIES]}
            self._insert(schema.META, list(facts.items()))
            self._insert(schema.TALLY, list(self._tally.items()))
        if not network:
            with _translated(self.path):
                db.execute("PRAGMA journal_mode = WAL").fetchall()
            # The first transaction creates the log: without one, a fresh run would look like a torn copy.
            with self._transaction():
                pass
        return db

    def _identity(self, state: str) -> Row:
        return (0, state, *self._process, self._started, schema.FINGERPRINT)

    def _checked(self, records: Sequence[StepRecord]) -> Iterator[Rows]:
        step, sites, layouts = self._step, self._tally["site"], self._tally["layout"]
        for record in records:
            check_record(record, after=step, sites=sites, layouts=layouts)
            step, sites, layouts = record.step, sites + len(record.sites), layouts + len(record.layouts)
            yield record_rows(record)

    def _insert(self, table: schema.Table, rows: Sequence[Row]) -> None:
        # Many rows in one statement: each statement gives the interpreter away, and has to wait to get it back.
        for start in range(0, len(rows), schema.ROWS_PER_STATEMENT):
            part = [seal(table, row) for row in rows[start : start + schema.ROWS_PER_STATEMENT]]
            self._db.execute(table.insert(len(part)), list(chain.from_iterable(part)))

    def _write_tally(self, changed: Sequence[tuple[str, int]]) -> None:
        self._db.execute(schema.TALLY.delete("name", len(changed)), [name for name, _ in changed])
        self._insert(schema.TALLY, changed)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[Counter[str]]:
        """Run one transaction; the rows that the caller counts are added to the tally of the tables."""
        if self._closed or self._process.pid != os.getpid():
            raise RunFileError(f"{self.path} is no longer open for writing in this process; start a new run")
        if not _is_at(self.path, self._inode):
            raise RunFileError(f"{self.path} was deleted or replaced while its run was being written; start a new run")
        added: Counter[str] = Counter()
        with _translated(self.path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield added
                tally = Counter({name: count + added[name] for name, count in self._tally.items()})
                self._write_tally([(name, count) for name, count in tally.items() if count != self._tally[name]])
                self._db.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
                raise
        self._tally = tally


def _create_file(path: Path) -> None:
    try:
        create_privately(path)
    except FileExistsError:
        raise RunFileError(f"{path} exists already and is not overwritten; choose another path") from None
    except (OSError, ValueError) as error:
        raise RunFileError(f"{path} cannot be created ({error}); choose another folder") from error


def _is_at(path: Path, inode: int) -> bool:
    try:
        return path.stat().st_ino == inode
    except OSError:
        return False


def _fold(db: sqlite3.Connection) -> None:
    # Refused while others read: then the log stays, which the reader understands.
    with contextlib.suppress(sqlite3.OperationalError):
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        db.execute("PRAGMA journal_mode = DELETE").fetchall()


@contextlib.contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, struct.error, OverflowError, ValueError, TypeError) as error:
        raise RunFileError(f"{path} could not be written ({error}); what it held before is kept") from error

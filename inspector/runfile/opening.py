"""Opening a file that anyone may have made: the one place where a reader meets SQLite.

In this order: a regular file below the size cap; opened read-only, with SQLite's own guards up and everything but
reading forbidden; magic and ``application_id``; version; tables equal to ours; then, once for each reader, a structural
check. Only the statements of this package ever run, each with a deadline, and every row that they give is checked
against its checksum. The file is not opened beside SQLite while it may have a writer: closing such a handle would
silently drop the locks that this process holds on it.
"""

import contextlib
import functools
import os
import sqlite3
import stat
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

from deepseek.errors import RunFileError
from deepseek.inspector.runfile import schema
from deepseek.inspector.runfile.explaining import damaged, explained
from deepseek.inspector.runfile.sealing import Value, unseal

_T = TypeVar("_T")
_PRAGMAS = {
    "trusted_schema": "OFF",
    "cell_size_check": "ON",
    "mmap_size": 0,
    "query_only": "ON",
    "busy_timeout": 900,
}
_LIMITS = {
    sqlite3.SQLITE_LIMIT_LENGTH: schema.MAX_VALUE_BYTES,
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 10_000,
    sqlite3.SQLITE_LIMIT_COLUMN: 32,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 20,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 2,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 1,
    sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
}
_ALLOWED_ACTIONS = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_TRANSACTION}
_ALLOWED_PRAGMAS = {"application_id", "user_version", "integrity_check"}
_WAL_HEADER = b"\x02\x02"


class Database:
    """A guarded read-only connection, showing one moment of the file; closed by ``opened``."""

    def __init__(self, path: Path, db: sqlite3.Connection) -> None:
        self._path = path
        self._db = db
        self._deadline = 0.0
        for limit, value in _LIMITS.items():
            db.setlimit(limit, value)
        db.text_factory = _text
        db.set_progress_handler(lambda: time.monotonic() > self._deadline, 1000)
        for name, setting in _PRAGMAS.items():
            self._all(f"PRAGMA {name} = {setting}")
        db.set_authorizer(_authorize)
        self._all("BEGIN")

    def rows(
        self,
        table: schema.Table,
        read: Callable[[tuple[Any, ...]], _T],
        condition: str = "",
        parameters: Sequence[Value] = (),
    ) -> Iterator[_T]:
        """Yield rows in the order of the table's key, checked and turned into objects by ``read``.

        Raises:
            RunFileError: A row's type, checksum, order or content is wrong; says which.
        """
        order = ", ".join(f'"{name}"' for name in table.key)
        places = [list(table.columns).index(name) for name in table.key]
        last: tuple[Any, ...] = ()
        for row in self._each(f"{table.select} {condition} ORDER BY {order}", parameters):
            key = tuple(row[place] for place in places)
            try:
                values = unseal(table, row)
                # An index whose pages form a loop would repeat rows without end.
                if last and not last < key:
                    raise ValueError("it is out of order")
                yield read(values)
            except ValueError as error:
                named = ", ".join(f"{name} {str(value)[:80]}" for name, value in zip(table.key, key, strict=True))
                raise damaged(self._path, f"its {table.name} of {named}: {error}") from error
            last = key

    def by_step(
        self, table: schema.Table, read: Callable[[tuple[Any, ...]], _T], condition: str, parameters: Sequence[Value]
    ) -> "ByStep[_T]":
        """Give the rows of a table whose key begins with the step, to be taken step by step."""
        place = list(table.columns).index("step")
        rows = self.rows(table, lambda values: (values[place], read(values)), condition, parameters)
        return ByStep(self._path, table.name, rows)

    def counts_by_step(self, table: schema.Table, condition: str, parameters: Sequence[Value]) -> "ByStep[int]":
        """Count the rows of each step."""
        statement = f'SELECT step, count(*) FROM "{table.name}" {condition} GROUP BY step ORDER BY step'  # noqa: S608
        return ByStep(self._path, table.name, ((step, count) for step, count in self._each(statement, parameters)))

    def newest(self, table: schema.Table, read: Callable[[tuple[Any, ...]], _T], count: int) -> list[_T]:
        """Give the last rows in the order of the steps."""
        start = self._all(f'SELECT step FROM "{table.name}" ORDER BY step DESC LIMIT 1 OFFSET ?', (count - 1,))  # noqa: S608
        return list(self.rows(table, read, "WHERE step >= ?", start[0] if start else (0,)))

    def first(self, table: schema.Table, read: Callable[[tuple[Any, ...]], _T], end: str = "") -> _T | None:
        """Give the first row of a statement that ends with ``end``, or None."""
        for row in self._each(f"{table.select} {end} LIMIT 1", ()):
            try:
                return read(unseal(table, row))
            except ValueError as error:
                raise damaged(self._path, f"a row of its table {table.name}: {error}") from error
        return None

    def tally(self) -> dict[str, int]:
        """Give the number of rows that each table must have, and of the steps that were removed."""
        tally = dict(self.rows(schema.TALLY, lambda values: values))
        if set(tally) != set(schema.TALLIED) or not all(0 <= rows <= schema.MAX_STEP for rows in tally.values()):
            raise damaged(self._path, "it does not say how many rows it has")
        return tally

    def value(self, statement: str, parameters: Sequence[Value] = ()) -> Any:
        """Give the first value of the answer to one of this package's own statements."""
        return self._all(statement, parameters)[0][0]

    def identify(self) -> None:
        """Check that this is a run file of our version with exactly our tables."""
        if self.value("PRAGMA application_id") != schema.APPLICATION_ID:
            raise RunFileError(f"{self._path} is an SQLite file but not a run file; choose a .dsrun file")
        version = self.value("PRAGMA user_version")
        if version > schema.SCHEMA_VERSION:
            raise RunFileError(
                f"{self._path} has format {version}, newer than format {schema.SCHEMA_VERSION}, which this version "
                "reads; upgrade deepseek-workbench"
            )
        expected = _expected_tables()
        found = self._all("SELECT type, name, tbl_name, sql FROM sqlite_master LIMIT ?", (len(expected) + 1,))
        if version != schema.SCHEMA_VERSION or set(found) != expected or len(found) != len(expected):
            raise damaged(self._path, "its tables are not those of a run file")

    def check(self) -> None:
        """Check the structure of the file and the number of rows, as far as this goes in a quarter of a second."""
        with self._interrupted_after(schema.CHECK_SECONDS):
            verdict = self.value("PRAGMA integrity_check(1)")
            if verdict != "ok":
                raise damaged(self._path, f"its structure is broken ({str(verdict)[:200]})")
        with self._interrupted_after(schema.CHECK_SECONDS):
            tally = self.tally()
            for table in schema.COUNTED:
                count = self.value(f'SELECT count(*) FROM "{table.name}"')  # noqa: S608
                if tally[table.name] != count:
                    raise damaged(self._path, f"its table {table.name} has lost rows")

    @contextlib.contextmanager
    def _interrupted_after(self, seconds: float) -> Iterator[None]:
        # Some SQLite versions do not look at the progress handler inside these long operations.
        timer = threading.Timer(seconds, self._db.interrupt)
        timer.daemon = True
        timer.start()
        try:
            yield
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
                raise
        finally:
            timer.cancel()
            timer.join()

    def _all(self, statement: str, parameters: Sequence[Value] = ()) -> list[tuple[Any, ...]]:
        self._deadline = time.monotonic() + schema.QUERY_SECONDS
        return self._db.execute(statement, parameters).fetchall()

    def _each(self, statement: str, parameters: Sequence[Value]) -> Iterator[tuple[Any, ...]]:
        self._deadline = time.monotonic() + schema.QUERY_SECONDS
        cursor = self._db.execute(statement, parameters)
        while (row := cursor.fetchone()) is not None:
            yield row
            self._deadline = time.monotonic() + schema.QUERY_SECONDS


class ByStep(Generic[_T]):
    """Rows with their steps, in order, of which those of one step after the other are taken."""

    def __init__(self, path: Path, name: str, rows: Iterator[tuple[int, _T]]) -> None:
        self._path = path
        self._name = name
        self._rows = rows
        self._next = next(rows, None)

    def take(self, step: int) -> list[_T]:
        """Give the rows of a step, which is above all that were asked for before.

        Raises:
            RunFileError: There are rows of a step before it that nobody asked for.
        """
        self.pass_over(step)
        taken = []
        while self._next is not None and self._next[0] == step:
            taken.append(self._next[1])
            self._next = next(self._rows, None)
        return taken

    def pass_over(self, step: int) -> None:
        """Raise ``RunFileError`` when there are rows of steps before this one that nobody asked for."""
        if self._next is not None and self._next[0] < step:
            raise damaged(self._path, f"its {self._name} of step {self._next[0]} belongs to no step")


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Database]:
    """Open a run file for one short piece of reading.

    Connections are short because an open one keeps the writer from turning the closed run into a single file, and
    because they then need not be shared between threads.

    Raises:
        RunFileError: It is not a run file, or a damaged one; also for every error of SQLite inside the block.
    """
    with explained(path):
        mode, torn = _way_to_open(path)
        with contextlib.closing(_connect(path, mode)) as db:
            database = Database(path, db)
            database.identify()
            if torn and database.first(schema.WRITER, _state) == "running":
                raise RunFileError(
                    f"{path} was copied while its run was being written, without {path.name}-wal, which holds the "
                    "newest steps; copy both files together, or copy again after the run is closed"
                )
            yield database


def _way_to_open(path: Path) -> tuple[str, bool]:
    """Choose the URI parameters, and tell whether a log should lie beside the file but does not."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file"
        raise RunFileError(f"{path} is {kind}; expected a run file (.dsrun)")
    if status.st_size == 0:
        raise RunFileError(
            f"{path} is empty: its run ended, or was copied, before anything was written; start a new one"
        )
    if status.st_size > schema.MAX_FILE_BYTES:
        raise RunFileError(f"{path} has {status.st_size} bytes; run files have at most {schema.MAX_FILE_BYTES}")
    if any(path.with_name(path.name + end).exists() for end in ("-wal", "-journal")):
        return "mode=ro", False
    # Nobody writes it: a plain open, whose close drops this process's locks on the file, does no harm.
    with path.open("rb") as file:
        torn = file.read(20)[18:] == _WAL_HEADER
    untouchable = torn or not os.access(path.parent, os.W_OK)
    return "immutable=1" if untouchable else "mode=ro", torn


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.as_uri()}?{mode}", uri=True, isolation_level=None, timeout=0.9, check_same_thread=False
    )


def _authorize(action: int, first: str | None, second: str | None, *_: object) -> int:
    allowed = (
        action in _ALLOWED_ACTIONS
        or (action == sqlite3.SQLITE_PRAGMA and first in _ALLOWED_PRAGMAS)
        or (action == sqlite3.SQLITE_FUNCTION and second == "count")
    )
    return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY


def _state(values: tuple[Any, ...]) -> str:
    return str(values[1])


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


@functools.cache
def _expected_tables() -> frozenset[tuple[Any, ...]]:
    with contextlib.closing(sqlite3.connect(":memory:")) as db:
        for statement in schema.STATEMENTS:
            db.execute(statement)
        return frozenset(db.execute("SELECT type, name, tbl_name, sql FROM sqlite_master"))

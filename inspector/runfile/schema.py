"""What a run file looks like: tables, marks and limits."""

import hashlib
import zlib
from dataclasses import dataclass
from functools import cache, cached_property
from struct import Struct

from deepseek.inspector.record import TENSOR_KINDS
from deepseek.kernels.summary.columns import COLUMNS

APPLICATION_ID = 0x44535231
"""``DSR1`` in the file header: tells a run file from any other SQLite file."""

SCHEMA_VERSION = 4
"""SQLite's ``user_version``; raised with every change of the tables or of the encodings."""

MAX_FILE_BYTES = 512 * 2**20
"""No run file is ever larger: the writer keeps below it (see ``thinning``), and the reader refuses more."""

MAX_LOG_BYTES = 16 * 2**20
"""The log beside a growing run file is cut back to this when it has been folded into the file."""

MAX_VALUE_BYTES = 16 * 2**20
"""The longest single value, frames included, that SQLite may hand out."""

MAX_FRAME_ROWS = 50_000
MAX_IDS = 250_000
"""Most sites, and most layouts, of a run."""

MAX_STEP_ROWS = 10_000
"""Most scalars, findings, events, or windows of unit counts of one step."""

MAX_UNITS = 2**20
"""Most units of a site; there are no counts of larger ones."""

MAX_DETAILS = 128
"""Most layers of which a closer look is kept; those looked at longest ago go first."""

MAX_TEXT = 4096
"""Longest text in characters; the writer cuts what is longer."""

MAX_ENTRIES = 64
"""Most aliases of a site, entries of an evidence or an event, and keys of the run's meta data; the rest is cut."""

MAX_JSON = 2 * MAX_ENTRIES * (6 * MAX_TEXT + 8)
"""Longest JSON text in characters: every entry a key and a value, every character escaped."""

MAX_DIMENSIONS = 64
MAX_STEP = 2**53

QUERY_SECONDS = 1.0
"""Longest time a reader lets SQLite work for one row of an answer."""

CHECK_SECONDS = 0.25
"""Time for the structural check on opening; a larger file is checked as far as this goes."""

ROWS_PER_STATEMENT = 32

PAGE_BYTES = 8192


@dataclass(frozen=True, eq=False)
class Table:
    """A table: its columns with the only Python type each may hold, and its key.

    A last column ``crc`` holds the checksum of the row. Floats are stored without a column affinity, so that minus
    zero survives, and NaN, which SQLite does not know, as NULL.
    """

    name: str
    columns: dict[str, type]
    key: tuple[str, ...]

    @cached_property
    def create(self) -> str:
        """The statement that creates the table."""
        affinity = {int: " INTEGER", str: " TEXT", bytes: " BLOB", float: ""}
        columns = ", ".join(f'"{name}"{affinity[kind]}' for name, kind in self.columns.items())
        key = ", ".join(f'"{name}"' for name in self.key)
        return f'CREATE TABLE "{self.name}" ({columns}, "crc" INTEGER, PRIMARY KEY ({key}))'

    @cache  # noqa: B019 - tables live as long as the program
    def insert(self, rows: int = 1) -> str:
        """The statement that adds rows, the checksum of each last."""
        row = f"({', '.join('?' * (len(self.columns) + 1))})"
        return f'INSERT INTO "{self.name}" VALUES {", ".join([row] * rows)}'  # noqa: S608

    @cache  # noqa: B019
    def delete(self, column: str, values: int) -> str:
        """The statement that removes the rows in which a column has one of so many values."""
        return f'DELETE FROM "{self.name}" WHERE "{column}" IN ({", ".join("?" * values)})'  # noqa: S608

    @cached_property
    def select(self) -> str:
        """The statement that reads whole rows, without a condition."""
        return f'SELECT {", ".join(map(_quoted, (*self.columns, "crc")))} FROM "{self.name}"'  # noqa: S608

    @cached_property
    def numbers(self) -> Struct:
        """How the checksum sees a row: its numbers, and the lengths of its texts and blobs."""
        return Struct("<" + "".join("d" if kind is float else "q" for kind in self.columns.values()))

    @cached_property
    def floats(self) -> tuple[int, ...]:
        """Positions of the columns that hold floats."""
        return self._positions(float)

    @cached_property
    def texts(self) -> tuple[int, ...]:
        """Positions of the columns that hold texts."""
        return self._positions(str)

    @cached_property
    def blobs(self) -> tuple[int, ...]:
        """Positions of the columns that hold bytes."""
        return self._positions(bytes)

    @cached_property
    def seed(self) -> int:
        """What the checksums of this table start from."""
        return zlib.crc32(self.name.encode())

    def _positions(self, kind: type) -> tuple[int, ...]:
        return tuple(position for position, found in enumerate(self.columns.values()) if found is kind)


def _quoted(name: str) -> str:
    return f'"{name}"'


META = Table("meta", {"key": str, "value": str}, ("key",))
WRITER = Table(
    "writer",
    {"id": int, "state": str, "host": str, "pid": int, "born": str, "started": float, "fingerprint": str},
    ("id",),
)
TALLY = Table("tally", {"name": str, "rows": int}, ("name",))
STEP = Table(
    "step",
    {
        "step": int,
        "time": float,
        "wall_ms": float,
        "inspector_ms": float,
        "observed": int,
        "gradient_norm": float,
        "parts": int,
    },
    ("step",),
)
SITE = Table(
    "site",
    {
        "id": int,
        "step": int,
        "name": str,
        "role": str,
        "type": str,
        "module": str,
        "order": int,
        "aliases": str,
    },
    ("step", "id"),
)
LAYOUT = Table(
    "layout",
    {"id": int, "step": int, "dtype": str, "shape": str, "itemsize": int},
    ("step", "id"),
)
FRAME = Table("frame", {"step": int, "kind": str, "data": bytes}, ("step", "kind"))
UNIT = Table("unit", {"step": int, "position": int, "site": int, "data": bytes}, ("step", "position"))
SCALAR = Table("scalar", {"step": int, "name": str, "value": float}, ("step", "name"))
FINDING = Table(
    "finding",
    {
        "step": int,
        "position": int,
        "rule": str,
        "severity": str,
        "site": str,
        "fired": int,
        "message": str,
        "evidence": str,
        "cause": str,
        "fix": str,
    },
    ("step", "position"),
)
EVENT = Table("event", {"step": int, "position": int, "kind": str, "data": str}, ("step", "position"))

GRAPH = Table("graph", {"step": int, "data": str}, ("step",))
"""Holds the newest module graph, and the step that it came with, which may be gone."""

LAYER = Table("detail", {"site": str, "step": int, "facts": str, "data": bytes}, ("site",))
"""Holds the newest closer look at each layer, and the step of it, which may be gone."""

RECORD_TABLES = (STEP, SITE, LAYOUT, FRAME, UNIT, SCALAR, FINDING, EVENT)
"""The tables that grow."""

COUNTED = (*RECORD_TABLES, GRAPH, LAYER)

REMOVED = "removed"

TALLIED = (*(table.name for table in COUNTED), REMOVED)
"""What ``tally`` holds: how many rows each table must have, and how many steps were removed to bound the file."""

STATEMENTS = tuple(table.create for table in (META, WRITER, TALLY, *COUNTED))

FINGERPRINT = hashlib.sha256("\n".join((*STATEMENTS, *COLUMNS, *TENSOR_KINDS)).encode()).hexdigest()[:12]
"""Stands for the tables, the summary columns and the kinds: two files with equal fingerprints hold the same things."""

"""Ways to make a run file hostile by someone who knows the format: rows are sealed and counted, their content harms."""

import gc
import math
import sqlite3
import struct
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from deepseek.errors import RunFileError
from deepseek.inspector.runfile import RunReader, schema
from deepseek.inspector.runfile.sealing import Value, seal
from deepseek.kernels.summary.columns import COLUMNS

Attack = Callable[[sqlite3.Connection], object]


def sealed(table: schema.Table, values: Sequence[Value]) -> list[Value]:
    """Add the checksum, where values of wrong types have any."""
    kinds = table.columns.values()
    values = [math.nan if value is None and kind is float else value for value, kind in zip(values, kinds, strict=True)]
    try:
        return seal(table, values)
    except (struct.error, AttributeError, TypeError):
        return [*values, 0]


def statement(text: str) -> Attack:
    return lambda db: db.executescript(text)


def row(table: schema.Table, *values: object) -> Attack:
    """Add a row with a right checksum and a right tally: only the content is hostile."""

    def attack(db: sqlite3.Connection) -> None:
        db.execute(table.insert(), sealed(table, values))
        recount(db)

    return attack


def replaced(table: schema.Table, where: str, **changes: object) -> Attack:
    """Change columns of the rows that a condition names, checksums made right again."""

    def attack(db: sqlite3.Connection) -> None:
        for old in db.execute(f"{table.select} WHERE {where}").fetchall():
            values = dict(zip(table.columns, old, strict=False)) | changes
            db.execute(f"DELETE FROM {table.name} WHERE crc = ?", (old[-1],))
            db.execute(table.insert(), sealed(table, tuple(values.values())))

    return attack


def recount(db: sqlite3.Connection) -> None:
    db.execute("DELETE FROM tally WHERE name != 'removed'")
    for table in schema.COUNTED:
        (count,) = db.execute(f"SELECT count(*) FROM {table.name}").fetchone()
        db.execute(schema.TALLY.insert(), seal(schema.TALLY, (table.name, count)))


def rewritten_schema(old: str, new: str) -> Attack:
    def attack(db: sqlite3.Connection) -> None:
        db.execute("PRAGMA writable_schema = ON")
        db.execute("UPDATE sqlite_master SET sql = replace(sql, ?, ?)", (old, new))

    return attack


def packed(
    rows: int, columns: int = len(COLUMNS), *, magic: bytes = b"DSFR", version: int = 1, body: bytes = b""
) -> bytes:
    return struct.pack("<4sIII", magic, version, rows, columns) + body


def frame_data(data: object) -> Attack:
    return replaced(schema.FRAME, "step = 1 AND kind = 'gradient'", data=data)


def frame_of_ids(site: int, layout: int) -> Attack:
    ids = struct.pack("<III", site, 0, layout)
    return frame_data(packed(1, body=bytes(8 * len(COLUMNS)) + ids))


def unit_data(data: object) -> Attack:
    return replaced(schema.UNIT, "step = 1 AND position = 0", data=data)


def counts(samples: int, *numbers: int, units: int | None = None, magic: bytes = b"DSUC", version: int = 1) -> bytes:
    units = len(numbers) // 2 if units is None else units
    return struct.pack(f"<4sIII{len(numbers)}I", magic, version, units, samples, *numbers)


def in_turn(*attacks: Attack) -> Attack:
    def attack(db: sqlite3.Connection) -> None:
        for each in attacks:
            each(db)
        recount(db)

    return attack


def shape(text: str) -> Attack:
    return replaced(schema.LAYOUT, "id = 0", shape=text)


def evidence(text: str) -> Attack:
    return replaced(schema.FINDING, "step = 2", evidence=text)


def aliases(text: str) -> Attack:
    return replaced(schema.SITE, "id = 0", aliases=text)


def read_everything(path: Path) -> None:
    with RunReader(path) as reader:
        _ = reader.meta, reader.state
        for read in (reader.sites, reader.layouts, reader.steps, reader.scalars, reader.findings, reader.events):
            read()
        reader.units(), reader.counts(), reader.graph(), reader.details(), reader.steps(newest=2)
        reader.newest_frames()
        list(reader.records())
        list(reader.frames("gradient"))


def refused(path: Path, attack: Attack) -> None:
    """Change a sound file; see that reading it is refused within a second of computing, in a few words.

    What the tests before left behind is neither computing for nor searched for garbage on behalf of this file.
    """
    db = sqlite3.connect(path)
    attack(db)
    db.commit()
    db.close()
    gc.freeze()
    began = time.thread_time()
    with pytest.raises(RunFileError) as caught:
        read_everything(path)
    seconds = time.thread_time() - began
    gc.unfreeze()
    assert seconds < 1.0
    assert len(str(caught.value)) < 1000

"""Files made by someone who knows the format and means harm: every one is refused, quickly, with one kind of error."""

import json
import math
import sqlite3
import struct

import pytest
from attacks import (
    Attack,
    aliases,
    counts,
    evidence,
    frame_data,
    frame_of_ids,
    in_turn,
    packed,
    read_everything,
    refused,
    replaced,
    rewritten_schema,
    row,
    shape,
    statement,
    unit_data,
)
from recorded_runs import detail, records, with_graph

from deepseek.errors import RunFileError
from deepseek.inspector.runfile import RunReader, schema
from deepseek.inspector.runfile.sealing import seal

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"


def many_tables(db: sqlite3.Connection) -> None:
    db.execute("BEGIN")
    for number in range(3000):
        db.execute(f"CREATE TABLE t{number} (a)")


ATTACKS: dict[str, Attack] = {
    "extra view": statement("CREATE VIEW extra AS SELECT 1"),
    "endless view instead of a table": statement(f"DROP TABLE event; CREATE VIEW event AS {ENDLESS}"),
    "trigger": statement("CREATE TRIGGER t AFTER INSERT ON step BEGIN DELETE FROM step; END"),
    "virtual table": statement("CREATE VIRTUAL TABLE extra USING fts5(a)"),
    "extra table": statement("CREATE TABLE extra (a)"),
    "many tables": many_tables,
    "extra index": statement("CREATE INDEX extra ON step (time)"),
    "index on an expression": statement("CREATE INDEX extra ON step (abs(time))"),
    "generated column": statement("ALTER TABLE step ADD COLUMN g GENERATED ALWAYS AS (time + 1) VIRTUAL"),
    "missing table": statement("DROP TABLE event"),
    "renamed column": statement("ALTER TABLE step RENAME COLUMN time TO times"),
    "default expression in the schema": rewritten_schema('"observed" INTEGER', '"observed" INTEGER DEFAULT (random())'),
    "schema that does not parse": rewritten_schema("CREATE TABLE", "CREATE TABEL"),
    "schema with bad UTF-8": statement(
        "PRAGMA writable_schema = ON; UPDATE sqlite_master SET sql = CAST(x'43ff' AS TEXT) WHERE name = 'step'"
    ),
    "another application": statement("PRAGMA application_id = 252006673"),
    "version zero": statement("PRAGMA user_version = 0"),
    "negative version": statement("PRAGMA user_version = -1"),
    "UTF-16 text": statement("PRAGMA user_version = 4; UPDATE step SET time = CAST(x'00d8' AS TEXT) WHERE step = 1"),
    "shape of 2**63": shape(f"[{2**63}]"),
    "shape whose product is 2**63": shape("[4294967296, 4294967296]"),
    "shape that hides its size behind a zero": shape("[0, 4294967296, 4294967296]"),
    "negative size": shape("[-1]"),
    "size that is true": shape("[true]"),
    "size that is a float": shape("[1e3]"),
    "shape of a thousand dimensions": shape(json.dumps([1] * 1000)),
    "shape that is an object": shape('{"a": 1}'),
    "shape with a number of a million digits": shape("[" + "9" * 1_000_000 + "]"),
    "deeply nested shape": shape("[" * 100_000),
    "itemsize of 2**62": replaced(schema.LAYOUT, "id = 0", itemsize=2**62),
    "huge row count": frame_data(packed(2**32 - 1)),
    "row count beyond the bytes": frame_data(packed(2, body=bytes(108))),
    "other column count": frame_data(packed(1, 11, body=bytes(100))),
    "frame of another version": frame_data(packed(0, version=2)),
    "frame without magic": frame_data(packed(0, magic=b"XXXX")),
    "frame of three bytes": frame_data(b"abc"),
    "frame that is text": frame_data("abc"),
    "frame that is missing": frame_data(None),
    "frame of 40 MB": frame_data(bytes(40_000_000)),
    "site id out of range": frame_of_ids(3, 0),
    "layout id out of range": frame_of_ids(0, 2**32 - 1),
    "wrong checksum": statement("UPDATE scalar SET crc = crc + 1"),
    "checksum that is text": statement("UPDATE scalar SET crc = 'x'"),
    "duplicate site ids": replaced(schema.SITE, "id = 1", id=0, step=1),
    "negative site id": replaced(schema.SITE, "id = 0", id=-1),
    "site with an unknown role": replaced(schema.SITE, "id = 0", role="root"),
    "negative order": replaced(schema.SITE, "id = 0", order=-5),
    "layout ids with a gap": replaced(schema.LAYOUT, "id = 0", id=7),
    "giant string": replaced(schema.SITE, "id = 0", name="x" * 20_000_000),
    "string beyond the cap": replaced(schema.SITE, "id = 0", name="x" * (schema.MAX_TEXT + 1)),
    "value beyond SQLite's limit": replaced(schema.META, "1", value="x" * (schema.MAX_VALUE_BYTES + 1)),
    "invalid UTF-8": statement("UPDATE site SET name = CAST(x'ff' AS TEXT)"),
    "blob instead of a name": replaced(schema.SITE, "id = 0", name=b"name"),
    "number instead of a name": statement("UPDATE scalar SET name = 5; UPDATE finding SET rule = NULL"),
    "negative step": row(schema.STEP, -1, 0.0, 0.0, 0.0, 1, 1.0, 0),
    "step beyond the cap": row(schema.STEP, 2**62, 0.0, 0.0, 0.0, 1, 1.0, 0),
    "time that is text": row(schema.STEP, 99, "now", 0.0, 0.0, 1, 1.0, 0),
    "time that is an integer": row(schema.STEP, 99, 5, 0.0, 0.0, 1, 1.0, 0),
    "observed that is neither": row(schema.STEP, 99, 0.0, 0.0, 0.0, 2, 1.0, 0),
    "parts that lie": replaced(schema.STEP, "step = 1", parts=7),
    "unknown severity": replaced(schema.FINDING, "step = 2", severity="fatal"),
    "evidence with NaN": evidence('{"a": NaN}'),
    "evidence that overflows": evidence('{"a": 1e999}'),
    "evidence with an object": evidence('{"__proto__": {}}'),
    "evidence that is a list": evidence("[1]"),
    "evidence with too many entries": evidence(json.dumps(dict.fromkeys(map(str, range(1000)), 1.0))),
    "evidence with a long name": evidence(json.dumps({"x" * 5000: 1.0})),
    "aliases that are numbers": aliases("[1, 2]"),
    "aliases beyond the cap": aliases(json.dumps(["a"] * 1000)),
    "aliases that are no JSON": aliases("[1, "),
    "units beyond the bytes": unit_data(counts(9, 1, 2, units=2)),
    "bytes beyond the units": unit_data(counts(9, 1, 2, 3)),
    "four billion units": unit_data(counts(9, 1, 2, units=2**32 - 1)),
    "more units than any layer has": unit_data(counts(0, *[0] * 2 * (schema.MAX_UNITS + 1))),
    "unit count above its samples": unit_data(counts(9, 1, 10)),
    "saturated count above its samples": unit_data(counts(1, 1, 2**32 - 1)),
    "units of another version": unit_data(counts(9, 1, 2, version=2)),
    "units that are a frame": unit_data(packed(0)),
    "units of three bytes": unit_data(b"abc"),
    "units that are text": unit_data("abc"),
    "units that are missing": unit_data(None),
    "units of an unknown site": replaced(schema.UNIT, "step = 1", site=3),
    "units of a negative site": replaced(schema.UNIT, "step = 1", site=-1),
    "units of no step": row(schema.UNIT, 77, 0, 0, counts(1, 1, 0)),
    "units of a step that was not observed": row(schema.UNIT, 0, 0, 0, counts(1, 1, 0)),
    "frame of no step": row(schema.FRAME, 77, "gradient", packed(0)),
    "frame of a kind that nobody knows": replaced(schema.FRAME, "step = 1 AND kind = 'gradient'", kind="unit"),
    "thinned step whose frames are still there": replaced(schema.STEP, "step = 1", parts=3),
    "step that lost its frames without being thinned": in_turn(statement("DELETE FROM frame WHERE step = 1")),
    "step that lost one of its frames": in_turn(statement("DELETE FROM frame WHERE step = 1 AND kind = 'gradient'")),
    "step that lost its units": in_turn(statement("DELETE FROM unit WHERE step = 3")),
    "step that lost its event": in_turn(statement("DELETE FROM event WHERE step = 1")),
    "negative parts": replaced(schema.STEP, "step = 1", parts=-1),
    "negative gradient norm": replaced(schema.STEP, "step = 1", gradient_norm=-1.0),
    "gradient norm that is text": replaced(schema.STEP, "step = 1", gradient_norm="large"),
    "gradient norm without a checksum": statement("UPDATE step SET gradient_norm = 1e9"),
    "event of no step": row(schema.EVENT, 77, 0, "note", "{}"),
    "event at a step that has none": row(schema.EVENT, 0, 0, "note", "{}"),
    "event whose kind is endless": replaced(schema.EVENT, "step = 1", kind="x" * (schema.MAX_TEXT + 1)),
    "event whose data is no object": replaced(schema.EVENT, "step = 1", data="3"),
    "removed steps that are negative": replaced(schema.TALLY, "name = 'removed'", rows=-1),
    "removed steps beyond the cap": replaced(schema.TALLY, "name = 'removed'", rows=2**62),
    "removed steps that nobody counted": statement("DELETE FROM tally WHERE name = 'removed'"),
    "tally of a table that there is not": lambda db: db.execute(schema.TALLY.insert(), seal(schema.TALLY, ("x", 1))),
    "event with nonsense": row(schema.EVENT, 0, 0, "note", '{"a": ["everything"]}'),
    "unknown state": replaced(schema.WRITER, "1", state="paused"),
    "no writer": statement("DELETE FROM writer"),
    "other columns": replaced(schema.WRITER, "1", fingerprint="0" * 12),
    "pid beyond every pid": replaced(schema.WRITER, "1", pid=2**70 % 2**63, state="gone"),
    "tally that lies": replaced(schema.TALLY, "name = 'step'", rows=2**62),
    "no tally": statement("DELETE FROM tally"),
    "empty meta key type": statement("UPDATE meta SET key = x'00'"),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_every_attack_is_refused_within_a_second(write_run, name):
    refused(write_run(with_graph(records(4)), details=[detail()]), ATTACKS[name])


def test_an_attack_that_changes_nothing_is_read(write_run):
    """The helpers leave a sound file sound: it is the hostile content that is refused above."""
    path = write_run(with_graph(records(4)), details=[detail()])
    db = sqlite3.connect(path)
    for table in (*schema.COUNTED, schema.META, schema.WRITER):
        replaced(table, "1")(db)
    row(schema.STEP, 99, math.nan, math.inf, -0.0, 1, 1.0, 0)(db)
    row(schema.STEP, 100, 0.0, 0.0, 0.0, 0, 1.0, 0)(db)
    db.commit()
    db.close()
    read_everything(path)
    assert (
        str(RunReader(path).steps()[-2])
        == "Step(step=99, time=nan, wall_ms=inf, inspector_ms=-0.0, observed=True, gradient_norm=1.0, parts=0)"
    )


def test_an_index_whose_pages_form_a_loop_ends(write_run, monkeypatch):
    """Even where the structural check is skipped, as on large files."""
    path = write_run(records(400))
    data = bytearray(path.read_bytes())
    with sqlite3.connect(path) as db:
        (root,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'step'").fetchone()
    page = (root - 1) * schema.PAGE_BYTES
    assert data[page] == 5, "the table has an interior page"
    cells = struct.unpack_from(">H", data, page + 3)[0]
    first = struct.unpack_from(">H", data, page + 12)[0]
    for number in range(cells):
        cell = struct.unpack_from(">H", data, page + 12 + 2 * number)[0]
        data[page + cell : page + cell + 4] = data[page + first : page + first + 4]
    path.write_bytes(data)
    monkeypatch.setattr("deepseek.inspector.runfile.opening.Database.check", lambda self: None)
    with pytest.raises(RunFileError, match="out of order"):
        RunReader(path).steps()

"""Files made by someone who knows the format and means harm: every one is refused, quickly, with one kind of error."""

import json
import math
import sqlite3
import struct
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from recorded_runs import detail, records, with_graph

from deepseek.errors import RunFileError
from deepseek.inspector.graph.module_graph import MAX_EDGES, MAX_NODES
from deepseek.inspector.runfile import RunReader, schema
from deepseek.inspector.runfile.sealing import Value, seal
from deepseek.kernels.summary.columns import COLUMNS

Attack = Callable[[sqlite3.Connection], object]
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"


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


def graph_text(text: object) -> Attack:
    return replaced(schema.GRAPH, "1", data=text)


def graph(part: str, *rows: object) -> Attack:
    """Replace a part of the graph; ``rows`` stand in for what was there."""
    sound = {
        "complete": True,
        "note": "",
        "tensors": [[[2], "float32", 8]],
        "nodes": [[["Net", "Net"], "module", None, None, 0, 0, None], [None, "call", 0, None, 0, 8, 0]],
        "edges": [],
    }
    return graph_text(json.dumps(sound | {part: list(rows)}))


def graph_node(**changes: object) -> Attack:
    """A graph whose third node is hostile."""
    columns = ("names", "kind", "parent", "caller", "call", "bytes", "tensor")
    sound = dict(zip(columns, (["Net:add", "add"], "function", 0, 1, 0, 8, 0), strict=True))
    module, call = [["Net", "Net"], "module", None, None, 0, 0, None], [None, "call", 0, None, 0, 8, 0]
    return graph("nodes", module, call, list((sound | changes).values()))


def layer(**changes: object) -> Attack:
    """Change facts of the closer look at a layer."""

    def attack(db: sqlite3.Connection) -> None:
        (text,) = db.execute("SELECT facts FROM detail").fetchone()
        replaced(schema.LAYER, "1", facts=json.dumps(json.loads(text) | changes))(db)

    return attack


def layer_histogram(position: int, value: object) -> Attack:
    """Change a fact of a closer look's histogram: kind, tensor, dtype, numel, zeros, nonfinite, low, high."""

    def attack(db: sqlite3.Connection) -> None:
        (text,) = db.execute("SELECT facts FROM detail").fetchone()
        histograms = json.loads(text)["histograms"]
        histograms[0][position] = value
        layer(histograms=histograms)(db)

    return attack


def layer_number(place: int, value: int) -> Attack:
    """Change one of the counts of the first histogram of a closer look."""

    def attack(db: sqlite3.Connection) -> None:
        (data,) = db.execute("SELECT data FROM detail").fetchone()
        changed = data[: 8 * place] + struct.pack("<q", value) + data[8 * place + 8 :]
        replaced(schema.LAYER, "1", data=changed)(db)

    return attack


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
    "graph of no JSON": graph_text("[1, "),
    "graph that is a list": graph_text("[]"),
    "graph that is a blob": graph_text(b"{}"),
    "graph that is missing": graph_text(None),
    "graph without edges": graph_text('{"complete": true, "note": "", "nodes": [], "tensors": []}'),
    "graph of another step": replaced(schema.GRAPH, "1", step=-1),
    "two graphs": row(schema.GRAPH, 77, '{"complete": true, "note": "", "nodes": [], "edges": [], "tensors": []}'),
    "graph that was removed": statement("DELETE FROM graph"),
    "graph that nobody counted": statement("DELETE FROM tally WHERE name = 'graph'"),
    "deeply nested graph": graph_text('{"nodes": ' + "[" * 100_000),
    "graph of a million lists": graph_text('{"nodes": [' + "[]," * 1_000_000 + "[]]}"),
    "graph whose text is longer than any": graph_text(" " * (schema.MAX_JSON + 1)),
    "graph of too many nodes": graph("nodes", *[[["", ""], "module", 0, None, 0, 0, None]] * (MAX_NODES + 1)),
    "graph of too many edges": graph("edges", *[[0, 1, 0]] * (MAX_EDGES + 1)),
    "graph that may be complete": graph_text('{"complete": 1, "note": "", "nodes": [], "edges": [], "tensors": []}'),
    "graph with an endless name": graph_node(names=["x" * (schema.MAX_TEXT + 1), "add"]),
    "graph with a name that is a number": graph_node(names=["Net", 7]),
    "graph with a nameless function": graph_node(names=None),
    "graph with three names": graph_node(names=["a", "b", "c"]),
    "graph with an unknown kind": graph_node(kind="kernel"),
    "graph with a kind that is a list": graph_node(kind=["call"]),
    "graph with a node inside itself": graph_node(kind="module", parent=2),
    "graph with a node inside a call": graph_node(parent=1),
    "graph with two roots": graph_node(kind="module", parent=None),
    "graph with a parent before the first": graph_node(parent=-1),
    "graph with a parent that is true": graph_node(parent=True),
    "graph with a node that calls itself": graph_node(caller=2),
    "graph with a module that calls": graph_node(caller=0),
    "graph with a negative call": graph_node(call=-1),
    "graph with a fraction of a byte": graph_node(bytes=0.5),
    "graph with more bytes than there are": graph_node(bytes=2**63),
    "graph with a tensor that there is not": graph_node(tensor=1),
    "graph with a node of eight values": graph("nodes", [0] * 8),
    "graph whose first node is a call": graph("nodes", [None, "call", None, None, 0, 8, 0]),
    "graph with an edge to a module": graph("edges", [0, 0, 0]),
    "graph with an edge to itself": graph("edges", [1, 1, 0]),
    "graph with an edge to nowhere": graph("edges", [0, 2, 0]),
    "graph with an edge from before the first": graph("edges", [-1, 1, 0]),
    "graph with an edge of no tensor": graph("edges", [0, 1, 1]),
    "graph with an edge that is an object": graph("edges", {"source": 0}),
    "graph with a shape of 2**63": graph("tensors", [[2**63], "float32", 0]),
    "graph with a shape that is a number": graph("tensors", [2, "float32", 8]),
    "graph with a size that fits no shape": graph("tensors", [[3], "float32", 8]),
    "graph with an element of a megabyte": graph("tensors", [[1], "float32", 2**20]),
    "detail of no JSON": replaced(schema.LAYER, "1", facts="{"),
    "detail that is a list": replaced(schema.LAYER, "1", facts="[]"),
    "detail with a fact more": layer(more=1),
    "detail of a negative step": replaced(schema.LAYER, "1", step=-1),
    "detail of an endless name": replaced(schema.LAYER, "1", site="x" * (schema.MAX_TEXT + 1)),
    "detail that was removed": statement("DELETE FROM detail"),
    "detail that nobody counted": statement("DELETE FROM tally WHERE name = 'detail'"),
    "detail without a checksum": statement("UPDATE detail SET step = 7"),
    "more details than are kept": in_turn(
        *(row(schema.LAYER, f"x{number}", 0, "{}", b"") for number in range(schema.MAX_DETAILS))
    ),
    "detail with fewer bytes than it announces": replaced(schema.LAYER, "1", data=b"abc"),
    "detail with four billion histograms": layer(histograms=[["activation", "", "", 0, 0, 0, None, None]] * 33),
    "detail with a histogram of a kind that there is not": layer_histogram(0, "kernel"),
    "detail with a histogram of a list": layer_histogram(0, ["activation"]),
    "detail with a tensor of an endless name": layer_histogram(1, "x" * (schema.MAX_TEXT + 1)),
    "detail with more elements than are counted": layer_histogram(3, 13),
    "detail with 2**63 elements": layer_histogram(3, 2**63),
    "detail with zeros that are true": layer_histogram(4, True),
    "detail with negative zeros": layer_histogram(4, -1),
    "detail with more NaN than elements": layer_histogram(5, 13),
    "detail with a range from infinity": layer_histogram(6, 1e999),
    "detail with a range that goes backwards": layer_histogram(6, 5.0),
    "detail with a negative count": layer_number(0, -1),
    "detail with a count of 2**62": layer_number(0, 2**62),
    "detail whose bins lose an element": layer_number(0, 0),
    "detail whose exponents gain an element": layer_number(64, 1),
    "detail whose formats lose more than there is": layer_number(64 + 278, 2**40),
    "detail with units of nothing": layer(units=["weights", 9, 2]),
    "detail with a unit above its samples": layer(units=["activation", 1, 2]),
    "detail with four billion units": layer(units=["activation", 9, 2**32]),
    "detail with minus one unit": layer(units=["activation", 9, -1]),
    "detail with a picture of nothing": layer(picture=["map", "weight", "", 3, 4]),
    "detail with a picture of 2**40 cells": layer(picture=["matrix", "weight", "", 2**20, 2**20]),
    "detail with a picture of minus one row": layer(picture=["matrix", "weight", "", -1, -12]),
    "detail with a picture that is a number": layer(picture=7),
    "detail that took less than no time": layer(times=[-1.0, None]),
    "detail whose time is NaN": layer(times=[math.nan, None]),
    "detail with a time more": layer(times=[1.0, 1.0, 1.0]),
    "detail with negative bytes": layer(bytes=[1, 2, -3]),
    "detail with calls that are a text": layer(calls="many"),
    "detail that may be watched": layer(watched=1),
    "detail with a note that is none": layer(note=None),
    "unknown state": replaced(schema.WRITER, "1", state="paused"),
    "no writer": statement("DELETE FROM writer"),
    "other columns": replaced(schema.WRITER, "1", fingerprint="0" * 12),
    "pid beyond every pid": replaced(schema.WRITER, "1", pid=2**70 % 2**63, state="gone"),
    "tally that lies": replaced(schema.TALLY, "name = 'step'", rows=2**62),
    "no tally": statement("DELETE FROM tally"),
    "empty meta key type": statement("UPDATE meta SET key = x'00'"),
}


def read_everything(path: Path) -> None:
    with RunReader(path) as reader:
        _ = reader.meta, reader.state
        for read in (reader.sites, reader.layouts, reader.steps, reader.scalars, reader.findings, reader.events):
            read()
        reader.units(), reader.counts(), reader.graph(), reader.details(), reader.steps(newest=2)
        reader.newest_frames()
        list(reader.records())
        list(reader.frames("gradient"))


@pytest.mark.parametrize("name", ATTACKS)
def test_every_attack_is_refused_within_a_second(write_run, name):
    path = write_run(with_graph(records(4)), details=[detail()])
    db = sqlite3.connect(path)
    ATTACKS[name](db)
    db.commit()
    db.close()
    began = time.process_time()
    with pytest.raises(RunFileError) as caught:
        read_everything(path)
    assert time.process_time() - began < 1.0
    assert len(str(caught.value)) < 1000


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

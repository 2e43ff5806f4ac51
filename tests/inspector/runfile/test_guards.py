"""The guards around SQLite hold by themselves, whatever a file manages to ask for."""

import sqlite3

import pytest
from recorded_runs import exact, records

from deepseek.errors import RunFileError
from deepseek.inspector.runfile import RunReader, RunWriter, reader, schema
from deepseek.inspector.runfile.opening import opened
from deepseek.inspector.runfile.process import Process


@pytest.mark.parametrize(
    "statement",
    [
        "ATTACH 'other.db' AS other",
        "DELETE FROM step",
        "CREATE TEMP TABLE t (a)",
        "UPDATE step SET time = 0",
        "PRAGMA journal_mode = DELETE",
        "PRAGMA writable_schema = ON",
        "PRAGMA query_only = OFF",
        "SELECT load_extension('x')",
        "SELECT randomblob(1000000000)",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
    ],
)
def test_nothing_but_plain_reading_is_allowed(write_run, statement):
    path = write_run(records(2))
    before = path.read_bytes()
    with pytest.raises(RunFileError, match=r"not authorized|prohibited"), opened(path) as db:
        db.value(statement)
    assert path.read_bytes() == before


def test_a_query_that_takes_too_long_is_stopped(write_run, monkeypatch):
    path = write_run(records(1000, rows=1))
    monkeypatch.setattr(schema, "QUERY_SECONDS", 0.05)
    with pytest.raises(RunFileError, match="answered too slowly"), opened(path) as db:
        db.value("SELECT count(*) FROM step a, step b, step c")


def test_a_file_too_large_to_check_at_once_is_read(write_run, monkeypatch):
    monkeypatch.setattr(schema, "CHECK_SECONDS", 0.0)
    assert exact(list(RunReader(write_run(records(300))).records())) == exact(records(300))


def test_a_frame_that_its_index_lost_is_missed_without_the_check(write_run, monkeypatch):
    path = write_run(records(5))
    data = path.read_bytes()
    with sqlite3.connect(path) as db:
        (root,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name LIKE '%autoindex_frame%'").fetchone()
    place = data.index(b"gradient", (root - 1) * schema.PAGE_BYTES)
    path.write_bytes(data[:place] + b"gradienu" + data[place + 8 :])
    with pytest.raises(RunFileError, match="structure is broken"):
        RunReader(path)
    monkeypatch.setattr("deepseek.inspector.runfile.opening.Database.check", lambda self: None)
    with pytest.raises(RunFileError, match=r"step \d has lost rows"):
        list(RunReader(path).records())


def test_a_process_is_told_from_a_later_one_with_its_number():
    here = Process.current()
    assert here.lives()
    assert here._replace(host="elsewhere").lives() is None
    assert not here._replace(pid=2**62).lives()
    assert not here._replace(born="1").lives()


@pytest.mark.parametrize(("age", "state"), [(10.0, "running"), (10_000.0, "interrupted")])
def test_a_run_of_another_machine_is_judged_by_its_newest_step(tmp_path, monkeypatch, age, state):
    monkeypatch.setattr(Process, "lives", lambda self: None)
    writer = RunWriter(tmp_path / "a.dsrun", {})
    writer.write(records(2))
    monkeypatch.setattr(reader.time, "time", lambda: records(2)[-1].time + age)
    assert RunReader(tmp_path / "a.dsrun").state == state
    writer.close()

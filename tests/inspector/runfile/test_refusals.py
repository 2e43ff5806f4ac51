"""What is not a sound run file is refused with a sentence that says what it is and what to do."""

import ast
import os
import shutil
import sqlite3
from pathlib import Path

import pytest
from recorded_runs import records

import deepseek.inspector.runfile
from deepseek.errors import RunFileError
from deepseek.inspector.runfile import RunReader, schema

FORBIDDEN = {
    "pickle",
    "cPickle",
    "dill",
    "marshal",
    "shelve",
    "eval",
    "exec",
    "compile",
    "allow_pickle",
    "literal_eval",
}
FORBIDDEN |= {"torch", "load_extension", "enable_load_extension", "joblib", "__import__", "importlib"}


def refusal(path: Path) -> str:
    with pytest.raises(RunFileError) as caught:
        list(RunReader(path).records())
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_missing(tmp_path):
    assert "does not exist; check the path" in refusal(tmp_path / "none.dsrun")


def test_a_path_with_a_null_byte(tmp_path):
    with pytest.raises(RunFileError, match="null byte"):
        RunReader(tmp_path / "a\0b.dsrun")


def test_folder(tmp_path):
    assert "is a folder; expected a run file" in refusal(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe.dsrun")
    assert "is not a regular file" in refusal(tmp_path / "pipe.dsrun")


def test_empty(tmp_path):
    (tmp_path / "a.dsrun").touch()
    assert "is empty" in refusal(tmp_path / "a.dsrun")


def test_text(tmp_path):
    (tmp_path / "a.dsrun").write_text("step,loss\n" * 1000)
    assert "is not a run file" in refusal(tmp_path / "a.dsrun")


def test_too_large(tmp_path):
    with (tmp_path / "a.dsrun").open("wb") as file:
        file.truncate(schema.MAX_FILE_BYTES + 1)
    assert "run files have at most" in refusal(tmp_path / "a.dsrun")


def test_another_sqlite_file(tmp_path):
    with sqlite3.connect(tmp_path / "a.dsrun") as db:
        db.execute("CREATE TABLE cookies (name TEXT)")
    assert "is an SQLite file but not a run file" in refusal(tmp_path / "a.dsrun")


def test_another_sqlite_file_in_wal_mode(tmp_path):
    with sqlite3.connect(tmp_path / "a.dsrun") as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("CREATE TABLE cookies (name TEXT)")
    db.close()
    assert "is an SQLite file but not a run file" in refusal(tmp_path / "a.dsrun")


def test_newer_version(write_run):
    path = write_run(records(2))
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    assert "has format 99, newer than format 4" in refusal(path)
    assert "upgrade" in refusal(path)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_cut_off(write_run, share):
    path = write_run(records(50))
    os.truncate(path, int(path.stat().st_size * share))
    assert "is damaged" in refusal(path)


def test_a_locked_file_says_so(write_run):
    path = write_run(records(2))
    with sqlite3.connect(path) as db:
        db.execute("BEGIN EXCLUSIVE")
        assert "is locked by another program" in refusal(path)


def test_every_error_of_a_damaged_frame_names_its_step_and_kind(write_run):
    path = write_run(records(5))
    with sqlite3.connect(path) as db:
        db.execute("UPDATE frame SET data = zeroblob(length(data)) WHERE step = 3 AND kind = 'gradient'")
    assert "its frame of step 3, kind gradient: its checksum is wrong" in refusal(path)


def test_bad_utf_8_names_its_row(write_run):
    path = write_run(records(5))
    with sqlite3.connect(path) as db:
        db.execute("UPDATE site SET name = CAST(x'ff' AS TEXT) WHERE id = 1")
    assert "its site of step 0, id 1: its checksum is wrong" in refusal(path)


def test_lost_rows_are_noticed(write_run):
    path = write_run(records(5))
    with sqlite3.connect(path) as db:
        db.execute("DELETE FROM step WHERE step = 4")
    assert "its table step has lost rows" in refusal(path)


def test_exchanged_frames_are_noticed(write_run):
    path = write_run(records(5))
    with sqlite3.connect(path) as db:
        db.executescript(
            "UPDATE frame SET step = 99 WHERE step = 1; UPDATE frame SET step = 1 WHERE step = 2;"
            "UPDATE frame SET step = 2 WHERE step = 99;"
        )
    assert "its checksum is wrong" in refusal(path)


def test_a_file_that_changes_into_another_one_under_a_reader(write_run, tmp_path):
    reader = RunReader(write_run(records(2)))
    shutil.copy(write_run(records(0), "other.dsrun"), reader.path)
    assert list(reader.records()) == []
    reader.path.write_text("nonsense")
    with pytest.raises(RunFileError, match="not a run file"):
        reader.sites()


@pytest.mark.parametrize(
    "path", sorted(Path(deepseek.inspector.runfile.__file__).parent.glob("*.py")), ids=lambda p: p.stem
)
def test_no_module_can_run_what_a_file_says(path):
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.keyword(arg=str(name)):
                names.add(name)
            case ast.Import() | ast.ImportFrom():
                names |= {alias.name.split(".")[0] for alias in node.names}
                names.add(str(getattr(node, "module", "")).split(".")[0])
    assert not (names - {"compile"} if path.stem == "files" else names) & FORBIDDEN

"""Files come and go as promised: private, growing, killed, closed, copied."""

import dataclasses
import multiprocessing
import os
import shutil
import signal
import sqlite3
import stat
import tempfile
import time
from pathlib import Path

import pytest
from recorded_runs import exact, record, records

from deepseek.errors import RunFileError
from deepseek.inspector.runfile import RunReader, RunWriter, files, run_path, writer

pytestmark = pytest.mark.skipif(os.name != "posix", reason="forks processes")
FORK = multiprocessing.get_context("fork")


def write_for_ever(path: Path, sender) -> None:
    out = RunWriter(path, {})
    for step in range(10**6):
        out.write([record(step)])
        sender.send(step)


def write_until_killed(path: Path, steps: int) -> int:
    """Kill a writer with SIGKILL after it stored some steps; give the last step that it said was stored."""
    receiver, sender = FORK.Pipe(duplex=False)
    process = FORK.Process(target=write_for_ever, args=(path, sender), daemon=True)
    process.start()
    sender.close()
    last = -1
    while last < steps:
        last = receiver.recv()
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    while receiver.poll():
        try:
            last = receiver.recv()
        except (EOFError, OSError):
            break
    return last


def in_child(function, *args):
    """Run a function in a forked process and give its result or its error."""

    def child(sender) -> None:
        try:
            sender.send(function(*args))
        except Exception as error:  # noqa: BLE001
            sender.send(error)

    receiver, sender = FORK.Pipe(duplex=False)
    process = FORK.Process(target=child, args=(sender,))
    process.start()
    result = receiver.recv()
    process.join()
    return result


def as_nobody(function, *args):
    def run():
        if os.getuid() == 0:
            os.setuid(65534)
        return function(*args)

    return in_child(run)


def test_file_and_folder_are_private(tmp_path):
    out = RunWriter(tmp_path / "runs" / "a.dsrun", {})
    out.write(records(2))
    assert stat.S_IMODE((tmp_path / "runs").stat().st_mode) == 0o700
    found = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "runs").iterdir()}
    assert found == dict.fromkeys(("a.dsrun", "a.dsrun-wal", "a.dsrun-shm"), 0o600)
    out.close()


def test_nothing_is_overwritten(tmp_path):
    path = tmp_path / "a.dsrun"
    path.write_text("precious")
    with pytest.raises(RunFileError, match="exists already"):
        RunWriter(path, {})
    assert path.read_text() == "precious"
    (tmp_path / "link.dsrun").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RunFileError, match="exists already"):
        RunWriter(tmp_path / "link.dsrun", {})


@pytest.mark.parametrize("network", [False, True])
def test_a_closed_run_is_one_file(tmp_path, monkeypatch, network):
    monkeypatch.setattr(writer, "on_network_filesystem", lambda _: network)
    out = RunWriter(tmp_path / "a.dsrun", {})
    out.write(records(2))
    assert (tmp_path / ("a.dsrun-journal" if network else "a.dsrun-wal")).exists()
    with RunReader(tmp_path / "a.dsrun") as reader:
        assert reader.state == "running"
        out.close()
        assert reader.state == "closed"
        assert exact(list(reader.records())) == exact(records(2))
    assert [path.name for path in tmp_path.iterdir()] == ["a.dsrun"]
    assert (tmp_path / "a.dsrun").read_bytes()[18:20] == b"\1\1", "its header asks for no log"
    with pytest.raises(RunFileError, match="no longer open"):
        out.write(records(1))
    with pytest.raises(RunFileError, match="was closed here"):
        reader.sites()


def test_a_run_can_say_that_it_was_interrupted(tmp_path):
    out = RunWriter(tmp_path / "a.dsrun", {})
    out.close("interrupted")
    out.close()
    assert RunReader(tmp_path / "a.dsrun").state == "interrupted"


def test_a_run_closed_under_a_reader_of_another_kind_is_complete_without_its_log(tmp_path):
    out = RunWriter(tmp_path / "a.dsrun", {})
    out.write(records(2))
    other = sqlite3.connect(tmp_path / "a.dsrun")
    other.execute("SELECT count(*) FROM step").fetchall()
    out._db.execute("PRAGMA busy_timeout = 0")
    out.close()
    shutil.copy(tmp_path / "a.dsrun", tmp_path / "copy.dsrun")
    other.close()
    assert exact(list(RunReader(tmp_path / "copy.dsrun").records())) == exact(records(2))


def test_reading_while_another_process_writes(tmp_path):
    path = tmp_path / "a.dsrun"
    receiver, sender = FORK.Pipe(duplex=False)
    process = FORK.Process(target=write_for_ever, args=(path, sender), daemon=True)
    process.start()
    receiver.recv()
    reader = RunReader(path)
    seen = []
    until = time.monotonic() + 1.0
    while time.monotonic() < until:
        fresh = list(reader.records(start=len(seen)))
        assert [item.step for item in fresh] == list(range(len(seen), len(seen) + len(fresh)))
        seen += fresh
        while receiver.poll():
            receiver.recv()
    assert reader.state == "running"
    process.kill()
    process.join()
    assert len(seen) > 20
    assert exact(seen[:20]) == exact(records(20))
    assert reader.state == "interrupted"


def test_a_copy_without_its_log_is_explained(tmp_path):
    out = RunWriter(tmp_path / "a.dsrun", {})
    out.write(records(5))
    shutil.copy(tmp_path / "a.dsrun", tmp_path / "torn.dsrun")
    with pytest.raises(RunFileError, match=r"copied while its run was being written, without torn\.dsrun-wal"):
        RunReader(tmp_path / "torn.dsrun")
    assert not (tmp_path / "torn.dsrun-wal").exists()
    out.close()


def test_a_copy_together_with_its_log_opens(tmp_path):
    out = RunWriter(tmp_path / "a.dsrun", {})
    out.write(records(5))
    for end in ("", "-wal"):
        shutil.copy(tmp_path / f"a.dsrun{end}", tmp_path / f"copy.dsrun{end}")
    assert len(list(RunReader(tmp_path / "copy.dsrun").records())) == 5
    out.close()


def test_a_read_only_folder():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        open_one, dead = folder / "closed.dsrun", folder / "dead.dsrun"
        out = RunWriter(open_one, {})
        out.write(records(5))
        out.close()
        write_until_killed(dead, 3)
        (folder / "dead.dsrun-shm").unlink()
        for path in folder.iterdir():
            path.chmod(0o444)
        folder.chmod(0o555)
        before = sorted(folder.iterdir())
        assert exact(as_nobody(lambda: list(RunReader(open_one).records()))) == exact(records(5))
        error = as_nobody(lambda: RunReader(dead).meta)
        assert isinstance(error, RunFileError)
        assert "copy it with any dead.dsrun-wal beside it into a folder where you may write" in str(error)
        assert sorted(folder.iterdir()) == before
        folder.chmod(0o755)


def test_a_forked_child_cannot_write_into_its_parents_run(tmp_path):
    out = RunWriter(tmp_path / "a.dsrun", {})
    out.write(records(2))
    error = in_child(out.write, [record(2)])
    assert "no longer open for writing in this process" in str(error)
    out.write([record(2)])
    out.close()
    assert len(list(RunReader(tmp_path / "a.dsrun").records())) == 3


def test_closing_in_a_forked_child_leaves_its_parents_run_alone(tmp_path):
    out = RunWriter(tmp_path / "a.dsrun", {})
    out.write(records(2))
    assert in_child(out.close) is None
    assert RunReader(tmp_path / "a.dsrun").state == "running"
    out.write([record(2)])
    out.close()
    assert len(list(RunReader(tmp_path / "a.dsrun").records())) == 3


def test_a_clock_that_is_set_back_changes_neither_order_nor_state(tmp_path):
    out = RunWriter(tmp_path / "a.dsrun", {})
    run = [dataclasses.replace(item, time=1e9 - 86_400 * item.step) for item in records(5)]
    for item in run:
        out.write([item])
    reader = RunReader(tmp_path / "a.dsrun")
    assert reader.state == "running"
    assert exact(list(reader.records())) == exact(run)
    out.close()


def test_reading_in_the_writers_process_keeps_the_writers_locks(tmp_path):
    out = RunWriter(tmp_path / "a.dsrun", {})
    out.write(records(2))
    assert len(list(RunReader(tmp_path / "a.dsrun").records())) == 2
    assert in_child(_switch_journal, tmp_path / "a.dsrun") == "locked"
    out.close()


def _switch_journal(path: Path) -> str:
    with sqlite3.connect(path, timeout=0) as db:
        try:
            db.execute("PRAGMA journal_mode = DELETE").fetchall()
        except sqlite3.OperationalError:
            return "locked"
    return "free"


@pytest.mark.parametrize(
    "name", ["Net", "../../etc/passwd", "", "\0", "a" * 999, "con", "<b>", "\ud800", "-rf", "ä/ö", "x\n.."]
)
def test_hostile_model_names_give_tame_file_names(tmp_path, name):
    path = run_path(tmp_path, name)
    assert path.parent == tmp_path
    assert path.name.isascii()
    assert set(path.name) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.")
    assert path.name.endswith(".dsrun")
    assert len(path.name) < 80
    RunWriter(path, {"model": name}).close()


def test_names_made_in_the_same_second_differ(tmp_path):
    assert len({run_path(tmp_path, "Net") for _ in range(20)}) > 18


@pytest.mark.parametrize(
    ("mounts", "network"),
    [
        ("/dev/sda / ext4 rw 0 0\n", False),
        ("/dev/sda / ext4 rw 0 0\nserver:/home /some nfs4 rw 0 0\n", True),
        ("/dev/sda / ext4 rw 0 0\nme /some fuse.sshfs rw 0 0\n", True),
        ("server:/ / nfs rw 0 0\nnone /some/where tmpfs rw 0 0\n", False),
        ("/dev/sda / ext4 rw 0 0\nserver:/x /some\\040other nfs rw 0 0\n", False),
        ("old / ext4 rw 0 0\nnew / 9p rw 0 0\n", True),
        ("", True),
    ],
)
def test_network_file_systems_are_told_by_the_mount_table(tmp_path, monkeypatch, mounts, network):
    (tmp_path / "mounts").write_text(mounts)
    monkeypatch.setattr(files, "_MOUNTS", tmp_path / "mounts")
    monkeypatch.setattr("sys.platform", "linux")
    assert files.on_network_filesystem("/some/where/runs/a.dsrun") is network


def test_without_a_mount_table_every_file_system_may_be_shared(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_MOUNTS", tmp_path / "missing")
    assert files.on_network_filesystem(tmp_path)
    monkeypatch.setattr("sys.platform", "darwin")
    assert files.on_network_filesystem(tmp_path)

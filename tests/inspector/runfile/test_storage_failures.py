"""Disks fill up, break and vanish: an error that says so, and everything stored before stays readable."""

import contextlib
import os
import resource
from pathlib import Path

import pytest
from recorded_runs import bare, exact, record, records

from deepseek.errors import RunFileError
from deepseek.inspector.runfile import RunReader, RunWriter, thinning, writer

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
STORED = 20


@pytest.fixture(params=[False, True], ids=["wal", "truncate"])
def out(tmp_path, monkeypatch, request):
    monkeypatch.setattr(writer, "on_network_filesystem", lambda _: request.param)
    out = RunWriter(tmp_path / "a.dsrun", {})
    out.write(records(STORED))
    yield out
    with contextlib.suppress(RunFileError):
        out.close()


def descriptors(path: Path) -> list[int]:
    """The file descriptors through which SQLite writes a run: its log or journal, and the file."""
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            if str(entry.readlink()) in (str(path), f"{path}-wal", f"{path}-journal"):
                found.append(int(entry.name))
    return found


@contextlib.contextmanager
def replaced_by(device: str, flags: int, path: Path):
    """Let every write of SQLite to a run fail, as the device does."""
    numbers = descriptors(path)
    kept = [os.dup(number) for number in numbers]
    broken = os.open(device, flags)
    for number in numbers:
        os.dup2(broken, number)
    try:
        yield
    finally:
        for copy, number in zip(kept, numbers, strict=True):
            os.dup2(copy, number)
            os.close(copy)
        os.close(broken)


@contextlib.contextmanager
def no_file_beyond(size: int):
    """Let every write beyond ``size`` bytes into a file fail; reading goes on as before."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def check_intact(path: Path) -> None:
    found = list(RunReader(path).records())
    assert exact(found[:STORED]) == exact(records(STORED))


def test_a_full_disk_is_reported_and_loses_nothing(out):
    with replaced_by("/dev/full", os.O_RDWR, out.path), pytest.raises(RunFileError, match="could not be written"):
        out.write([record(step, rows=3) for step in range(STORED, 200)])
    check_intact(out.path)


def test_a_disk_that_refuses_only_for_a_while_takes_the_next_steps(out):
    with no_file_beyond(8192), pytest.raises(RunFileError, match="could not be written"):
        out.write([record(step) for step in range(STORED, 200)])
    out.write([record(STORED)])
    out.close()
    assert exact(list(RunReader(out.path).records())) == exact(records(STORED + 1))


def test_a_disk_that_is_full_on_closing_is_reported_and_loses_nothing(out):
    with replaced_by("/dev/full", os.O_RDWR, out.path), pytest.raises(RunFileError, match="could not be written"):
        out.close()
    check_intact(out.path)


def test_an_input_output_error_is_reported_and_loses_nothing(out):
    """Writing through a descriptor that is only open for reading fails with EBADF."""
    with replaced_by("/dev/null", os.O_RDONLY, out.path), pytest.raises(RunFileError, match="could not be written"):
        out.write([record(step) for step in range(STORED, 200)])
    check_intact(out.path)


def test_a_full_disk_while_thinning_leaves_a_sound_file(tmp_path, monkeypatch):
    monkeypatch.setattr(thinning, "DETAIL_BYTES", 30_000)
    monkeypatch.setattr(thinning, "STEP_BYTES", 10_000)
    out = RunWriter(tmp_path / "a.dsrun", {})
    for first in range(0, 300, 10):
        out.write([record(step) if step % 5 == 0 else bare(step) for step in range(first, first + 10)])
    before = exact(list(RunReader(out.path).records()))
    with no_file_beyond(8192), pytest.raises(RunFileError, match="could not be written"):
        out.write([record(step) for step in range(300, 400)])
    assert exact(list(RunReader(out.path).records())) == before
    for first in range(300, 600, 10):
        out.write([record(step) if step % 5 == 0 else bare(step) for step in range(first, first + 10)])
    out.close()
    reader = RunReader(out.path)
    assert list(reader.records())[-1].step == 599
    assert sum(reader.counts()) == 600


def test_a_disk_that_fills_up_step_by_step_keeps_every_step_before(out):
    size = max(path.stat().st_size for path in out.path.parent.iterdir())
    stored = STORED
    with no_file_beyond(size + 100_000), contextlib.suppress(RunFileError):
        for stored in range(STORED, 10_000):
            out.write([record(stored)])
    assert STORED < stored < 9_000
    assert len(list(RunReader(out.path).records())) == stored


def test_a_deleted_run_file_is_reported(out):
    out.path.unlink()
    with pytest.raises(RunFileError, match="was deleted or replaced while its run was being written"):
        out.write([record(STORED)])


def test_a_run_file_that_was_replaced_is_left_alone(out):
    out.path.rename(out.path.with_name("moved"))
    out.path.write_text("precious")
    with pytest.raises(RunFileError, match="was deleted or replaced"):
        out.close()
    assert out.path.read_text() == "precious"

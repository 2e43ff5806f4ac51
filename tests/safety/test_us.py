"""What a whole session does to the process and the machine: nothing, but for its own files."""

import json
import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from audited import CANARY, SECRET

SCRIPT = Path(__file__).parents[1] / "support" / "audited.py"


def run(folder, how):
    home = folder / "home"
    home.mkdir(parents=True)
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("PYTEST")},
        "HOME": str(home),
        "TMPDIR": str(home),
        "MPLCONFIGDIR": str(folder.parent),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    work = folder / "work"
    work.mkdir()
    command = [sys.executable, "-I", "-B", str(SCRIPT), str(work), how]
    return subprocess.run(command, cwd=home, env=environment, capture_output=True, timeout=200, check=False)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Run the training bare and watched; give the folders and what they said."""
    base = tmp_path_factory.mktemp("us")
    said = {how: run(base / how, how) for how in ("bare", "watched")}
    assert [result.returncode for result in said.values()] == [0, 0], said["watched"].stderr[-3000:]
    return base, said


def facts(folder):
    return {path.stem: path.read_text() for path in folder.glob("*.fact")}


def test_the_process_is_the_same_with_and_without_us(folders):
    base, _ = folders
    bare, watched = (facts(base / how / "work") for how in ("bare", "watched"))
    bare, watched = (
        {name: text.replace(f"/{how}/", "/x/") for name, text in found.items()}
        for how, found in (("bare", bare), ("watched", watched))
    )
    assert len(bare) > 15
    assert {name for name in bare if bare[name] != watched[name]} == set()


def test_nothing_is_said(folders):
    _, said = folders
    assert said["watched"].stdout == said["bare"].stdout == b""
    assert said["watched"].stderr == said["bare"].stderr


def test_no_socket_no_process_no_pickle(folders):
    base, _ = folders
    events = json.loads((base / "watched" / "work" / "events.json").read_text())
    assert [event for event in events if event[0] not in ("write", "database")] == []


def test_only_the_run_and_the_reports_are_written(folders):
    base, _ = folders
    work = base / "watched" / "work"
    events = json.loads((work / "events.json").read_text())
    written = {name for kind, name in events if kind == "write"}
    # Python itself tries out the folder for temporary files, and leaves nothing there.
    allowed = {work, base / "watched" / "home"}
    assert all(Path(name).parent in allowed or name == "/dev/null" for name in written), written
    databases = {name for kind, name in events if kind == "database" and name != ":memory:"}
    assert all(re.match(rf"file://{re.escape(str(work))}/run\.dsrun\?", name) for name in databases), databases
    left = {path.name for path in work.iterdir() if path.suffix != ".fact"}
    assert left == {"run.dsrun", "report.html", "again.html", "messages.bin", "events.json"}
    homes = [{path.name for path in (base / how / "home").iterdir()} for how in ("bare", "watched")]
    assert homes[0] == homes[1]


def test_a_value_and_a_text_of_the_data_appear_nowhere(folders):
    base, _ = folders
    work = base / "watched" / "work"
    single = struct.unpack("<f", struct.pack("<f", CANARY))[0]
    traces = [SECRET.encode(), struct.pack("<f", CANARY), struct.pack("<d", single), struct.pack("<d", CANARY)]
    traces += [b"0.61803"]
    for name in ("run.dsrun", "report.html", "again.html", "messages.bin"):
        data = (work / name).read_bytes()
        assert len(data) > 1000
        assert [trace for trace in traces if trace in data] == [], name

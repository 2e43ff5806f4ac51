"""Hostile file names in every operation: what is asked is done or refused in a sentence; nothing else is touched."""

# pathlib would tidy up the names before they arrive.
# ruff: noqa: PTH104, PTH108, PTH113, PTH118

import os
import shutil

import pytest
import torch
from synthetic import SyntheticRecording
from torch import nn

import deepseek
from deepseek.cli import main
from deepseek.widgets.report import write_report

NAMES = (
    "",
    ".",
    "..",
    "...",
    "../escaped",
    "../../escaped",
    "./../escaped",
    "a/../../escaped",
    "no/such/folder/x",
    "a//b",
    "trailing/",
    "/",
    "~",
    "~root",
    "~nobody/x",
    "$HOME",
    "${HOME}",
    "`id`",
    "$(id)",
    "; rm -rf x",
    "| id",
    "&& id",
    "> out",
    "-rf",
    "--help",
    "-o",
    "*",
    "?",
    "[a-z]",
    "{a,b}",
    "a?mode=memory",
    "a?mode=rwc&cache=shared",
    "a?vfs=unix-none",
    "a#fragment",
    "a%00b",
    "a%2e%2e%2fb",
    "a%3fmode=rwc",
    ":memory:",
    "file::memory:",
    "file:x?mode=memory",
    "a:b",
    "C:\\x",
    "..\\escaped",
    "con",
    "nul.txt",
    "aux.dsrun",
    "a\0b",
    "\0",
    "a\nb",
    "a\rb",
    "a\tb",
    " leading",
    "trailing ",
    "trailing.",
    "\x1b[2Jx",
    "\u202egnp",
    "\u2028",
    "\udcff",
    "\ud800",
    "层.卷积",
    "e\u0301",
    "\u00e9",
    "'quoted'",
    '"quoted"',
    "<b>",
    "x" * 255,
    "x" * 256,
    "x" * 5000,
    "d/" * 2000 + "x",
    "a-wal",
    "a-journal",
    "a-shm",
    ".dsrun",
)
ENDINGS = ("", "-wal", "-shm", "-journal")


def short(name):
    return ascii(name)[:30]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A small saved run."""
    path = tmp_path_factory.mktemp("saved") / "run.dsrun"
    record(path)
    return path


def record(path, kind=nn.Linear):
    model = kind(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with deepseek.inspect(model, optimizer, every=1, run=path) as session:
        model(torch.ones(2, 3)).sum().backward()
        optimizer.step()
    return session.path


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A chosen folder inside a home that must stay as it is."""
    chosen = tmp_path / "home" / "chosen"
    chosen.mkdir(parents=True)
    (chosen.parent / "victim").write_text("mine")
    monkeypatch.setenv("HOME", str(chosen.parent))
    monkeypatch.chdir(chosen)
    return chosen


def everything(folder):
    """All files below a folder, with what they hold."""
    return {
        str(path): path.read_bytes() if path.is_file() else None for path in folder.rglob("*") if not path.is_symlink()
    }


def is_touched(place, name, before):
    """The files that are new or changed and that the name does not denote."""
    asked = {os.path.normpath(os.path.join(place, name)) + end for end in ENDINGS}
    after = everything(place.parent)
    changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    return {path for path in changed if after.get(path, b"gone") is not None and path not in asked}


def attempt(action):
    """Do it, or be told in a sentence why not."""
    try:
        action()
    except deepseek.DeepseekError as error:
        return len(str(error)) < 20
    return True


def test_there_are_more_than_sixty_names():
    assert len(set(NAMES)) >= 60


@pytest.mark.parametrize("name", NAMES, ids=short)
def test_a_run_is_created_where_it_was_asked_or_not_at_all(place, name):
    before = everything(place.parent)
    attempt(lambda: record(os.path.join(place, name)))
    assert not is_touched(place, name, before)


@pytest.mark.parametrize("name", NAMES, ids=short)
def test_the_name_of_the_model_never_leads_out_of_the_folder_of_runs(place, name):
    before = everything(place.parent)
    kind = type("Model", (nn.Linear,), {})
    kind.__name__ = name.replace("\0", "\\0").encode("utf-8", "replace").decode()
    path = record(None, kind)
    assert path.resolve().parent == place / "runs"
    runs = str(place / "runs")
    assert all(new.startswith(runs) for new in everything(place.parent).keys() - before.keys())


@pytest.mark.parametrize("name", NAMES, ids=short)
def test_opening_touches_nothing(place, name, saved):
    path = os.path.join(place, name)
    try:
        shutil.copyfile(saved, path)
        copied = os.path.isfile(path)
    except (OSError, ValueError):
        copied = False
    before = everything(place.parent)

    def read():
        with deepseek.open_run(path) as run:
            assert len(list(run.records())) == 1

    assert attempt(read) is (copied and len(name) < 250)  # a longer one leaves no room for the name of the log
    assert everything(place.parent) == before


@pytest.mark.parametrize("name", NAMES, ids=short)
def test_a_report_is_written_where_it_was_asked_or_not_at_all(place, name, monkeypatch):
    monkeypatch.setattr("deepseek.widgets.report.report_html", lambda *_: "<p>")
    before = everything(place.parent)
    attempt(lambda: write_report(SyntheticRecording(blocks=1), os.path.join(place, name)))
    assert not is_touched(place, name, before)


@pytest.mark.parametrize("name", NAMES, ids=short)
def test_the_command_line_never_fails_with_a_traceback(place, name, saved, monkeypatch, capsys):
    monkeypatch.setattr("deepseek.widgets.report.report_html", lambda *_: "<p>")
    before = everything(place.parent)
    path = os.path.join(place, name)
    assert main(["report", str(saved), f"--output={path}"]) in (0, 1)
    assert not is_touched(place, name, before)
    assert main(["summary", path]) in (0, 1)
    said = "".join(capsys.readouterr())
    assert "Traceback" not in said
    assert "\x1b" not in said


@pytest.mark.parametrize("name", NAMES, ids=short)
def test_a_run_that_is_renamed_and_deleted_while_it_is_open_is_read_or_refused(place, name, saved):
    first, second = place / "first.dsrun", os.path.join(place, name)
    shutil.copyfile(saved, first)
    with deepseek.open_run(first) as run:
        try:
            os.rename(first, second)
        except (OSError, ValueError):
            second = first
        attempt(lambda: list(run.records()))
        if os.path.isfile(second):
            os.unlink(second)
        attempt(lambda: list(run.records()))
        attempt(lambda: run.summary())
    assert everything(place.parent) == {str(place): None, str(place.parent / "victim"): b"mine"}


@pytest.mark.parametrize("kind", ["link to a file", "link to nothing", "loop", "pipe", "folder", "device"])
def test_what_is_no_file_of_ours_is_refused_and_kept(place, kind, tmp_path):
    path, victim = place / "x.dsrun", place.parent / "victim"
    match kind:
        case "link to a file":
            path.symlink_to(victim)
        case "link to nothing":
            path.symlink_to(tmp_path / "new")
        case "loop":
            path.symlink_to(path)
        case "pipe":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "device":
            path.symlink_to("/dev/zero")
    assert not attempt(lambda: record(path))
    assert not attempt(lambda: deepseek.open_run(path))
    assert victim.read_text() == "mine"
    assert not (tmp_path / "new").exists()

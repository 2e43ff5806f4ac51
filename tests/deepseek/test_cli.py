"""The command line: exit codes, and what it prints."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import deepseek
from deepseek.cli import main


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved run of two steps, whose model has a name that tries to colour the terminal."""
    path = tmp_path_factory.mktemp("runs") / "net.dsrun"
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))
    model.add_module("evil\x1b[31m", nn.Identity())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with deepseek.inspect(model, optimizer, every=1, run=path):
        for _ in range(2):
            model(torch.ones(2, 3)).sum().backward()
            optimizer.step()
    return path


def test_summary_prints_state_and_sites(run: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["summary", str(run)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("Sequential: closed, 2 steps")
    assert "2.weight" in out


def test_summary_leaves_the_terminal_alone(run: Path, capsys: pytest.CaptureFixture[str]):
    main(["summary", str(run)])
    out = capsys.readouterr().out
    assert "evil" in out
    assert "\x1b" not in out


def test_report_writes_one_html_file(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    target = tmp_path / "run.html"
    assert main(["report", str(run), "-o", str(target)]) == 0
    assert str(target) in capsys.readouterr().out
    assert target.read_text(encoding="utf-8").lstrip().lower().startswith("<!doctype html>")


@pytest.mark.parametrize("command", [["summary"], ["report", "-o", "x.html"]])
def test_a_missing_run_is_one_sentence_and_exit_code_1(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert main([*command, str(tmp_path / "missing.dsrun")]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("deepseek: ")
    assert "missing.dsrun" in captured.err
    assert "Traceback" not in captured.err


@pytest.mark.parametrize("words", [[], ["sumary", "x"], ["report", "x"]])
def test_a_misspelt_command_is_exit_code_2(words: list[str], capsys: pytest.CaptureFixture[str]):
    assert main(words) == 2
    error = capsys.readouterr().err
    assert error.startswith("deepseek: ")
    assert "usage: deepseek" in error


def test_a_report_into_a_missing_folder_is_exit_code_1(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "file").touch()
    assert main(["report", str(run), "-o", str(tmp_path / "file" / "run.html")]) == 1
    assert "Traceback" not in capsys.readouterr().err


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]):
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(command in out for command in ("demo", "report", "summary", "doctor"))


@pytest.mark.parametrize(
    "command", [[str(Path(sys.executable).with_name("deepseek"))], [sys.executable, "-Im", "deepseek"]]
)
def test_the_console_script_and_the_module_are_the_same_command(command: list[str]):
    done = subprocess.run([*command, "reprot"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Did you mean 'report'?" in done.stderr

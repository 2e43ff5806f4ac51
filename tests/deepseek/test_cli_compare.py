"""``deepseek compare``: exit codes, and what it prints."""

from pathlib import Path

import pytest
import torch
from torch import nn

import deepseek
from deepseek.cli import main


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two saved runs, of which the second one's last layer is larger."""
    folder = tmp_path_factory.mktemp("runs")
    return [_run(folder / f"{name}.dsrun", factor) for name, factor in (("a", 1.0), ("b", 2.0))]


def _run(path: Path, factor: float) -> Path:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))
    model.add_module("evil\x1b[31m\n", nn.Identity())
    with torch.no_grad():
        model[2].weight.mul_(factor)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with deepseek.inspect(model, optimizer, every=1, run=path):
        model(torch.ones(2, 3)).sum().backward()
        optimizer.step()
    return path


def test_it_says_which_layer_differs_first(runs: list[Path], capsys: pytest.CaptureFixture[str]):
    assert main(["compare", *map(str, runs)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("A and B differ first at step 0 in 2 (Linear): activation rms ")
    assert "first_step" in out
    assert "\x1b" not in out


def test_it_compares_another_kind(runs: list[Path], capsys: pytest.CaptureFixture[str]):
    assert main(["compare", *map(str, runs), "--kind", "parameter"]) == 0
    assert capsys.readouterr().out.startswith("A and B differ first at step 0 in 0.weight (Linear): parameter rms ")


def test_it_writes_one_html_file(runs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    target = tmp_path / "diff.html"
    assert main(["compare", *map(str, runs), "-o", str(target)]) == 0
    assert f"Wrote {target}" in capsys.readouterr().out
    assert target.read_text(encoding="utf-8").lstrip().lower().startswith("<!doctype html>")


def test_a_missing_run_and_an_unknown_kind_are_one_sentence_and_exit_code_1(
    runs: list[Path], capsys: pytest.CaptureFixture[str]
):
    for words in ([str(runs[0]), "missing.dsrun"], [*map(str, runs), "--kind", "colour"]):
        assert main(["compare", *words]) == 1
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.startswith("deepseek: ")
        assert "Traceback" not in captured.err


def test_one_run_alone_is_exit_code_2(runs: list[Path], capsys: pytest.CaptureFixture[str]):
    assert main(["compare", str(runs[0])]) == 2
    assert "usage: deepseek compare" in capsys.readouterr().err

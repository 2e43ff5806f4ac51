"""The magics, in a real IPython shell."""

from collections.abc import Callable
from pathlib import Path

import pytest
from IPython.core.interactiveshell import ExecutionResult, InteractiveShell

import deepseek

SETUP = """
import torch
from torch import nn
net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))
nets = {"first net": net}
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
number = 3
def train(steps=2):
    for _ in range(steps):
        optimizer.zero_grad()
        net(torch.ones(2, 3)).sum().backward()
        optimizer.step()
"""

Capture = pytest.CaptureFixture[str]
Run = Callable[[str], ExecutionResult]


@pytest.fixture
def run(shell: InteractiveShell) -> Run:
    return lambda cell: shell.run_cell(cell, store_history=True)


def refusal(run: Run, cell: str, capsys: Capture) -> str:
    """The text shown for a cell that must fail with a sentence of ours and no traceback."""
    capsys.readouterr()
    error = run(cell + "\nreached = True").error_in_exec
    shown = "".join(capsys.readouterr())
    assert isinstance(error, deepseek.DeepseekError), error
    assert "Traceback" not in shown
    assert str(error) in shown
    return str(error)


def test_the_line_watches_until_it_is_stopped(run: Run, shell: InteractiveShell, capsys: Capture):
    run("%deepseek_inspect net --optimizer optimizer --every 1\ntrain()").raise_error()
    session = shell.user_ns["session"]
    assert isinstance(session, deepseek.Session)
    assert session.status.state == "running"
    capsys.readouterr()
    run("%deepseek_inspect --stop").raise_error()
    assert capsys.readouterr().out == "session: closed\n"
    assert session.status.state == "closed"
    assert set(session.frame("gradient")["step"]) == {0, 1}


def test_the_cell_is_watched_and_then_closed(run: Run, shell: InteractiveShell):
    run("%%deepseek_inspect net --optimizer optimizer --every 1 --report out.html\ntrain(3)\nlast = 1").raise_error()
    session = shell.user_ns["session"]
    assert session.status.state == "closed"
    assert session.status.step == 3
    assert shell.user_ns["last"] == 1
    assert Path("out.html").stat().st_size > 1000


def test_a_cell_that_raises_is_closed_reported_and_stopped(run: Run, shell: InteractiveShell, capsys: Capture):
    result = run("%%deepseek_inspect net --optimizer optimizer --report out.html\ntrain()\n1 / 0")
    assert not result.success
    assert "ZeroDivisionError: division by zero" in "".join(capsys.readouterr())
    assert "out.html" in str(result.error_in_exec)
    assert shell.user_ns["session"].status.state == "closed"
    assert Path("out.html").exists()
    assert not shell.user_ns["net"][0]._forward_hooks


def test_the_cell_sees_its_session(run: Run, shell: InteractiveShell):
    run("%%deepseek_inspect net --optimizer optimizer --name watch\nwatch.log(loss=0.5)\ntrain()").raise_error()
    assert list(shell.user_ns["watch"].frame("scalar")["value"]) == [0.5]


def test_a_second_session_on_a_model_replaces_the_first(run: Run, shell: InteractiveShell, capsys: Capture):
    run("%deepseek_inspect net --optimizer optimizer --name one").raise_error()
    capsys.readouterr()
    run("%deepseek_inspect net --optimizer optimizer --name two").raise_error()
    assert "one: closed; a new session takes its place." in capsys.readouterr().out
    assert shell.user_ns["one"].status.state == "closed"
    assert shell.user_ns["two"].status.state == "running"


def test_a_session_of_the_same_name_is_closed_first(run: Run, shell: InteractiveShell, capsys: Capture):
    run("other = nn.Linear(2, 2)\n%deepseek_inspect net").raise_error()
    first = shell.user_ns["session"]
    run("%deepseek_inspect other").raise_error()
    assert first.status.state == "closed"
    assert shell.user_ns["session"].status.state == "running"


def test_a_session_that_its_user_closed_is_forgotten(run: Run, capsys: Capture):
    run("%deepseek_inspect net\nsession.close()").raise_error()
    capsys.readouterr()
    run("%deepseek_inspect --status").raise_error()
    assert capsys.readouterr().out == "No session is running.\n"


def test_status_tells_what_runs(run: Run, capsys: Capture):
    run("%deepseek_inspect net --optimizer optimizer --every 1\ntrain()").raise_error()
    capsys.readouterr()
    run("%deepseek_inspect --status").raise_error()
    assert capsys.readouterr().out.startswith("session: Sequential, step ")


def test_the_model_may_be_an_expression(run: Run, shell: InteractiveShell):
    run("%deepseek_inspect 'nets[\"first net\"]' --name a").raise_error()
    run("%deepseek_inspect net[0] --name b").raise_error()
    assert shell.user_ns["a"].title == "Sequential"
    assert shell.user_ns["b"].title == "Linear"


def test_a_misspelt_model_suggests_the_right_one(run: Run, shell: InteractiveShell, capsys: Capture):
    assert "Did you mean net?" in refusal(run, "%deepseek_inspect nett", capsys)
    assert "reached" not in shell.user_ns


def test_a_missing_model_suggests_those_there_are(run: Run, capsys: Capture):
    assert "Did you mean net?" in refusal(run, "%deepseek_inspect", capsys)


def test_something_that_is_no_model_says_what_it_is(run: Run, capsys: Capture):
    sentence = refusal(run, "%deepseek_inspect number", capsys)
    assert "Expected the model to be a torch.nn.Module" in sentence
    assert "'number', a int" in sentence


def test_something_that_is_no_optimizer_suggests_one(run: Run, capsys: Capture):
    sentence = refusal(run, "%deepseek_inspect net --optimizer net", capsys)
    assert "Expected the optimizer to be a torch.optim.Optimizer" in sentence
    assert "Did you mean optimizer?" in sentence


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("net --optimiser optimizer", "Did you mean '--optimizer'?"),
        ("net --name 3x", "--name must be the name of a variable"),
        ("net --every often", "invalid int value"),
        ("'net", "Close the quotation mark"),
    ],
)
def test_mistakes_in_the_line_are_explained(run: Run, words: str, sentence: str, capsys: Capture):
    assert sentence in refusal(run, f"%deepseek_inspect {words}", capsys)


def test_help_comes_from_the_parser(run: Run, shell: InteractiveShell, capsys: Capture):
    run("%deepseek_inspect --help").raise_error()
    out = capsys.readouterr().out
    options = (
        "--optimizer",
        "--budget",
        "--every",
        "--sites",
        "--run",
        "--report",
        "--name",
        "--status",
        "--stop",
    )
    assert all(option in out for option in options)
    assert shell.find_line_magic("deepseek_inspect").__doc__ == out


def test_unloading_closes_the_sessions_and_takes_the_magics_away(run: Run, shell: InteractiveShell):
    run("%deepseek_inspect net").raise_error()
    run("%unload_ext deepseek").raise_error()
    assert shell.user_ns["session"].status.state == "closed"
    assert shell.find_line_magic("deepseek_inspect") is None
    run("%load_ext deepseek\n%deepseek_inspect --status").raise_error()


def test_shells_share_nothing(run: Run, capsys: Capture, tmp_path: Path):
    run("%deepseek_inspect net").raise_error()
    other = InteractiveShell()
    deepseek.load_ipython_extension(other)
    capsys.readouterr()
    other.run_cell("%deepseek_inspect --status").raise_error()
    assert capsys.readouterr().out == "No session is running.\n"


def test_options_reach_the_session(run: Run, shell: InteractiveShell):
    run("%%deepseek_inspect net --optimizer optimizer --every 1 --sites 0* --run my.dsrun\ntrain()").raise_error()
    assert Path("my.dsrun").exists()
    assert set(shell.user_ns["session"].frame("activation")["site"]) == {"0"}

"""``%deepseek_explain``, in a real IPython shell."""

import pytest

import deepseek

SETUP = """
import torch
from torch import nn
from sklearn.datasets import load_iris
torch.manual_seed(0)
rows = torch.tensor(load_iris().data).float()
net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))
number = 3
"""


def refusal(shell, line, capsys):
    """The sentence that a line is refused with, without a traceback."""
    error = shell.run_cell(line, store_history=True).error_in_exec
    shown = "".join(capsys.readouterr())
    assert isinstance(error, deepseek.DeepseekError), error
    assert "Traceback" not in shown
    return str(error)


def test_a_line_explains_the_first_sample(shell, capsys):
    shell.run_cell("%deepseek_explain net rows[:5] --background rows[50:70]").raise_error()
    widget = shell.user_ns["explained"]
    assert widget.result.method == "exact"
    assert widget.result.values.shape == (1, 4, 3)
    assert "Attribution of all outputs by exact, against 20 background rows" in capsys.readouterr().out


def test_sample_method_target_and_name_can_be_given(shell):
    line = "%deepseek_explain net rows --method integrated_gradients --sample 7 --name mine"
    shell.run_cell(line + " --target 'lambda output: output[:, 0] - output[:, 1]'").raise_error()
    found = shell.user_ns["mine"].result
    assert found.method == "integrated_gradients"
    assert found.values.shape == (1, 4)
    assert (found.data[0] == shell.user_ns["rows"][7].numpy()).all()


def test_a_second_line_takes_the_place_of_the_first(shell):
    shell.run_cell("%deepseek_explain net rows").raise_error()
    first = shell.user_ns["explained"]
    shell.run_cell("%deepseek_explain net rows --sample 1").raise_error()
    assert shell.user_ns["explained"] is not first
    assert first._work._shell is None


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("%deepseek_explain", "Expected the name of a model"),
        ("%deepseek_explain net", "Expected the name of the inputs"),
        ("%deepseek_explain number rows", "a torch.nn.Module, got 'number', a int. Did you mean net"),
        ("%deepseek_explain net row", "The inputs 'row' cannot be evaluated"),
        ("%deepseek_explain net rows --method lime", "The method must be one of auto, exact"),
        ("%deepseek_explain net rows --sample 150", "There are samples 0 to 149, not 150"),
        ("%deepseek_explain net rows --name 1x", "--name must be the name of a variable"),
        ("%deepseek_explain net number", "`inputs` must be a tensor"),
        ("%deepseek_explain net rows --backgruond rows", "Did you mean '--background'?"),
    ],
)  # fmt: skip
def test_what_cannot_be_explained_is_refused_in_a_sentence(shell, capsys, line, words):
    assert words in refusal(shell, line, capsys)


def test_unloading_takes_the_magic_away_and_ends_its_widgets(shell):
    shell.run_cell("%deepseek_explain net rows").raise_error()
    widget = shell.user_ns["explained"]
    shell.run_line_magic("unload_ext", "deepseek")
    assert "deepseek_explain" not in shell.magics_manager.magics["line"]
    assert widget._work._shell is None
    shell.run_line_magic("load_ext", "deepseek")

"""What the callbacks of all frameworks have in common."""

import pickle
import subprocess
import sys

import pytest
from torch import nn, optim

import deepseek
from deepseek.callbacks.watch import Watch, base_class
from deepseek.errors import DeepseekError

NAMES = ("TrainerCallback", "LightningCallback", "AccelerateTracker")
FRAMEWORKS = ("transformers", "lightning", "pytorch_lightning", "accelerate")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"budget": 2.0}, "share of step time"),
        ({"every": 0}, "whole number of steps"),
        ({"kinds": ["gradeint"]}, "Unknown kind 'gradeint'"),
        ({"rules": "strict"}, "standard"),
    ],
)
def test_a_wrong_argument_is_refused_at_construction(name, options, sentence):
    with pytest.raises(DeepseekError, match=sentence):
        getattr(deepseek, name)(**options)


@pytest.mark.parametrize("name", NAMES)
def test_an_unknown_argument_is_refused_at_construction(name):
    with pytest.raises(TypeError, match="evry"):
        getattr(deepseek, name)(evry=2)


def test_importing_us_imports_no_framework():
    code = f"import sys, deepseek; deepseek.inspect; print([name for name in {FRAMEWORKS} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_without_the_framework_the_constructor_names_the_command():
    with pytest.raises(DeepseekError, match="pip install nowhere"):
        base_class("Callback", "nowhere.callbacks", "neither")(budget=0.1)


@pytest.mark.parametrize("package", ["lightning.pytorch", "pytorch_lightning"])
def test_the_lightning_that_is_imported_gives_the_base_class(package):
    code = f"import {package} as pl, deepseek; print(issubclass(deepseek.LightningCallback, pl.Callback))"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"


def test_a_copy_in_another_process_starts_without_the_session(mlp_watch):
    copy = pickle.loads(pickle.dumps(mlp_watch))
    assert copy.session is None
    assert mlp_watch.session.status.state == "running"


def test_an_error_of_ours_is_said_once_and_swallowed(mlp_watch, caplog):
    mlp_watch.session.log = None
    for _ in range(3):
        mlp_watch.log({"loss": 1.0})
    assert [record.getMessage().count("could not log the session") for record in caplog.records] == [1]


def test_what_is_no_number_is_not_logged(mlp_watch):
    mlp_watch.log({"loss": 0.5, "note": "warm-up", "confusion": [[1, 2]]})
    mlp_watch.close()
    assert set(mlp_watch.session.frame("scalar")["name"]) == {"loss"}


def test_a_session_left_open_by_a_training_that_failed_is_closed_by_the_next(mlp_watch, tmp_path):
    first, model = mlp_watch.session, nn.Linear(2, 2)
    mlp_watch._options["run"] = tmp_path / "second.dsrun"
    mlp_watch.open(model, [optim.SGD(model.parameters(), lr=0.1)])
    assert [first.status.state, mlp_watch.session.status.state] == ["closed", "running"]


@pytest.fixture
def mlp_watch(tmp_path):
    model = nn.Linear(2, 2)
    watch = Watch(run=tmp_path / "run.dsrun")
    watch.open(model, [optim.SGD(model.parameters(), lr=0.1)])
    yield watch
    watch.close()

"""Forked and spawned children, ways to end a process, and Ctrl-C: the run stays the parent's, and stays readable."""

import subprocess
import sys
import textwrap

import pytest

from deepseek import open_run

# A process that is started in the background ignores Ctrl-C, and so do its children.
PRELUDE = """
import os, signal, sys, threading, time
import torch
from torch import nn
import deepseek

signal.signal(signal.SIGINT, signal.default_int_handler)

class Data(torch.utils.data.Dataset):
    def __init__(self, model):
        self.model = model
    def __len__(self):
        return 32
    def __getitem__(self, index):
        with torch.no_grad():
            return torch.full((4,), float(index)), self.model(torch.ones(4)).detach()

def step(model, optimizer, x):
    model(x).sum().backward()
    optimizer.step()
    optimizer.zero_grad()

def make():
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
    return model, torch.optim.SGD(model.parameters(), lr=0.01)

def child_of(queue, model):
    queue.put(model(torch.ones(2, 4)).sum().item())

def loader(path, context):
    model, optimizer = make()
    with deepseek.inspect(model, optimizer, every=1, run=path) as session:
        for epoch in range(2):
            batches = torch.utils.data.DataLoader(
                Data(model), batch_size=8, num_workers=2, multiprocessing_context=context)
            for x, _ in batches:
                step(model, optimizer, x)
                session.log(epoch=epoch)
        assert session.status.step == 8
"""


def run(folder, body, *, seconds=100, code=0):
    """Run a script in a process of its own; return what it said and the run that it left."""
    script, path = folder / "script.py", folder / "x.dsrun"
    body = f"path = {str(path)!r}\n{textwrap.dedent(body)}"
    script.write_text(f"{PRELUDE}\nif __name__ == '__main__':\n{textwrap.indent(body, '    ')}")
    result = subprocess.run(
        [sys.executable, "-I", str(script)], cwd=folder, capture_output=True, text=True, timeout=seconds, check=False
    )
    assert result.returncode == code, result.stderr[-3000:]
    return result, path


def steps_of(path):
    with open_run(path) as opened:
        return opened.status.state, len(list(opened.records()))


@pytest.mark.parametrize("context", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_the_workers_of_a_data_loader_leave_the_run_alone(tmp_path, context):
    result, path = run(tmp_path, f"loader(path, {context!r})")
    assert result.stdout == result.stderr == ""
    assert steps_of(path) == ("closed", 8)
    assert {file.name for file in tmp_path.iterdir()} == {"script.py", "x.dsrun"}


@pytest.mark.parametrize(
    "end",
    [
        pytest.param("os._exit(0)", marks=pytest.mark.slow),
        "sys.exit(0)",
        pytest.param("session.close(); sys.exit(0)", marks=pytest.mark.slow),
    ],
)
def test_a_forked_child_that_trains_on_changes_nothing_and_ends(tmp_path, end):
    body = f"""
    model, optimizer = make()
    session = deepseek.inspect(model, optimizer, every=1, run=path)
    for _ in range(3):
        step(model, optimizer, torch.ones(2, 4))
    time.sleep(0.3)
    child = os.fork()
    if child == 0:
        for _ in range(5):
            step(model, optimizer, torch.ones(2, 4))
            session.log(loss=7.0)
        session.flush()
        {end}
    assert os.waitpid(child, 0)[1] == 0
    for _ in range(4):
        step(model, optimizer, torch.ones(2, 4))
        session.log(loss=1.0)
    session.close()
    """
    result, path = run(tmp_path, body)
    assert result.stdout == result.stderr == ""
    assert steps_of(path) == ("closed", 7)
    with open_run(path) as opened:
        assert set(opened.frame("scalar")["value"]) == {1.0}


def test_a_spawned_child_gets_a_model_that_computes_and_does_not_record(tmp_path):
    body = """
    import multiprocessing
    model, optimizer = make()
    with deepseek.inspect(model, optimizer, every=1, run=path) as session:
        step(model, optimizer, torch.ones(2, 4))
        context = multiprocessing.get_context("spawn")
        queue = context.Queue()
        child = context.Process(target=child_of, args=(queue, model))
        child.start()
        value = queue.get(timeout=60)
        child.join(60)
        assert child.exitcode == 0
        session.watching = False
        assert value == model(torch.ones(2, 4)).sum().item()
    """
    result, path = run(tmp_path, body)
    assert result.stdout == result.stderr == ""
    assert steps_of(path)[0] == "closed"


ENDINGS = {
    "the end of the script": ("pass", 0, "closed"),
    "sys.exit": ("sys.exit(3)", 3, "closed"),
    "an error": ("raise ZeroDivisionError", 1, "closed"),
    "Ctrl-C": ("signal.raise_signal(signal.SIGINT)", -2, "closed"),
    "os._exit": ("session.flush(); os._exit(4)", 4, "interrupted"),
    "kill": ("session.flush(); os.kill(os.getpid(), signal.SIGKILL)", -9, "interrupted"),
    "a thread that ends last": ("threading.Thread(target=time.sleep, args=(0.5,)).start()", 0, "closed"),
}


SLOW = {"os._exit", "sys.exit", "a thread that ends last"}


@pytest.mark.parametrize(
    "ending", [pytest.param(ending, marks=pytest.mark.slow if ending in SLOW else ()) for ending in ENDINGS]
)
def test_a_process_that_ends_without_close_leaves_a_readable_run(tmp_path, ending):
    statement, code, state = ENDINGS[ending]
    body = f"""
    model, optimizer = make()
    session = deepseek.inspect(model, optimizer, every=1, run=path)
    for _ in range(5):
        step(model, optimizer, torch.ones(2, 4))
    {statement}
    """
    result, path = run(tmp_path, body, code=code)
    assert "deepseek" not in result.stderr.replace("deepseek.inspect", "").lower()
    assert steps_of(path) == (state, 5)


def test_leaving_the_block_by_sys_exit_closes_the_run(tmp_path):
    body = """
    model, optimizer = make()
    with deepseek.inspect(model, optimizer, every=1, run=path) as session:
        step(model, optimizer, torch.ones(2, 4))
        sys.exit(5)
    """
    _, path = run(tmp_path, body, code=5)
    assert steps_of(path) == ("closed", 1)


def test_ctrl_c_while_the_run_is_being_closed_leaves_a_clean_model_and_a_readable_run(tmp_path):
    body = """
    model, optimizer = make()
    session = deepseek.inspect(model, optimizer, every=1, run=path)
    for _ in range(5):
        step(model, optimizer, torch.ones(2, 4))
    session.subscribe(lambda records: time.sleep(2.0))
    step(model, optimizer, torch.ones(2, 4))
    threading.Timer(0.5, signal.raise_signal, (signal.SIGINT,)).start()
    try:
        session.close()
    except KeyboardInterrupt:
        print("interrupted")
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    session.close()
    """
    result, path = run(tmp_path, body)
    assert result.stdout == "interrupted\n"
    assert result.stderr == ""
    state, steps = steps_of(path)
    assert state in ("closed", "interrupted")
    assert steps == 6

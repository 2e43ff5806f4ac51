"""Several sessions at once, cells that run again, and training in several threads."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from IPython.core.interactiveshell import InteractiveShell
from ordinary import INPUTS, KINDS, counts, hooks, make, repeated, same, state, step, watch
from torch import nn
from torch.overrides import _get_current_function_mode_stack

CELL = """
%deepseek_inspect net --optimizer optimizer --every 1
for _ in range(2):
    optimizer.zero_grad()
    net(torch.ones(2, 3)).sum().backward()
    optimizer.step()
"""


def test_a_cell_that_runs_again_replaces_its_session_and_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    shell = InteractiveShell()
    shell.run_line_magic("load_ext", "deepseek")
    setup = "import torch; net = torch.nn.Linear(3, 1); optimizer = torch.optim.SGD(net.parameters(), lr=0.1)"
    shell.run_cell(setup).raise_error()
    sessions = []
    for _ in range(3):
        capsys.readouterr()
        shell.run_cell(CELL).raise_error()
        sessions.append(shell.user_ns["session"])
    said = capsys.readouterr().out
    shell.run_line_magic("unload_ext", "deepseek")
    shell.history_manager.end_session()
    assert "closed; a new session takes its place" in said
    assert [session.status.step for session in sessions] == [2, 2, 2]
    assert [repeated(session) for session in sessions] == [[], [], []]


def tables(session):
    return [session.frame(kind).to_dict("records") for kind in KINDS]


def test_two_sessions_on_one_model_record_the_same(tmp_path):
    model, optimizer = make()
    first, second = watch(model, optimizer, tmp_path), watch(model, optimizer, tmp_path)
    for _ in range(3):
        step(model, optimizer)
    first.close()
    step(model, optimizer)
    second.close()
    assert first.status.step == 3
    assert second.status.step == 4
    assert repeated(first) == repeated(second) == []
    assert hooks(model) == 0
    for one, other in zip(tables(first), tables(second), strict=True):
        assert one == [row for row in other if row["step"] < 3]


def test_sessions_that_watch_different_parts_of_one_model_keep_apart(tmp_path):
    model, optimizer = make()
    first = watch(model, optimizer, tmp_path, sites="0", kinds=["activation"])
    second = watch(model, optimizer, tmp_path, sites="2", kinds=["activation"])
    step(model, optimizer)
    first.close()
    second.close()
    assert [counts(session) for session in (first, second)] == [{0: {"0": 1}}, {0: {"2": 1}}]


def test_sessions_on_two_models_that_train_in_turn_keep_apart(tmp_path):
    pairs = [make(), make(nn.Tanh())]
    sessions = [watch(*pair, tmp_path) for pair in pairs]
    for _ in range(3):
        for pair in pairs:
            step(*pair)
    for session in sessions:
        session.close()
    assert counts(sessions[0]) == {number: {"0": 1, "1": 1, "2": 1} for number in range(3)}
    assert counts(sessions[1]) == {number: {"0": 1, "1": 1, "2": 1, "3": 1} for number in range(3)}


def test_a_session_on_a_part_of_a_watched_model_works(tmp_path):
    model, optimizer = make()
    outer, inner = watch(model, optimizer, tmp_path), watch(model[0], optimizer, tmp_path)
    for _ in range(2):
        step(model, optimizer)
    inner.close()
    step(model, optimizer)
    outer.close()
    assert outer.status.step == 3
    assert inner.status.step == 2
    assert set(inner.frame("gradient")["site"]) == {"weight", "bias"}


def train(pair, folder, steps=20):
    session = watch(*pair, folder) if folder is not None else None
    for _ in range(steps):
        step(*pair)
    if session is not None:
        session.close()
    return state(pair[0]), session


def test_two_threads_that_each_train_a_model_of_their_own_keep_apart(tmp_path):
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
    pairs = [make() for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        (plain, _), *watched = pool.map(train, pairs, [None, *folders])
    for weights, session in watched:
        assert same(plain, weights)
        assert repeated(session) == []
        assert counts(session) == {number: {"0": 1, "1": 1, "2": 1} for number in range(20)}


def test_a_session_opened_here_watches_training_in_another_thread(tmp_path):
    model, optimizer = make()
    with watch(model, optimizer, tmp_path) as session:
        thread = threading.Thread(target=lambda: [step(model, optimizer) for _ in range(3)])
        thread.start()
        thread.join(timeout=60)
    assert repeated(session) == []
    assert counts(session) == {number: {"0": 1, "1": 1, "2": 1} for number in range(3)}


def shares(folder=None, threads=2):
    """Train with the forward and backward of each share of the batch in a thread of its own."""
    model, optimizer = make()
    session = watch(model, optimizer, folder) if folder else None
    weights = list(model.parameters())
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(5):
            work = [
                pool.submit(lambda share: torch.autograd.grad(model(share).square().mean(), weights), share)
                for share in INPUTS.chunk(threads)
            ]
            for parameter, *gradients in zip(weights, *(future.result(timeout=60) for future in work), strict=True):
                parameter.grad = torch.stack(gradients).sum(0)
            optimizer.step()
    return model, session


def test_threads_that_share_one_model_train_as_without_a_session(tmp_path):
    plain, _ = shares()
    watched, session = shares(tmp_path)
    session.close()
    assert same(state(plain), state(watched))
    assert session.status.step == 5
    assert counts(session)[4] == {"0": 2, "1": 2, "2": 2}


def test_a_backward_pass_in_another_thread_is_recorded(tmp_path):
    model, optimizer = make()
    with watch(model, optimizer, tmp_path) as session:
        for _ in range(2):
            optimizer.zero_grad()
            loss = model(INPUTS).square().mean()
            thread = threading.Thread(target=loss.backward)
            thread.start()
            thread.join(timeout=60)
            optimizer.step()
    assert counts(session, "gradient") == {
        number: {"0.weight": 1, "0.bias": 1, "2.weight": 1, "2.bias": 1} for number in range(2)
    }
    assert repeated(session) == []


def test_a_session_closed_by_another_thread_leaves_training_alone(tmp_path):
    model, optimizer = make()
    plain, plain_optimizer = make()
    session = watch(model, optimizer, tmp_path)
    closer = threading.Timer(0.02, session.close)
    closer.start()
    for _ in range(200):
        step(model, optimizer)
        step(plain, plain_optimizer)
    closer.join(timeout=60)
    session.close()
    assert same(state(model), state(plain))
    assert hooks(model) == 0


def test_a_session_closed_by_another_thread_in_the_middle_of_a_forward_leaves_nothing_behind(tmp_path):
    class Calling(nn.Module):
        def forward(self, x):
            closer = threading.Thread(target=lambda: session.close())
            closer.start()
            closer.join(timeout=60)
            return x * 1

    model, optimizer = make(Calling())
    session = watch(model, optimizer, tmp_path)
    model(INPUTS)
    assert session.status.state == "closed"
    assert _get_current_function_mode_stack() == []
    assert hooks(model) == 0


@pytest.mark.parametrize("reader", [lambda s: s.summary(), lambda s: s.frame("gradient"), lambda s: s.findings])
def test_reading_from_another_thread_during_training_works(tmp_path, reader):
    model, optimizer = make()
    session = watch(model, optimizer, tmp_path)
    stop = threading.Event()

    def read():
        while not stop.is_set():
            reader(session)

    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read)
        for _ in range(100):
            step(model, optimizer)
        stop.set()
        reading.result(timeout=60)
    session.close()
    assert repeated(session) == []

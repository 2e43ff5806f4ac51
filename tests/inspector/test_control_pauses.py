"""A session pauses training between steps, changes nothing by that, and never holds it for ever."""

import _thread
import math
import subprocess
import sys
import threading
import time

import pytest
import torch
from controlled import Background, commands, paused, until
from ordinary import make, step, watch
from training import CASES, everything, train
from training import make as make_case

from deepseek.inspector import inspect, open_run
from deepseek.inspector.control import Pause, StepOnce
from deepseek.inspector.worker import Worker


def endless(model, optimizer, most=100_000):
    for _ in range(most):
        step(model, optimizer)


@pytest.fixture
def training(tmp_path):
    """A session whose model trains in another thread until the session says stop."""
    model, optimizer = make()
    session = watch(model, optimizer, tmp_path)
    thread = Background(endless, model, optimizer)
    until(lambda: session.status.step > 3)
    yield session, thread
    session.stop() if session.status.state != "closed" else None
    thread.join(20)
    session.close()


@pytest.mark.parametrize("case", ["mlp", "lstm"])
@pytest.mark.parametrize("every", [1, None])
def test_a_run_that_was_paused_and_stepped_ends_bit_identical(case, every, tmp_path):
    bare_model, bare_optimizer = make_case(case)
    bare_losses, bare_gradients = train(bare_model, bare_optimizer, CASES[case][1], 60)
    bare = everything(bare_model, bare_optimizer)

    model, optimizer = make_case(case)
    with inspect(model, optimizer, every=every, run=tmp_path / "x.dsrun") as session:
        session.pause()

        def control():
            for _ in range(5):
                until(paused(session))
                before = session.status.step
                session.step_once()
                until(lambda before=before: session.status.step == before + 1 and session.status.state == "paused")
                session.submit(Pause(), "test")
                session.resume()
                session.submit(Pause(), "test")
            until(paused(session))
            session.resume()

        controller = Background(control)
        losses, gradients = train(model, optimizer, CASES[case][1], 60, session)
        controller.result()
        assert session.status.step == 60
    assert losses == bare_losses
    assert all(torch.equal(a, b) for a, b in zip(gradients, bare_gradients, strict=True))
    ended = everything(model, optimizer)
    assert all(torch.equal(a, b) for a, b in zip(ended, bare, strict=True))
    assert len(ended) == len(bare)


def test_step_once_advances_exactly_one_step_each(training):
    session, _ = training
    session.pause()
    until(paused(session))
    for _ in range(20):
        before = session.status.step
        session.step_once()
        until(lambda before=before: session.status.step > before and session.status.state == "paused")
        time.sleep(0.005)
        assert session.status.step == before + 1


def test_two_steps_asked_for_at_once_are_two_steps(training):
    session, _ = training
    session.pause()
    until(paused(session))
    before = session.status.step
    session.step_once()
    session.step_once()
    until(lambda: session.status.step == before + 2 and session.status.state == "paused")
    time.sleep(0.01)
    assert session.status.step == before + 2


def test_a_pause_takes_effect_at_the_end_of_the_step_in_progress(tmp_path):
    model, optimizer = make()
    seen = []
    with watch(model, optimizer, tmp_path) as session:

        def loop():
            step(model, optimizer)
            optimizer.zero_grad()
            loss = model(torch.ones(2, 4)).sum()
            Background(session.pause).result()
            seen.append((session.status.state, session.status.step))
            loss.backward()
            optimizer.step()
            seen.append("went on")

        thread = Background(loop)
        until(paused(session))
        assert seen == [("running", 1)]
        assert session.status.step == 2
        session.resume()
        thread.result()
    assert seen[-1] == "went on"


def test_a_pause_asked_for_by_the_thread_that_trains_begins_after_the_next_step_and_says_so(tmp_path, caplog):
    model, optimizer = make()
    with watch(model, optimizer, tmp_path) as session:
        session.pause()
        assert session.status.state == "running"
        resumer = Background(lambda: (until(paused(session)), session.resume()))
        step(model, optimizer)
        resumer.result()
        assert session.status.step == 1
    (message,) = [record.getMessage() for record in caplog.records]
    assert "training is paused after step 0: asked for by the thread that trains" in message
    assert "session.resume()" in message


def test_what_is_known_is_in_the_run_file_and_with_the_views_while_it_is_paused(training, monkeypatch):
    monkeypatch.setattr("deepseek.inspector.session._IDLE_S", 1e9)  # nothing else releases the last step
    session, _ = training
    states = []
    session.subscribe(lambda records: states.append((records[-1].step, session.status.state)) if records else None)
    session.pause()
    until(paused(session))
    count = session.status.step
    until(lambda: open_run(session.path).status.step == count)
    until(lambda: states and states[-1] == (count - 1, "paused"))


def test_a_running_session_resumes_without_harm(training):
    session, _ = training
    session.resume()
    before = session.status.step
    until(lambda: session.status.step > before + 5)


def test_the_time_of_a_pause_is_nobodys(tmp_path):
    model, optimizer = make()
    with watch(model, optimizer, tmp_path) as session:
        for _ in range(20):
            step(model, optimizer)
        speed = session.status.steps_per_second
        session.pause()
        resumer = Background(lambda: (until(paused(session)), time.sleep(1.0), session.resume()))
        for _ in range(20):
            step(model, optimizer)
        resumer.result()
        assert session.status.steps_per_second > speed / 5
        timing = session.frame("timing").set_index("step")
    assert math.isnan(timing["wall_ms"][21])
    assert timing["wall_ms"].drop([0, 21]).max() < 500
    assert timing["inspector_ms"].max() < 500


def test_ctrl_c_ends_a_pause(tmp_path, ctrl_c):
    model, optimizer = make()
    with watch(model, optimizer, tmp_path) as session:
        session.pause()
        interrupter = Background(lambda: (until(paused(session)), _thread.interrupt_main()))
        started = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            step(model, optimizer)
        assert time.monotonic() - started < 10
        interrupter.result()
        assert session.status.state == "running"
        step(model, optimizer)
        assert session.status.step == 2


def test_close_ends_a_pause_and_training_goes_on(tmp_path):
    model, optimizer = make()
    session = watch(model, optimizer, tmp_path)
    session.pause()
    thread = Background(endless, model, optimizer, 5)
    until(paused(session))
    session.close()
    thread.result()
    assert session.status.state == "closed"
    assert session.status.step == 1
    assert [command["verb"] for command in commands(open_run(session.path))] == ["pause"]


def test_a_pause_needs_no_worker(tmp_path, monkeypatch):
    monkeypatch.setattr(Worker, "_run", lambda self: None)
    model, optimizer = make()
    session = watch(model, optimizer, tmp_path)
    until(lambda: not session._worker._thread.is_alive())
    thread = Background(endless, model, optimizer, 5)
    thread.result()
    session.pause()
    thread = Background(endless, model, optimizer, 5)
    until(paused(session))
    session.step_once()
    until(lambda: session.status.step == 7 and session.status.state == "paused")
    session.resume()
    thread.result()
    assert session.status.step == 10
    session.close()


def test_a_session_that_does_not_watch_obeys_too(tmp_path):
    model, optimizer = make()
    session = watch(model, optimizer, tmp_path)
    session.watching = False
    thread = Background(endless, model, optimizer, 20_000)
    until(lambda: session.status.step > 3)
    session.submit(Pause(), "test")
    until(paused(session))
    before = session.status.step
    session.submit(StepOnce(), "test")
    until(lambda: session.status.step == before + 1 and session.status.state == "paused")
    session.set_lr(0.25)
    session.resume()
    thread.result()
    assert optimizer.param_groups[0]["lr"] == 0.25
    session.watching = True
    step(model, optimizer)
    assert [command["verb"] for command in commands(session)] == ["pause", "step_once", "set_lr", "resume"]
    session.close()


def test_two_sessions_pause_apart(tmp_path):
    pairs = [make(), make()]
    sessions = [watch(*pair, tmp_path) for pair in pairs]
    threads = [Background(endless, *pair) for pair in pairs]
    until(lambda: all(session.status.step > 2 for session in sessions))
    sessions[0].pause()
    until(paused(sessions[0]))
    held, free = sessions[0].status.step, sessions[1].status.step
    until(lambda: sessions[1].status.step > free + 20)
    assert sessions[0].status.step == held
    assert sessions[1].status.state == "running"
    for session, thread in zip(sessions, threads, strict=True):
        session.stop()
        thread.join(20)
        session.close()


def test_a_step_of_two_optimizers_is_one_step(tmp_path):
    model, _ = make()
    optimizers = [torch.optim.SGD(model[0].parameters(), lr=0.1), torch.optim.SGD(model[2].parameters(), lr=0.1)]
    stepped = []

    def loop():
        for _ in range(3):
            model(torch.ones(2, 4)).sum().backward()
            for number, optimizer in enumerate(optimizers):
                optimizer.step()
                stepped.append(number)

    with inspect(model, optimizers, every=1, run=tmp_path / "x.dsrun") as session:
        session.submit(Pause("test"), "test")
        thread = Background(loop)
        until(paused(session))
        assert stepped == [0]  # the second optimizer's step has ended, but not returned
        assert session.status.step == 1
        session.resume()
        thread.result()


def test_without_an_optimizer_forwards_are_steps(tmp_path):
    model, _ = make()
    with inspect(model, every=1, run=tmp_path / "x.dsrun") as session:
        thread = Background(lambda: [model(torch.ones(2, 4)) for _ in range(1000)])
        session.pause()
        until(paused(session))
        before = session.status.step
        session.step_once()
        until(lambda: session.status.step == before + 1 and session.status.state == "paused")
        session.resume()
        thread.result()


def test_an_optimizer_with_a_closure_pauses_once_a_step(tmp_path):
    model, _ = make()
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=4)

    def closure():
        optimizer.zero_grad()
        loss = model(torch.ones(2, 4)).square().sum()
        loss.backward()
        return loss

    with inspect(model, optimizer, every=1, run=tmp_path / "x.dsrun") as session:
        session.pause()
        thread = Background(lambda: [optimizer.step(closure) for _ in range(3)])
        for number in (1, 2):
            until(lambda number=number: session.status.step == number and session.status.state == "paused")
            session.step_once()
        until(lambda: session.status.step == 3 and session.status.state == "paused")
        session.resume()
        thread.result()


EXIT = """if True:
    import sys, threading, time, torch, deepseek
    model = torch.nn.Linear(2, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    session = deepseek.inspect(model, optimizer, every=1, run=sys.argv[1])
    session.pause()

    def train():
        for _ in range(3):
            model(torch.ones(1, 2)).sum().backward()
            optimizer.step()

    threading.Thread(target=train, daemon=sys.argv[2] == "daemon").start()
    while session.status.state != "paused":
        time.sleep(0.01)
    """


@pytest.mark.parametrize("kind", ["daemon", "ordinary"])
def test_the_process_can_end_while_training_is_paused(kind, tmp_path):
    path = tmp_path / "x.dsrun"
    command = [sys.executable, "-I", "-c", EXIT, str(path), kind]
    subprocess.run(command, check=True, timeout=60, capture_output=True)
    assert open_run(path).status.state == "closed"


def test_nothing_pending_costs_one_look(tmp_path):
    model, optimizer = make()
    with watch(model, optimizer, tmp_path) as session:
        session.resume()
        calls = []
        session._control.at_boundary = lambda: calls.append(threading.get_ident())
        endless(model, optimizer, 5)
        assert calls == []
        assert [command["verb"] for command in commands(session)] == ["resume"]

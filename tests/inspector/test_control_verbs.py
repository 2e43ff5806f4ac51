"""What a session changes when it is asked to: learning rate, weight decay, clipping, the end of the loop, snapshots."""

import math
import stat
import threading

import pytest
import torch
from controlled import Background, commands, paused, until
from IPython.core.interactiveshell import InteractiveShell
from ordinary import INPUTS, make, same, state, step, watch
from torch import nn

import deepseek
from deepseek.errors import DeepseekError, TrainingStopped
from deepseek.inspector import inspect, open_run
from deepseek.inspector.control import Pause, SetLearningRate, Stop
from deepseek.inspector.session import living_sessions


def sgd(model, **options):
    return torch.optim.SGD(model.parameters(), **{"lr": 0.1, **options})


def test_a_learning_rate_holds_from_the_next_step_on_and_is_an_event(tmp_path):
    model, _ = make()
    optimizer = sgd(model)
    with watch(model, optimizer, tmp_path) as session:
        step(model, optimizer)
        session.set_lr(factor=0.5)
        step(model, optimizer)
        session.submit(SetLearningRate(value=0.01), "somebody")
        step(model, optimizer)
        updates = session.frame("update").set_index(["step", "site"])["l2"]
        gradients = session.frame("gradient").set_index(["step", "site"])["l2"]
        (halved, fixed) = commands(session)
    for number, rate in enumerate((0.1, 0.05, 0.01)):
        for name, _ in model.named_parameters():
            assert updates[number, name] == pytest.approx(rate * gradients[number, name], rel=1e-3)
    assert (halved["at"], halved["steps"], halved["verb"], halved["factor"], halved["who"]) == (
        1,
        1.0,
        "set_lr",
        0.5,
        "Python",
    )
    assert (halved["lr_before"], halved["lr_after"]) == ("0.1", "0.05")
    assert (fixed["at"], fixed["value"], fixed["who"]) == (2, 0.01, "somebody")
    assert 1.7e9 < halved["time"] <= fixed["time"]


def test_a_command_in_the_middle_of_a_step_waits_for_its_end(tmp_path):
    model, _ = make()
    optimizer = sgd(model)
    with watch(model, optimizer, tmp_path) as session:
        model(INPUTS).sum().backward()
        session.set_lr(0.0)
        assert optimizer.param_groups[0]["lr"] == 0.1
        optimizer.step()
        assert optimizer.param_groups[0]["lr"] == 0.0


def test_another_thread_never_changes_the_optimizer_itself(tmp_path):
    model, _ = make()
    optimizer = sgd(model)
    with watch(model, optimizer, tmp_path) as session:
        step(model, optimizer)
        Background(session.set_lr, 0.5).result()
        assert optimizer.param_groups[0]["lr"] == 0.1
        step(model, optimizer)
        assert optimizer.param_groups[0]["lr"] == 0.5


def test_every_group_of_every_optimizer_is_changed_and_tensors_stay_the_same_tensors(tmp_path):
    model, _ = make()
    rate = torch.tensor(0.5)
    first = torch.optim.AdamW([{"params": [p]} for p in model[0].parameters()], lr=rate, weight_decay=0.5)
    second = sgd(model[2], lr=0.25, weight_decay=0.25)
    with inspect(model, [first, second], every=1, run=tmp_path / "x.dsrun") as session:
        session.set_lr(factor=0.5)
        session.set_weight_decay(factor=2)
        assert [group["lr"] for group in first.param_groups] == [0.25, 0.25]
        assert all(group["lr"] is rate for group in first.param_groups)
        assert rate == 0.25
        assert second.param_groups[0]["lr"] == 0.125
        assert [group["weight_decay"] for group in (*first.param_groups, *second.param_groups)] == [1.0, 1.0, 0.5]
        session.set_weight_decay(0)
        assert [group["weight_decay"] for group in (*first.param_groups, *second.param_groups)] == [0.0, 0.0, 0.0]


def test_what_cannot_be_applied_is_an_event_and_a_line_of_the_log_and_training_goes_on(tmp_path, caplog):
    model, optimizer = make()
    with inspect(model, every=1, run=tmp_path / "x.dsrun") as session:
        session.set_lr(0.1)
        session.set_clip(1.0)
        model(INPUTS)
    refused = [command["refused"] for command in commands(open_run(tmp_path / "x.dsrun"))]
    assert "the session has no optimizer with `lr`" in refused[0]
    assert "the session has no optimizer" in refused[1]
    assert len(caplog.records) == 2
    caplog.clear()
    with watch(model, optimizer, tmp_path) as session:
        session.set_lr(factor=1e308)
        session.set_lr(factor=1e308)
        assert math.isfinite(optimizer.param_groups[0]["lr"])
    assert "no longer be finite" in caplog.text


@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize("max_norm", [1e-3, 0.1, 1e3])
def test_clipping_is_that_of_torch_to_the_last_bit_and_is_observed(every, max_norm, tmp_path):
    def train(session=None):
        model, optimizer = make()
        watched = session(model, optimizer) if session else None
        for number in range(9):
            optimizer.zero_grad()
            model(INPUTS).square().mean().backward()
            if watched is None and 3 <= number < 6:
                nn.utils.clip_grad_norm_(model.parameters(), max_norm)
            optimizer.step()
            if watched is not None and number in (2, 5):
                watched.set_clip(max_norm if number == 2 else None)
        return state(model), watched, optimizer

    bare, _, _ = train()
    clipped, session, optimizer = train(lambda *pair: watch(*pair, tmp_path, every=every))
    norms = session.frame("timing")["gradient_norm"]
    assert same(bare, clipped)
    assert all(norm <= max_norm * 1.00001 for norm in norms[3:6])
    session.set_clip(1.0)
    session.close()
    assert not optimizer._optimizer_step_pre_hooks


def test_a_closure_is_not_clipped(tmp_path):
    def train(folder):
        model, _ = make()
        optimizer = sgd(model)

        def closure():  # gradients accumulate, so that those which an earlier step left matter
            loss = model(INPUTS).square().mean()
            loss.backward()
            return loss

        session = watch(model, optimizer, folder) if folder else None
        if session is not None:
            session.set_clip(1e-6)
        for _ in range(3):
            optimizer.step(closure)
        if session is not None:
            session.close()
        return state(model)

    assert same(train(None), train(tmp_path))


def test_stop_ends_the_loop_after_a_recorded_step_and_the_block_swallows_it(tmp_path):
    model, optimizer = make()
    after = []
    with watch(model, optimizer, tmp_path) as session:
        for number in range(100):
            if number == 5:
                Background(session.submit, Stop(), "a button").result()
            step(model, optimizer)
            after.append(number)
    assert after == list(range(5))
    assert session.status.step == 6
    assert session.status.state == "closed"
    assert optimizer.param_groups[0]["params"][0].grad is not None
    run = open_run(session.path)
    assert run.frame("timing")["step"].tolist() == list(range(6))
    (stop,) = commands(run)
    assert (stop["verb"], stop["who"], stop["at"], stop["steps"]) == ("stop", "a button", 5, 6.0)


def test_stop_in_the_thread_that_trains_takes_effect_at_once(tmp_path):
    model, optimizer = make()
    with watch(model, optimizer, tmp_path) as session:
        step(model, optimizer)
        session.stop()
        step(model, optimizer)
    assert session.status.step == 1


def test_stop_ends_a_pause(tmp_path):
    model, optimizer = make()
    session = watch(model, optimizer, tmp_path)
    session.pause()
    thread = Background(step, model, optimizer)
    until(paused(session))
    session.stop()
    thread.join(20)
    assert isinstance(thread.error, TrainingStopped)
    session.close()
    assert [command["verb"] for command in commands(open_run(session.path))] == ["pause", "stop"]
    assert open_run(session.path).status.step == session.status.step == 1


def test_the_block_of_another_session_lets_a_stop_through(tmp_path):
    model, optimizer = make()
    outer_model, outer_optimizer = make()
    with watch(outer_model, outer_optimizer, tmp_path) as outer:
        with pytest.raises(TrainingStopped), watch(model, optimizer, tmp_path) as inner:
            outer.stop()
        assert inner.status.state == "closed"
        assert outer.status.state == "running"


def test_a_stop_is_a_keyboard_interrupt_with_one_quiet_sentence_in_a_notebook(tmp_path, capsys, monkeypatch):
    assert issubclass(deepseek.TrainingStopped, KeyboardInterrupt)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    shell = InteractiveShell()
    shell.user_ns["raise_it"] = TrainingStopped("key", 12)
    shell.run_cell("raise raise_it")
    shell.history_manager.end_session()
    said = capsys.readouterr()
    assert (said.out + said.err).strip() == "Training was stopped after 12 steps, as asked for."


def test_a_snapshot_is_whole_private_and_of_the_moment(tmp_path):
    model, optimizer = make()
    path = tmp_path / "state.pt"
    with watch(model, optimizer, tmp_path) as session:
        step(model, optimizer)
        session.snapshot(path)
        before = state(model)
        step(model, optimizer)
        saved = torch.load(path, weights_only=True)
        assert saved["steps"] == 1
        assert same(saved["model"], before)
        assert not same(saved["model"], state(model))
        momentum = saved["optimizers"][0]["state"][0]["momentum_buffer"]
        assert momentum.shape == model[0].weight.shape
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        session.snapshot(str(path))
        assert torch.load(path, weights_only=True)["steps"] == 2
        assert [entry.name for entry in tmp_path.iterdir() if "dsrun" not in entry.name] == ["state.pt"]


def test_a_snapshot_that_fails_leaves_nothing_and_training_goes_on(tmp_path, monkeypatch, caplog):
    model, optimizer = make()
    folder = tmp_path / "snapshots"
    folder.mkdir()

    def full(states, file):
        file.write(b"half")
        raise OSError("no space left on device")

    with watch(model, optimizer, tmp_path) as session:
        with pytest.raises(DeepseekError, match="folder that exists"):
            session.snapshot(tmp_path / "nowhere" / "x.pt")
        monkeypatch.setattr(torch, "save", full)
        session.snapshot(folder / "x.pt")
        step(model, optimizer)
        (command,) = commands(session)
    assert command["refused"] == "OSError: no space left on device"
    assert list(folder.iterdir()) == []
    assert "no space left" in caplog.text


def test_a_snapshot_can_be_taken_in_a_pause(tmp_path):
    model, optimizer = make()
    session = watch(model, optimizer, tmp_path)
    session.pause()
    thread = Background(step, model, optimizer)
    until(paused(session))
    session.snapshot(tmp_path / "x.pt")
    until((tmp_path / "x.pt").exists)
    assert session.status.state == "paused"
    session.resume()
    thread.result()
    session.close()


def test_living_sessions_have_keys_and_are_the_open_ones(tmp_path):
    before = living_sessions()
    model, optimizer = make()
    first, second = watch(model, optimizer, tmp_path), watch(model, optimizer, tmp_path)
    assert living_sessions() == [*before, first, second]
    assert first.key != second.key
    assert len(first.key) >= 16
    first.close()
    assert living_sessions() == [*before, second]
    second.close()
    assert living_sessions() == before


def test_a_closed_session_and_a_full_mailbox_refuse(tmp_path):
    model, optimizer = make()
    session = watch(model, optimizer, tmp_path)

    def flood():
        for _ in range(1000):
            session.submit(Pause(), "flood")

    with pytest.raises(DeepseekError, match="100 commands are waiting"):
        Background(flood).result()
    session.close()
    with pytest.raises(DeepseekError, match="the session is closed"):
        session.pause()


def test_commands_from_many_threads_are_all_applied_once(tmp_path):
    model, optimizer = make()
    optimizer.param_groups[0]["lr"] = 1.0
    session = watch(model, optimizer, tmp_path, kinds=["gradient"])
    done = threading.Event()

    def loop():
        while not done.is_set():
            step(model, optimizer, INPUTS * 0)

    thread = Background(loop)
    until(lambda: session.status.step > 1)
    askers = [Background(lambda: [session.set_lr(factor=f) for f in (0.5, 2.0) * 5]) for _ in range(8)]
    for asker in askers:
        asker.result()
    before = session.status.step
    until(lambda: session.status.step > before + 2)
    done.set()
    thread.result()
    assert optimizer.param_groups[0]["lr"] == 1.0
    assert len(commands(session)) == 80
    session.close()

"""The worker loses data rather than disturbing training, and says what it lost."""

import threading

import pytest
from training import CASES, make, train

from deepseek.errors import RunFileError
from deepseek.inspector import inspect, open_run, worker
from deepseek.inspector import session as session_module
from deepseek.inspector.runfile import RunWriter


@pytest.fixture
def path(tmp_path):
    return tmp_path / "x.dsrun"


def test_a_full_queue_drops_the_oldest_steps_and_keeps_every_site(path, monkeypatch):
    monkeypatch.setattr(worker, "QUEUE_STEPS", 3)
    release = threading.Event()
    first = threading.Event()
    model, optimizer = make("mlp")
    with inspect(model, optimizer, every=1, run=path) as session:

        def stall(_records):
            first.set()
            release.wait(10)

        session.subscribe(stall)
        train(model, optimizer, CASES["mlp"][1], 2, session)
        assert first.wait(5)
        train(model, optimizer, CASES["mlp"][1], 20, session)
        release.set()
        assert session.status.step == 22
        assert session.status.dropped > 10
    run = open_run(path)
    assert run.status.dropped == session.status.dropped
    assert max(run.frame("timing")["step"]) == 21
    assert len(run.frame("activation")) == 9 * (22 - run.status.dropped)


def test_training_goes_on_when_the_run_file_breaks(path, monkeypatch, caplog):
    def full(self, records):
        raise RunFileError("database or disk is full")

    bare, _ = train(*make("cnn"), CASES["cnn"][1], 10)
    monkeypatch.setattr(RunWriter, "write", full)
    model, optimizer = make("cnn")
    seen = []
    with inspect(model, optimizer, every=1, run=path) as session:
        session.subscribe(seen.extend)
        losses, _ = train(model, optimizer, CASES["cnn"][1], 10, session)
    assert losses == bare
    assert [record.step for record in seen] == list(range(10))
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == 1
    assert "writing the run file failed and is switched off (RunFileError: database or disk is full)" in messages[0]


def test_a_failing_rule_or_view_is_switched_off_and_reported_once(path, caplog):
    def rule(window):
        raise ValueError("bad rule")

    def view(records):
        raise ValueError("bad view")

    model, optimizer = make("mlp")
    with inspect(model, optimizer, every=1, rules=[rule], run=path) as session:
        session.subscribe(view)
        train(model, optimizer, CASES["mlp"][1], 10, session)
    assert open_run(path).status.step == 10
    assert len(caplog.records) == 2


def test_a_listener_sees_every_step_in_order_and_an_empty_batch_at_the_end(path):
    batches = []
    model, optimizer = make("mlp")
    with inspect(model, optimizer, every=1, run=path) as session:
        session.subscribe(lambda records: batches.append([record.step for record in records]))
        train(model, optimizer, CASES["mlp"][1], 30, session)
    assert [step for batch in batches for step in batch] == list(range(30))
    assert batches[-1] == []
    assert all(batches[:-1])


def test_the_default_run_file_goes_to_runs_and_elsewhere_when_that_is_read_only(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model, optimizer = make("mlp")
    with inspect(model, optimizer) as session:
        pass
    assert session.path.parent.resolve() == tmp_path / "runs"
    session.path.unlink()
    session.path.parent.rmdir()
    (tmp_path / "runs").write_text("a file where the folder should be")
    with inspect(model, optimizer) as session:
        train(model, optimizer, CASES["mlp"][1], 1, session)
    assert open_run(session.path).status.step == 1
    assert session.path.parent.name.startswith("deepseek-runs-")


def test_a_missing_native_part_is_mentioned_once(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(session_module, "implementation", lambda: "torch")
    session_module._say_that_summaries_are_slow.cache_clear()
    for index in range(2):
        model, optimizer = make("mlp")
        inspect(model, optimizer, run=tmp_path / f"{index}.dsrun").close()
    assert ["native part is not installed" in record.getMessage() for record in caplog.records] == [True]

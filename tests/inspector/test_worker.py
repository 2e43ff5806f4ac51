"""The worker loses data rather than disturbing training, and says what it lost."""

import threading

import numpy as np
import pytest
import torch
from recorded_runs import exact
from synthetic import make_finding
from training import CASES, make, train

from deepseek.errors import RunFileError
from deepseek.inspector import inspect, open_run, worker
from deepseek.inspector import session as session_module
from deepseek.inspector.accounts import PendingStep
from deepseek.inspector.packing import to_record
from deepseek.inspector.record import Event, Site, UnitCounts
from deepseek.inspector.runfile import RunWriter
from deepseek.inspector.tables import event_table, unit_table
from deepseek.kernels.summary import HostCopy, start_transfer


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


def test_findings_survive_the_loss_of_the_step_that_named_the_sites(path, monkeypatch, caplog):
    monkeypatch.setattr(worker, "QUEUE_STEPS", 3)
    release = threading.Event()
    model, optimizer = make("mlp")
    with inspect(model, optimizer, every=4, run=path) as session:
        take = session._worker._take
        monkeypatch.setattr(session._worker, "_take", lambda: take() if release.is_set() else iter(()))
        train(model, optimizer, CASES["mlp"][1], 6, session)
        release.set()
        session.flush()
        kept = [(record.step, record.observed, bool(record.sites)) for record in session.records()]
    assert kept == [(3, False, True), (4, True, False), (5, False, False)]
    assert not any("judging" in message for message in caplog.messages)


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


def test_findings_beyond_the_limit_are_counted_in_an_event(path, monkeypatch):
    monkeypatch.setattr(worker, "MAX_FINDINGS", 5)

    def rule(window):
        for number in range(2):
            yield make_finding(window.newest.step, f"{window.newest.step}.{number}")

    model, optimizer = make("mlp")
    with inspect(model, optimizer, every=1, rules=[rule], run=path) as session:
        train(model, optimizer, CASES["mlp"][1], 10, session)
        assert [finding.step for finding in session.findings] == [0, 0, 1, 1, 2]
    run = open_run(path)
    assert len(run.findings) == 5
    events = run.frame("event")
    assert list(events.loc[events["kind"] == "findings_full", "step"]) == list(range(2, 10))


def test_a_deleted_run_file_costs_one_warning_and_nothing_else(path, caplog):
    bare, _ = train(*make("mlp"), CASES["mlp"][1], 20)
    model, optimizer = make("mlp")
    seen = []
    with inspect(model, optimizer, every=1, run=path) as session:
        session.subscribe(seen.extend)
        path.unlink()
        losses, _ = train(model, optimizer, CASES["mlp"][1], 20, session)
    assert losses == bare
    assert len(seen) == 20
    (message,) = (record.getMessage() for record in caplog.records)
    assert "was deleted or replaced while its run was being written" in message


def test_the_worker_says_what_cpu_time_it_has_used(path):
    model, optimizer = make("mlp")
    with inspect(model, optimizer, every=1, run=path) as session:
        train(model, optimizer, CASES["mlp"][1], 3, session)
        session.flush()
        first = session._worker.cpu_ns
        train(model, optimizer, CASES["mlp"][1], 50, session)
        session.flush()
        assert 0 < first < session._worker.cpu_ns < 10e9


def test_the_worker_rests_between_slices_of_a_long_queue(path, monkeypatch):
    rests = []
    monkeypatch.setattr(worker, "SLICE_S", 0.0)
    monkeypatch.setattr(worker.time, "sleep", rests.append)
    model, optimizer = make("mlp")
    with inspect(model, optimizer, every=1, run=path) as session:
        train(model, optimizer, CASES["mlp"][1], 20, session)
    assert rests == [worker.REST_S] * 20


def test_unit_counts_events_and_the_gradient_norm_arrive_in_tables():
    units = UnitCounts(0, 8, np.array([0, 8, 3, 0], np.uint32), np.array([0, 8, 8, 1], np.uint32))
    active, saturated = torch.tensor([0, 8, 3, 0], dtype=torch.int32), torch.tensor([0, 8, 8, 1])
    record = to_record(
        PendingStep(
            *(4, 0.0, 1.0, 0.1, True, {}, start_transfer([]), (), ()),
            units=[(0, 8, HostCopy.start(active), HostCopy.start(saturated))],
            events=(Event("step_skipped", {"scale": 2.0}),),
            gradient_norm=HostCopy.start(torch.tensor(float("nan"))),
        )
    )
    assert record.gradient_norm == float("inf")
    assert exact(record.units) == exact((units,))
    site = Site(0, "layers.1", "module", "ReLU", "layers.1", 1)
    (row,) = unit_table([(4, record.units[0])], [site]).to_dict("records")
    assert row == {
        "step": 4,
        "site": "layers.1",
        "units": 4,
        "samples": 8,
        "dead": 2,
        "dead_frac": 0.5,
        "saturated": 2,
        "saturated_frac": 0.5,
    }
    (event,) = event_table([(4, record.events[0])]).to_dict("records")
    assert event == {"step": 4, "kind": "step_skipped", "data": '{"scale": 2.0}'}


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

"""What was written is what is read, to the bit."""

import contextlib
import dataclasses
import math
import sqlite3
import tempfile
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from recorded_runs import any_run, detail, exact, frame, record, records, with_graph

from deepseek.errors import RunFileError
from deepseek.inspector.graph import ModuleGraph, Node
from deepseek.inspector.record import Layout, Site, StepRecord
from deepseek.inspector.runfile import RunReader, RunWriter, Step
from deepseek.inspector.runfile.schema import MAX_DETAILS, MAX_TEXT


@given(run=any_run())
@settings(max_examples=60, deadline=None)
def test_any_run_is_replayed_to_the_bit(run):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "run.dsrun")
        writer = RunWriter(path, {})
        for item in run:
            writer.write([item])
        writer.close()
        assert exact(list(RunReader(path).records())) == exact(run)


def test_every_table_says_the_same_as_the_records(write_run):
    run = records(7)
    reader = RunReader(write_run(run))
    assert reader.meta == {"model": "Net"}
    assert reader.sites() == run[0].sites
    assert reader.layouts() == run[0].layouts
    assert reader.findings() == [finding for item in run for finding in item.findings]
    assert reader.scalars() == [(item.step, "loss", item.scalars["loss"]) for item in run]
    assert reader.steps()[1:] == [
        Step(item.step, item.time, 10.0, 0.5, True, float(item.step), 3 + 2 * (item.step % 2) + (item.step % 3 != 0))
        for item in run[1:]
    ]
    assert math.isnan(reader.steps()[0].wall_ms)
    assert reader.steps(newest=2) == reader.steps()[-2:]
    assert reader.counts() == (7, 0)
    assert reader.events() == [(item.step, event) for item in run for event in item.events]
    assert exact(reader.units()) == exact([(item.step, counts) for item in run for counts in item.units])
    assert exact(dict(reader.newest_frames())) == exact({kind: (6, f) for kind, f in run[6].frames.items()})
    assert exact(list(reader.frames("gradient", 2))) == exact([(i.step, i.frames["gradient"]) for i in run[2:]])


def test_of_each_layer_the_newest_closer_look_is_read_to_the_bit(tmp_path):
    bare = dataclasses.replace(detail("b", 5), histograms=(), units=None, picture=None, forward_ms=math.nan)
    writer = RunWriter(tmp_path / "run.dsrun", {})
    writer.add_details([detail("a", 1), bare])
    writer.add_details([detail("a", 7)])
    with RunReader(tmp_path / "run.dsrun") as reader:
        assert exact(reader.details()) == exact([bare, detail("a", 7)])
    writer.add_details([detail(f"layers.{number}", 8 + number) for number in range(MAX_DETAILS)])
    writer.close()
    with RunReader(tmp_path / "run.dsrun") as reader:
        assert [found.step for found in reader.details()] == [*range(8, 8 + MAX_DETAILS)]


def test_a_part_of_the_run_is_read_by_step_and_kind(write_run):
    run = records(200)
    reader = RunReader(write_run(run))
    expected = [dataclasses.replace(item, frames={"gradient": item.frames["gradient"]}) for item in run[50:150]]
    assert exact(list(reader.records(50, 150, {"gradient"}))) == exact(expected)
    assert [item.frames for item in reader.records(198, kinds=())] == [{}, {}]
    with pytest.raises(RunFileError, match=r"expected a kind out of activation, .*got 'loss'"):
        reader.records(kinds=["loss"])


def test_a_reader_serves_several_threads(write_run):
    run = records(100)
    reader = RunReader(write_run(run))
    counts: list[int] = []
    threads = [threading.Thread(target=lambda: counts.append(len(list(reader.records())))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [100] * 4


def test_frames_are_read_only_and_share_one_buffer(write_run):
    _, found = next(RunReader(write_run(records(1))).frames("activation"))
    assert not found.values.flags.writeable
    assert found.values.dtype == np.float64
    assert found.site.dtype == np.uint32


def test_texts_are_cut_and_made_valid(tmp_path):
    writer = RunWriter(tmp_path / "run.dsrun", {"model": "\ud800" + "x" * 9999})
    writer.write([StepRecord(0, 0.0, 0.0, 0.0, False, {"\ud800\0loss": 1.0})])
    writer.close()
    reader = RunReader(tmp_path / "run.dsrun")
    assert reader.meta == {"model": "?" + "x" * (MAX_TEXT - 1)}
    assert reader.scalars() == [(0, "?\0loss", 1.0)]


@pytest.mark.parametrize(
    ("wrong", "fact"),
    [
        (record(3), "step 3 does not follow on step 4"),
        (dataclasses.replace(record(5), sites=(Site(7, "a", "module", "A", "a", 0),)), "site ids to count on from 3"),
        (dataclasses.replace(record(5), layouts=(Layout(0, "float32", (), 4),)), "layout ids to count on from 1"),
        (dataclasses.replace(record(5), frames={"gradient": frame(4)}), "beyond the 3 known ones"),
        (dataclasses.replace(record(5), frames={"loss": frame(1)}), "expected a kind"),
        (dataclasses.replace(record(5), step=2**70), "does not follow"),
    ],
)
def test_a_record_that_does_not_follow_is_refused_and_nothing_is_lost(tmp_path, wrong, fact):
    writer = RunWriter(tmp_path / "run.dsrun", {})
    writer.write(records(5))
    with pytest.raises(RunFileError, match=fact):
        writer.write([wrong])
    writer.write([record(5)])
    writer.close()
    assert exact(list(RunReader(tmp_path / "run.dsrun").records())) == exact(records(6))


def test_a_full_disk_is_an_error_that_keeps_what_was_written(tmp_path):
    writer = RunWriter(tmp_path / "run.dsrun", {})
    writer.write(records(1))
    writer._db.execute("PRAGMA max_page_count = 1").fetchall()
    with pytest.raises(RunFileError, match=r"could not be written .*full"):
        writer.write([record(step, rows=3) for step in range(1, 400)])
    writer.close()
    assert len(list(RunReader(tmp_path / "run.dsrun").records())) == 1


def test_the_file_is_plain_sqlite(write_run):
    with sqlite3.connect(write_run(records(3))) as db:
        assert db.execute("SELECT value FROM scalar WHERE step = 1").fetchall() == [(0.5,)]


def test_the_newest_graph_replaces_the_one_before(tmp_path):
    run = with_graph(records(4))
    newer = ModuleGraph(run[1].graph.nodes[:2], (), complete=False, note="it was \ud800 lost")
    path = tmp_path / "run.dsrun"
    with contextlib.closing(RunWriter(path, {})) as writer, RunReader(path) as reader:
        assert reader.graph() is None
        writer.write(run[:2])
        assert reader.graph() == run[1].graph
        writer.write([run[2], replace(run[3], graph=newer)])
        assert reader.graph() == replace(newer, note="it was ? lost")
    assert exact(list(RunReader(path).records())) == exact(records(4))


@pytest.mark.parametrize("name", ["x" * 4096, "[" * 4096])
def test_a_graph_that_is_too_large_to_be_read_is_stored_as_a_note(tmp_path, name):
    first = Node(0, "Net", "Net", "module", None, None, 0, None, "", 0)
    nodes = (first, *(Node(i, f"{name}{i}", "Linear", "module", 0, None, 0, None, "", 0) for i in range(1, 2000)))
    path = tmp_path / "run.dsrun"
    with contextlib.closing(RunWriter(path, {})) as writer:
        writer.write([replace(records(1)[0], graph=ModuleGraph(nodes, (), complete=True))])
    graph = RunReader(path).graph()
    assert (graph.nodes, graph.complete, graph.note) == ((), False, "it is too large to be stored")

"""A run file stays small however long the run is, and keeps an even picture of all of it."""

import itertools
import threading

import pytest
from recorded_runs import bare, exact, record, records

from deepseek.inspector.runfile import RunReader, RunWriter, schema, thinning
from deepseek.inspector.runfile.thinning import FIRST_STEPS, NEWEST_STEPS, Thinning


def kept_by(thinner: Thinning, steps: int, size: int = 1000) -> list[int]:
    kept = dict.fromkeys(range(steps))
    for step in range(steps):
        for gone in thinner.add(step, size):
            del kept[gone.step]
    return list(kept)


@pytest.fixture
def small(monkeypatch):
    """Budgets of a few hundred steps."""
    monkeypatch.setattr(thinning, "DETAIL_BYTES", 400_000)
    monkeypatch.setattr(thinning, "STEP_BYTES", 100_000)


def write_long_run(path, steps: int, observed: int = 5) -> RunWriter:
    out = RunWriter(path, {})
    for first in range(0, steps, 25):
        out.write([record(step) if step % observed == 0 else bare(step) for step in range(first, first + 25)])
    return out


@pytest.mark.parametrize("steps", [10, 200, 1000, 100_000])
def test_the_budget_is_kept_and_used(steps):
    thinner = Thinning(200_000)
    kept = kept_by(thinner, steps)
    assert thinner.total == 1000 * len(kept) <= 200_000
    assert len(kept) >= min(steps, 150)


def test_the_first_and_the_newest_steps_stay_and_the_gaps_between_are_even():
    kept = kept_by(Thinning(300_000), 50_000)
    assert kept[:FIRST_STEPS] == list(range(FIRST_STEPS))
    assert kept[-NEWEST_STEPS:] == list(range(50_000 - NEWEST_STEPS, 50_000))
    middle = kept[FIRST_STEPS:-NEWEST_STEPS]
    gaps = {after - before for before, after in itertools.pairwise(middle)}
    assert len(gaps) <= 2, "one power of two, and its double in the part that was thinned last"
    assert max(gaps) == 2 * min(gaps)


def test_steps_larger_than_the_budget_leave_it_empty_and_smaller_ones_come_back():
    thinner = Thinning(10_000)
    assert kept_by(thinner, 100, size=20_000) == []
    assert [gone for step in range(5) for gone in thinner.add(100 + step, 1000)] == []


def test_each_step_pushes_out_about_as_much_as_it_brings():
    thinner = Thinning(1_000_000)
    assert max(len(list(thinner.add(step, 1000))) for step in range(20_000)) <= 3


def test_a_long_run_loses_frames_and_then_steps_but_no_finding_and_no_site(tmp_path, small):
    write_long_run(tmp_path / "a.dsrun", 4000).close()
    reader = RunReader(tmp_path / "a.dsrun")
    found = list(reader.records())
    stored, removed = reader.counts()
    assert len(found) == stored
    assert stored + removed == 4000
    assert 200 < stored < 3000
    observed = [item for item in found if item.observed]
    thinned = [item for item in observed if not item.frames]
    assert 50 < len(observed) - len(thinned) < 500
    assert thinned
    assert all(not item.units for item in thinned)
    assert exact(observed[-1]) == exact(record(3995))
    assert exact(found[:5]) == exact([record(0), *(bare(step) for step in range(1, 5))])
    assert [finding.step for finding in reader.findings()] == [step for step in range(0, 4000, 5) if step % 3 == 2]
    assert reader.sites() == record(0).sites


def test_a_thinned_step_keeps_everything_but_frames_and_units(tmp_path, small):
    write_long_run(tmp_path / "a.dsrun", 1000, observed=1).close()
    thinned = [item for item in RunReader(tmp_path / "a.dsrun").records() if item.observed and not item.frames]
    assert thinned
    for item in thinned:
        whole = record(item.step)
        assert (item.scalars, item.events, item.findings) == (whole.scalars, whole.events, whole.findings)
        assert (item.time, item.wall_ms, item.gradient_norm) == (whole.time, whole.wall_ms, whole.gradient_norm)


def test_the_file_stops_growing(tmp_path, small):
    out = write_long_run(tmp_path / "a.dsrun", 4000)
    out._db.execute("PRAGMA wal_checkpoint").fetchall()
    early = (tmp_path / "a.dsrun").stat().st_size
    for first in range(4000, 12_000, 25):
        out.write([record(step) if step % 5 == 0 else bare(step) for step in range(first, first + 25)])
    out.close()
    late = (tmp_path / "a.dsrun").stat().st_size
    assert late < 1.5 * early
    assert late < 4 * (thinning.DETAIL_BYTES + thinning.STEP_BYTES)


def test_the_budgets_leave_room_below_the_hard_limit():
    """Pages may be two thirds empty before SQLite joins them."""
    assert 3 * (thinning.DETAIL_BYTES + thinning.STEP_BYTES) <= schema.MAX_FILE_BYTES


def test_a_reader_streams_while_the_run_is_thinned(tmp_path, small):
    out = write_long_run(tmp_path / "a.dsrun", 1500)
    done = threading.Event()
    errors: list[Exception] = []
    passes: list[int] = []

    def read() -> None:
        try:
            while not done.is_set():
                reader = RunReader(tmp_path / "a.dsrun")
                steps = [item.step for item in reader.records()]
                assert steps == sorted(set(steps))
                passes.append(len(list(reader.frames("gradient"))))
        except Exception as error:  # noqa: BLE001
            errors.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    while len(passes) < 3 and not errors:
        step = out._step + 1
        out.write([record(step), *(bare(step + i) for i in range(1, 5))])
    done.set()
    thread.join()
    out.close()
    assert not errors


def test_the_status_counts_removed_steps_as_steps_and_not_as_lost(tmp_path, small):
    from deepseek.inspector import open_run

    write_long_run(tmp_path / "a.dsrun", 4000).close()
    status = open_run(tmp_path / "a.dsrun").status
    assert (status.step, status.dropped) == (4000, 0)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_million_steps_stay_below_the_stated_size(tmp_path):
    """With frames of 54 kB in every hundredth step: 540 MB were written."""
    out = RunWriter(tmp_path / "a.dsrun", {})
    observed = record(0, rows=250)
    out.write([observed])
    sizes = []
    for first in range(1, 1_000_001, 100):
        frames = records(1, rows=250)[0].frames
        steps = [bare(step) for step in range(first, first + 100)]
        steps[50] = type(observed)(first + 50, 1e9, 3.0, 0.1, True, {"loss": 1.0}, frames)
        out.write(steps)
        if first % 10_000 == 1:
            sizes.append(sum(path.stat().st_size for path in tmp_path.iterdir() if path.suffix != ".dsrun-shm"))
    out.close()
    assert max(sizes) < schema.MAX_FILE_BYTES
    assert max(sizes[50:]) < 1.1 * max(sizes[:50])
    reader = RunReader(tmp_path / "a.dsrun")
    assert sum(reader.counts()) == 1_000_001
    assert len(list(reader.frames("gradient"))) > 1000

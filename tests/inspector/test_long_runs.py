"""However long a run is, memory, disk and the worker's time stay small."""

import os
import subprocess
import sys
from pathlib import Path
from time import thread_time_ns, time

import pytest

from deepseek.inspector.accounts import PendingStep
from deepseek.inspector.packing import to_record
from deepseek.inspector.record import Layout, Site
from deepseek.inspector.runfile import RunWriter
from deepseek.kernels.summary import ROW_BYTES, start_transfer
from deepseek.widgets.history import History

TRAIN = """
import sys, torch
import torch.nn.functional as F
from pathlib import Path
from training import make
from deepseek.inspector import inspect

def resident_mb():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6

torch.set_num_threads(1)
model, optimizer = make("mlp")
session = inspect(model, optimizer, every=1, run=sys.argv[1])
start = 0.0
for step in range(int(sys.argv[2])):
    if step == 500:
        session.flush()
        start = resident_mb()
    loss = F.cross_entropy(model(torch.randn(16, 64)), torch.randint(10, (16,)))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    session.log(loss=loss)
session.flush()
print(resident_mb() - start, session.status.dropped)
"""
KINDS = ("activation", "activation_gradient", "gradient", "parameter", "update")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
@pytest.mark.parametrize(
    ("steps", "most_mb"), [(1500, 8), pytest.param(10_000, 30, marks=[pytest.mark.slow, pytest.mark.timeout(900)])]
)
def test_memory_stops_growing_after_the_first_500_steps(tmp_path, steps, most_mb):
    support = str(Path(__file__).parents[1] / "support")
    result = subprocess.run(
        [sys.executable, "-c", TRAIN, tmp_path / "a.dsrun", str(steps)],
        env=os.environ | {"PYTHONPATH": support},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    grown, dropped = map(float, result.stdout.split())
    assert dropped == 0
    assert grown < most_mb


def pending(step: int, rows: int) -> PendingStep:
    found = {kind: [(site, 0, 0, bytes(ROW_BYTES)) for site in range(rows // 5)] for kind in KINDS} if rows else {}
    sites = tuple(Site(i, f"layers.{i}", "module", "Linear", f"layers.{i}", i) for i in range(rows // 5))
    return PendingStep(
        step,
        time(),
        3.0,
        0.1,
        bool(rows),
        found,
        start_transfer([row[3] for kind in found.values() for row in kind]),
        sites=() if step else sites,
        layouts=() if step else (Layout(0, "float32", (8, 8), 4),),
        scalars={"loss": 1.0},
    )


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "batch", "most_us", "view"), [(0, 30, 20, True), (500, 10, 300, False)])
def test_the_worker_needs_little_cpu_time_for_a_step(tmp_path, rows, batch, most_us, view):
    """Packing, storing, and a live view of bare steps; the best of ten, because others use the CPU too."""
    out, history, costs = RunWriter(tmp_path / "a.dsrun", {}), History(), []
    out.write([to_record(pending(0, rows))])
    for turn in range(10):
        queued = [pending(1 + turn * 10 * batch + step, rows) for step in range(10 * batch)]
        began = thread_time_ns()
        for first in range(0, len(queued), batch):
            records = [to_record(step) for step in queued[first : first + batch]]
            out.write(records)
            if view:
                history.add(records)
        costs.append((thread_time_ns() - began) / 1e3 / len(queued))
    out.close()
    assert min(costs) <= most_us

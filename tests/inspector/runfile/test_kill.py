"""A process that is killed at any moment leaves a file that opens and lacks at most the last second."""

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from recorded_runs import bare, exact, record

from deepseek.errors import RunFileError
from deepseek.inspector.runfile import RunReader, RunWriter, thinning, writer

pytestmark = pytest.mark.skipif(os.name != "posix", reason="kills processes")
FORK = multiprocessing.get_context("fork")


def write_for_ever(path: Path, sender) -> None:
    """Write batches as fast as it goes, thinned all the time, and say what is stored."""
    out = RunWriter(path, {})
    for first in range(0, 10**9, 10):
        out.write([record(step) if step % 5 == 0 else bare(step) for step in range(first, first + 10)])
        sender.send((first + 9, time.monotonic()))


def killed_after(path: Path, seconds: float) -> tuple[int, float]:
    """Kill a writer at some moment; give the last step that it said was stored, and how long before that was."""
    receiver, sender = FORK.Pipe(duplex=False)
    process = FORK.Process(target=write_for_ever, args=(path, sender), daemon=True)
    process.start()
    sender.close()
    last = receiver.recv()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if receiver.poll(until - time.monotonic()):
            last = receiver.recv()
    os.kill(process.pid, signal.SIGKILL)
    died = time.monotonic()
    process.join()
    while receiver.poll():
        try:
            last = receiver.recv()
        except (EOFError, OSError):
            break
    return last[0], died - last[1]


@pytest.mark.parametrize("kills", [10, pytest.param(50, marks=[pytest.mark.slow, pytest.mark.timeout(900)])])
@pytest.mark.parametrize("network", [False, True], ids=["wal", "truncate"])
def test_kills_at_random_moments(tmp_path, monkeypatch, network, kills):
    monkeypatch.setattr(writer, "on_network_filesystem", lambda _: network)
    monkeypatch.setattr(thinning, "DETAIL_BYTES", 200_000)
    monkeypatch.setattr(thinning, "STEP_BYTES", 20_000)
    rng = random.Random(kills)
    for turn in range(kills):
        path = tmp_path / f"{turn}.dsrun"
        last, silence = killed_after(path, rng.uniform(0.0, 0.25))
        assert silence < 1.0
        if network and path.with_name(path.name + "-journal").read_bytes()[:1] not in (b"", b"\0"):
            # Playing back a rollback journal would write: that is left to the user, as the message says.
            with pytest.raises(RunFileError, match="cut off in the middle of a write"):
                RunReader(path)
            subprocess.run([sys.executable, "-c", PLAY_BACK, path], check=True)
        reader = RunReader(path)
        found = list(reader.records())
        assert reader.state == "interrupted"
        assert found[-1].step in (last, last + 10), "one batch was stored but not yet announced"
        assert sum(reader.counts()) == found[-1].step + 1
        assert exact(found[-1]) == exact(bare(found[-1].step))


PLAY_BACK = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('PRAGMA quick_check').fetchall()"

TRAIN = """
import sys, time, torch
from deepseek.inspector import inspect
torch.set_num_threads(1)
model = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
session = inspect(model, optimizer, run=sys.argv[1])
while True:
    loss = model(torch.randn(4, 8)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    session.log(loss=loss, at=time.time())
    print(flush=True)
"""


@pytest.mark.parametrize(
    "kills", [2, pytest.param(20, marks=[pytest.mark.slow, pytest.mark.timeout(900)])], ids=["two", "twenty"]
)
def test_a_killed_training_loses_at_most_the_last_second(tmp_path, kills):
    """By the clock of the training loop itself, through the queue and the worker."""
    rng = random.Random(1)
    for turn in range(kills):
        path = tmp_path / f"{turn}.dsrun"
        with subprocess.Popen([sys.executable, "-c", TRAIN, path], stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            time.sleep(rng.uniform(0.7, 1.5))
            process.kill()
            died = time.time()
        scalars = RunReader(path).scalars()
        assert died - max(value for _, name, value in scalars if name == "at") < 1.0
        assert RunReader(path).state == "interrupted"

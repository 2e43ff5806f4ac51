"""Long tensors are read by several threads: the numbers stay what one thread gives."""

import os
import subprocess
import sys

import pytest
import torch

from deepseek.kernels.summary import COLUMNS, native, square_sums, summarize_row, summarize_update_row

COUNTED = [name for name in COLUMNS if name.endswith(("frac", "count", "min", "max"))]
LENGTHS = [2 * 65536, 2 * 65536 + 1, 300_001, 1_500_003]


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def _columns(row):
    values = torch.frombuffer(bytearray(row), dtype=torch.float64) if isinstance(row, bytes) else row
    return dict(zip(COLUMNS, values.tolist(), strict=True))


def _marked(length, dtype):
    """Values whose counts tell whether any element was left out or read twice."""
    x = torch.randn(length, dtype=torch.float64).to(dtype)
    x[::7], x[3::70], x[-1], x[0], x[length // 2] = 0.0, 1e-6, 70000.0, float("nan"), -9e4
    return x


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("length", LENGTHS)
def test_number_of_threads_does_not_matter(implementation, threads, length, dtype):
    x = _marked(length, dtype)
    rows, squares = [], []
    for count in (1, 2, 3, 7):
        threads(count)
        rows.append(_columns(summarize_row(x)))
        squares.append(float(square_sums([x[1:]])))
    for row, square in zip(rows[1:], squares[1:], strict=True):
        assert row == pytest.approx(rows[0], rel=1e-6, abs=1e-4)
        assert {name: row[name] for name in COUNTED} == {name: rows[0][name] for name in COUNTED}
        assert square == pytest.approx(squares[0], rel=1e-6)
    assert rows[0]["nonfinite_count"] == 1
    assert rows[0]["zero_frac"] == int((x == 0).sum()) / length


@pytest.mark.parametrize("length", LENGTHS)
def test_updates_are_told_and_copied_in_full(implementation, threads, length):
    threads(3)
    old = torch.randn(length)
    new = old + 0.5
    expected = (new.double() - old.double()).norm().item()
    values, change = summarize_update_row(new, old)
    assert torch.equal(old, new)
    assert _columns(change)["l2"] == pytest.approx(expected, rel=1e-6)
    assert _columns(values)["l2"] == pytest.approx(new.double().norm().item(), rel=1e-6)


@pytest.mark.skipif(sys.platform != "linux" or native.native is None, reason="threads are shared on Linux only")
def test_torch_lends_its_threads():
    """As many threads as torch has work on a long tensor, and none is started that torch would not have."""
    script = """
import os, sys, torch
from deepseek.kernels.summary import summarize_row
torch.set_num_threads(int(sys.argv[1]))
count = lambda: len(os.listdir("/proc/self/task"))
x = torch.ones(2_000_000)
before = count()
summarize_row(x)
after = count()
x.add_(1)
print(after - before, count() - before)
"""
    for threads in (1, 3):
        output = subprocess.run(
            [sys.executable, "-c", script, str(threads)], capture_output=True, text=True, timeout=120, check=True
        ).stdout
        ours, torchs = map(int, output.split())
        assert ours == torchs


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_forked_process_has_no_threads_to_share():
    script = """
import os, signal, torch
from deepseek.kernels.summary import summarize_row
x = torch.arange(2_000_000, dtype=torch.float32)
row = summarize_row(x)
child = os.fork()
if not child:
    signal.alarm(20)
    os._exit(0 if abs(sum(summarize_row(x)) - sum(row)) < 20_000 else 3)
print(os.waitpid(child, 0)[1])
"""
    output = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True)
    assert output.stdout.strip() == "0"

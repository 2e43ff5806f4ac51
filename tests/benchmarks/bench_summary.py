"""How long one summary takes, beside torch.sum, the torch implementation and six separate reductions.

Single-threaded; the contestants take turns, so that the machine's noise hits all of them alike.
"""

import json
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from deepseek.kernels.summary import count_units, reference_row, square_sums, summarize_row, summarize_update_row
from deepseek.kernels.summary.native import native

SIZES = {10_000: 401, 1_000_000: 101, 10_000_000: 15}
"""Elements of the tensor: rounds to measure."""

DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16)


def run() -> dict[str, dict[str, float]]:
    """Measure everything.

    Returns:
        By dtype and size: nanoseconds per element of each contestant, and ``native_over_sum``, the time of the best
        native code as a multiple of that of ``torch.sum`` over as many float32. Under ``call``: nanoseconds that one
        call takes for a 64-element tensor. Under ``every step``: microseconds of what is done at every step.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        results = {f"{_name(d)} {n}": _compare(d, n) for d in DTYPES for n in SIZES}
        results["call"] = {"summarize_row": _call_ns()}
        results["every step"] = {name: seconds * 1e6 for name, seconds in _medians(_every_step(), 101).items()}
    finally:
        torch.set_num_threads(threads)
    return results


def _compare(dtype: torch.dtype, size: int) -> dict[str, float]:
    x = torch.randn(size, generator=torch.Generator().manual_seed(0)).to(dtype)
    floats = x.float()
    contestants: dict[str, Callable[[], object]] = {"torch.sum of float32": floats.sum}
    if dtype != torch.float32:
        contestants["torch.sum"] = x.sum
    contestants |= {name: lambda name=name: _with(name, x) for name in _instruction_sets()}
    slow = {"six reductions": lambda: _six_reductions(x), "reference": lambda: reference_row(x)}
    # The slow ones allocate, and would leave the caches in another state for whoever comes next: a group of their own.
    medians = _medians(contestants, SIZES[size]) | _medians(slow, 11)
    times = {name: seconds * 1e9 / size for name, seconds in medians.items()}
    best = (*_instruction_sets(), "reference")[0]
    return times | {"native_over_sum": times[best] / times["torch.sum of float32"]}


def _every_step() -> dict[str, Callable[[], object]]:
    gradients = [torch.randn(4096) for _ in range(42)]
    parameter, copy = torch.randn(1024, 256), torch.randn(1024, 256)
    tokens, pictures = torch.randn(8, 128, 256), torch.randn(32, 64, 32, 32)
    active, saturated, channels = torch.zeros(256, dtype=torch.int32), torch.zeros(256, dtype=torch.int32), slice(64)
    bounds = (0.0, 0.0, -3.0, 3.0)
    return {
        "square_sums of 42 x 4096": lambda: square_sums(gradients),
        "summarize_update_row of 1024 x 256": lambda: summarize_update_row(parameter, copy),
        "count_units of 8 x 128 x 256": lambda: count_units(active, saturated, tokens, -1, bounds),
        "count_units of 32 x 64 x 32 x 32": lambda: count_units(
            active[channels], saturated[channels], pictures, 1, bounds
        ),
    }


def _medians(contestants: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, contestant in contestants.items():
            contestant()  # so that each finds the caches as it would leave them, not as its predecessor did
            start = time.perf_counter()
            contestant()
            seconds[name].append(time.perf_counter() - start)
    if native:
        native.use(native.instruction_sets()[0])
    return {name: statistics.median(values) for name, values in seconds.items()}


def _six_reductions(x: Tensor) -> tuple[Tensor, ...]:
    return x.mean(), x.std(), x.norm(), x.abs().max(), (x == 0).sum(), (~x.isfinite()).sum()


def _instruction_sets() -> list[str]:
    return native.instruction_sets() if native else []


def _with(name: str, x: Tensor) -> None:
    native.use(name)
    summarize_row(x)


def _call_ns() -> float:
    x = torch.randn(64)
    rounds = []
    for _ in range(21):
        start = time.perf_counter()
        for _ in range(2000):
            summarize_row(x)
        rounds.append((time.perf_counter() - start) / 2000 * 1e9)
    return statistics.median(rounds)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))

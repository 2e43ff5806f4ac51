"""What watching costs over windows of 50 steps: with the default budget, and attached without watching.

The contestants take turns every few steps within each window, so that whatever slows the machine slows them all. A
second bare model is the control: its ratios show what is noise. The CPU time of the session's worker, which may fall
into another contestant's turn, is added to the session's own.
"""

import contextlib
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import torch
from bench_models import gpt, lstm, mlp, resnet

import deepseek

WINDOW = 50

CHUNK = 5
"""Steps of one turn."""

MODELS = {
    "gpt_6x256_8x128_tokens": (gpt, 40),
    "resnet18_32x3x32x32": (resnet, 40),
    "lstm_2x128_64x32": (lstm, 120),
    "mlp_20x64": (mlp, 400),
}
"""Model, turns of each contestant."""

Chunk = Callable[[], float]


def run() -> dict[str, Any]:
    """Measure every model."""
    return {name: _measure(*arguments) for name, arguments in MODELS.items()}


def _measure(make: Callable[[], Any], turns_each: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        contestants = {
            "bare": None,
            "control: bare as well": None,
            "deepseek budget=0.05": True,
            "deepseek attached, not watching": False,
        }
        turns = {
            name: stack.enter_context(_contestant(make, watching, Path(folder)))
            for name, watching in contestants.items()
        }
        times: dict[str, list[float]] = {name: [] for name in turns}
        order = random.Random(0)
        for _ in range(turns_each):
            for name in order.sample(list(turns), len(turns)):
                times[name].append(turns[name]())
    windows = {name: _windows(measured) for name, measured in times.items()}
    result = {name: _ratios(windows[name], windows["bare"]) for name in windows if name != "bare"}
    return {"bare_step_ms": round(median(times["bare"]) / CHUNK * 1e3, 3)} | result


@contextlib.contextmanager
def _contestant(make: Callable[[], Any], watching: bool | None, folder: Path) -> Iterator[Chunk]:
    torch.manual_seed(0)
    model, loss = make()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    with contextlib.ExitStack() as stack:
        session = None
        if watching is not None:
            session = stack.enter_context(deepseek.inspect(model, optimizer, run=folder / f"{time.time_ns()}.dsrun"))
            session.watching = watching
        worker_ns = 0

        def chunk() -> float:
            nonlocal worker_ns
            started = time.perf_counter()
            for _ in range(CHUNK):
                optimizer.zero_grad()
                loss(model).backward()
                optimizer.step()
            elapsed = time.perf_counter() - started
            seen, worker_ns = worker_ns, session._worker.cpu_ns if session else 0
            return elapsed + (worker_ns - seen) / 1e9

        yield chunk


def _windows(times: list[float]) -> list[float]:
    """Duration of every 50 steps in a row; the first ones, in which everything is cold, are left out."""
    width = WINDOW // CHUNK
    return [sum(times[start : start + width]) for start in range(width, len(times) - width + 1)]


def _ratios(measured: list[float], bare: list[float]) -> dict[str, float]:
    ratios = [m / b for m, b in zip(measured, bare, strict=True)]
    percentiles = quantiles(ratios, n=20)
    return {
        "median": round(median(ratios), 4),
        "percentile_5": round(percentiles[0], 4),
        "percentile_95": round(percentiles[-1], 4),
        "windows": len(ratios),
    }

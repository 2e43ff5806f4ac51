"""What watching costs over windows of 50 steps: with the default budget, and attached without watching.

One and the same model takes turns of a few steps in each state, so that neither a slow moment of the machine nor the
place of a model in memory makes a difference. The control is a second turn without a session: its ratios show what is
noise. The CPU time of the session's worker, which may fall into another state's turn, is added to the session's own.
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
from torch import nn

import deepseek

WINDOW = 50

TURN = 10
"""Steps of one turn."""

MODELS = {
    "gpt_6x256_8x128_tokens": (gpt, 20),
    "resnet18_32x3x32x32": (resnet, 15),
    "lstm_2x128_64x32": (lstm, 80),
    "mlp_20x64": (mlp, 250),
}
"""Model, turns of each state."""

State = Callable[[], "contextlib.AbstractContextManager[Callable[[], int]]"]
"""Puts the model into a state; gives the CPU time in nanoseconds that a worker has used so far."""


def run() -> dict[str, Any]:
    """Measure every model."""
    return {name: _measure(*arguments) for name, arguments in MODELS.items()}


def _measure(make: Callable[[], Any], turns: int) -> dict[str, Any]:
    torch.manual_seed(0)
    model, loss = make()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)

    def step() -> None:
        optimizer.zero_grad()
        loss(model).backward()
        optimizer.step()

    with tempfile.TemporaryDirectory() as folder:
        states = _states(model, optimizer, Path(folder))
        times: dict[str, list[float]] = {name: [] for name in states}
        order = random.Random(0)
        for _ in range(turns):
            for name in order.sample(list(states), len(states)):
                with states[name]() as worker_ns:
                    times[name].append(_turn(step, worker_ns))
    windows = {name: _windows(measured) for name, measured in times.items()}
    result = {name: _ratios(windows[name], windows["bare"]) for name in windows if name != "bare"}
    return {"bare_step_ms": round(median(times["bare"]) / TURN * 1e3, 3)} | result


def _turn(step: Callable[[], None], worker_ns: Callable[[], int]) -> float:
    before, started = worker_ns(), time.perf_counter()
    for _ in range(TURN):
        step()
    return time.perf_counter() - started + (worker_ns() - before) / 1e9


def _states(model: nn.Module, optimizer: Any, folder: Path) -> dict[str, State]:
    watching = deepseek.inspect(model, optimizer, run=folder / "watching.dsrun")
    watching.watching = False
    hooks = watching._steps

    @contextlib.contextmanager
    def bare() -> Iterator[Callable[[], int]]:
        hooks._remove_hooks()
        yield lambda: 0

    @contextlib.contextmanager
    def attached() -> Iterator[Callable[[], int]]:
        with deepseek.inspect(model, optimizer, run=folder / f"{time.time_ns()}.dsrun") as session:
            session.watching = False
            yield lambda: session._worker.cpu_ns

    @contextlib.contextmanager
    def budget() -> Iterator[Callable[[], int]]:
        watching.watching = True
        yield lambda: watching._worker.cpu_ns
        watching.watching = False
        hooks._remove_hooks()

    return {
        "bare": bare,
        "control: bare as well": bare,
        "deepseek budget=0.05": budget,
        "deepseek attached, not watching": attached,
    }


def _windows(times: list[float]) -> list[float]:
    """Duration of every 50 steps in a row; the first ones, in which everything is cold, are left out."""
    width = WINDOW // TURN
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

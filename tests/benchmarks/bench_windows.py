"""What watching costs over windows of 50 steps: with the default budget, and attached without watching.

The contestants take turns every few steps within each window, so that whatever slows the machine slows them all. Each
has a copy of the model of its own, and where a copy lies in memory makes a few percent: so all run bare for a while
before the sessions begin and after they end, and a copy's time is related to its own bare time. A second bare model is
the control: its ratios show what is noise, and as independent noise adds in squares, its share is taken out of the
95th percentile (the raw one is reported as well). The CPU time of the session's worker, which may fall into another
contestant's turn, is added to the session's own; it wakes as many times a step as it would if nobody else trained.
"""

import os
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import torch
from bench_models import gpt, lstm, mlp, resnet

import deepseek
from deepseek.inspector import worker

WINDOW = 50

CHUNK = 5
"""Steps of one turn."""

MODELS = {
    "gpt_6x256_8x128_tokens": (gpt, 32, None),
    "resnet18_32x3x32x32": (resnet, 24, None),
    "lstm_2x128_64x32": (lstm, 80, 1),
    "mlp_20x64": (mlp, 400, 1),
}
"""Model, turns of each contestant (half as many bare ones come before and after) and threads, None for all. On two, the
small models wait for each other's threads so often that windows of bare steps differ by a third."""

CONTROL = "control: bare as well"

CONTESTANTS = {
    "bare": None,
    CONTROL: None,
    "deepseek budget=0.05": True,
    "deepseek attached, not watching": False,
}
"""Whether a session watches; None without a session."""

Times = dict[str, list[float]]

worker.PACE_S *= len(CONTESTANTS)


def run() -> dict[str, Any]:
    """Measure every model."""
    return {name: _measure(*arguments) for name, arguments in MODELS.items()}


def _measure(make: Callable[[], Any], turns: int, threads: int | None) -> dict[str, Any]:
    torch.set_num_threads(threads or os.cpu_count() or 1)
    copies = {name: _Copy(make, watching) for name, watching in CONTESTANTS.items()}
    bare = _times(copies, turns // 4)
    with tempfile.TemporaryDirectory() as folder:
        for copy in copies.values():
            copy.attach(Path(folder))
        times = _times(copies, turns)
        for copy in copies.values():
            copy.close()
    bare = {
        name: [*before, *after]
        for (name, before), after in zip(bare.items(), _times(copies, turns // 4).values(), strict=True)
    }
    places = {name: median(a / b for a, b in zip(bare[name], bare["bare"], strict=True)) for name in copies}
    windows = {name: _windows(measured) for name, measured in times.items()}
    ratios = {
        name: [a / b / places[name] for a, b in zip(windows[name], windows["bare"], strict=True)]
        for name in CONTESTANTS
    }
    result = {name: _statistics(ratios[name], ratios[CONTROL]) for name in CONTESTANTS if name != "bare"}
    step_ms = round(median(times["bare"]) / CHUNK * 1e3, 3)
    return {"bare_step_ms": step_ms, "threads": torch.get_num_threads()} | result


def _times(copies: dict[str, "_Copy"], turns: int) -> Times:
    times: Times = {name: [] for name in copies}
    order = random.Random(0)
    for _ in range(turns):
        for name in order.sample(list(copies), len(copies)):
            times[name].append(copies[name].turn())
    return times


class _Copy:
    """A contestant's own copy of the model."""

    def __init__(self, make: Callable[[], Any], watching: bool | None) -> None:
        torch.manual_seed(0)
        self._model, self._loss = make()
        self._optimizer = torch.optim.SGD(self._model.parameters(), lr=1e-3)
        self._watching = watching
        self._session: Any = None
        self._worker_ns = 0

    def attach(self, folder: Path) -> None:
        if self._watching is not None:
            self._session = deepseek.inspect(self._model, self._optimizer, run=folder / f"{time.time_ns()}.dsrun")
            self._session.watching = self._watching
            self._worker_ns = 0

    def close(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None

    def turn(self) -> float:
        """Seconds of CHUNK steps."""
        started = time.perf_counter()
        for _ in range(CHUNK):
            self._optimizer.zero_grad()
            self._loss(self._model).backward()
            self._optimizer.step()
        elapsed = time.perf_counter() - started
        before, self._worker_ns = self._worker_ns, self._session._worker.cpu_ns if self._session else 0
        return elapsed + max(self._worker_ns - before, 0) / 1e9


def _windows(times: list[float]) -> list[float]:
    """Duration of every 50 steps in a row; the first ones, in which everything is cold, are left out."""
    width = WINDOW // CHUNK
    return [sum(times[start : start + width]) for start in range(width, len(times) - width + 1)]


def _statistics(ratios: list[float], control: list[float]) -> dict[str, float]:
    low, high = _percentiles(ratios)
    middle, noise = median(ratios), _percentiles(control)[1] - median(control)
    return {
        "median": round(middle, 4),
        "percentile_5": round(low, 4),
        "percentile_95": round(high, 4),
        "percentile_95_without_noise": round(middle + max((high - middle) ** 2 - noise**2, 0.0) ** 0.5, 4),
        "windows": len(ratios),
    }


def _percentiles(ratios: list[float]) -> tuple[float, float]:
    """The 5th and the 95th."""
    twentieths = quantiles(ratios, n=20)
    return twentieths[0], twentieths[-1]

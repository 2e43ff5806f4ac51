"""What watching costs over windows of 50 steps: with the default budget, and attached without watching.

The contestants take turns every few steps within each window, so that whatever slows the machine slows them all. Each
has a copy of the model of its own, and where a copy lies in memory makes a few percent: so all run bare for a while
before the sessions begin and after they end, and a copy's time is related to its own bare time. A second bare model is
the control: its ratios show what is noise, and as independent noise adds in squares, its share is taken out of the
95th percentile (the raw one is reported as well). The CPU time of the session's worker, which may fall into another
contestant's turn, is added to the session's own; it wakes as many times a step as it would if nobody else trained.
"""

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import torch
from bench_models import gpt, lstm, mlp, resnet
from contestants import BARE, Copy, places, take_turns

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
    BARE: None,
    CONTROL: None,
    "deepseek budget=0.05": True,
    "deepseek attached, not watching": False,
}
"""Whether a session watches; None without a session."""


def run() -> dict[str, Any]:
    """Measure every model."""
    pace = worker.PACE_S
    worker.PACE_S = pace * len(CONTESTANTS)
    try:
        return {name: _measure(*arguments) for name, arguments in MODELS.items()}
    finally:
        worker.PACE_S = pace


def _measure(make: Callable[[], Any], turns: int, threads: int | None) -> dict[str, Any]:
    torch.set_num_threads(threads or os.cpu_count() or 1)
    copies = {name: _Copy(make, watching) for name, watching in CONTESTANTS.items()}
    chunks = {name: copy.chunk for name, copy in copies.items()}
    before = take_turns(chunks, turns // 4)
    with tempfile.TemporaryDirectory() as folder:
        for copy in copies.values():
            copy.attach(Path(folder))
        times = take_turns(chunks, turns)
        for copy in copies.values():
            copy.close()
    after = take_turns(chunks, turns // 4)
    place = places({name: before[name] + after[name] for name in copies})
    windows = {name: _windows(measured) for name, measured in times.items()}
    ratios = {
        name: [a / b / place[name] for a, b in zip(windows[name], windows[BARE], strict=True)] for name in CONTESTANTS
    }
    result = {name: _statistics(ratios[name], ratios[CONTROL]) for name in CONTESTANTS if name != BARE}
    step_ms = round(median(times[BARE]) / CHUNK * 1e3, 3)
    return {"bare_step_ms": step_ms, "threads": torch.get_num_threads()} | result


class _Copy(Copy):
    """A copy that a session may watch."""

    def __init__(self, make: Callable[[], Any], watching: bool | None) -> None:
        super().__init__(make)
        self._watching = watching
        self._session: Any = None
        self._worker_ns = 0

    def attach(self, folder: Path) -> None:
        """Begin the session, if there is to be one."""
        if self._watching is not None:
            self._session = deepseek.inspect(self.model, self.optimizer, run=folder / f"{time.time_ns()}.dsrun")
            self._session.watching = self._watching
            self._worker_ns = 0

    def close(self) -> None:
        """End the session."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def chunk(self) -> float:
        """Seconds of CHUNK steps, and of the worker since the chunk before."""
        started = time.perf_counter()
        for _ in range(CHUNK):
            self.step()
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

"""What watching costs over windows of 50 steps: with the default budget, and attached without watching.

The contestants are states of one and the same copy of a model, as another copy's place in memory alone makes a few
percent. They take turns every few steps within each window, so that whatever slows the machine slows them all. A second
bare contestant is the control: its ratios show what is noise, and as independent noise adds in squares, its share is
taken out of the 95th percentile (the raw one is reported as well).

Attached without watching is compared with no session at all; watching with attached, because a session must live on to
keep its account of steps. The CPU time of the session's worker, which may fall into another contestant's turn, is added
to the session's own; it wakes as many times a step as it would if nobody else trained.
"""

import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import torch
from bench_models import gpt, lstm, mlp, resnet
from contestants import BARE, Copy, Times, take_turns

import deepseek
from deepseek.inspector import worker

WINDOW = 50

CHUNK = 5
"""Steps of one turn."""

MODELS = {
    "gpt_6x256_8x128_tokens": (gpt, 30, None),
    "resnet18_32x3x32x32": (resnet, 24, None),
    "lstm_2x128_64x32": (lstm, 160, 1),
    "mlp_20x64": (mlp, 500, 1),
}
"""Model, turns of each contestant and threads, None for all. On two, the
small models wait for each other's threads so often that windows of bare steps differ by a third."""

SETTLING_S = 0.1
"""After a session came or went; what opening it costs is no cost of being attached."""

ATTACHED_TURNS = 60
"""At most; as many windows again would not tell more about what is the same in each step."""

CONTROL = "control: not watching either"
WATCHING = "deepseek budget=0.05"
ATTACHED_CONTROL = "control: no session either"
ATTACHED = "deepseek attached, not watching"


def run() -> dict[str, Any]:
    """Measure every model."""
    return {name: _measure(*arguments) for name, arguments in MODELS.items()}


def _measure(make: Callable[[], Any], turns: int, threads: int | None) -> dict[str, Any]:
    torch.set_num_threads(threads or os.cpu_count() or 1)
    with tempfile.TemporaryDirectory() as folder:
        copy = _Copy(make, Path(folder))
        attached = copy.attached_in_turns(min(turns, ATTACHED_TURNS))
        watched = copy.watched_in_turns(turns)
    step_ms = median(attached[BARE]) / CHUNK * 1e3
    result = _compared(watched, CONTROL, WATCHING) | _compared(attached, ATTACHED_CONTROL, ATTACHED)
    return {"bare_step_ms": round(step_ms, 3), "threads": torch.get_num_threads()} | result


class _Copy(Copy):
    """A model that a session may watch."""

    def __init__(self, make: Callable[[], Any], folder: Path) -> None:
        super().__init__(make)
        self._folder = folder

    def watched_in_turns(self, turns: int) -> Times:
        """Seconds of every turn, with one session that watches in its own turns only."""
        pace, worker.PACE_S = worker.PACE_S, worker.PACE_S * 3
        try:
            with self._session() as session:
                used_ns = [session._worker.cpu_ns]

                def turn(watching: bool) -> float:
                    session.watching = watching
                    elapsed = self._chunk()
                    if not watching:
                        return elapsed
                    before, used_ns[0] = used_ns[0], session._worker.cpu_ns
                    return elapsed + (used_ns[0] - before) / 1e9

                states = {BARE: False, CONTROL: False, WATCHING: True}
                return take_turns({name: partial(turn, watching) for name, watching in states.items()}, turns)
        finally:
            worker.PACE_S = pace

    def attached_in_turns(self, turns: int) -> Times:
        """Seconds of every turn, with a session that comes and goes and never watches."""

        def bare() -> float:
            time.sleep(SETTLING_S)
            self.step()
            return self._chunk()

        def attached() -> float:
            with self._session() as session:
                session.watching = False
                session.flush()
                return bare()

        return take_turns({BARE: bare, ATTACHED_CONTROL: bare, ATTACHED: attached}, turns)

    def _session(self) -> deepseek.Session:
        return deepseek.inspect(self.model, self.optimizer, run=self._folder / f"{time.time_ns()}.dsrun")

    def _chunk(self) -> float:
        started = time.perf_counter()
        for _ in range(CHUNK):
            self.step()
        return time.perf_counter() - started


def _compared(times: Times, control: str, contestant: str) -> dict[str, Any]:
    noise = _ratios(times, control)
    return {name: _statistics(_ratios(times, name), noise) for name in (control, contestant)}


def _ratios(times: Times, name: str) -> list[float]:
    return [a / b for a, b in zip(_windows(times[name]), _windows(times[BARE]), strict=True)]


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

"""What watching costs over windows of 50 steps: with the default budget, and attached without watching.

The contestants are states of one and the same copy of a model, as another copy's place in memory alone makes a few
percent. They take turns every few steps within each window, so that whatever slows the machine slows them all. A second
bare contestant is the control: its ratios show what is noise, and as independent noise adds in squares, its share is
taken out of the 95th percentile (the raw one is reported as well).

Attached without watching is compared with no session at all; watching with attached, because a session must live on to
keep its account of steps. The session's worker is woken in the session's own turns only, as often by the time watched
as it wakes by itself. The step after each change of state, in which hooks come and go, is left out.
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

MODELS = {
    "gpt_6x256_8x128_tokens": (gpt, 5, 30, None),
    "resnet18_32x3x32x32": (resnet, 5, 24, None),
    "lstm_2x128_64x32": (lstm, 5, 160, 1),
    "mlp_20x64": (mlp, 5, 500, 1),
}
"""Model, steps of a turn, turns of each contestant, and threads, None for all. On two, the
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


def _measure(make: Callable[[], Any], steps: int, turns: int, threads: int | None) -> dict[str, Any]:
    torch.set_num_threads(threads or os.cpu_count() or 1)
    with tempfile.TemporaryDirectory() as folder:
        copy = _Copy(make, steps, Path(folder))
        attached = copy.attached_in_turns(min(turns, ATTACHED_TURNS))
        watched = copy.watched_in_turns(turns)
    step_ms = median(attached[BARE]) / steps * 1e3
    width = WINDOW // steps
    result = _compared(watched, CONTROL, WATCHING, width) | _compared(attached, ATTACHED_CONTROL, ATTACHED, width)
    return {"bare_step_ms": round(step_ms, 3), "threads": torch.get_num_threads()} | result


class _Copy(Copy):
    """A model that a session may watch."""

    def __init__(self, make: Callable[[], Any], steps: int, folder: Path) -> None:
        super().__init__(make)
        self._steps = steps
        self._folder = folder

    def watched_in_turns(self, turns: int) -> Times:
        """Seconds of every turn, with one session that watches in its own turns only."""
        pace, worker.PACE_S = worker.PACE_S, 3600.0
        try:
            with self._session() as session:
                watched_s = [0.0]

                def turn(watching: bool) -> float:
                    session.watching = watching
                    self.step()
                    if watching and watched_s[0] > pace:
                        watched_s[0] = 0.0
                        session._worker._hurry.set()
                    elapsed = self._chunk()
                    watched_s[0] += elapsed * watching
                    return elapsed

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
        for _ in range(self._steps):
            self.step()
        return time.perf_counter() - started


def _compared(times: Times, control: str, contestant: str, width: int) -> dict[str, Any]:
    noise = _ratios(times, control, width)
    return {name: _statistics(_ratios(times, name, width), noise) for name in (control, contestant)}


def _ratios(times: Times, name: str, width: int) -> list[float]:
    return [a / b for a, b in zip(_windows(times[name], width), _windows(times[BARE], width), strict=True)]


def _windows(times: list[float], width: int) -> list[float]:
    """Duration of every ``width`` turns in a row; the first ones, in which everything is cold, are left out."""
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

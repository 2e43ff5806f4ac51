"""What watching costs over windows of 50 steps: with the default budget, and attached without watching.

The contestants are states of one and the same copy of a model, as another copy's place in memory alone makes a few
percent. They take turns every few steps within each window, so that whatever slows the machine slows them all. A second
bare contestant is the control: its ratios show what is noise, and as independent noise adds in squares, its share is
taken out of the 95th percentile (the raw one is reported as well).

A session that watches takes turns with one that does not, because it must live on to keep its account of steps. Its
worker is woken in the session's own turns only, as often by the time watched as it wakes by itself. A session that does
not watch leaves one hook on the optimizer, and its worker looks five times a second whether there is work: the hook
comes and goes in turns, and the worker's processor time is given beside. The step after each change of state, in which
hooks come and go, is left out.
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
        attached, share = copy.attached_in_turns(2 * turns)
        watched = copy.watched_in_turns(turns)
    step_ms = median(attached[BARE]) / steps * 1e3
    width = WINDOW // steps
    result = _compared(watched, CONTROL, WATCHING, width) | _compared(attached, ATTACHED_CONTROL, ATTACHED, width)
    facts = {
        "bare_step_ms": round(step_ms, 3),
        "threads": torch.get_num_threads(),
        "idle_worker_share": round(share, 6),
    }
    return facts | result


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

    def attached_in_turns(self, turns: int) -> tuple[Times, float]:
        """Seconds of every turn, with and without what a session that does not watch leaves; its worker's share."""
        with self._session() as session:
            session.watching = False
            session.flush()
            hooks = self.optimizer._optimizer_step_post_hooks
            (own,) = hooks.items()

            def turn(attached: bool) -> float:
                hooks.clear()
                hooks.update([own] if attached else [])
                self.step()
                return self._chunk()

            started, used = time.perf_counter(), session._worker.cpu_ns
            states = {BARE: False, ATTACHED_CONTROL: False, ATTACHED: True}
            times = take_turns({name: partial(turn, attached) for name, attached in states.items()}, turns)
            return times, (session._worker.cpu_ns - used) / 1e9 / (time.perf_counter() - started)

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

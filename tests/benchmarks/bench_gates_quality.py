"""How good gated networks are, beside a dense one and a narrower dense one of equal latency: four tasks, five seeds.

Latency is the processor's time for 4,000 test samples as one batch, on one thread, gated and dense networks
taking turns in one process. The narrower network is the smallest one, in steps of a sixteenth, that is no faster than
the gated one with half of its blocks active (sensors: one of eight).
"""

import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from statistics import mean, median, stdev
from typing import Any

import torch
from contestants import take_turns
from gated_quality import trial_of, trial_of_kinds
from gated_tasks import SENSORS_TASK, TASKS, Task
from torch import nn

from deepseek.kernels import calibrate_gates, cluster_gates

SEEDS = 5

ROWS = 4000

ROUNDS = 15

STEPS = 16


def run() -> dict[str, Any]:
    """Measure everything.

    Returns:
        Under ``by_task``, for each task: mean and standard deviation over the seeds of what ``trial`` tells; under
        ``trials`` the single values; under ``narrower`` the hidden units of the narrower network, None where the gated
        one is no faster than its dense twin, and the milliseconds of all.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        latencies = {
            name: _equally_fast(task, lambda gated, x: calibrate_gates(gated, [x], target=0.5))
            for name, task in TASKS.items()
        }
        latencies["sensors"] = _equally_fast(SENSORS_TASK, lambda gated, x: cluster_gates(gated, [x]))
    finally:
        torch.set_num_threads(before)
    wanted = [(name, seed, latencies[name]["hidden"]) for name in TASKS for seed in range(SEEDS)]
    with ProcessPoolExecutor(mp_context=get_context("spawn"), initializer=torch.set_num_threads, initargs=(1,)) as pool:
        found = list(pool.map(trial_of, *zip(*wanted, strict=True)))
        by_kind = list(pool.map(trial_of_kinds, range(SEEDS), [latencies["sensors"]["hidden"]] * SEEDS))
    trials = {name: found[place * SEEDS : (place + 1) * SEEDS] for place, name in enumerate(TASKS)}
    trials["sensors"] = by_kind
    return {
        "seeds": list(range(SEEDS)),
        "by_task": {name: _summary(rows) for name, rows in trials.items()},
        "narrower": latencies,
        "trials": trials,
    }


def _equally_fast(task: Task, set_gates: Callable[[nn.Module, torch.Tensor], object]) -> dict[str, Any]:
    torch.manual_seed(0)
    x = task.make(0).x
    x = x[:: max(len(x) // ROWS, 1)][:ROWS]
    gated = task.net().eval()
    set_gates(gated, x)
    widths = [task.hidden * step // STEPS for step in range(1, STEPS + 1)]
    contestants = {"gated": gated} | {str(hidden): task.net(hidden, gated=False).eval() for hidden in widths}
    turns = {name: lambda model=model: _milliseconds(model, x) for name, model in contestants.items()}
    take_turns(turns, 3)  # the first ones are not like the others
    ms = {name: round(median(times), 2) for name, times in take_turns(turns, ROUNDS).items()}
    hidden = next((hidden for hidden in widths[:-1] if ms[str(hidden)] >= ms["gated"]), None)
    return {"hidden": hidden, "rows": len(x), "ms": ms}


def _milliseconds(model: nn.Module, x: torch.Tensor) -> float:
    started = time.thread_time()
    with torch.no_grad():
        model(x)
    return 1e3 * (time.thread_time() - started)


def _summary(rows: list[dict[str, float]]) -> dict[str, dict[str, Any]]:
    return {title: _cell(name, [row[name] for row in rows]) for name, title in _TITLES.items() if name in rows[0]}


_TITLES = {
    "dense": "accuracy of the dense network, %",
    "narrower": "of a dense one as fast as the gated one, %",
    "gated": "of the gated one, %",
    "shuffled": "of the gated one, each input with the blocks of another, %",
    "share": "active blocks, %",
    "easy": "on the easiest tenth, %",
    "hard": "on the hardest tenth, %",
    "spearman": "Spearman of share and difficulty",
}


def _cell(name: str, values: list[float]) -> dict[str, Any]:
    scale, digits = (100, 0) if name in ("share", "easy", "hard") else (1, 2 if name == "spearman" else 1)
    middle, spread = scale * mean(values), scale * stdev(values)
    return {
        "mean": round(middle, 3),
        "stdev": round(spread, 3),
        "text": f"{middle:.{digits}f} ± {spread:.{digits}f}",
    }

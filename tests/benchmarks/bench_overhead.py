"""What watching costs: the step time with each tool, relative to the bare step, interleaved in one process."""

import contextlib
import gc
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import torch
from bench_models import gpt, mlp, resnet
from contestants import BARE, Copy, Times, places, take_turns
from torch import nn

import deepseek
from deepseek.inspector.session import WATCHED_KINDS

Step = Callable[[], None]
Ratios = dict[str, dict[str, float]]
Watch = Callable[[nn.Module, torch.optim.Optimizer, Path], "contextlib.AbstractContextManager[Any]"]

_WITHOUT_UNITS = [kind for kind in WATCHED_KINDS if kind != "unit"]

MODELS = {"gpt_6x256_8x128_tokens": (gpt, 2, 60), "resnet18_32x3x32x32": (resnet, 2, 30), "mlp_20x64": (mlp, 30, 20)}
"""Model, steps per block, rounds."""


@contextlib.contextmanager
def _bare(model: nn.Module, optimizer: Any, folder: Path) -> Iterator[Step]:
    yield lambda: None


def _deepseek(**arguments: Any) -> Watch:
    @contextlib.contextmanager
    def watch(model: nn.Module, optimizer: Any, folder: Path) -> Iterator[Step]:
        with deepseek.inspect(model, optimizer, run=folder / f"{time.time_ns()}.dsrun", **arguments) as session:
            yield session.flush

    return watch


@contextlib.contextmanager
def _wandb(model: nn.Module, optimizer: Any, folder: Path) -> Iterator[Step]:
    os.environ |= {"WANDB_MODE": "offline", "WANDB_DIR": str(folder), "WANDB_SILENT": "true"}
    import wandb

    run = wandb.init(project="bench", mode="offline", dir=str(folder))
    wandb.watch(model, log="all", log_freq=1)
    handle = optimizer.register_step_post_hook(lambda *_: run.log({"step": 1}))
    yield lambda: None
    handle.remove()
    wandb.unwatch(model)
    run.finish()


@contextlib.contextmanager
def _tensorboard(model: nn.Module, optimizer: Any, folder: Path) -> Iterator[Step]:
    from torch.utils.tensorboard import SummaryWriter

    writer, count = SummaryWriter(str(folder)), [0]
    handles = []
    for name, module in model.named_modules():
        if next(module.children(), None) is None:
            handles.append(
                module.register_forward_hook(
                    lambda _m, _a, out, name=name: writer.add_histogram(f"activation/{name}", out.detach(), count[0])
                )
            )

    def gradients(*_: Any) -> None:
        for name, parameter in model.named_parameters():
            writer.add_histogram(f"gradient/{name}", parameter.grad, count[0])
        count[0] += 1

    handles.append(optimizer.register_step_post_hook(gradients))
    yield lambda: None
    for handle in handles:
        handle.remove()
    writer.close()


OURS: dict[str, Watch] = {
    "deepseek every=1": _deepseek(every=1, kinds=_WITHOUT_UNITS),
    "deepseek every=1, with per-unit health": _deepseek(every=1),
    "deepseek budget=0.05": _deepseek(),
}

PEERS: dict[str, Watch] = {
    "wandb.watch(log='all', log_freq=1)": _wandb,
    "TensorBoard histograms of activations and gradients": _tensorboard,
}


def run() -> dict[str, Any]:
    """Measure every model with every tool that is installed."""
    return {name: _compare(*MODELS[name]) for name in MODELS}


def _compare(make: Callable[[], Any], steps: int, rounds: int) -> dict[str, Any]:
    # The peers leave threads and cold caches behind, which would slow whoever comes next: a group of their own.
    ours, result = _measure(make, OURS, steps, rounds)
    _, peers = _measure(make, dict(_installed()), steps, rounds // 3)
    result |= {name: measured for name, measured in peers.items() if name != "bare"}
    if (torchlens := _torchlens(make, ours["bare"])) is not None:
        result["TorchLens trace (forward only, relative to the whole bare step)"] = torchlens
    return result


def _measure(make: Callable[[], Any], watchers: dict[str, Watch], steps: int, rounds: int) -> tuple[Times, Ratios]:
    """Times of each tool and of the bare step, and their ratios.

    Each has a copy of the model of its own, and where a copy lies in memory makes a few percent: so all run bare first.
    """
    tools = {BARE: _bare} | watchers
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        copies = {name: _Copy(make, steps) for name in tools}
        blocks = {name: copy.block for name, copy in copies.items()}
        gc.collect()
        take_turns(blocks, 1)  # the first steps are not like the others
        bare = take_turns(blocks, rounds)
        for name, watch in tools.items():
            stack.enter_context(copies[name].watched(watch, Path(folder)))
        take_turns(blocks, 1)  # nor the first ones under a tool
        times = take_turns(blocks, rounds)
    place = places(bare)
    return times, {name: _ratio(times[name], times[BARE], place[name]) for name in tools}


class _Copy(Copy):
    """A copy that a tool may watch."""

    def __init__(self, make: Callable[[], Any], steps: int) -> None:
        super().__init__(make)
        self._steps = steps
        self._settle: Step = lambda: None

    @contextlib.contextmanager
    def watched(self, watch: Watch, folder: Path) -> Iterator[None]:
        """Have a tool watch the model."""
        with watch(self.model, self.optimizer, folder) as self._settle:
            yield

    def block(self) -> float:
        """Milliseconds per step, measured over several."""
        self.step()
        started = time.perf_counter()
        for _ in range(self._steps):
            self.step()
        elapsed = (time.perf_counter() - started) / self._steps
        self._settle()
        return elapsed * 1e3


def _installed() -> Iterator[tuple[str, Watch]]:
    for name, watch in PEERS.items():
        package = {_wandb: "wandb", _tensorboard: "tensorboard"}.get(watch)
        with contextlib.suppress(ImportError):
            if package:
                __import__(package)
            yield name, watch


def _torchlens(make: Callable[[], Any], bare: list[float]) -> dict[str, float] | None:
    try:
        import torchlens
    except ImportError:
        return None
    torch.manual_seed(0)
    model, loss = make()
    captured: list[torch.Tensor] = []
    model.register_forward_pre_hook(lambda _module, inputs: captured.extend(inputs))
    loss(model)
    inputs = captured[0]
    fresh, _ = make()
    times = []
    for _ in range(3):
        started = time.perf_counter()
        torchlens.trace(fresh, inputs)
        times.append((time.perf_counter() - started) * 1e3)
    return _ratio(times, bare)


def _ratio(measured: list[float], bare: list[float], place: float = 1.0) -> dict[str, float]:
    paired = [m / b / place for m, b in zip(measured, bare, strict=False)]
    low, _, high = quantiles(paired, n=4)
    return {
        "ms": round(median(measured), 3),
        "ratio": round(median(paired), 3),
        "quartile_low": round(low, 3),
        "quartile_high": round(high, 3),
    }

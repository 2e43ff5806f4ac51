"""What watching costs on a GPU, and what sparse gates save there; needs a CUDA device.

Contestants take turns in one process; the device is waited for before each look at the clock.
"""

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import torch
import torch.nn.functional as F
from contestants import take_turns
from torch import Tensor, nn
from zoo import GPT, MLP, ResNet18

from deepseek.inspector import inspect
from deepseek.kernels import SparseFeedForward, calibrate_gates
from deepseek.kernels.summary import reference_row, summarize_row

WINDOW = 50
"""Steps whose time is taken together."""

SESSIONS, WINDOWS = 3, 5
"""Sessions that come and go, and windows of each that are measured; one before them is not."""

SHARES = (0.3, 0.5, 0.7, 1.0)

LAYERS = ((768, 3072, 512), (768, 3072, 4096), (768, 3072, 16384), (4096, 16384, 512), (4096, 16384, 4096))
"""Width, hidden units, rows."""

SIZES = (512, 1_000_000, 30_000_000)


def run() -> dict[str, Any]:
    """Measure everything.

    Returns:
        Under ``watching``, by model: milliseconds of a bare step and how much longer watched ones take. Under
        ``summaries``, by number of elements: microseconds of one row. Under ``feed_forward``, by share: speed-up of the
        executor ``triton`` over the dense layer, its gate included.
    """
    torch.manual_seed(0)
    return {
        "gpu": torch.cuda.get_device_name(),
        "watching": {name: _watching(make) for name, make in MODELS.items()},
        "summaries": {f"{size:,} elements": _summaries(size) for size in SIZES},
        "feed_forward": {f"{share:.0%} active": _feed_forward(share) for share in SHARES},
    }


def _gpt() -> tuple[nn.Module, Callable[[nn.Module], Tensor]]:
    tokens = torch.randint(8192, (16, 256), device="cuda")
    model = GPT(layers=8, width=512, heads=8, vocabulary=8192, length=256)
    return model, lambda model: F.cross_entropy(model(tokens).flatten(0, 1), tokens.flatten())


def _resnet() -> tuple[nn.Module, Callable[[nn.Module], Tensor]]:
    x, y = torch.randn(256, 3, 32, 32, device="cuda"), torch.randint(10, (256,), device="cuda")
    return ResNet18(), lambda model: F.cross_entropy(model(x), y)


def _mlp() -> tuple[nn.Module, Callable[[nn.Module], Tensor]]:
    x, y = torch.randn(512, 512, device="cuda"), torch.randint(10, (512,), device="cuda")
    return MLP(width=512, depth=6), lambda model: F.cross_entropy(model(x), y)


MODELS = {
    "GPT, 8 layers of 512, 16 x 256 tokens": _gpt,
    "ResNet-18, 256 pictures of 32x32": _resnet,
    "MLP, 6 layers of 512, 512 rows": _mlp,
}


def _watching(make: Callable[[], tuple[nn.Module, Callable[[nn.Module], Tensor]]]) -> dict[str, Any]:
    model, loss = make()
    model = model.cuda()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)

    def window(steps: int = WINDOW) -> float:
        torch.cuda.synchronize()
        started = time.perf_counter()
        for _ in range(steps):
            optimizer.zero_grad()
            loss(model).backward()
            optimizer.step()
        torch.cuda.synchronize()
        return 1e3 * (time.perf_counter() - started) / steps

    bare, watched, close = [], [], []
    window()
    with TemporaryDirectory() as folder:
        for number in range(SESSIONS):
            bare += [window() for _ in range(2)]
            with inspect(model, optimizer, run=Path(folder) / f"{number}.dsrun"):
                window()
                watched += [window() for _ in range(WINDOWS)]
            with inspect(model, optimizer, every=1, run=Path(folder) / f"{number}-all.dsrun"):
                window(2)
                close.append(window(5))
    middle = median(bare)
    return {
        "milliseconds of a step": {"text": f"{middle:.1f}"},
        "median of 50 watched steps": {"text": f"{median(watched) / middle:.3f}"},
        "the slowest 50 of them": {"text": f"{max(watched) / middle:.3f}"},
        "the slowest 50 unwatched ones": {"text": f"{max(bare) / middle:.3f}"},
        "every step observed (`every=1`)": {"text": f"{median(close) / middle:.1f}"},
    }


def _summaries(size: int) -> dict[str, Any]:
    x = torch.randn(size, device="cuda")
    times = take_turns(
        {"row": lambda: _us(lambda: summarize_row(x)), "torch": lambda: _us(lambda: reference_row(x))}, 7
    )
    copied = min(_us(lambda: x.clone()) for _ in range(5))
    return {
        "Triton, microseconds": {"text": f"{median(times['row']):.0f}"},
        "torch": {"text": f"{median(times['torch']):.0f}"},
        "a copy of the tensor": {"text": f"{copied:.0f}"},
    }


def _feed_forward(share: float) -> dict[str, Any]:
    found = {}
    for dtype in (torch.float32, torch.bfloat16):
        for width, hidden, rows in LAYERS:
            layer = SparseFeedForward(width, hidden, executor="triton").to("cuda", dtype).eval()
            dense = (
                nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width)).to("cuda", dtype).eval()
            )
            x = torch.randn(rows, width, device="cuda", dtype=dtype)
            if share < 1:
                calibrate_gates(layer, [x], target=share)
            else:
                layer.gate.open_all()
            found[f"{str(dtype)[6:]}, {width} to {hidden}, {rows:,} rows"] = _compare(layer, dense, x)
    return found


def _compare(layer: nn.Module, dense: nn.Module, x: Tensor) -> dict[str, Any]:
    with torch.no_grad():
        times = take_turns({"gated": lambda: _us(lambda: layer(x)), "dense": lambda: _us(lambda: dense(x))}, 7)
    speedup = median(times["dense"]) / median(times["gated"])
    return {"speedup": speedup, "dense_us": median(times["dense"]), "text": f"{speedup:.2f}"}


def _us(action: Callable[[], object], calls: int = 10) -> float:
    """Microseconds of one call of several that are waited for together."""
    action()
    torch.cuda.synchronize()
    started = time.perf_counter()
    for _ in range(calls):
        action()
    torch.cuda.synchronize()
    return 1e6 * (time.perf_counter() - started) / calls

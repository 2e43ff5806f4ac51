"""What sparse gates save on the clock, against the dense twin in the same process.

Both take turns within each round. Gates are real: their thresholds are calibrated to the wanted share on inputs like
those that are measured, and what was active in the measured forwards is reported beside the speed-up.
"""

import time
from collections.abc import Callable
from statistics import median, quantiles
from typing import Any

import torch
from contestants import take_turns
from torch import Tensor, nn
from zoo import ResNet18

from deepseek.kernels import SparseFeedForward, SparseGate, active_frac, calibrate_gates, dsa_resnet18, forced_share

SHARES = (0.3, 0.5, 0.7)

WIDTH, HIDDEN, BLOCKS = 768, 3072, 8

ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 512)
"""Batch sizes at which the gated layer must not be slower than the dense one."""

ONE_ROW_INPUTS = 64
"""Different rows that are measured one by one, because each activates blocks of its own."""

PICTURES = 32

Result = dict[str, Any]


def run() -> dict[str, Any]:
    """Measure everything.

    Returns:
        Under ``feed_forward``, ``never_slower`` and ``resnet18``, by case and share: the speed-up over the dense twin
        (median of the rounds and quartiles), the share that was active, and the speed-up if only what is active took
        time. Under ``bounds``: milliseconds of the parts of a gated network.
    """
    torch.manual_seed(0)
    with torch.no_grad():
        return {
            "feed_forward": {_percent(share): _feed_forward(share) for share in SHARES},
            "never_slower": {_percent(share): _batch_sizes(share) for share in (0.5, 0.9, 1.0)},
            "resnet18": {_percent(share): _resnet(share) for share in SHARES},
            "bounds": _bounds(),
        }


def _percent(share: float) -> str:
    return f"{share:.0%} active"


def _gated_layer(share: float) -> SparseFeedForward:
    layer = SparseFeedForward(WIDTH, HIDDEN, blocks=BLOCKS).eval()
    calibrate_gates(layer, [torch.randn(2048, WIDTH)], target=share)
    return layer


def _dense_layer() -> nn.Module:
    return nn.Sequential(nn.Linear(WIDTH, HIDDEN), nn.GELU(), nn.Linear(HIDDEN, WIDTH)).eval()


def _feed_forward(share: float) -> Result:
    gated, dense = _gated_layer(share), _dense_layer()
    single, many = list(torch.randn(ONE_ROW_INPUTS, 1, WIDTH)), [torch.randn(512, WIDTH) for _ in range(2)]
    return {
        "1 row": _compare(gated, dense, single, rounds=60),
        "512 rows": _compare(gated, dense, many, rounds=40),
    }


def _batch_sizes(share: float) -> Result:
    gated, dense = _gated_layer(share), _dense_layer()
    results = {}
    for rows in ROWS:
        inputs = [torch.randn(rows, WIDTH) for _ in range(max(32 // rows, 1))]
        results[f"{rows} rows"] = _compare(gated, dense, inputs, rounds=40) | {"executor": gated.executed}
    return results


def _resnet(share: float) -> Result:
    """Both networks get what is fastest for them: pictures, and the dense one its weights, in channels last."""
    gated, dense = dsa_resnet18().eval(), ResNet18().eval().to(memory_format=torch.channels_last)
    inputs = torch.randn(PICTURES, 3, 32, 32).contiguous(memory_format=torch.channels_last)
    _open(gated, inputs, share)
    return {
        "batch 1": _compare(gated, dense, list(inputs.split(1)), rounds=10),
        "batch 32": _compare(gated, dense, [inputs], rounds=20),
    }


def _open(model: nn.Module, inputs: Tensor, share: float) -> None:
    """Set the gates of a network with random weights so that on these pictures they open just this share on average.

    Each gate's scores are standardised, so that pictures get different widths, and its threshold is put between two of
    its values; what rounding to whole blocks leaves over is made good by the next gate.
    """
    left_over = 0.0

    def settle(gate: SparseGate, arguments: tuple[Tensor, ...]) -> None:
        nonlocal left_over
        scores = arguments[0] @ gate.weight[0]
        gate.weight /= scores.std()
        gate.bias[0] -= scores.mean() / scores.std()
        values = gate.gates(arguments[0]).flatten().sort(descending=True).values
        wanted = share * len(values) + left_over
        count = round(wanted)
        left_over = wanted - count
        gate.threshold = values[count - 1 : count + 1].mean()

    gates = [module for module in model.modules() if isinstance(module, SparseGate)]
    handles = [gate.register_forward_pre_hook(settle) for gate in gates]
    model(inputs)
    for handle in handles:
        handle.remove()


def _compare(gated: nn.Module, dense: nn.Module, inputs: list[Tensor], rounds: int) -> Result:
    turns = {"gated": lambda: _seconds(gated, inputs), "dense": lambda: _seconds(dense, inputs)}
    take_turns(turns, 3)  # the first ones are not like the others
    times = take_turns(turns, rounds)
    ratios = [slow / fast for slow, fast in zip(times["dense"], times["gated"], strict=True)]
    active = float(torch.cat([active_frac(gated, x) for x in inputs]).mean())
    gated(inputs[-1])  # with packed weights again, and the executor named
    low, _, high = quantiles(ratios, n=4)
    return {
        "speedup": round(median(ratios), 3),
        "quartile_low": round(low, 3),
        "quartile_high": round(high, 3),
        "active_frac": round(active, 3),
        "ideal": round(1 / active, 3),
        "dense_ms": round(median(times["dense"]) / len(inputs) * 1e3, 3),
    }


def _bounds() -> Result:
    """Milliseconds of a gated ResNet-18 for one picture and for 32, by how much of it is open."""
    results = {}
    for batch in (1, 32):
        inputs, model = [torch.randn(batch, 3, 32, 32)], dsa_resnet18().eval()
        turns: dict[str, Callable[[], float]] = {
            f"all gates at {share:.0%}": _forced(model, inputs, share) for share in (0.0, 0.25, 0.5, 0.75, 1.0)
        }
        take_turns(turns, 3)
        measured = take_turns(turns, 15).items()
        results[f"batch {batch}"] = {name: {"ms": round(median(times) * 1e3, 2)} for name, times in measured}
    return results


def _forced(model: nn.Module, inputs: list[Tensor], share: float) -> Callable[[], float]:
    def turn() -> float:
        with forced_share(model, share):
            return _seconds(model, inputs)

    return turn


def _seconds(model: nn.Module, inputs: list[Tensor]) -> float:
    started = time.perf_counter()
    for x in inputs:
        model(x)
    return time.perf_counter() - started

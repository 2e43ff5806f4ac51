"""How often each unit of a layer was active or saturated, counted over a window of observed steps."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn

from deepseek.inspector.probes.probe import Probe
from deepseek.inspector.recorder import Recorder
from deepseek.inspector.tensors import local
from deepseek.kernels.summary import count_live_rows, count_units

FEWEST_SAMPLES = 1000
"""Samples of each unit that a window of an activation function holds, from at least ``FEWEST_PASSES`` forwards."""

FEWEST_PASSES = 5

MOST_CALLS = 100
"""Calls within a step that have a window of their own; further ones are not counted."""

BACKWARD_PASSES = 20
"""Backward passes that a window of a weight holds."""

NEVER = math.inf


class Bounds(NamedTuple):
    """Outputs at which a function is switched off (in the interval) and saturated (at or beyond a limit)."""

    off_low: float = NEVER
    off_high: float = -NEVER
    saturated_low: float = -NEVER
    saturated_high: float = NEVER


BOUNDS: dict[str, Bounds] = {
    "ReLU": Bounds(off_low=0.0, off_high=0.0),
    "SparseGate": Bounds(off_low=0.0, off_high=0.0),
    "ReLU6": Bounds(off_low=0.0, off_high=0.0, saturated_high=6.0),
    "Hardswish": Bounds(off_low=0.0, off_high=0.0),
    "GELU": Bounds(off_low=-1e-3, off_high=1e-3),
    "SiLU": Bounds(off_low=-1e-3, off_high=1e-3),
    "Mish": Bounds(off_low=-1e-3, off_high=1e-3),
    "Softplus": Bounds(off_low=0.0, off_high=1e-3),
    "ELU": Bounds(saturated_low=-0.99),
    "SELU": Bounds(saturated_low=-0.99 * 1.7580993408473766),
    "Sigmoid": Bounds(saturated_low=0.01, saturated_high=0.99),
    "Hardsigmoid": Bounds(saturated_low=0.0, saturated_high=1.0),
    "Tanh": Bounds(saturated_low=-0.99, saturated_high=0.99),
    "Hardtanh": Bounds(saturated_low=-1.0, saturated_high=1.0),
    "Softsign": Bounds(saturated_low=-0.99, saturated_high=0.99),
}
"""By class name, for the default arguments of the class. A rectifier and a gate are off at exactly zero; smooth ones
where neither value nor slope is worth mentioning; bounded ones saturate within 1 % of the limit."""

_CHANNELS_FIRST = ("Conv1d", "ConvTranspose1d", "BatchNorm1d", "InstanceNorm1d", "GroupNorm")


def bounds_of(module: nn.Module) -> Bounds | None:
    """Return the bounds of an activation module, None for any other module."""
    if isinstance(module, nn.Hardtanh) and not isinstance(module, nn.ReLU6):
        return Bounds(saturated_low=module.min_val, saturated_high=module.max_val)
    if isinstance(module, nn.ELU):
        return Bounds(saturated_low=-0.99 * module.alpha)
    return BOUNDS.get(type(module).__name__)


def unit_axis(output: torch.Tensor, after: str) -> int | None:
    """Say which dimension of an activation holds its units: the last one, or the channels of a convolution.

    Args:
        output: ``[B, D]``, ``[B, T, D]``, ``[B, C, L]`` or ``[B, C, ...]``.
        after: Class name of the layer before, which tells the two three-dimensional cases apart.
    """
    if output.ndim < 2:
        return None
    return 1 if output.ndim >= 4 or (output.ndim == 3 and after in _CHANNELS_FIRST) else output.ndim - 1


class ActivationUnits:
    """The windows of one activation function; each call within a step has its own.

    Args:
        bounds: Where the function is off and saturated.
        after: Class name of the layer before.
    """

    def __init__(self, bounds: Bounds, after: str) -> None:
        self._bounds = bounds
        self._after = after
        self._windows: dict[int, _Window] = {}

    def count(self, recorder: Recorder, site: int, call: int, output: torch.Tensor) -> None:
        """Add one output to the window of its call; hand the window over when it is full."""
        output = local(output)
        axis = unit_axis(output, self._after)
        if call >= MOST_CALLS or axis is None or not output.is_floating_point() or not output.numel():
            return
        units = output.shape[axis]
        window = self._windows.get(call)
        if window is None or len(window.active) != units or window.active.device != output.device:
            window = self._windows[call] = _Window(units, output.device)
        count_units(window.active, window.saturated, output, axis, self._bounds)
        window.passes += 1
        window.samples += output.numel() // units
        if window.passes >= FEWEST_PASSES and window.samples >= FEWEST_SAMPLES:
            named = recorder.sites.output(site, f"call{call}") if call else site
            recorder.add_units(named, window.samples, window.active, window.saturated)
            del self._windows[call]


class WeightUnitsProbe(Probe):
    """A post-accumulate hook on a weight: counts, per output unit, the backward passes in which a gradient arrived.

    Row *i* of a weight's gradient is zero exactly when no sample of the batch sent a gradient through unit *i* (or
    its inputs were all zero): this sees rectifiers that are called as functions as well as those that are modules.
    """

    group = "unit"

    def __init__(self, recorder: Recorder, site: int) -> None:
        super().__init__(recorder, site)
        self._window: _Window | None = None

    def observe(self, parameter: torch.Tensor) -> None:
        """Count the units that the gradient reaches; hand the counts over when the window is full."""
        gradient = parameter.grad
        if not self.recorder.units or gradient is None:
            return
        gradient = local(gradient)
        if gradient.layout is not torch.strided or not len(gradient):
            return
        window = self._window
        if window is None or len(window.active) != len(gradient):
            window = self._window = _Window(len(gradient), gradient.device)
        count_live_rows(window.active, gradient)
        window.passes += 1
        if window.passes == BACKWARD_PASSES:
            self.recorder.add_units(self.site, window.passes, window.active, window.saturated)
            self._window = None


class _Window:
    """Counts so far, ``[U] int32`` each."""

    __slots__ = ("active", "passes", "samples", "saturated")

    def __init__(self, units: int, device: torch.device) -> None:
        with torch._C.DisableTorchFunction():
            self.active = torch.zeros(units, dtype=torch.int32, device=device)
            self.saturated = torch.zeros(units, dtype=torch.int32, device=device)
        self.passes = 0
        self.samples = 0


def layer_before(names: Sequence[tuple[str, nn.Module]], index: int) -> str:
    """Class name of the nearest leaf module before position ``index``, dropout left aside."""
    for _, module in reversed(names[:index]):
        if not any(True for _ in module.children()) and "Dropout" not in type(module).__name__:
            return type(module).__name__
    return ""

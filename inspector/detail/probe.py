"""Looks at one layer while a step goes on: its outputs, their gradients, and how long it takes."""

import math
from collections.abc import Callable
from time import perf_counter_ns
from typing import Any, NamedTuple

import torch
from torch import nn
from torch._C import _current_autograd_node as current_autograd_node

from deepseek.inspector.checkpointing import is_checkpointing
from deepseek.inspector.detail.data import Histogram, HistogramKind, UnitActivity
from deepseek.inspector.detail.histogram import histogram
from deepseek.inspector.detail.units import units_of_output
from deepseek.inspector.probes.probe import Probe
from deepseek.inspector.probes.units import bounds_of
from deepseek.inspector.recorder import Recorder
from deepseek.inspector.tensors import bytes_of, walk

_MAX_OUTPUTS = 8
"""Most tensors of an output, and of the inputs, that are looked at."""

_MAX_PARAMETERS = 100
"""Most parameters whose gradients are waited for to tell how long the backward pass takes."""


class _Moment(NamedTuple):
    """A point in time, and the time that watching had taken by then."""

    ns: int
    watching_ns: int


class LayerProbe:
    """The hooks on one module while it is looked at closely; made where they are wanted.

    Args:
        recorder: Knows what is going on, and is charged with the time.
        module: The module; it is not kept alive.
        name: Its name, for messages.
        after: Class name of the layer before it.

    Attributes:
        calls: How often it was called in the step in progress.
        histograms: Those of the first call's outputs and of their gradients.
        units: How often its units were active in that call.
        forward_ms: Duration of that call.
        backward_ms: From the gradient of its output to the last gradient of its parameters, or inputs without any.
        output_bytes: Size of its outputs.
    """

    def __init__(self, recorder: Recorder, module: nn.Module, name: str, after: str) -> None:
        self._recorder = recorder
        self._name = name
        self._after = after
        self._handles: list[Any] = []
        self._tensor_handles: list[Any] = []
        parameters = [each for each in list(module.parameters())[:_MAX_PARAMETERS] if each.requires_grad]
        self._has_parameters = bool(parameters)
        self.restart()
        self._handles.append(module.register_forward_pre_hook(self._hook(self._enter), with_kwargs=True))
        self._handles.append(module.register_forward_hook(self._hook(self._leave)))
        for parameter in parameters:
            self._handles.append(parameter.register_post_accumulate_grad_hook(self._hook(self._accumulated)))

    def restart(self) -> None:
        """Begin a step."""
        for handle in self._tensor_handles:
            handle.remove()
        self._tensor_handles.clear()
        self.calls = 0
        self.histograms: list[Histogram] = []
        self.units: UnitActivity | None = None
        self.forward_ms = self.backward_ms = math.nan
        self.output_bytes = 0
        self._entered: _Moment | None = None
        self._returned: _Moment | None = None
        self._follows_gradient = False
        self._entering = self._returning = False

    def remove(self) -> None:
        """Take all hooks off."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self.restart()

    def _enter(self, _module: nn.Module, args: Any, kwargs: Any) -> None:
        if current_autograd_node() is not None or not self._counts():
            return
        self._returned = None  # gradients that arrive from now on are of another backward pass
        if self.calls:
            return
        inputs = [tensor for _, tensor in (*walk(args), *walk(kwargs))][:_MAX_OUTPUTS]
        for tensor in () if self._has_parameters else inputs:
            if tensor.requires_grad:
                self._tensor_handles.append(tensor.register_hook(self._hook(self._accumulated)))
        _wait_for(inputs[0] if inputs else None)
        self._entering = True

    def _leave(self, module: nn.Module, _args: Any, output: Any) -> None:
        tensors = list(walk(output))[:_MAX_OUTPUTS]
        if current_autograd_node() is None:
            if not self._counts():
                return
            self.calls += 1
            if self.calls == 1:
                self._look_at_output(module, tensors)
        if not self._follows_gradient:
            for path, tensor in tensors:
                if tensor.requires_grad:
                    self._follows_gradient = True
                    hook = self._hook(lambda gradient, path=path: self._look_at_gradient(path, gradient))
                    self._tensor_handles.append(tensor.register_hook(hook))

    def _look_at_output(self, module: nn.Module, tensors: list[tuple[str, torch.Tensor]]) -> None:
        self.forward_ms = self._since(self._entered, tensors[0][1] if tensors else None)
        self.output_bytes = sum(bytes_of(tensor) for _, tensor in tensors)
        for path, tensor in tensors:
            self._add("activation", path, tensor)
        bounds = bounds_of(module)
        if bounds is not None and tensors:
            with torch._C.DisableTorchFunction(), torch.no_grad():
                self.units = units_of_output(tensors[0][1], bounds, self._after)

    def _look_at_gradient(self, path: str, gradient: torch.Tensor | None) -> None:
        if gradient is None:
            return
        self._returning = self._returned is None and math.isnan(self.backward_ms)
        scale = self._recorder.inverse_scale
        with torch.no_grad():
            self._add("activation_gradient", path, gradient if scale is None else gradient.detach() * scale)
        _wait_for(gradient)

    def _accumulated(self, gradient: torch.Tensor | None) -> None:
        """The gradient of a parameter or of an input is there."""
        if self._returned is not None:
            self.backward_ms = self._since(self._returned, gradient)

    def _add(self, kind: HistogramKind, path: str, tensor: torch.Tensor) -> None:
        if (found := histogram(kind, path, tensor)) is not None:
            self.histograms.append(found)

    def _counts(self) -> bool:
        """Whether this forward belongs to the training step: not an evaluation, nor a part that runs by itself."""
        recorder = self._recorder
        if recorder.output_kind not in (None, "activation"):
            return False
        return recorder.in_forward or torch.is_grad_enabled() or is_checkpointing()

    def _charged(self) -> None:
        """A hook has ended and was charged with its time: from here on it does not count for the layer."""
        if self._entering:
            self._entering, self._entered = False, self._now()
        if self._returning:
            self._returning, self._returned = False, self._now()

    def _now(self) -> _Moment:
        return _Moment(perf_counter_ns(), self._recorder.total_ns)

    def _since(self, moment: _Moment | None, tensor: torch.Tensor | None) -> float:
        """Milliseconds since a moment, what watching took meanwhile left out."""
        if moment is None:
            return math.nan
        _wait_for(tensor)
        now = self._now()
        return max(now.ns - moment.ns - (now.watching_ns - moment.watching_ns), 0) / 1e6

    def _hook(self, action: Callable[..., None]) -> "_Hook":
        return _Hook(self._recorder, self._name, action, self._charged)


class _Hook(Probe):
    """Hands what a hook is given to a function, and calls another one when its time has been charged."""

    group = "detail"

    def __init__(self, recorder: Recorder, name: str, action: Callable[..., None], charged: Callable[[], None]) -> None:
        super().__init__(recorder, 0)
        self._layer = name
        self._action = action
        self._charged = charged

    def __call__(self, *args: Any) -> None:
        """Observe, then tell that this is over."""
        super().__call__(*args)
        try:
            self._charged()
        except Exception as error:  # noqa: BLE001 - whatever fails inside us must not reach training
            self.enabled = False
            self.recorder.failed(f"looking closely at {self._layer}", error)

    def observe(self, *args: Any) -> None:
        """Call the function."""
        self._action(*args)

    def _name(self) -> str:
        return self._layer


def _wait_for(tensor: torch.Tensor | None) -> None:
    """Wait until an accelerator has computed what it was asked for."""
    if tensor is not None and tensor.device.type not in ("cpu", "meta"):
        torch.accelerator.synchronize(tensor.device)

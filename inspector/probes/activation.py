"""Outputs of modules, and the gradients of those outputs."""

from time import perf_counter_ns
from typing import Any

import torch
from torch import nn
from torch._C import _current_autograd_node as current_autograd_node

from deepseek.inspector.checkpointing import is_checkpointing
from deepseek.inspector.probes.probe import Probe
from deepseek.inspector.probes.units import ActivationUnits
from deepseek.inspector.recorder import Recorder
from deepseek.inspector.tensors import walk


class ActivationProbe(Probe):
    """A forward hook: summarises each tensor the module returns, asks for its gradient and counts its units.

    While an autograd node runs, a forward is a recomputation (activation checkpointing): its outputs were recorded
    the first time, but in the reentrant kind only these outputs receive gradients.
    """

    group = "activation"

    def __init__(self, recorder: Recorder, site: int, handles: list[Any], units: ActivationUnits | None) -> None:
        super().__init__(recorder, site)
        self.handles = handles
        self.units = units

    def observe(self, _module: nn.Module, _args: Any, output: Any) -> None:
        """Record ``output``."""
        recorder = self.recorder
        recorder.saw_outputs = True
        recomputed = current_autograd_node() is not None
        if not (recorder.in_forward or recomputed or torch.is_grad_enabled() or is_checkpointing()):
            return  # a part of the model that is evaluated by itself, between two steps
        call = recorder.next_call("recomputed" if recomputed else recorder.output_kind or "activation", self.site)
        if isinstance(output, torch.Tensor):
            self._observe_tensor(self.site, call, output, recomputed)
            if recorder.units and self.units is not None and not recomputed:
                self._count_units(self.units, call, output)
            return
        for index, (path, tensor) in enumerate(walk(output)):
            site = recorder.sites.output(self.site, path) if index else self.site
            self._observe_tensor(site, call, tensor, recomputed)

    def _observe_tensor(self, site: int, call: int, tensor: torch.Tensor, recomputed: bool) -> None:
        recorder = self.recorder
        if recorder.output_kind is not None and not recomputed:
            recorder.add(recorder.output_kind, site, call, tensor)
        if recorder.output_gradients and tensor.requires_grad and recorder.has_room("activation"):
            self.handles.append(tensor.register_hook(OutputGradientProbe(recorder, site, call)))

    def _count_units(self, units: ActivationUnits, call: int, output: torch.Tensor) -> None:
        start = perf_counter_ns()
        units.count(self.recorder, self.site, call, output)
        spent = perf_counter_ns() - start
        self.recorder.charge("unit", spent)
        self.recorder.charge("activation", -spent)


class OutputGradientProbe(Probe):
    """A tensor hook on one output of one call."""

    group = "activation"

    def __init__(self, recorder: Recorder, site: int, call: int) -> None:
        super().__init__(recorder, site)
        self.call = call

    def observe(self, gradient: torch.Tensor | None) -> None:
        """Record the gradient of the loss with respect to the output; an output that nobody used may have none."""
        if gradient is not None:
            self.recorder.add_gradient("activation_gradient", self.site, self.call, gradient)

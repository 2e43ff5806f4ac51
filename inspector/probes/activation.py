"""Outputs of modules, and the gradients of those outputs."""

from typing import Any

import torch
from torch import nn
from torch._C import _current_autograd_node as current_autograd_node

from deepseek.inspector.probes.probe import Probe
from deepseek.inspector.recorder import Recorder
from deepseek.inspector.tensors import walk


class ActivationProbe(Probe):
    """A forward hook: summarises each tensor the module returns and asks for its gradient.

    While an autograd node runs, a forward is a recomputation (activation checkpointing): its outputs were recorded
    the first time, but in the reentrant kind only these outputs receive gradients.
    """

    def __init__(self, recorder: Recorder, site: int, *, outputs: bool, gradients: bool, handles: list[Any]):
        super().__init__(recorder, site)
        self.outputs = outputs
        self.gradients = gradients
        self.handles = handles

    def observe(self, _module: nn.Module, _args: Any, output: Any) -> None:
        """Record ``output``."""
        recomputed = current_autograd_node() is not None
        call = self.recorder.next_call("recomputed" if recomputed else "activation", self.site)
        if isinstance(output, torch.Tensor):
            self._observe_tensor(self.site, call, output, recomputed)
            return
        for index, (path, tensor) in enumerate(walk(output)):
            site = self.recorder.sites.output(self.site, path) if index else self.site
            self._observe_tensor(site, call, tensor, recomputed)

    def _observe_tensor(self, site: int, call: int, tensor: torch.Tensor, recomputed: bool) -> None:
        if self.outputs and not recomputed:
            self.recorder.add("activation", site, call, tensor)
        if self.gradients and tensor.requires_grad and self.recorder.has_room("activation"):
            self.handles.append(tensor.register_hook(OutputGradientProbe(self.recorder, site, call)))


class OutputGradientProbe(Probe):
    """A tensor hook on one output of one call."""

    def __init__(self, recorder: Recorder, site: int, call: int) -> None:
        super().__init__(recorder, site)
        self.call = call

    def observe(self, gradient: torch.Tensor) -> None:
        """Record the gradient of the loss with respect to the output."""
        self.recorder.add("activation_gradient", self.site, self.call, gradient)

"""Gradients of parameters: as they arrive, and as the optimizer uses them."""

from math import isnan, nan
from typing import Any

import torch
from torch import distributed

from deepseek.inspector.probes.probe import Probe
from deepseek.inspector.recorder import Recorder
from deepseek.inspector.tensors import local
from deepseek.kernels.summary import square_sum_of, square_sums


class GradientProbe(Probe):
    """A post-accumulate hook: summarises ``parameter.grad`` as it stands after each backward pass.

    Attributes:
        seen: Identity and version of the gradient that was recorded last in this step.
        square_sum: The sum of its squares; NaN where that is not known.
    """

    group = "gradient"

    def __init__(self, recorder: Recorder, site: int) -> None:
        super().__init__(recorder, site)
        self.seen: tuple[int, int] | None = None
        self.square_sum = nan

    def observe(self, parameter: torch.Tensor) -> None:
        """Record the accumulated gradient."""
        gradient = parameter.grad
        if gradient is not None:
            call = self.recorder.next_call("gradient", self.site)
            row = self.recorder.add_gradient("gradient", self.site, call, gradient)
            self.square_sum = nan if row is None else square_sum_of(row)
            self.seen = (id(gradient), gradient._version)


class AppliedGradientProbe(Probe):
    """Called when the gradients are final: records those that changed since the last backward pass.

    Clipping, unscaling, averaging between processes and every other change in place is seen; changes made through
    ``.data``, which torch does not count, are not.
    """

    group = "gradient"

    def __init__(self, recorder: Recorder, probes: dict[int, GradientProbe]) -> None:
        super().__init__(recorder, 0)
        self._probes = probes

    def observe(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        """Record the gradients that the optimizer uses."""
        scaled_by_optimizer = getattr(optimizer, "grad_scale", None) is not None
        add = self.recorder.add_gradient if scaled_by_optimizer else self.recorder.add
        for parameter in parameters_of(optimizer):
            probe = self._probes.get(id(parameter))
            gradient = parameter.grad
            if probe is not None and gradient is not None and self._has_changed(probe, gradient):
                add("applied_gradient", probe.site, self.recorder.next_call("applied", probe.site), gradient)

    def square_sum(self, optimizer: torch.optim.Optimizer) -> float | torch.Tensor | None:
        """Return the sum of squares of all gradients, None without any; those recorded as they are are not read again.

        A number, or a scalar tensor on an accelerator.
        """
        known, unknown, found = 0.0, [], False
        for parameter in parameters_of(optimizer):
            gradient = parameter.grad
            if gradient is None:
                continue
            found = True
            probe = self._probes.get(id(parameter))
            if probe is None or isnan(probe.square_sum) or self._has_changed(probe, gradient):
                unknown.append(local(gradient))
            else:
                known += probe.square_sum
        return known + square_sums(unknown) if found else None

    def _has_changed(self, probe: GradientProbe, gradient: torch.Tensor) -> bool:
        if self.recorder.inverse_scale is not None or (distributed.is_available() and distributed.is_initialized()):
            return True
        return probe.seen != (id(gradient), gradient._version)


def square_sum_of_gradients(optimizer: torch.optim.Optimizer) -> float | torch.Tensor | None:
    """Return the sum of squares of the gradients in this process that an optimizer is about to use, None without any.

    A number, or a scalar tensor on an accelerator.
    """
    gradients = [parameter.grad for group in optimizer.param_groups for parameter in group["params"]]
    present = [
        gradient if type(gradient) is torch.Tensor else local(gradient)
        for gradient in gradients
        if gradient is not None
    ]
    return square_sums(present) if present else None


def parameters_of(optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    """Return the parameters of all groups of an optimizer."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def has_closure(args: Any, kwargs: Any) -> bool:
    """Whether ``optimizer.step`` was given a closure; ``args`` begins with the optimizer itself."""
    return kwargs.get("closure") is not None or (len(args) > 1 and args[1] is not None)

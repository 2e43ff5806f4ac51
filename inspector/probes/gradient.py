"""Gradients of parameters, and which units they reach."""

import torch

from deepseek.inspector.probes.probe import Probe
from deepseek.inspector.recorder import Recorder
from deepseek.kernels.summary import count_live_rows

UNIT_WINDOW = 20
"""Observed steps over which a unit must receive no gradient at all to count as dead."""


class GradientProbe(Probe):
    """A post-accumulate hook: summarises ``parameter.grad`` as it stands after each backward pass."""

    def observe(self, parameter: torch.Tensor) -> None:
        """Record the accumulated gradient."""
        if parameter.grad is not None:
            call = self.recorder.next_call("gradient", self.site)
            self.recorder.add("gradient", self.site, call, parameter.grad)


class UnitProbe(Probe):
    """A post-accumulate hook on a weight: counts, per output unit, the backward passes in which a gradient arrived.

    Row *i* of a weight's gradient is zero exactly when no sample of the batch sent a gradient through unit *i* (or
    its inputs were all zero): this sees rectifiers that are called as functions as well as those that are modules.
    """

    def __init__(self, recorder: Recorder, site: int) -> None:
        super().__init__(recorder, site)
        self.counts: torch.Tensor | None = None
        self.passes = 0

    def observe(self, parameter: torch.Tensor) -> None:
        """Count the units that the gradient reaches; record the counts when the window is full."""
        gradient = parameter.grad
        if gradient is None or gradient.layout is not torch.strided:
            return
        if self.counts is None:
            self.counts = torch.zeros(gradient.shape[0], device=gradient.device)
        count_live_rows(self.counts, gradient)
        self.passes += 1
        if self.passes == UNIT_WINDOW:
            self.recorder.add("unit", self.site, 0, self.counts)
            self.passes, self.counts = 0, None

"""Parameter values after an optimizer step, and how far the step moved them."""

from typing import Any

import torch

from deepseek.inspector.probes.probe import Probe
from deepseek.inspector.recorder import Recorder
from deepseek.kernels.summary import summarize_difference_row


class SnapshotProbe(Probe):
    """Called before an optimizer step: copies the parameters that are about to change.

    On the host the copies are kept for the next step, because allocating them anew costs more than copying.
    """

    def __init__(self, recorder: Recorder, parameters: dict[torch.Tensor, int]) -> None:
        super().__init__(recorder, min(parameters.values(), default=0))
        self.parameters = parameters
        self.copies: dict[torch.Tensor, torch.Tensor] = {}

    @torch.no_grad()
    def observe(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        """Copy every watched parameter of the optimizer that has a gradient."""
        for parameter in _parameters(optimizer):
            if parameter in self.parameters and parameter.grad is not None:
                kept = self.copies.get(parameter)
                if kept is not None and kept.shape == parameter.shape:
                    kept.copy_(parameter)
                else:
                    self.copies[parameter] = parameter.detach().clone()


class UpdateProbe(Probe):
    """Called after an optimizer step: summarises each parameter and its change since the snapshot."""

    def __init__(self, snapshot: SnapshotProbe, *, values: bool, updates: bool) -> None:
        super().__init__(snapshot.recorder, snapshot.site)
        self.snapshot = snapshot
        self.values = values
        self.updates = updates

    def observe(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        """Record values and updates of every watched parameter of the optimizer."""
        for parameter in _parameters(optimizer):
            site = self.snapshot.parameters.get(parameter)
            if site is not None:
                self._observe_parameter(parameter.detach(), site, self.snapshot.copies.get(parameter))

    def _observe_parameter(self, value: torch.Tensor, site: int, before: torch.Tensor | None) -> None:
        call = self.recorder.next_call("update", site)
        if self.values:
            self.recorder.add("parameter", site, call, value)
        if self.updates and before is not None:
            self.recorder.add_row("update", site, call, value, summarize_difference_row(value, before))


def _parameters(optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]

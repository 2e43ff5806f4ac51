"""Parameter values after an optimizer step, and how far the step moved them."""

from dataclasses import dataclass
from typing import Any

import torch

from deepseek.inspector.probes.gradient import parameters_of
from deepseek.inspector.probes.probe import Probe
from deepseek.inspector.recorder import Recorder
from deepseek.inspector.tensors import local
from deepseek.kernels.summary import summarize_update_row


@dataclass(slots=True)
class _Copy:
    """A parameter as it was at some version of it."""

    values: torch.Tensor
    version: int


class ParameterProbe(Probe):
    """Called around an optimizer step: summarises each parameter and how far the step moved it.

    The copies that this takes are kept: where every step is observed, the values after one step are those before the
    next. A parameter that was changed in between (in a way that torch counts, so not through ``.data``) is copied anew.
    """

    group = "parameter"

    def __init__(self, recorder: Recorder, sites: dict[int, int], *, values: bool, updates: bool) -> None:
        super().__init__(recorder, min(sites.values(), default=0))
        self._sites = sites
        self._values = values
        self._updates = updates
        self._copies: dict[int, _Copy] = {}
        self._true: set[int] = set()
        self._before = _Before(self)

    def before(self, optimizer: torch.optim.Optimizer, *, closure: bool) -> None:
        """Copy every watched parameter that the step may change; a closure may give any of them a gradient."""
        if self._updates:
            self._before(optimizer, closure)

    def observe(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        """Record values and updates of every watched parameter of the optimizer."""
        for parameter in parameters_of(optimizer):
            site = self._sites.get(id(parameter))
            if site is not None:
                self._observe_parameter(parameter, site)
        self._true.clear()

    def release(self) -> None:
        """Give back the memory of the copies."""
        self._copies.clear()

    @torch.no_grad()
    def keep(self, parameter: torch.Tensor) -> None:
        """Copy a parameter unless the copy at hand is still true."""
        self._true.add(id(parameter))
        kept, value = self._copies.get(id(parameter)), local(parameter.detach())
        if kept is None or kept.values.shape != value.shape or kept.values.device != value.device:
            self._copies[id(parameter)] = _Copy(value.clone(), parameter._version)
        elif kept.version != parameter._version:
            kept.values.copy_(value)
            kept.version = parameter._version

    def watches(self, parameter: torch.Tensor) -> bool:
        """Whether the parameter is watched."""
        return id(parameter) in self._sites

    def _observe_parameter(self, parameter: torch.Tensor, site: int) -> None:
        recorder, value = self.recorder, local(parameter.detach())
        call = recorder.next_call("update", site)
        kept = self._copies[id(parameter)] if id(parameter) in self._true else None
        if kept is None:
            if self._values:
                recorder.add("parameter", site, call, value)
            return
        row, difference = summarize_update_row(value, kept.values)
        kept.version = parameter._version
        if self._values and recorder.has_room("parameter"):
            recorder.add_row("parameter", site, call, value, row)
        if recorder.has_room("update"):
            recorder.add_row("update", site, call, value, difference)


class _Before(Probe):
    """The half of the parameter probe that is called before the optimizer step."""

    group = "parameter"

    def __init__(self, probe: ParameterProbe) -> None:
        super().__init__(probe.recorder, probe.site)
        self._probe = probe

    def observe(self, optimizer: torch.optim.Optimizer, closure: bool) -> None:
        """Copy what is about to change."""
        for parameter in parameters_of(optimizer):
            if self._probe.watches(parameter) and (closure or parameter.grad is not None):
                self._probe.keep(parameter)

"""Installs the probes of a session on a model, and removes every one of them."""

import weakref
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from deepseek.inspector.probes.activation import ActivationProbe
from deepseek.inspector.probes.gradient import GradientProbe, UnitProbe
from deepseek.inspector.probes.update import SnapshotProbe, UpdateProbe
from deepseek.inspector.recorder import Recorder
from deepseek.inspector.sites import SiteFilter, aliases, is_unit_weight, own_parameters, select


class Attachment:
    """The probes of one session: made once, installed for observed steps, removed for all others."""

    def __init__(
        self,
        model: nn.Module,
        recorder: Recorder,
        kinds: Sequence[str],
        sites: SiteFilter,
    ) -> None:
        self.recorder = recorder
        self.kinds = frozenset(kinds)
        self._modules: list[tuple[weakref.ref[nn.Module], ActivationProbe]] = []
        self._parameters: list[tuple[weakref.ref[torch.Tensor], list[Any]]] = []
        self._handles: list[Any] = []
        self._tensor_handles: list[Any] = []
        watched = self._make_probes(model, sites)
        self._snapshot = SnapshotProbe(recorder, watched)
        self._update = UpdateProbe(self._snapshot, values="parameter" in self.kinds, updates="update" in self.kinds)

    @property
    def installed(self) -> bool:
        """Whether the probes are on the model now."""
        return bool(self._handles)

    def install(self) -> None:
        """Put every probe on the model; a place that refuses is reported once and left out."""
        if self.installed:
            return
        for module_ref, probe in self._modules:
            if (module := module_ref()) is not None and probe.enabled:
                self._hook(module.register_forward_hook, probe)
        for parameter_ref, probes in self._parameters:
            parameter = parameter_ref()
            if parameter is not None and parameter.requires_grad and parameter.is_leaf:
                for probe in probes:
                    self._hook(parameter.register_post_accumulate_grad_hook, probe)

    def before_update(self, optimizer: torch.optim.Optimizer) -> None:
        """Observe the parameters that an optimizer step is about to change."""
        if self.installed and "update" in self.kinds:
            self._snapshot(optimizer)

    def after_update(self, optimizer: torch.optim.Optimizer) -> None:
        """Observe the parameters that an optimizer step has changed."""
        if self.installed and self.kinds & {"parameter", "update"}:
            self._update(optimizer)

    def remove(self) -> None:
        """Take every probe off the model, its parameters and its outputs."""
        self.end_step()
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def end_step(self) -> None:
        """Take the probes off this step's outputs, should anybody still hold them."""
        for handle in self._tensor_handles:
            handle.remove()
        self._tensor_handles.clear()

    def close(self) -> None:
        """Remove every probe and release what they hold."""
        self.remove()
        self._snapshot.copies.clear()
        self._snapshot.parameters.clear()

    def _hook(self, register: Any, probe: Any) -> None:
        try:
            self._handles.append(register(probe))
        except RuntimeError as error:
            probe.enabled = False
            self.recorder.failed(f"{type(probe).__name__} at {probe._name()}", error)

    def _make_probes(self, model: nn.Module, sites: SiteFilter) -> dict[torch.Tensor, int]:
        other_names = aliases(model)
        watched: dict[torch.Tensor, int] = {}
        for order, name, module, outputs in select(model, sites):
            names = other_names.get(id(module), ())
            site = self.recorder.sites.add_module(name, module, order, names)
            if outputs:
                self._watch_outputs(module, site)
            for parameter_name, parameter in own_parameters(name, module):
                if parameter not in watched:
                    names = other_names.get(id(parameter), ())
                    owner = self.recorder.sites.sites[site]
                    watched[parameter] = self.recorder.sites.add_parameter(parameter_name, owner, names)
                    self._watch_gradient(module, parameter, watched[parameter])
        return watched

    def _watch_outputs(self, module: nn.Module, site: int) -> None:
        outputs, gradients = "activation" in self.kinds, "activation_gradient" in self.kinds
        if outputs or gradients:
            probe = ActivationProbe(
                self.recorder, site, outputs=outputs, gradients=gradients, handles=self._tensor_handles
            )
            self._modules.append((weakref.ref(module), probe))

    def _watch_gradient(self, module: nn.Module, parameter: torch.Tensor, site: int) -> None:
        probes: list[Any] = []
        if "gradient" in self.kinds:
            probes.append(GradientProbe(self.recorder, site))
        if "unit" in self.kinds and is_unit_weight(module, parameter):
            probes.append(UnitProbe(self.recorder, site))
        if probes:
            self._parameters.append((weakref.ref(parameter), probes))

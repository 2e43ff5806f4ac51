"""Installs the probes of a session on a model, and removes every one of them."""

import weakref
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from deepseek.errors import DeepseekError
from deepseek.inspector.graph import ModuleGraph
from deepseek.inspector.probes.activation import ActivationProbe
from deepseek.inspector.probes.function import (
    UNWATCHED,
    EnterProbe,
    FunctionProbe,
    LeaveProbe,
    StartProbe,
    compiled_frames,
)
from deepseek.inspector.probes.gradient import AppliedGradientProbe, GradientProbe, square_sum_of_gradients
from deepseek.inspector.probes.probe import Probe
from deepseek.inspector.probes.units import ActivationUnits, WeightUnitsProbe, bounds_of, layer_before
from deepseek.inspector.probes.update import ParameterProbe
from deepseek.inspector.record import Event, TensorKind
from deepseek.inspector.recorder import Group, Recorder
from deepseek.inspector.sites import SiteFilter, aliases, is_unit_weight, own_parameters, select

Place = tuple[weakref.ref[Any], Probe]
"""What a probe is to be put on: a module or a parameter, which the session keeps alive neither."""

KINDS_OF_GROUP: dict[Group, frozenset[str]] = {
    "gradient": frozenset({"gradient", "applied_gradient"}),
    "activation": frozenset({"activation", "activation_gradient"}),
    "parameter": frozenset({"parameter", "update"}),
    "unit": frozenset({"unit"}),
    "function": frozenset({"activation", "unit"}),
}
"""What each group of probes records; a group is there when any of its kinds is wanted."""


class Attachment:
    """The probes of one session: made once, installed for observed steps, removed for all others.

    Modules and parameters that were added or replaced are found when the probes are next installed.

    Args:
        model: The model to watch.
        recorder: Receives what the probes see.
        kinds: Which kinds of rows are wanted, ``unit`` for unit counts.
        sites: Which modules are wanted.

    Attributes:
        groups: The groups of probes there are.
        installed: Those that are installed now.
        has_observed: Whether a step has ended under observation.
    """

    def __init__(self, model: nn.Module, recorder: Recorder, kinds: Sequence[str], sites: SiteFilter) -> None:
        self.recorder = recorder
        self.kinds = recorder.kinds = frozenset(kinds)
        self.groups = tuple(group for group, own in KINDS_OF_GROUP.items() if own & self.kinds)
        self.installed: frozenset[Group] = frozenset()
        self.has_observed = False
        self.functions = FunctionProbe(recorder)
        self._model = weakref.ref(model)
        self._filter = sites
        self._module_handles: list[Any] = []
        self._parameter_handles: list[Any] = []
        self._tensor_handles: list[Any] = []
        self._pass_handles: list[Any] = []
        self._before_pass: tuple[TensorKind | None, bool, bool] = (None, False, False)
        self._functions_told = -1
        self._tree: tuple[weakref.ref[Any], ...] = ()
        self._late: list[tuple[Group, Place]] = []
        self._make_probes(model)

    def install(self, groups: Collection[Group]) -> None:
        """Put the probes of some groups on the model and take all others off."""
        changed = self._follow_changes() if groups else False
        if changed or self.installed != frozenset(groups):
            keeps_modules = self._is_compiled() and not changed
            self._unhook(modules=not keeps_modules)
            if not keeps_modules:
                self._hook_modules(groups)
            self._late = [(group, place) for group, place in self._parameter_places if group in groups]
            self.installed = frozenset(groups)
        self.hook_late()
        wants_outputs = "activation" in self.installed or "function" in self.installed
        self.recorder.output_kind = "activation" if wants_outputs and "activation" in self.kinds else None
        self.recorder.output_gradients = "activation" in self.installed and "activation_gradient" in self.kinds
        self.recorder.units = "unit" in self.kinds and bool(self.installed & {"unit", "function"})

    def hook_late(self) -> None:
        """Put probes on the parameters that take hooks only now: they were frozen before, or lazy and not yet made."""
        still_late = []
        for group, place in self._late:
            if _takes_hooks(place[0]()):
                self._hook(place, "register_post_accumulate_grad_hook", self._parameter_handles)
            else:
                still_late.append((group, place))
        self._late = still_late

    def install_for_pass(self, kind: TensorKind) -> None:
        """Put probes on the outputs of modules for one forward without gradients."""
        self._before_pass = (self.recorder.output_kind, self.recorder.output_gradients, self.recorder.units)
        for place, counts in self._outputs:
            hooked = "activation" in self.installed or (counts and "unit" in self.installed)
            if not hooked:
                self._hook(place, _FORWARD, self._pass_handles)
        self.recorder.output_kind = kind
        self.recorder.output_gradients = self.recorder.units = False

    def end_pass(self) -> None:
        """Return to what the training step observes."""
        for handle in self._pass_handles:
            handle.remove()
        self._pass_handles.clear()
        self.recorder.output_kind, self.recorder.output_gradients, self.recorder.units = self._before_pass

    def new_coverage(self) -> Event | None:
        """Tell how many functions the last burst has seen, if that is news."""
        if self.functions.calls == self._functions_told:
            return None
        self._functions_told = self.functions.calls
        return Event("coverage", {"modules": len(self._outputs), "functions": self.functions.calls})

    def graph(self) -> ModuleGraph:
        """Give the module graph, or the plain tree of modules until a forward was observed."""
        return self.functions.graphs.graph(self._model())

    def new_graph(self) -> ModuleGraph | None:
        """Give the module graph after an observed step, if that is news."""
        return self.functions.graphs.take_new(self._model(), followed="function" in self.groups)

    def before_update(self, optimizer: torch.optim.Optimizer, *, closure: bool) -> None:
        """Observe the gradients that an optimizer is about to use, and the parameters that it is about to change."""
        if "gradient" in self.installed and "applied_gradient" in self.kinds and not closure:
            self._applied(optimizer)
        if "parameter" in self.installed:
            self._parameters.before(optimizer, closure=closure)

    def after_update(self, optimizer: torch.optim.Optimizer, *, closure: bool) -> None:
        """Observe the parameters that an optimizer has changed; a closure made the gradients only now."""
        if "gradient" in self.installed and "applied_gradient" in self.kinds and closure:
            self._applied(optimizer)
        if "parameter" in self.installed:
            self._parameters(optimizer)

    def square_sum_of_gradients(self, optimizer: torch.optim.Optimizer) -> float | torch.Tensor | None:
        """Return the sum of squares of an optimizer's gradients, None without any."""
        if "gradient" in self.installed:
            return self._applied.square_sum(optimizer)
        return square_sum_of_gradients(optimizer)

    def end_step(self) -> None:
        """Take the probes off this step's outputs, should anybody still hold them, and forget its gradients."""
        for handle in self._tensor_handles:
            handle.remove()
        self._tensor_handles.clear()
        if "gradient" in self.installed:
            for probe in self._gradients.values():
                probe.seen = None

    def remove(self) -> None:
        """Take every probe off the model, its parameters and its outputs."""
        self._unhook()
        for handle in (*self._tensor_handles, *self._pass_handles):
            handle.remove()
        self._tensor_handles.clear()
        self._pass_handles.clear()

    def close(self) -> None:
        """Remove every probe and release what they hold."""
        self.remove()
        self._parameters.release()

    def _unhook(self, *, modules: bool = True) -> None:
        if modules:
            self.functions.unhook()
        else:
            self.functions.stop()
        for handles in (self._parameter_handles, self._module_handles if modules else []):
            for handle in handles:
                handle.remove()
            handles.clear()
        self._late.clear()
        self.installed = frozenset()

    def _is_compiled(self) -> bool:
        """Whether the hooks on modules were compiled away: they cost nothing then, but removing them recompiles."""
        unseen = self.has_observed and not self.recorder.saw_outputs
        return bool(self._module_handles) and unseen and compiled_frames() > 0

    def _hook_modules(self, groups: Collection[Group]) -> None:
        if "function" in groups and (model := self._model()) is not None:
            self._hook((self._model, StartProbe(self.functions)), _BEFORE, with_kwargs=True)
            self.functions.hook(model)
            for enter, leave in self._insides:
                self._hook(enter, _BEFORE, with_kwargs=True)
                self._hook(leave, _FORWARD, always_call=True)
        for place, counts in self._outputs:
            if "activation" in groups or (counts and "unit" in groups):
                self._hook(place, _FORWARD)

    def _hook(self, place: Place, register: str, handles: list[Any] | None = None, **options: bool) -> None:
        """Put a probe in its place; one that is refused is reported once and left out."""
        target, probe = place[0](), place[1]
        if target is None or not probe.enabled:
            return
        try:
            (self._module_handles if handles is None else handles).append(getattr(target, register)(probe, **options))
        except RuntimeError as error:
            probe.enabled = False
            self.recorder.failed(f"{type(probe).__name__} at {probe._name()}", error)

    def _follow_changes(self) -> bool:
        """Make the probes anew when modules or parameters were added, removed or replaced."""
        model = self._model()
        if model is None or _is_tree_of(model, self._tree):
            return False
        try:
            self._make_probes(model)
        except DeepseekError:  # the filter matches nothing any more
            return False
        return True

    def _make_probes(self, model: nn.Module) -> None:
        self._outputs: list[tuple[Place, bool]] = []
        self._insides: list[tuple[Place, Place]] = []
        self._gradients: dict[int, GradientProbe] = {}
        self._parameter_places: list[tuple[Group, Place]] = []
        module_sites: dict[nn.Module, int] = {}
        parameter_sites: dict[int, int] = {}
        other_names, leaves = aliases(model), list(model.named_modules())
        for order, name, module, outputs in select(model, self._filter):
            site = self.recorder.sites.add_module(name, module, order, other_names.get(id(module), ()))
            if outputs:
                self._watch_outputs(module, site, layer_before(leaves, order))
            module_sites[module] = site
            for parameter_name, parameter in own_parameters(name, module):
                if id(parameter) not in parameter_sites:
                    owner = self.recorder.sites.sites[site]
                    names = other_names.get(id(parameter), ())
                    own = self.recorder.sites.add_parameter(parameter_name, owner, names)
                    parameter_sites[id(parameter)] = own
                    self._watch_gradient(module, parameter, own)
        for module in model.modules():
            site = module_sites.get(module, UNWATCHED)
            target = weakref.ref(module)
            enter, leave = EnterProbe(self.functions, site), LeaveProbe(self.functions, site)
            self._insides.append(((target, enter), (target, leave)))
        self._applied = AppliedGradientProbe(self.recorder, self._gradients)
        values, updates = "parameter" in self.kinds, "update" in self.kinds
        self._parameters = ParameterProbe(self.recorder, parameter_sites, values=values, updates=updates)
        self._tree = tuple(map(weakref.ref, _parts(model.modules())))
        self.functions.graphs.follow_tree(model)

    def _watch_outputs(self, module: nn.Module, site: int, after: str) -> None:
        bounds = bounds_of(module)
        units = None if bounds is None else ActivationUnits(bounds, after)
        probe = ActivationProbe(self.recorder, site, self._tensor_handles, units)
        self._outputs.append(((weakref.ref(module), probe), units is not None))

    def _watch_gradient(self, module: nn.Module, parameter: torch.Tensor, site: int) -> None:
        target = weakref.ref(parameter)
        if "gradient" in self.kinds or "applied_gradient" in self.kinds:
            probe = self._gradients[id(parameter)] = GradientProbe(self.recorder, site)
            self._parameter_places.append(("gradient", (target, probe)))
        if is_unit_weight(module, parameter):
            self._parameter_places.append(("unit", (target, WeightUnitsProbe(self.recorder, site))))


_BEFORE = "register_forward_pre_hook"
_FORWARD = "register_forward_hook"


def _takes_hooks(parameter: torch.Tensor | None) -> bool:
    return parameter is not None and parameter.requires_grad and parameter.is_leaf and not is_lazy(parameter)


def _is_tree_of(model: nn.Module, tree: tuple[weakref.ref[Any], ...]) -> bool:
    """Whether a model has these modules and parameters; a new one may have the address of one that is gone."""
    parts = tuple(_parts(model.modules()))
    return len(parts) == len(tree) and all(known() is part for known, part in zip(tree, parts, strict=True))


def _parts(modules: Iterable[nn.Module]) -> Iterator[nn.Module | torch.Tensor]:
    for module in modules:
        yield module
        yield from (parameter for parameter in module._parameters.values() if parameter is not None)

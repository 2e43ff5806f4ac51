"""Which layers are to be looked at closely, and the looking."""

import weakref
from collections.abc import Callable
from difflib import get_close_matches
from fnmatch import fnmatchcase
from math import nan

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from deepseek.errors import DeepseekError
from deepseek.inspector.detail.data import MAX_HISTOGRAMS, Detail, Histogram
from deepseek.inspector.detail.histogram import histogram
from deepseek.inspector.detail.picture import picture
from deepseek.inspector.detail.probe import LayerProbe
from deepseek.inspector.detail.units import units_of_gradient
from deepseek.inspector.probes.function import compiled_frames
from deepseek.inspector.probes.units import layer_before
from deepseek.inspector.recorder import Recorder
from deepseek.inspector.sites import own_parameters
from deepseek.inspector.tensors import bytes_of

MAX_WATCHED = 8
"""Most layers that are watched closely at the same time."""

MAX_ASKED = 16
"""Most layers whose detail may be asked for at the same time."""

NEXT_STEP = "Training is paused: outputs and their gradients come with the next step."
NOT_CALLED = "The layer was not called as a module in this step, so there are no outputs, gradients of them, or times."
COMPILED = "Compiled code calls no hooks, so there are no outputs, gradients of them, or times of this layer."

_SHOWN = 40


class Closer:
    """Looks at layers closely: as long as they are watched, or once where that was asked for.

    Every method is called by the thread that trains; between steps, but for what the hooks do.

    Args:
        recorder: What the hooks need.
        emit: Takes each detail.

    Attributes:
        active: Whether the step in progress is looked at; all that an ordinary step asks.
    """

    def __init__(self, recorder: Recorder, emit: Callable[[Detail], None]) -> None:
        self.active = False
        self._recorder = recorder
        self._emit = emit
        self._watched: tuple[str, ...] = ()
        self._asked: dict[str, None] = {}
        self._probes: dict[str, tuple[weakref.ref[nn.Module], LayerProbe]] = {}

    @property
    def wanted(self) -> bool:
        """Whether the next step is to be looked at."""
        return bool(self._watched or self._asked)

    def watch(self, model: nn.Module, pattern: str | None) -> None:
        """Watch the layers of a name or a glob from the next step on, instead of those before; None ends it."""
        self._watched = () if pattern is None else named(model, pattern)

    def ask(self, model: nn.Module, pattern: str) -> None:
        """Have the layers of a name or a glob looked at in the next step."""
        names = named(model, pattern)
        if len({*self._asked, *names}) > MAX_ASKED:
            raise DeepseekError(f"the details of {MAX_ASKED} layers are being asked for already")
        self._asked.update(dict.fromkeys(names))

    def look(self, model: nn.Module, pattern: str, step: int) -> None:
        """Look at what there is between two steps: parameters and their gradients."""
        for name in named(model, pattern):
            self._tell(self._detail(name, _module(model, name), None, step, NEXT_STEP))

    def install(self, model: nn.Module) -> None:
        """Put hooks on the layers of the next step, and take them off all others."""
        wanted = dict.fromkeys((*self._watched, *self._asked))
        for name, (module, probe) in list(self._probes.items()):
            if name not in wanted or module() is None or module() is not _module(model, name):
                del self._probes[name]
                probe.remove()
        for name in wanted:
            if name not in self._probes and (found := _module(model, name)) is not None:
                self._probes[name] = (weakref.ref(found), self._probe(model, name, found))
        self.active = bool(wanted)

    def end_step(self, step: int) -> None:
        """Emit what was seen in the step that has ended."""
        for name, (module, probe) in self._probes.items():
            missing = "" if probe.calls else COMPILED if compiled_frames() else NOT_CALLED
            self._tell(self._detail(name, module(), probe, step, missing))
            probe.restart()
        self._asked.clear()

    def restart(self) -> None:
        """Forget what was seen of a step that was interrupted."""
        for _, probe in self._probes.values():
            probe.restart()

    def give_up(self) -> None:
        """Look at nothing any more."""
        self._watched = ()
        self._asked.clear()
        self.remove()

    def remove(self) -> None:
        """Take every hook off."""
        self.active = False
        while self._probes:
            _, (_, probe) = self._probes.popitem()
            self._recorder.guard("removing probes", probe.remove)

    def _tell(self, detail: Detail | None) -> None:
        if detail is not None:
            self._emit(detail)

    def _probe(self, model: nn.Module, name: str, module: nn.Module) -> LayerProbe:
        leaves = list(model.named_modules())
        order = next(index for index, (_, each) in enumerate(leaves) if each is module)
        return LayerProbe(self._recorder, module, name, layer_before(leaves, order))

    def _detail(
        self, name: str, module: nn.Module | None, probe: LayerProbe | None, step: int, note: str
    ) -> Detail | None:
        if module is None:
            return None
        watched = probe is not None and name in self._watched
        parameters = [each for each in own_parameters("", module) if not is_lazy(each[1])]
        gradients = [(own, each.grad) for own, each in parameters if each.grad is not None]
        with torch._C.DisableTorchFunction(), torch.no_grad():
            found: list[Histogram | None] = list(probe.histograms) if probe else []
            found += [histogram("parameter", own, each) for own, each in parameters[:MAX_HISTOGRAMS]]
            found += [histogram("gradient", own, each) for own, each in gradients[:MAX_HISTOGRAMS]]
            return Detail(
                site=name,
                type=type(module).__name__,
                step=step,
                watched=watched,
                calls=probe.calls if probe else 0,
                histograms=tuple(each for each in found if each is not None)[:MAX_HISTOGRAMS],
                units=(probe.units if probe else None) or units_of_gradient(module),
                picture=None if watched and name not in self._asked else picture(module),
                forward_ms=probe.forward_ms if probe else nan,
                backward_ms=probe.backward_ms if probe else nan,
                output_bytes=probe.output_bytes if probe else 0,
                parameter_bytes=sum(bytes_of(each) for _, each in parameters),
                gradient_bytes=sum(bytes_of(each) for _, each in gradients),
                note=note,
            )


def named(model: nn.Module, pattern: str) -> tuple[str, ...]:
    """Give the names of the modules that a name or a glob stands for; a site of a function or output means its module.

    Raises:
        DeepseekError: There is none, or there are more than ``MAX_WATCHED``.
    """
    pattern = pattern.partition(":")[0]
    names = {id(module): name or type(module).__name__ for name, module in model.named_modules()}
    exact = {name: names[id(module)] for name, module in model.named_modules(remove_duplicate=False) if name}
    exact[type(model).__name__] = names[id(model)]
    found = [exact[pattern]] if pattern in exact else [name for name in names.values() if fnmatchcase(name, pattern)]
    if not found:
        near = get_close_matches(pattern, names.values(), n=3, cutoff=0.3) or list(names.values())[1:4]
        shown = pattern if len(pattern) <= _SHOWN else pattern[:_SHOWN] + "…"
        raise DeepseekError(f"no layer is called {shown!r}; layers are called {', '.join(near) or '(nothing)'}")
    if len(found) > MAX_WATCHED:
        raise DeepseekError(f"{len(found)} layers fit, and at most {MAX_WATCHED} can be looked at: name fewer")
    return tuple(found)


def _module(model: nn.Module, name: str) -> nn.Module | None:
    """The module of a name as ``named`` gives it; None when it is gone."""
    try:
        return model.get_submodule(name)
    except AttributeError:
        return model if name == type(model).__name__ else None

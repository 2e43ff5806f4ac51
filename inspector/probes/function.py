"""Activation functions that are called as functions, which no hook on a module sees."""

import sys
from collections.abc import Mapping
from threading import current_thread
from time import perf_counter_ns
from typing import Any

import torch
from torch import nn
from torch.compiler import is_compiling
from torch.nn import functional
from torch.overrides import TorchFunctionMode, _get_current_function_mode_stack

from deepseek.inspector.graph.functions import name_of
from deepseek.inspector.graph.keeper import COMPILED, USERS_MODE, GraphKeeper
from deepseek.inspector.probes.probe import Probe
from deepseek.inspector.probes.units import BOUNDS, ActivationUnits
from deepseek.inspector.recorder import Recorder
from deepseek.kernels.precision import Calls

BURST_EVERY = 10
"""Of the steps that are observed, every so many one has its functions observed as well."""

UNWATCHED = -1
"""Stands for the site of a module that the user does not want to see."""

FUNCTIONS: dict[Any, str] = {
    functional.relu: "ReLU",
    torch.relu: "ReLU",
    torch.relu_: "ReLU",
    torch.Tensor.relu: "ReLU",
    torch.Tensor.relu_: "ReLU",
    functional.relu6: "ReLU6",
    functional.hardswish: "Hardswish",
    functional.gelu: "GELU",
    functional.silu: "SiLU",
    functional.mish: "Mish",
    functional.softplus: "Softplus",
    functional.selu: "SELU",
    functional.sigmoid: "Sigmoid",
    torch.sigmoid: "Sigmoid",
    torch.Tensor.sigmoid: "Sigmoid",
    torch.Tensor.sigmoid_: "Sigmoid",
    functional.hardsigmoid: "Hardsigmoid",
    functional.tanh: "Tanh",
    torch.tanh: "Tanh",
    torch.Tensor.tanh: "Tanh",
    torch.Tensor.tanh_: "Tanh",
    functional.softsign: "Softsign",
}
"""Functions that are observed, with the module that does the same."""


_PLAIN = frozenset({torch.Size, torch.dtype, torch.device, torch.layout, bool, int, float, str})


class FunctionMode(TorchFunctionMode):
    """Sees the torch functions of one forward; hands every result back untouched."""

    def __init__(self, probe: "FunctionProbe") -> None:
        super().__init__()
        self._probe = probe

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call the function, then let the probe have a look at what came out."""
        output = func(*args, **(kwargs or {}))
        kind = FUNCTIONS.get(func)
        if kind is not None and isinstance(output, torch.Tensor):
            self._probe(kind, output)
        return output


class GraphMode(FunctionMode):
    """Has the module graph captured as well."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call the function, then tell what it took and gave."""
        output = super().__torch_function__(func, types, args, kwargs)
        if not is_compiling():
            self._probe.follow(func, args, kwargs or {}, output)
        return output


class FunctionProbe(Probe):
    """Watches the functions of one forward of the whole model.

    What a module of the same kind does inside is left to the hook on that module. Functions inside compiled or scripted
    code cannot be seen, nor is a forward watched that runs under a function mode of the user's (such as ``with
    torch.device(...)``): after an interrupted forward its end would take ours from the stack and leave the user's own
    there. ``torch.set_default_device`` takes off its own, wherever that stands.

    Each thread has a stack of modes of its own, so only the thread that computes can take the mode off. When another
    thread closes the session in the middle of a forward, one hook stays on the model until the next forward ends.

    Attributes:
        inside: The modules that are computing, outermost first: site and class.
        before: Class of the layer that has computed last.
        calls: How many functions the last forward called.
        graphs: Captures the module graph in a forward that is watched.
    """

    group = "function"

    def __init__(self, recorder: Recorder) -> None:
        super().__init__(recorder, 0)
        self.inside: list[tuple[int, str]] = []
        self.before = ""
        self.calls = 0
        self.graphs = GraphKeeper(recorder)
        self._units: dict[int, ActivationUnits] = {}
        self._mode: FunctionMode | None = None
        self._thread = current_thread()
        self._stop_probe: StopProbe | None = None
        self._frames = compiled_frames()

    def hook(self, model: nn.Module) -> None:
        """Put the hook that ends each forward on the model."""
        self._stop_probe = StopProbe(self, model)

    def unhook(self) -> None:
        """Watch functions no longer and take that hook off, at once or where it still has to end a forward, then."""
        self.stop()
        if self._stop_probe is not None:
            self._stop_probe.leave(at_once=self._mode is None)
            self._stop_probe = None

    def start(self, model: nn.Module, args: Any, kwargs: Mapping[str, Any]) -> None:
        """Watch the functions called in this thread from now on, and capture the graph of the forward that begins."""
        self.graphs.drop()
        if not self.enabled or self._mode is not None:
            return
        if not all(isinstance(mode, Calls) or mode is default_device() for mode in _get_current_function_mode_stack()):
            self.graphs.skip(USERS_MODE)
        elif not self._is_eager():
            self.graphs.skip(COMPILED)
        else:
            self.inside.clear()
            self.calls = 0
            self._thread = current_thread()
            self._mode = GraphMode(self) if self.graphs.begin(model, args, kwargs) else FunctionMode(self)
            self._mode.__enter__()  # type: ignore[no-untyped-call]

    def end(self, output: Any) -> None:
        """The forward has given ``output``, None when it raised an error."""
        if self._is_eager():
            self.graphs.end(output)
        else:
            self.graphs.skip(COMPILED)

    def stop(self) -> None:
        """Take the mode off the stack; while another one lies above it, it stays and hands everything through."""
        self.graphs.drop()
        own = self._thread is current_thread()
        if not own and self._thread.is_alive():
            return
        stack = _get_current_function_mode_stack() if own else []
        if self._mode is not None and (self._mode not in stack or stack[-1] is self._mode):
            if stack:
                self._mode.__exit__(None, None, None)  # type: ignore[no-untyped-call]
            self._mode = None

    def follow(self, func: Any, args: Any, kwargs: Mapping[str, Any], output: Any) -> None:
        """Tell the graph of a function that was called; most calls ask for a size, a dtype or a flag."""
        if type(output) in _PLAIN:
            return
        start = perf_counter_ns()
        self.recorder.guard("capturing the module graph", lambda: self._tell_graph(func, args, kwargs, output))
        self.recorder.spend("function", start)

    def _tell_graph(self, func: Any, args: Any, kwargs: Mapping[str, Any], output: Any) -> None:
        name = name_of(func)
        self.graphs.called(name, FUNCTIONS.get(func, name), args, kwargs, output)

    def _is_eager(self) -> bool:
        """Whether nothing was compiled since the session began: compiled code would be compiled again under a mode."""
        return compiled_frames() == self._frames

    def observe(self, kind: str, output: torch.Tensor) -> None:
        """Record what an activation function returned."""
        owner, name = self.inside[-1] if self.inside else (UNWATCHED, "")
        if owner == UNWATCHED or name in BOUNDS:
            return
        self.calls += 1
        recorder = self.recorder
        site = recorder.sites.function(owner, kind)
        call = recorder.next_call("activation", site)
        if recorder.output_kind is not None:
            recorder.add(recorder.output_kind, site, call, output)
        if recorder.units:
            units = self._units.setdefault(site, ActivationUnits(BOUNDS[kind], self.before))
            units.count(recorder, site, call, output)


class StartProbe(Probe):
    """A forward pre-hook of the whole model: watches functions from here on."""

    group = "function"

    def __init__(self, functions: FunctionProbe) -> None:
        super().__init__(functions.recorder, functions.site)
        self._functions = functions

    def observe(self, model: nn.Module, args: Any, kwargs: Any = None) -> None:
        """Put the mode on the stack."""
        if kwargs is not None:  # a hook that is removed while torch calls it and others is called without them
            self._functions.start(model, args, kwargs)


class StopProbe(Probe):
    """A forward hook of the whole model, called after errors as well: watches functions no longer."""

    group = "function"

    def __init__(self, functions: FunctionProbe, model: nn.Module) -> None:
        super().__init__(functions.recorder, functions.site)
        self._functions = functions
        self._leaves = False
        self._handle = model.register_forward_hook(self, always_call=True)

    def __call__(self, *args: Any) -> None:
        """Take the mode off the stack, even where nothing is recorded any more."""
        super().__call__(*args)
        if not is_compiling():
            self.recorder.guard("no longer watching functions", self._functions.stop)
            if self._leaves and args[-1] is not None:  # after an error, torch goes through the hooks themselves
                self._handle.remove()

    def observe(self, _model: nn.Module, _args: Any, output: Any) -> None:
        """Tell what the forward has given."""
        self._functions.end(output)

    def leave(self, *, at_once: bool) -> None:
        """Come off the model, now or after the next forward."""
        self._leaves = True
        if at_once:
            self._handle.remove()


class EnterProbe(Probe):
    """A forward pre-hook: notes which module begins to compute."""

    group = "function"

    def __init__(self, functions: FunctionProbe, site: int) -> None:
        super().__init__(functions.recorder, site)
        self._functions = functions

    def observe(self, module: nn.Module, args: Any, kwargs: Any = None) -> None:
        """Put the module on the pile."""
        if kwargs is None:
            return
        self._functions.inside.append((self.site, type(module).__name__))
        self._functions.graphs.enter(module, args, kwargs)


class LeaveProbe(Probe):
    """A forward hook: notes which module has computed."""

    group = "function"

    def __init__(self, functions: FunctionProbe, site: int) -> None:
        super().__init__(functions.recorder, site)
        self._functions = functions

    def observe(self, module: nn.Module, _args: Any, output: Any) -> None:
        """Take the module off the pile, and whatever an error left above it."""
        self._functions.graphs.leave(module, output)
        inside = self._functions.inside
        while inside and inside.pop()[0] != self.site:
            pass
        if next(module.children(), None) is None:
            self._functions.before = type(module).__name__


def default_device() -> TorchFunctionMode | None:
    """The mode that ``torch.set_default_device`` has put on the stack of this thread."""
    return getattr(torch._GLOBAL_DEVICE_CONTEXT, "device_context", None)


def compiled_frames() -> int:
    """How many pieces of code torch.compile has compiled in this process."""
    dynamo = sys.modules.get("torch._dynamo.utils")
    return 0 if dynamo is None else sum(dynamo.counters["frames"].values())

"""Has the graph of a session's model captured when it can be, and keeps it."""

import weakref
from collections.abc import Callable, Mapping
from threading import get_ident
from typing import Any

import torch
from torch import nn

from deepseek.inspector.graph.capture import Capture, Untraceable
from deepseek.inspector.graph.module_graph import ModuleGraph
from deepseek.inspector.graph.tree import plain_tree
from deepseek.inspector.recorder import Recorder

NOT_YET = "no forward of the whole model has been observed yet"
NOT_FOLLOWED = "forwards are followed only where activations or units are recorded (`kinds`)"
COMPILED = "the model or a part of it is compiled, and compiled code calls no hooks"
USERS_MODE = "the forward runs under a torch function mode of yours"
CHANGED = "modules were added or replaced, and no forward has been observed since"
THREADS = "the modules compute in several threads"
RAISED = "the forward ended with an error or without a result"
NESTED = "the model calls itself, or its forward was interrupted"

_TRIES = 3


class GraphKeeper:
    """Captures the graph in one observed forward, again when modules were added, removed or replaced.

    What goes wrong ends the capture, leaves the plain tree of modules with a note, and never reaches the forward. A
    forward that raised is tried again, twice at most.

    Args:
        recorder: Is told about failures.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._note = NOT_YET
        self._graph: ModuleGraph | None = None
        self._told: str | ModuleGraph | None = None
        self._tree: tuple[weakref.ref[nn.Module], ...] = ()
        self._tries = 0
        self._capture: Capture | None = None
        self._thread = 0

    def follow_tree(self, model: nn.Module) -> None:
        """Take notice of the modules that there are now."""
        modules = list(model.modules())
        if len(modules) == len(self._tree) and all(
            known() is one for known, one in zip(self._tree, modules, strict=True)
        ):
            return
        if self._tree:
            self._note = CHANGED
        self._tree = tuple(map(weakref.ref, modules))
        self._graph, self._tries = None, _TRIES

    def graph(self, model: nn.Module | None) -> ModuleGraph:
        """Give the captured graph, or the plain tree of the model and why there is no more."""
        return self._graph or plain_tree(model, self._note)

    def take_new(self, model: nn.Module | None, *, followed: bool) -> ModuleGraph | None:
        """Give what is known after an observed step, unless it was given before.

        Args:
            model: The model.
            followed: Whether the session follows forwards at all.
        """
        if not followed:
            self._note = NOT_FOLLOWED
        news = self._graph or self._note
        if news is self._told:
            return None
        self._told = news
        return self.graph(model)

    def begin(self, model: nn.Module, args: Any, kwargs: Mapping[str, Any]) -> bool:
        """A forward of the whole model begins; return whether it is captured."""
        self._capture = None
        if self._graph is None and self._tries > 0:
            self._tries -= 1
            self._thread = get_ident()
            self._guarded(lambda: self._start(model, args, kwargs))
        return self._capture is not None

    def skip(self, note: str) -> None:
        """The graph cannot be captured now."""
        self._capture = None
        if self._graph is None:
            self._note = note

    def drop(self) -> None:
        """A forward that is being captured will not be seen to its end."""
        if self._capture is not None:
            self.skip(NESTED)

    def enter(self, module: nn.Module, args: Any, kwargs: Mapping[str, Any]) -> None:
        """A module begins to compute."""
        if (capture := self._capture) is not None:
            self._guarded(lambda: capture.enter(module, args, kwargs))

    def leave(self, module: nn.Module, output: Any) -> None:
        """A module has computed."""
        if (capture := self._capture) is not None:
            self._guarded(lambda: capture.leave(module, output))

    def called(self, name: str, label: str, args: Any, kwargs: Mapping[str, Any], output: Any) -> None:
        """A function was called; see ``Capture.called``."""
        if (capture := self._capture) is not None:
            self._guarded(lambda: capture.called(name, label, args, kwargs, output))

    def end(self, output: Any) -> None:
        """The model has computed, or raised an error, in which case the output is None."""
        if (capture := self._capture) is None:
            return
        if output is None:
            self.skip(RAISED)
        else:
            self._guarded(lambda: self._finish(capture, output))

    def _start(self, model: nn.Module, args: Any, kwargs: Mapping[str, Any]) -> None:
        self._capture = Capture(model, args, kwargs)

    def _finish(self, capture: Capture, output: Any) -> None:
        self._graph, self._capture = capture.finish(output), None

    def _guarded(self, action: Callable[[], None]) -> None:
        """Do a part of the capture; torch's functions are not handed to any mode or subclass meanwhile."""
        try:
            if get_ident() != self._thread:
                raise Untraceable(THREADS)
            with torch._C.DisableTorchFunction():
                action()
        except Untraceable as fact:
            self._give_up(str(fact))
        except Exception as error:  # noqa: BLE001 - whatever fails inside us must not reach training
            self._give_up(f"capturing it failed ({type(error).__name__})")
            self._recorder.failed("capturing the module graph", error)

    def _give_up(self, note: str) -> None:
        self._tries = 0
        self.skip(note)

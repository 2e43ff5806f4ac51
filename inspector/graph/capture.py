"""Follows the tensors of one forward from module to module."""

import weakref
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

import torch
from torch import nn

from deepseek.inspector.graph.functions import is_visible, makes_anew
from deepseek.inspector.graph.module_graph import MAX_EDGES, MAX_NODES, Edge, Kind, ModuleGraph, Node
from deepseek.inspector.graph.tree import module_nodes, shown
from deepseek.inspector.sites import is_leaf
from deepseek.inspector.tensors import local, walk

UNSEEN = (
    "some tensors were made where hooks do not see: in custom autograd functions, compiled or scripted code, "
    "or before the forward"
)
_MOST_ARGUMENTS = 10_000
"""Longest list among the arguments of a function that is searched for tensors."""

_Spec = tuple[tuple[int, ...], str, int]
"""Shape, dtype and bytes of a tensor."""


class Untraceable(Exception):  # noqa: N818 - what it says is a fact about the model, not an error
    """The graph cannot be had, and why: one clause."""


@dataclass(slots=True)
class _Draft:
    """A node in the making; ``name`` is the function's, or that of the tensor that the model takes or returns."""

    kind: Kind
    module: int
    caller: int | None = None
    name: str = ""
    spec: _Spec | None = None
    total_bytes: int = 0


@dataclass(slots=True)
class _Frame:
    """A module that is computing; within an opaque one nothing is followed, and calls inside it have no node."""

    module: int
    call: int | None
    opaque: bool
    arriving: "Sequence[_Arrival]" = ()


_Arrival = tuple[int, _Spec]
"""A tensor and the id of the node that made it."""


class Capture:
    """Called by hooks and a function mode during one forward of ``model``, finds out what feeds what.

    A tensor is known again by its identity: ``id`` together with a weak reference, so that neither is a tensor kept
    alive nor can a new one at the address of an old one be mistaken for it. Whoever returned a tensor last is its
    source, also when it was changed in place. Nothing survives the forward but the graph.

    Modules without submodules are opaque: what they compute inside is their own business. The whole model never is.

    Args:
        model: The model whose forward begins.
        args: Its positional arguments.
        kwargs: Its keyword arguments.

    Raises:
        Untraceable: By each method, when the graph would be too large.
    """

    def __init__(self, model: nn.Module, args: Any, kwargs: Mapping[str, Any]) -> None:
        self._modules = list(islice(model.named_modules(), MAX_NODES + 1))
        self._drafts: list[_Draft] = []
        self._check_size()
        self._edges: list[tuple[int, int, _Spec]] = []
        self._positions = {id(module): position for position, (_, module) in enumerate(self._modules)}
        self._origins: dict[int, tuple[weakref.ref[torch.Tensor], int]] = {}
        self._frames: list[_Frame] = []
        self._unseen = False
        for position, (_, module) in reversed(list(enumerate(self._modules))):
            self._mark((parameter for parameter in module._parameters.values() if parameter is not None), position)
        for path, tensor in chain(walk(args), walk(kwargs)):
            self._mark([tensor], self._add(_Draft("input", 0, name=f"input.{path}"), [tensor]))

    def enter(self, module: nn.Module, args: Any, kwargs: Mapping[str, Any]) -> None:
        """A module begins to compute."""
        position = self._positions.get(id(module))
        if position is None:
            return
        if self._frames and self._frames[-1].opaque:
            self._frames.append(_Frame(position, None, opaque=True))
            return
        call = self._add(_Draft("call", position, self._caller()))
        frame = _Frame(position, call, bool(self._frames) and is_leaf(module))
        frame.arriving = self._arriving(tensor for _, tensor in chain(walk(args), walk(kwargs)))
        if frame.opaque:
            self._connect(frame.arriving, call)
        self._frames.append(frame)

    def leave(self, module: nn.Module, output: Any) -> None:
        """A module has computed; those inside it that an error left are forgotten."""
        position = self._positions.get(id(module))
        for depth in reversed(range(len(self._frames))):
            if self._frames[depth].module == position:
                frame = self._frames[depth]
                del self._frames[depth:]
                self._result(frame, [tensor for _, tensor in walk(output)])
                return

    def called(self, name: str, label: str, args: Sequence[Any], kwargs: Mapping[str, Any], output: Any) -> None:
        """A function was called.

        Args:
            name: Its name, as ``name_of`` gives it.
            label: What its node is called.
            args: Its positional arguments.
            kwargs: Its keyword arguments.
            output: What it returned; None from functions that write into their first argument.
        """
        if not self._frames or self._frames[-1].opaque or makes_anew(name):
            return
        results = list(_tensors(args[:1] if output is None else (output,)))
        if not results:
            return
        arriving = self._arriving(_tensors((*args, *kwargs.values())))
        if is_visible(name, len(arriving)) and arriving:
            function = self._add(_Draft("function", self._frames[-1].module, self._caller(), label), results)
            self._connect(arriving, function)
            self._mark(results, function)
        elif arriving:
            self._mark(results, arriving[0][0])

    def finish(self, output: Any) -> ModuleGraph:
        """The model has computed; give the graph."""
        self.leave(self._modules[0][1], output)
        for path, tensor in walk(output):
            draft = _Draft("output", 0, name=f"output.{path}" if path else "output")
            self._connect(self._arriving([tensor]), self._add(draft, [tensor]))
        return self._graph()

    def _caller(self) -> int | None:
        return self._frames[-1].call if self._frames else None

    def _result(self, frame: _Frame, tensors: list[torch.Tensor]) -> None:
        if frame.call is None:
            return
        self._describe(self._drafts[frame.call - len(self._modules)], tensors)
        new = tensors if frame.opaque else [tensor for tensor in tensors if self._origin(tensor) is None]
        self._mark(new, frame.call)
        if new and not frame.opaque:
            self._connect(frame.arriving, frame.call)

    def _add(self, draft: _Draft, tensors: Sequence[torch.Tensor] = ()) -> int:
        self._describe(draft, tensors)
        self._drafts.append(draft)
        self._check_size()
        return len(self._modules) + len(self._drafts) - 1

    def _describe(self, draft: _Draft, tensors: Sequence[torch.Tensor]) -> None:
        specs = list(map(_spec, tensors))
        if specs:
            draft.spec = specs[0]
            draft.total_bytes = sum(spec[2] for spec in specs)

    def _check_size(self) -> None:
        if len(self._modules) + len(self._drafts) > MAX_NODES:
            raise Untraceable(f"there are more than {MAX_NODES:,} modules, calls and functions")

    def _arriving(self, tensors: Iterable[torch.Tensor]) -> list[_Arrival]:
        """Those of some tensors that something in the graph has made, each once."""
        different = {id(tensor): tensor for tensor in tensors}
        sources = ((self._origin(tensor), tensor) for tensor in different.values())
        return [(origin, _spec(tensor)) for origin, tensor in sources if origin is not None]

    def _origin(self, tensor: torch.Tensor) -> int | None:
        found = self._origins.get(id(tensor))
        if found is not None and found[0]() is tensor:
            return found[1]
        self._unseen |= tensor.requires_grad
        return None

    def _mark(self, tensors: Iterable[torch.Tensor], origin: int) -> None:
        for tensor in tensors:
            self._origins[id(tensor)] = (weakref.ref(tensor), origin)

    def _connect(self, arriving: Sequence[_Arrival], target: int) -> None:
        """Add edges, but none for parameters of the modules that are computing: these are their own."""
        computing = {frame.module for frame in self._frames}
        self._edges += ((source, target, spec) for source, spec in arriving if source not in computing)
        if len(self._edges) > MAX_EDGES:
            raise Untraceable(f"there are more than {MAX_EDGES:,} edges")

    def _graph(self) -> ModuleGraph:
        first = len(self._modules)
        kept = self._useful()
        ids = {old: new for new, old in enumerate([*range(first), *sorted(kept)])}
        calls: Counter[tuple[int, str]] = Counter()
        nodes = list(module_nodes(self._modules))
        for old in sorted(kept):
            draft = self._drafts[old - first]
            nodes.append(self._node(ids, old, draft, calls[draft.module, draft.name]))
            calls[draft.module, draft.name] += 1
        edges = (Edge(ids[source], ids[target], *spec) for source, target, spec in self._edges if target in kept)
        return ModuleGraph(tuple(nodes), tuple(edges), not self._unseen, UNSEEN if self._unseen else "")

    def _node(self, ids: dict[int, int], old: int, draft: _Draft, call: int) -> Node:
        name, module = self._modules[draft.module]
        site, type_ = shown(name, module), type(module).__name__
        if draft.kind == "function":
            site, type_ = f"{site}:{draft.name}", draft.name
        elif draft.kind != "call":
            site, type_ = draft.name, "Tensor"
        shape, dtype, _ = draft.spec or (None, "", 0)
        caller = None if draft.caller is None else ids[draft.caller]
        return Node(ids[old], site, type_, draft.kind, draft.module, caller, call, shape, dtype, draft.total_bytes)

    def _useful(self) -> set[int]:
        """Leave out functions whose results reach no module and no output: somebody measured something, such as we."""
        first = len(self._modules)
        kept = {first + place for place, draft in enumerate(self._drafts) if draft.kind != "function"}
        for source, target, _ in sorted(self._edges, key=lambda edge: -edge[1]):
            if target in kept and source >= first:
                kept.add(source)
        return kept


def _spec(tensor: torch.Tensor) -> _Spec:
    tensor = local(tensor)
    shape = tuple(int(size) for size in tensor.shape)
    return shape, str(tensor.dtype).removeprefix("torch."), tensor.numel() * tensor.itemsize


def _tensors(values: Iterable[Any]) -> Iterator[torch.Tensor]:
    """The tensors among values, and in lists and tuples among them."""
    for value in values:
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, (list, tuple)) and len(value) <= _MOST_ARGUMENTS:
            yield from (item for item in value if isinstance(item, torch.Tensor))

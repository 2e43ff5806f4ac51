"""The modules of a model as nodes: what every graph begins with, and all that is left of one that was not captured."""

from collections.abc import Iterator, Sequence
from itertools import islice

from torch import nn

from deepseek.inspector.graph.module_graph import MAX_NODES, ModuleGraph, Node

NamedModule = tuple[str, nn.Module]


def plain_tree(model: nn.Module | None, note: str) -> ModuleGraph:
    """The modules of a model and nothing else.

    Args:
        model: None gives a graph without nodes.
        note: Why there is nothing else.
    """
    named = [] if model is None else list(islice(model.named_modules(), MAX_NODES))
    return ModuleGraph(tuple(module_nodes(named)), (), complete=False, note=note)


def module_nodes(named: Sequence[NamedModule]) -> Iterator[Node]:
    """Yield a node for each of ``model.named_modules()``, in this order: a node comes after the one that it lies in."""
    positions = {name: position for position, (name, _) in enumerate(named)}
    for position, (name, module) in enumerate(named):
        parent = positions.get(name.rpartition(".")[0], 0) if position else None
        yield Node(position, shown(name, module), type(module).__name__, "module", parent, None, 0, None, "", 0)


def shown(name: str, module: nn.Module) -> str:
    """The name of a module's site: the whole model has no name but its class."""
    return name or type(module).__name__

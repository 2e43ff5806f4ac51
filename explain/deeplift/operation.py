"""One operation of a traced model, and the activations of a pair of rows that its rule compares."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx
from torch.utils import _pytree as pytree

Cotangents = list[tuple[fx.Node, Any]]


@dataclass(frozen=True)
class Operation:
    """One node of the graph that depends on what is explained.

    Attributes:
        node: The node.
        inputs: The nodes among its arguments that depend on what is explained, each once.
    """

    node: fx.Node
    inputs: tuple[fx.Node, ...]

    @property
    def name(self) -> str:
        """Name as in ``aten.relu``, without the overload."""
        target = self.node.target
        packet = getattr(target, "overloadpacket", None)
        return str(packet or getattr(target, "__name__", target))

    @property
    def factors(self) -> int:
        """How many of its arguments depend on what is explained; ``x * x`` has two."""
        return sum(node in self.inputs for node in pytree.tree_leaves((self.node.args, self.node.kwargs)))

    @property
    def place(self) -> str:
        """The name with the module, for messages."""
        module = self.node.meta["module"]
        return f"{self.name} in module `{module}`" if module else self.name

    @property
    def given(self) -> tuple[Any, ...]:
        """Positional arguments as they stand in the graph."""
        return self.node.args

    def call(self, look_up: Callable[[fx.Node], Any]) -> Any:
        """Compute the operation with what its arguments are looked up as."""
        return self.function(*self.arguments(look_up), **self.options(look_up))

    @property
    def function(self) -> Callable[..., Any]:
        """What the node calls."""
        return runnable(self.node.target)

    def arguments(self, look_up: Callable[[fx.Node], Any]) -> tuple[Any, ...]:
        """Positional arguments, with nodes replaced by what they are looked up as."""
        arguments: tuple[Any, ...] = fx.map_arg(self.node.args, look_up)
        return arguments

    def options(self, look_up: Callable[[fx.Node], Any]) -> dict[str, Any]:
        """Keyword arguments, likewise."""
        options: dict[str, Any] = fx.map_arg(self.node.kwargs, look_up)
        return options


@dataclass(frozen=True)
class Pair:
    """The activations of a row and of its reference.

    Attributes:
        actual: By name of the node, what it gave for the row.
        reference: The same for the reference.
        constants: What gave the same for every row.
    """

    actual: Mapping[str, Any]
    reference: Mapping[str, Any]
    constants: Mapping[str, Any]

    def at_actual(self, node: fx.Node) -> Any:
        """What a node gave for the row."""
        return self.constants[node.name] if node.name in self.constants else self.actual[node.name]

    def at_reference(self, node: fx.Node) -> Any:
        """What a node gave for the reference."""
        return self.constants[node.name] if node.name in self.constants else self.reference[node.name]

    def at_middle(self, node: fx.Node) -> Tensor:
        """Halfway between both."""
        middle: Tensor = (self.at_actual(node) + self.at_reference(node)) / 2
        return middle

    def difference(self, node: fx.Node) -> Tensor:
        """By how much both differ."""
        difference: Tensor = self.at_actual(node) - self.at_reference(node)
        return difference


Rule = Callable[[Operation, Pair, Any], Cotangents]
"""Shares an operation's cotangent out to its inputs, with a slope between the pair in place of the derivative.

The cotangent has the shape of the output; a list with None where there is none, for an operation with several outputs.
"""


def runnable(target: Any) -> Callable[..., Any]:
    """What computes an operation, whatever the memory layout, and with a derivative also where autograd is cut off."""
    function: Callable[..., Any] = _INSTEAD.get(target, target)
    return function


aten = torch.ops.aten
_INSTEAD = {
    aten.view.default: aten.reshape.default,
    aten._unsafe_view.default: aten.reshape.default,
    aten.view_copy.default: aten.reshape.default,
    aten.detach.default: aten.alias.default,
}

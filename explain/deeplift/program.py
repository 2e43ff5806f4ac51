"""A traced model as a program: forward for one row, and back for a pair of rows."""

import operator
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, fx

from deepseek.errors import DeepseekError
from deepseek.explain.deeplift.operation import Operation, Pair, Rule, runnable
from deepseek.explain.deeplift.rules import FIXED, rule_for

Tensors = dict[str, Tensor]


class Program:
    """What a model computes for one row, and how changes of its outputs are shared out to its inputs.

    Args:
        graph: What it computes for one row, without operations in place; its output is ``[1, K]``.
        names: Names of the placeholders, in their order.
        explained: Those whose elements are features.

    Attributes:
        operations: Those that depend on what is explained, each with its rule, in the order of the forward.
        constants: By name of the node, what is the same for every row.
        contexts: Names of the placeholders that are used and not explained.

    Raises:
        DeepseekError: An operation has no rule, is random, or changes a tensor of the model in place.
    """

    def __init__(self, graph: fx.Graph, names: Sequence[str], explained: Sequence[str]) -> None:
        self._graph = graph
        self._explained = tuple(explained)
        self._placeholders = dict(zip(names, self._graph.find_nodes(op="placeholder"), strict=True))
        (self._output,) = next(iter(self._graph.find_nodes(op="output"))).args
        self.operations: list[tuple[Operation, Rule]] = []
        self.constants: dict[str, Any] = {}
        self.contexts = tuple(
            name for name, node in self._placeholders.items() if node.users and name not in self._explained
        )
        self._examine()
        self._kept = self._needed()
        if all(operation.node is not self._output for operation, _ in self.operations):
            raise DeepseekError(f"The chosen outputs do not depend on the inputs {', '.join(explained)}.")

    def forward(self, tensors: Tensors, *, everything: bool = False) -> dict[str, Any]:
        """Compute one row.

        Args:
            tensors: By name of the placeholder, ``[1, ...]``.
            everything: Return what every node gave, instead of what the rules need.

        Returns:
            What nodes gave, by their names.
        """
        given: dict[str, Any] = {self._placeholders[name].name: tensor for name, tensor in tensors.items()}

        def look_up(node: fx.Node) -> Any:
            return self.constants[node.name] if node.name in self.constants else given[node.name]

        for node in self._graph.nodes:
            if node.op == "call_function" and node.name not in self.constants:
                arguments, options = fx.map_arg((node.args, node.kwargs), look_up)
                given[node.name] = runnable(node.target)(*arguments, **options)
        return given if everything else {name: given[name] for name in self._kept}

    def outputs(self, given: Mapping[str, Any]) -> Tensor:
        """Take the outputs ``[..., 1, K]`` out of what ``forward`` returned."""
        found: Tensor = given[self._output.name]
        return found

    def share_out(
        self,
        actual: Mapping[str, Any],
        reference: Mapping[str, Any],
        seed: Tensor,
        residuals: dict[int, Tensor] | None = None,
    ) -> Tensors:
        """Share a change of the outputs out to the inputs.

        Args:
            actual: What ``forward`` returned for a row.
            reference: What it returned for the reference row.
            seed: Weight of each output, ``[K]``.
            residuals: Filled, by place of the operation, with how much of the change each rule leaves over; both rows
                must then hold everything.

        Returns:
            Contribution of each element of the explained inputs, ``[1, ...]``.
        """
        pair = Pair(actual, reference, self.constants)
        passed: dict[fx.Node, Any] = {self._output: seed[None]}
        for place in reversed(range(len(self.operations))):
            operation, rule = self.operations[place]
            if (cotangent := passed.pop(operation.node, None)) is not None:
                shares = rule(operation, pair, cotangent)
                if residuals is not None:
                    residuals[place] = _residual(pair, operation.node, cotangent, shares)
                for node, share in shares:
                    passed[node] = share if node not in passed else _added(share, passed[node])
        return {name: self._contribution(name, pair, passed) for name in self._explained}

    def _contribution(self, name: str, pair: Pair, passed: Mapping[fx.Node, Tensor]) -> Tensor:
        node = self._placeholders[name]
        if node not in passed:
            return torch.zeros_like(pair.at_actual(node), dtype=self._output.meta["example"].dtype)
        return _change(pair, node, passed[node])

    def _examine(self) -> None:
        """Find out what each node depends on."""
        active = {self._placeholders[name] for name in self._explained}
        constant: set[fx.Node] = set()
        for node in self._graph.nodes:
            _refuse_side_effects(node)
            inputs = node.all_input_nodes
            if (
                node.op == "get_attr"
                or _is_of_a_shape(node)
                or (node.op == "call_function" and constant.issuperset(inputs))
            ):
                constant.add(node)
                self.constants[node.name] = node.meta["example"]
            elif node.op == "call_function" and (used := tuple(parent for parent in inputs if parent in active)):
                active.add(node)
                self._add(node, used)

    def _add(self, node: fx.Node, inputs: tuple[fx.Node, ...]) -> None:
        operation = Operation(node, inputs)
        self.operations.append((operation, item if node.target is operator.getitem else rule_for(operation)))

    def _needed(self) -> list[str]:
        nodes = [self._output, *(self._placeholders[name] for name in self._explained)]
        for operation, rule in self.operations:
            if rule is not item:
                omitted = operation.inputs if rule in FIXED else ()
                nodes += [node for node in operation.node.all_input_nodes if node not in omitted]
        return list(dict.fromkeys(node.name for node in nodes if node.name not in self.constants))


def item(operation: Operation, _pair: Pair, cotangent: Any) -> list[tuple[fx.Node, Any]]:
    """Rule of taking one output of several."""
    (parent,) = operation.inputs
    passed = [None] * len(parent.meta["example"])
    passed[operation.given[1]] = cotangent
    return [(parent, passed)]


def _added(one: Any, other: Any) -> Any:
    if isinstance(one, list):
        return [_added(*both) if None not in both else both[both[0] is None] for both in zip(one, other, strict=True)]
    return one + other


def _residual(pair: Pair, node: fx.Node, cotangent: Any, shares: list[tuple[fx.Node, Any]]) -> Tensor:
    before = _total(pair, node, cotangent)
    return before - sum((_total(pair, parent, share) for parent, share in shares), start=torch.zeros_like(before))


def _total(pair: Pair, node: fx.Node, cotangent: Any) -> Tensor:
    """How much of the outputs' change goes through a node."""
    if isinstance(cotangent, list):
        changes = zip(pair.at_actual(node), pair.at_reference(node), cotangent, strict=True)
        return torch.stack([((a - b) * c).sum().double() for a, b, c in changes if c is not None]).sum()
    return _change(pair, node, cotangent).sum().double()


def _change(pair: Pair, node: fx.Node, cotangent: Tensor) -> Tensor:
    """Cotangents of whole numbers are contributions already; see ``rules.entry``."""
    return cotangent * pair.difference(node) if node.meta["example"].is_floating_point() else cotangent


_FILLING = "empty_like full_like new_empty new_full new_ones new_zeros ones_like zeros_like"
_OF_A_SHAPE = frozenset(f"aten::{name}" for name in _FILLING.split())


def _is_of_a_shape(node: fx.Node) -> bool:
    """Whether a node takes nothing but the shape from another."""
    return isinstance(node.target, torch._ops.OpOverload) and node.target._schema.name in _OF_A_SHAPE


def _refuse_side_effects(node: fx.Node) -> None:
    if not isinstance(node.target, torch._ops.OpOverload):
        return
    place = Operation(node, ()).place
    if torch.Tag.nondeterministic_seeded in node.target.tags:
        raise DeepseekError(
            f"The model draws random numbers in evaluation mode, by {place}: no two attributions would agree."
        )
    if node.target._schema.is_mutable:
        raise DeepseekError(
            f"The model changes one of its own tensors in place, by {place}: DeepLIFT needs a model whose "
            "output depends on its inputs alone."
        )

"""Records the ATen operations of a computation, as a graph."""

import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, fx
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from deepseek.errors import DeepseekError
from deepseek.explain.deeplift.decompositions import TABLE


class NotTraceableError(DeepseekError):
    """The model could not be followed, for instance because its control flow depends on numbers that it is given."""


class Recorder(TorchDispatchMode):
    """While it is entered, every operation becomes a node.

    Its ``meta["module"]`` names the module that called it, ``meta["example"]`` is what it gave.

    Numbers that are the same for every row may be looked at, such as whether a mask leaves everything in.

    Args:
        inputs: The tensors that differ between rows.
        where: Gives the name of the module that is computing.

    Attributes:
        graph: What was recorded.
    """

    def __init__(self, inputs: Sequence[Tensor], where: Callable[[], str]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.graph = fx.Graph()
        self._where = where
        self._made: dict[int, tuple[Tensor, fx.Node]] = {}  # holds the tensors, so that no id is used twice
        self._dependent: set[fx.Node] = set()
        for place, tensor in enumerate(inputs):
            node = self._keep(self.graph.placeholder(f"input_{place}"), tensor)
            self._dependent.add(node)

    def __torch_dispatch__(self, function: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        with self:  # what it is made of is recorded in its place
            output = TABLE.get(function, function.decompose)(*args, **kwargs)
        if output is not NotImplemented:
            return output
        if function is torch.ops.aten._local_scalar_dense.default:
            self._refuse_to_look(args[0])
            return function(*args)
        output = function(*args, **kwargs)
        self._record(function, args, kwargs, output)
        return output

    def finish(self, output: Tensor) -> None:
        """End the graph with its output, and leave out what does not lead to it."""
        self.graph.output(self._node(output))
        for node in reversed(self.graph.nodes):
            if not node.users and node.op in ("call_function", "get_attr") and not is_in_place(node):
                self.graph.erase_node(node)

    def _record(self, function: Any, args: Any, kwargs: Any, output: Any) -> None:
        nodes = pytree.tree_map_only(Tensor, self._node, (args, kwargs))
        node = self._keep(self.graph.call_function(function, *nodes), output)
        if isinstance(output, (tuple, list)):
            for place, one in enumerate(output):
                self._keep(self.graph.call_function(operator.getitem, (node, place)), one)

    def _keep(self, node: fx.Node, value: Any) -> fx.Node:
        node.meta |= {"module": self._where(), "example": value}
        if isinstance(value, Tensor):
            self._made[id(value)] = value, node
        if not self._dependent.isdisjoint(node.all_input_nodes):
            self._dependent.add(node)
        return node

    def _node(self, tensor: Tensor) -> fx.Node:
        if id(tensor) not in self._made:
            self._keep(self.graph.get_attr("constant"), tensor)
        return self._made[id(tensor)][1]

    def _refuse_to_look(self, tensor: Tensor) -> None:
        if self._node(tensor) in self._dependent:
            where = f", in module `{self._where()}`," if self._where() else ""
            raise NotTraceableError(
                f"The model{where} decides by the numbers that it is given what it computes. "
                'DeepLIFT needs the same operations for every row; `method="expected_gradients"` does not.'
            )


def is_in_place(node: fx.Node) -> bool:
    """Whether a node changes one of its arguments."""
    return isinstance(node.target, torch._ops.OpOverload) and bool(node.target._schema.is_mutable)

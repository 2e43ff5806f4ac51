"""The module graph as data."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from deepseek.inspector.graph.outline import heading, outline
from deepseek.text import printable

Kind = Literal["module", "call", "function", "input", "output"]

MAX_NODES = 20_000
MAX_EDGES = 60_000
"""A graph that would be larger is given up, and the plain tree of modules takes its place."""


class Node(NamedTuple):
    """A module, one call of it, a function called between modules, or a tensor that the model takes or returns.

    A module is one node however many names it has and however often it is called; each call is a node of its own.
    Containment (``parent``) and what called what (``caller``) are two things: a module that several others share lies
    in one of them, and is called by all.

    Attributes:
        id: Position among the nodes of the graph: modules in the order of ``model.named_modules()``, inputs, calls and
            functions in the order in which they began, outputs last.
        site: Name of the site as in the tables of the run: a module's qualified name, or that of the module which
            calls a function with the function's name, as in ``decoder:add``; ``input.0``, ``output.logits`` for others.
        type: Class of the module, or name of the function, such as ``Linear`` or ``add``.
        kind: Which of the five it is.
        parent: Id of the module that it lies in; a call lies in the module it is a call of. None for the whole model.
        caller: Id of the call during which it was called; None for modules, and for what nobody called.
        call: How many-th of the same site in the forward, from 0.
        shape: Shape of the (first) tensor that comes out; None for none.
        dtype: Its dtype, such as ``float32``; empty for none.
        bytes: Size of all tensors that come out together.
    """

    id: int
    site: str
    type: str
    kind: Kind
    parent: int | None
    caller: int | None
    call: int
    shape: tuple[int, ...] | None
    dtype: str
    bytes: int


class Edge(NamedTuple):
    """A tensor on its way, as it arrives: views, reshapes, casts and other functions of one tensor are passed through.

    Edges join inputs, calls of modules that call no others, functions and outputs. A call of a module that calls others
    takes part only where its result cannot be traced further into it. An edge that begins at a module, not at a call,
    carries a parameter of that module used outside of it, as with tied weights. The source has always the smaller id.

    Attributes:
        source: Id of the node that made the tensor.
        target: Id of the node that it arrives at.
        shape: Its shape at the target.
        dtype: Its dtype at the target.
        bytes: Its size there.
    """

    source: int
    target: int
    shape: tuple[int, ...]
    dtype: str
    bytes: int


@dataclass(frozen=True, repr=False)
class ModuleGraph:
    """The modules of a model and what one forward did with them; ``print`` shows it as a tree.

    Attributes:
        nodes: All nodes; a node's id is its position.
        edges: All edges, in the order in which the tensors arrived.
        complete: Whether every tensor between modules was followed.
        note: Why it is not complete, one clause; empty when it is.
    """

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    complete: bool
    note: str = ""

    def __repr__(self) -> str:
        return printable(f"<{heading(self)}>")

    def __str__(self) -> str:
        return printable(outline(self))

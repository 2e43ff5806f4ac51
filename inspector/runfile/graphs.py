"""The module graph as the JSON text that a run file holds.

Texts and tensors are few and repeat: nodes and edges refer to the tensors by position. Decoding trusts nothing; its
errors are short facts (``ValueError``), to which the reader adds the file and the row.
"""

import json
import math
from collections.abc import Sequence
from typing import Any, cast, get_args

from deepseek.inspector.graph.module_graph import MAX_EDGES, MAX_NODES, Edge, Kind, ModuleGraph, Node
from deepseek.inspector.runfile.checks import need
from deepseek.inspector.runfile.schema import MAX_JSON, MAX_STEP, MAX_TEXT
from deepseek.inspector.runfile.texts import checked_shape, clean, parse

_MAX_TENSORS = 20_000
"""Most different shapes, dtypes and sizes of a graph."""

_MAX_LISTS = 2 * MAX_NODES + MAX_EDGES + 2 * _MAX_TENSORS + 4
"""As many brackets may the text have: reading a million empty lists would take a second."""

_MAX_ITEMSIZE = 1024
_TARGETS = ("call", "function", "output")

_Tensor = tuple[tuple[int, ...], str, int]
"""Shape, dtype and bytes."""


def encode_graph(graph: ModuleGraph) -> str:
    """Write a graph as JSON; one that is too long to be read back is replaced by a note that says so."""
    tensors: dict[_Tensor, int] = {}
    nodes = [
        [
            *(_names(node), node.kind, node.parent, node.caller, node.call, node.bytes),
            None if node.shape is None else tensors.setdefault(_first_tensor(node), len(tensors)),
        ]
        for node in graph.nodes
    ]
    edges = [[edge.source, edge.target, tensors.setdefault(edge[2:], len(tensors))] for edge in graph.edges]
    parts = {"complete": graph.complete, "note": clean(graph.note), "nodes": nodes, "edges": edges}
    text = json.dumps(parts | {"tensors": list(tensors)}, separators=(",", ":"))
    fits = len(nodes) <= MAX_NODES and len(edges) <= MAX_EDGES and len(tensors) <= _MAX_TENSORS
    if fits and len(text) <= MAX_JSON and text.count("[") <= _MAX_LISTS:
        return text
    return encode_graph(ModuleGraph((), (), complete=False, note="it is too large to be stored"))


def decode_graph(text: str) -> ModuleGraph:
    """Read what ``encode_graph`` wrote.

    Raises:
        ValueError: It is anything else.
    """
    need(text.count("[") <= _MAX_LISTS, f"its graph is no text of at most {_MAX_LISTS} lists")
    parts = parse(text)
    need(isinstance(parts, dict) and set(parts) == {"complete", "note", "nodes", "edges", "tensors"}, "it is no graph")
    parts = cast("dict[str, Any]", parts)
    need(type(parts["complete"]) is bool and _is_text(parts["note"]), "it does not say whether it is complete")
    tensors = [_tensor(*row) for row in _rows(parts["tensors"], 3, _MAX_TENSORS)]
    nodes: list[Node] = []
    for row in _rows(parts["nodes"], 7, MAX_NODES):
        nodes.append(_node(nodes, tensors, *row))
    edges = tuple(_edge(nodes, tensors, *row) for row in _rows(parts["edges"], 3, MAX_EDGES))
    return ModuleGraph(tuple(nodes), edges, parts["complete"], parts["note"])


def _names(node: Node) -> list[str] | None:
    """Site and type of a node; a call has those of its module."""
    return None if node.kind == "call" else [clean(node.site), clean(node.type)]


def _first_tensor(node: Node) -> _Tensor:
    """The shape and dtype of a node; bytes are those of the edges, and a node has its own."""
    return node.shape or (), node.dtype, 0


def _node(nodes: Sequence[Node], tensors: Sequence[_Tensor], *row: Any) -> Node:
    names, kind, parent, caller, call, bytes_, tensor = row
    need(kind in get_args(Kind), "a node is of a kind that there is not")
    need(_is_count(call) and _is_count(bytes_), "a node has a number that is out of range")
    need(_is_below(caller, nodes, ("call",)) or caller is None, "a node is called by something other than a call")
    rooted = parent is None and kind == "module" and not nodes
    need(rooted or _is_below(parent, nodes, ("module",)), "a node lies in something other than a module before it")
    site, type_ = nodes[parent][1:3] if kind == "call" and names is None else _rows([names], 2, 1)[0]
    need(_is_text(site) and _is_text(type_), f"a name in the graph is no text of at most {MAX_TEXT} characters")
    need(tensor is None or _is_index(tensor, len(tensors)), "a node has a tensor that there is not")
    shape, dtype, _ = (None, "", 0) if tensor is None else tensors[tensor]
    return Node(len(nodes), site, type_, kind, parent, caller, call, shape, dtype, bytes_)


def _edge(nodes: Sequence[Node], tensors: Sequence[_Tensor], source: Any, target: Any, tensor: Any) -> Edge:
    need(_is_index(target, len(nodes)) and nodes[target].kind in _TARGETS, "an edge ends at nothing that takes tensors")
    need(_is_index(source, target) and nodes[source].kind != "output", "an edge begins at nothing before its end")
    need(_is_index(tensor, len(tensors)), "an edge has a tensor that there is not")
    return Edge(source, target, *tensors[tensor])


def _tensor(shape: Any, dtype: Any, bytes_: Any) -> _Tensor:
    need(_is_text(dtype) and _is_count(bytes_), "a tensor of the graph has no dtype or no size")
    shape = checked_shape(shape, _MAX_ITEMSIZE)
    itemsize, rest = divmod(bytes_, max(math.prod(shape), 1))
    need(itemsize <= _MAX_ITEMSIZE and not rest, "a tensor of the graph has a size that does not fit its shape")
    return shape, dtype, bytes_


def _rows(rows: Any, width: int, most: int) -> list[list[Any]]:
    need(isinstance(rows, list) and len(rows) <= most, f"a part of the graph is no list of at most {most} rows")
    need(all(type(row) is list and len(row) == width for row in rows), f"a row of the graph has not {width} values")
    return cast("list[list[Any]]", rows)


def _is_below(value: Any, nodes: Sequence[Node], kinds: tuple[Kind, ...]) -> bool:
    return _is_index(value, len(nodes)) and nodes[value].kind in kinds


def _is_index(value: Any, end: int) -> bool:
    return type(value) is int and 0 <= value < end


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= MAX_STEP


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= MAX_TEXT

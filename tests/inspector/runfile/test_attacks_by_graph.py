"""Files with a hostile module graph: every one is refused, quickly, with one kind of error."""

import json

import pytest
from attacks import Attack, refused, replaced, row, statement
from recorded_runs import detail, records, with_graph

from deepseek.inspector.graph.module_graph import MAX_EDGES, MAX_NODES
from deepseek.inspector.runfile import schema


def graph_text(text: object) -> Attack:
    return replaced(schema.GRAPH, "1", data=text)


def graph(part: str, *rows: object) -> Attack:
    """Replace a part of the graph; ``rows`` stand in for what was there."""
    sound = {
        "complete": True,
        "note": "",
        "tensors": [[[2], "float32", 8]],
        "nodes": [[["Net", "Net"], "module", None, None, 0, 0, None], [None, "call", 0, None, 0, 8, 0]],
        "edges": [],
    }
    return graph_text(json.dumps(sound | {part: list(rows)}))


def graph_node(**changes: object) -> Attack:
    """A graph whose third node is hostile."""
    columns = ("names", "kind", "parent", "caller", "call", "bytes", "tensor")
    sound = dict(zip(columns, (["Net:add", "add"], "function", 0, 1, 0, 8, 0), strict=True))
    module, call = [["Net", "Net"], "module", None, None, 0, 0, None], [None, "call", 0, None, 0, 8, 0]
    return graph("nodes", module, call, list((sound | changes).values()))


ATTACKS: dict[str, Attack] = {
    "graph of no JSON": graph_text("[1, "),
    "graph that is a list": graph_text("[]"),
    "graph that is a blob": graph_text(b"{}"),
    "graph that is missing": graph_text(None),
    "graph without edges": graph_text('{"complete": true, "note": "", "nodes": [], "tensors": []}'),
    "graph of another step": replaced(schema.GRAPH, "1", step=-1),
    "two graphs": row(schema.GRAPH, 77, '{"complete": true, "note": "", "nodes": [], "edges": [], "tensors": []}'),
    "graph that was removed": statement("DELETE FROM graph"),
    "graph that nobody counted": statement("DELETE FROM tally WHERE name = 'graph'"),
    "deeply nested graph": graph_text('{"nodes": ' + "[" * 100_000),
    "graph of a million lists": graph_text('{"nodes": [' + "[]," * 1_000_000 + "[]]}"),
    "graph whose text is longer than any": graph_text(" " * (schema.MAX_JSON + 1)),
    "graph of too many nodes": graph("nodes", *[[["", ""], "module", 0, None, 0, 0, None]] * (MAX_NODES + 1)),
    "graph of too many edges": graph("edges", *[[0, 1, 0]] * (MAX_EDGES + 1)),
    "graph that may be complete": graph_text('{"complete": 1, "note": "", "nodes": [], "edges": [], "tensors": []}'),
    "graph with an endless name": graph_node(names=["x" * (schema.MAX_TEXT + 1), "add"]),
    "graph with a name that is a number": graph_node(names=["Net", 7]),
    "graph with a nameless function": graph_node(names=None),
    "graph with three names": graph_node(names=["a", "b", "c"]),
    "graph with an unknown kind": graph_node(kind="kernel"),
    "graph with a kind that is a list": graph_node(kind=["call"]),
    "graph with a node inside itself": graph_node(kind="module", parent=2),
    "graph with a node inside a call": graph_node(parent=1),
    "graph with two roots": graph_node(kind="module", parent=None),
    "graph with a parent before the first": graph_node(parent=-1),
    "graph with a parent that is true": graph_node(parent=True),
    "graph with a node that calls itself": graph_node(caller=2),
    "graph with a module that calls": graph_node(caller=0),
    "graph with a negative call": graph_node(call=-1),
    "graph with a fraction of a byte": graph_node(bytes=0.5),
    "graph with more bytes than there are": graph_node(bytes=2**63),
    "graph with a tensor that there is not": graph_node(tensor=1),
    "graph with a node of eight values": graph("nodes", [0] * 8),
    "graph whose first node is a call": graph("nodes", [None, "call", None, None, 0, 8, 0]),
    "graph with an edge to a module": graph("edges", [0, 0, 0]),
    "graph with an edge to itself": graph("edges", [1, 1, 0]),
    "graph with an edge to nowhere": graph("edges", [0, 2, 0]),
    "graph with an edge from before the first": graph("edges", [-1, 1, 0]),
    "graph with an edge of no tensor": graph("edges", [0, 1, 1]),
    "graph with an edge that is an object": graph("edges", {"source": 0}),
    "graph with a shape of 2**63": graph("tensors", [[2**63], "float32", 0]),
    "graph with a shape that is a number": graph("tensors", [2, "float32", 8]),
    "graph with a size that fits no shape": graph("tensors", [[3], "float32", 8]),
    "graph with an element of a megabyte": graph("tensors", [[1], "float32", 2**20]),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_every_attack_is_refused_within_a_second(write_run, name):
    refused(write_run(with_graph(records(4)), details=[detail()]), ATTACKS[name])

"""The module graph as a message."""

from typing import get_args

import numpy as np

from deepseek.inspector.graph import ModuleGraph
from deepseek.inspector.graph.module_graph import Kind
from deepseek.widgets.message_types import Graph, TensorLayout
from deepseek.widgets.messages import Packet, long_text, name_text, packet

KINDS: tuple[Kind, ...] = get_args(Kind)
"""The number of a node's kind is its position here."""

NONE = -1


def graph_packet(graph: ModuleGraph) -> Packet:
    """Return the graph as a message; texts and layouts that several nodes or edges share travel once."""
    texts: dict[str, int] = {}
    layouts: dict[tuple[str, tuple[int, ...], int], int] = {}

    def text(value: str) -> int:
        return texts.setdefault(name_text(value), len(texts))

    def layout(dtype: str, shape: tuple[int, ...] | None, nbytes: int) -> int:
        return NONE if shape is None else layouts.setdefault((dtype, shape, nbytes), len(layouts))

    nodes = [
        (
            KINDS.index(node.kind),
            NONE if node.parent is None else node.parent,
            NONE if node.caller is None else node.caller,
            node.call,
            text(node.site),
            text(node.type),
            layout(node.dtype, node.shape, node.bytes),
        )
        for node in graph.nodes
    ]
    edges = [(edge.source, edge.target, layout(edge.dtype, edge.shape, edge.bytes)) for edge in graph.edges]
    message: Graph = {
        "type": "graph",
        "complete": graph.complete,
        "note": long_text(graph.note),
        "texts": list(texts),
        "layouts": [_layout_info(*key) for key in layouts],
        "arrays": [],
    }
    return packet(
        message,
        {
            "nodes": np.array(nodes, np.int32).reshape(-1, 7).T,
            "edges": np.array(edges, np.int32).reshape(-1, 3).T,
        },
    )


def _layout_info(dtype: str, shape: tuple[int, ...], nbytes: int) -> TensorLayout:
    return {"dtype": name_text(dtype), "shape": list(shape), "bytes": nbytes}

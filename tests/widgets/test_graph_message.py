"""The module graph as a message: what was captured arrives, sharing what repeats."""

import numpy as np
import pytest
import torch
from controlled import until
from synthetic import SyntheticRecording
from torch import nn

import deepseek
from deepseek.widgets.graph_message import KINDS, graph_packet
from deepseek.widgets.live import LiveWidget


def decoded(packet):
    message, arrays, offset = packet.message, {}, 0
    for info in message["arrays"]:
        count = int(np.prod(info["shape"]))
        arrays[info["name"]] = np.frombuffer(packet.payload, "<i4", count, offset).reshape(info["shape"]).T.tolist()
        offset += 4 * count
    assert offset == len(packet.payload)
    return message, arrays["nodes"], arrays["edges"]


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.block = nn.Linear(4, 4)

    def forward(self, x):
        return x + self.block(self.block(x))


@pytest.fixture
def graph(tmp_path):
    model = Residual()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with deepseek.inspect(model, optimizer, every=1, run=tmp_path / "r.dsrun") as session:
        model(torch.ones(2, 4)).sum().backward()
        optimizer.step()
        return session.graph()


def test_nodes_and_edges_arrive_as_they_are(graph):
    assert graph.complete
    message, nodes, edges = decoded(graph_packet(graph))

    def layout(index):
        return None if index < 0 else (*(message["layouts"][index][key] for key in ("dtype", "bytes", "shape")),)

    def told(dtype, nbytes, shape):
        return None if shape is None else (dtype, nbytes, list(shape))

    assert [
        (KINDS[kind], parent, caller, call, message["texts"][site], message["texts"][type_], layout(shape))
        for kind, parent, caller, call, site, type_, shape in nodes
    ] == [
        (
            n.kind,
            -1 if n.parent is None else n.parent,
            -1 if n.caller is None else n.caller,
            *(n.call, n.site, n.type, told(n.dtype, n.bytes, n.shape)),
        )
        for n in graph.nodes
    ]
    assert [(source, target, layout(shape)) for source, target, shape in edges] == [
        (e.source, e.target, told(e.dtype, e.bytes, e.shape)) for e in graph.edges
    ]
    assert len(set(message["texts"])) == len(message["texts"]) < 2 * len(nodes)


def test_the_widget_brings_it_and_follows_a_new_one(tmp_path):
    recording = SyntheticRecording(blocks=1)
    widget = LiveWidget(recording)
    texts = widget.graph["message"]["texts"]
    assert "features.0.conv2d" in texts

    model = nn.Sequential(nn.Linear(2, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with deepseek.inspect(model, optimizer, every=1, run=tmp_path / "r.dsrun") as session:
        widget = LiveWidget(session)
        assert not widget.graph["message"]["complete"]
        model(torch.ones(1, 2)).sum().backward()
        optimizer.step()
        session.flush()
        until(lambda: widget.graph["message"]["complete"])

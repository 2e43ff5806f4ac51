"""The module graph of models whose structure is known."""

from collections import Counter
from itertools import pairwise

import pytest
import torch
from graph_models import (
    GPT,
    IDS,
    Block,
    Classifier,
    ResNet,
    UNet,
    X,
    label,
    links,
    mlp,
    of_kind,
    sources,
    transformer,
)
from torch import nn


def test_an_mlp_is_a_chain(captured):
    graph = captured(mlp(), torch.randn(3, 6))
    assert graph.complete
    assert graph.note == ""
    chain = ["input.0", "0", "1", "2", "output"]
    assert links(graph) == Counter(pairwise(chain))
    assert [(edge.shape, edge.dtype, edge.bytes) for edge in graph.edges] == [
        ((3, 6), "float32", 72),
        ((3, 5), "float32", 60),
        ((3, 5), "float32", 60),
        ((3, 2), "float32", 24),
    ]
    assert [(node.site, node.type, node.parent) for node in of_kind(graph, "module")] == [
        ("Sequential", "Sequential", None),
        ("0", "Linear", 0),
        ("1", "ReLU", 0),
        ("2", "Linear", 0),
    ]


def test_residual_adds_have_the_two_right_sources(captured):
    graph = captured(ResNet(), torch.randn(2, 3, 8, 8))
    assert graph.complete
    assert sources(graph, "a:add") == ["a.bn2", "stem"]
    assert sources(graph, "b:add") == ["b.bn2", "b.down"]
    assert sources(graph, "a.relu#1") == ["a:add"]
    assert sources(graph, "b.conv1") == sources(graph, "b.down") == ["a.relu#1"]
    assert sources(graph, "head") == ["b.relu#1"]
    assert len(of_kind(graph, "function")) == 2


@pytest.mark.parametrize("functional", [False, True])
def test_a_gpt_with_tied_embeddings(captured, functional):
    graph = captured(GPT(functional), IDS)
    assert graph.complete
    assert sources(graph, "GPT:add") == ["wte"]  # the position embedding is a parameter of the model itself
    for block, before in (("blocks.0", "GPT:add"), ("blocks.1", "blocks.0:add")):
        assert sources(graph, f"{block}.ln") == [before]
        assert sources(graph, f"{block}:matmul") == [f"{block}.qkv"] * 2
        assert sources(graph, f"{block}:softmax") == [f"{block}:matmul"]
        assert sources(graph, f"{block}:matmul#1") == sorted([f"{block}.qkv", f"{block}:softmax"])
        assert sources(graph, f"{block}:add") == sorted([before, f"{block}.proj"])
    tied = sources(graph, "GPT:linear" if functional else "head")
    assert tied == (["blocks.1:add", "parameter of wte"] if functional else ["blocks.1:add"])


def test_an_lstm_classifier_with_several_outputs(captured):
    graph = captured(Classifier(), IDS)
    assert graph.complete
    assert links(graph) == Counter(
        [
            ("input.0", "embed"),
            ("embed", "lstm"),
            ("lstm", "head"),
            ("head", "output.logits"),
            ("lstm", "output.states"),
        ]
    )
    (lstm,) = (node for node in of_kind(graph, "call") if node.site == "lstm")
    assert (lstm.shape, lstm.bytes) == ((2, 4, 6), 4 * (2 * 4 * 6 + 2 * 2 * 2 * 6))
    assert next(edge for edge in graph.edges if graph.nodes[edge.target].site == "head").shape == (2, 6)


def test_a_module_used_three_times_is_one_node_with_three_calls(captured):
    shared = nn.Linear(4, 4)
    graph = captured(nn.Sequential(shared, nn.Tanh(), shared, nn.Tanh(), shared), X)
    assert [node.site for node in of_kind(graph, "module")] == ["Sequential", "0", "1", "3"]
    calls = [node for node in of_kind(graph, "call") if node.site == "0"]
    assert [node.call for node in calls] == [0, 1, 2]
    assert {node.parent for node in calls} == {1}
    assert links(graph) == Counter(
        [("input.0", "0"), ("0", "1"), ("1", "0#1"), ("0#1", "3"), ("3", "0#2"), ("0#2", "output")]
    )


def test_a_block_called_twice_tells_what_each_call_called(captured):
    block = Block(8)
    graph = captured(nn.Sequential(block, block), torch.randn(2, 4, 8))
    outer = [node.id for node in of_kind(graph, "call") if node.site == "0"]
    callers = {label(node): node.caller for node in graph.nodes if node.caller and node.site in ("0.ln", "0:add")}
    assert callers == {"0.ln": outer[0], "0:add": outer[0], "0.ln#1": outer[1], "0:add#1": outer[1]}
    assert sources(graph, "0:add#1") == ["0.proj#1", "0:add"]


def test_a_skip_connection_by_concatenation(captured):
    graph = captured(UNet(), torch.randn(2, 1, 8))
    assert graph.complete
    assert sources(graph, "UNet:cat") == ["UNet:interpolate", "down"]
    assert sources(graph, "UNet:interpolate") == ["middle"]
    assert sources(graph, "up") == ["UNet:cat"]


def test_bert(captured):
    graph = captured(transformer("bert"), input_ids=IDS, attention_mask=torch.ones_like(IDS))
    assert graph.complete
    layer = "encoder.layer.1"
    attention = f"{layer}.attention.self"
    assert sources(graph, f"{attention}:scaled_dot_product_attention") == sorted(
        [f"{attention}.query", f"{attention}.key", f"{attention}.value"]
    )
    assert sources(graph, f"{attention}.query") == ["encoder.layer.0.output.LayerNorm"]
    assert sources(graph, f"{layer}.attention.output:add") == [
        "encoder.layer.0.output.LayerNorm",
        f"{layer}.attention.output.dropout",
    ]
    assert sources(graph, f"{layer}.output:add") == [
        f"{layer}.attention.output.LayerNorm",
        f"{layer}.output.dropout",
    ]
    assert sources(graph, "output.pooler_output") == ["pooler.activation"]


def test_gpt2(captured):
    graph = captured(transformer("gpt2"), input_ids=IDS, labels=IDS)
    assert graph.complete
    block = "transformer.h.1"
    assert sources(graph, "transformer:add") == ["transformer.wpe", "transformer.wte"]
    assert sources(graph, f"{block}:add") == ["transformer.h.0:add#1", f"{block}.attn.resid_dropout"]
    assert sources(graph, f"{block}:add#1") == [f"{block}.mlp.dropout", f"{block}:add"]
    assert sources(graph, f"{block}.attn:scaled_dot_product_attention") == [f"{block}.attn.c_attn"] * 3
    assert sources(graph, "output.loss") == ["GPT2LMHeadModel:cross_entropy"]
    assert "parameter of transformer.wte" not in {source for source, _ in links(graph)}


def test_llama(captured):
    graph = captured(transformer("llama"), input_ids=IDS, labels=IDS)
    assert graph.complete
    layer = "model.layers.1"
    assert sources(graph, f"{layer}:add") == ["model.layers.0:add#1", f"{layer}.self_attn.o_proj"]
    assert sources(graph, f"{layer}:add#1") == [f"{layer}.mlp.down_proj", f"{layer}:add"]
    assert sources(graph, f"{layer}.mlp:mul") == [f"{layer}.mlp.act_fn", f"{layer}.mlp.up_proj"]
    assert sources(graph, f"{layer}.self_attn:scaled_dot_product_attention") == [
        f"{layer}.self_attn.v_proj",
        f"{layer}.self_attn:add",
        f"{layer}.self_attn:add#1",
    ]
    assert sources(graph, f"{layer}.self_attn:mul") == [f"{layer}.self_attn.q_proj", "model.rotary_emb"]


def spec(tensor):
    dtype = str(tensor.dtype).removeprefix("torch.")
    return tuple(tensor.shape), dtype, tensor.numel() * tensor.element_size()


ZOO = {
    "mlp": lambda: (mlp(), [torch.randn(3, 6)]),
    "double": lambda: (mlp().double(), [torch.randn(3, 6, dtype=torch.float64)]),
    "resnet": lambda: (ResNet(), [torch.randn(2, 3, 8, 8)]),
    "gpt": lambda: (GPT(), [IDS]),
    "lstm": lambda: (Classifier(), [IDS]),
    "unet": lambda: (UNet(), [torch.randn(2, 1, 8)]),
    "llama": lambda: (transformer("llama"), [IDS]),
}


@pytest.mark.parametrize("name", ZOO)
def test_shapes_dtypes_and_bytes_are_those_that_hooks_see(captured, name):
    """Each leaf module takes what its edges say, and each call gives what its node says."""
    model, args = ZOO[name]()
    taken, given = {}, {}
    calls = Counter()

    def note(module_name):
        def hook(module, inputs, output):
            key = (module_name, calls[module_name])
            calls[module_name] += 1
            tensors = output if isinstance(output, tuple) else (output,)
            flat = [one for item in tensors for one in (item if isinstance(item, tuple) else (item,))]
            given.setdefault(key, spec(flat[0]))
            if not list(module.children()):
                taken.setdefault(key, sorted(map(spec, inputs)))

        return hook

    for module_name, module in model.named_modules():
        if module_name and not module_name.endswith(("rotary_emb", "model")):
            module.register_forward_hook(note(module_name))
    graph = captured(model, *args)
    nodes = {(node.site, node.call): node for node in of_kind(graph, "call")}
    assert len(given) >= 3
    for key, expected in given.items():
        if key[1] <= max(node.call for node in nodes.values() if node.site == key[0]):
            assert (nodes[key].shape, nodes[key].dtype) == expected[:2]
    for key, expected in taken.items():
        if key in nodes and expected:
            assert sorted(edge[2:] for edge in graph.edges if edge.target == nodes[key].id) == expected, key


def test_the_text_is_a_tree_without_control_codes(captured):
    model = nn.Sequential()
    model.add_module("a\x1b[31mb", nn.Linear(6, 5))
    model.add_module("c", nn.ReLU())
    text = str(captured(model, torch.randn(3, 6)))
    assert "\x1b" not in text
    assert text.splitlines() == [
        "ModuleGraph of Sequential: 3 modules, 3 calls, 0 functions, 1 input, 1 output, 3 edges",
        "Sequential -> [3, 5] float32, 60 bytes",
        "  input.0 -> [3, 6] float32, 72 bytes",
        "  output <- c",
        "  ab: Linear -> [3, 5] float32, 60 bytes",
        "  c: ReLU -> [3, 5] float32, 60 bytes",
    ]


def test_the_text_of_a_deep_tree_ends():
    from deepseek.inspector.graph import ModuleGraph, Node

    nodes = [Node(i, str(i), "M", "module", i - 1 if i else None, None, 0, None, "", 0) for i in range(5000)]
    assert len(str(ModuleGraph(tuple(nodes), (), complete=True)).splitlines()) == 5001

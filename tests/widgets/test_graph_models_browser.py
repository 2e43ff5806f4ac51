"""The graph's tab in a real Chromium, over reports of real models whose structure is known."""

import pytest
import torch
from graph_page import IDS, TiedGPT
from torch import nn
from zoo import ResNet18, SequenceClassifier

pytestmark = pytest.mark.browser


class Thrice(nn.Module):
    def __init__(self):
        super().__init__()
        self.shared, self.head = nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, x):
        return self.head(self.shared(self.shared(self.shared(x)).relu()))


def transformer(name):
    transformers = pytest.importorskip("transformers")
    few = {"vocab_size": 11, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2}
    if name == "bert":
        return transformers.BertModel(
            transformers.BertConfig(**few, intermediate_size=16, max_position_embeddings=8)
        ), {"input_ids": IDS}
    if name == "llama":
        few |= {"num_key_value_heads": 1, "intermediate_size": 16, "bos_token_id": 0, "eos_token_id": 1}
        return transformers.LlamaForCausalLM(transformers.LlamaConfig(**few)), {"input_ids": IDS}
    small = {"vocab_size": 11, "d_model": 8, "d_kv": 4, "d_ff": 16, "num_layers": 2, "num_heads": 2}
    config = transformers.T5Config(**small, decoder_start_token_id=0, pad_token_id=0)
    return transformers.T5ForConditionalGeneration(config), {"input_ids": IDS, "labels": IDS}


def test_a_resnet(graph_of):
    graph = graph_of(ResNet18(width=4), torch.randn(2, 3, 8, 8))
    blocks = [f"blocks.{place}" for place in range(8)]
    assert set(graph.boxes()) == {
        *("ResNet18", "input.0", "stem", "stem.0", "stem.1", "stem.2", "blocks", *blocks, "pool", "head", "output")
    }
    # Each block takes a tensor twice: to compute with, and to add to the result.
    size = 2 * 4 * 8 * 8 * 4
    assert ("stem.2", "blocks.0", 2, 2 * size) in graph.links()
    assert ("blocks.0", "blocks.1", 2, 2 * size) in graph.links()
    assert {("blocks.7", "pool"), ("pool", "head")} <= graph.between()
    graph.toggle("blocks.0")
    assert {
        ("stem.2", "blocks.0.conv1"),
        ("stem.2", "blocks.0.shortcut"),
        ("blocks.0.bn2", "blocks.0:add"),
        ("blocks.0.shortcut", "blocks.0:add"),
        ("blocks.0:add", "blocks.0.relu"),
        ("blocks.0.relu", "blocks.1"),
    } <= graph.between()


def test_a_gpt_with_tied_embeddings(graph_of):
    graph = graph_of(TiedGPT(), IDS)
    assert ("wte", "TiedGPT:linear", 1, 11 * 8 * 4) in graph.links()
    tied = graph.page.locator("[data-tied=true]")
    assert tied.count() == 1
    assert tied.locator(".ds-link-line").evaluate("line => getComputedStyle(line).strokeDasharray") != "none"
    block = "blocks.1"
    assert {
        ("blocks.0:add", f"{block}.ln"),
        (f"{block}.ln", f"{block}.qkv"),
        (f"{block}:matmul", f"{block}:softmax"),
        (f"{block}.proj", f"{block}:add"),
        ("blocks.0:add", f"{block}:add"),
        (f"{block}:add", "TiedGPT:linear"),
    } <= graph.between()
    graph.toggle("blocks")
    assert set(graph.boxes()) == {"TiedGPT", "input.0", "wte", "blocks", "TiedGPT:linear", "output"}
    size = 2 * 4 * 8 * 4
    assert ("wte", "blocks", 2, 2 * size) in graph.links()
    graph.toggle("TiedGPT")
    assert (graph.boxes(), graph.links()) == (["TiedGPT"], [])


def test_an_lstm(graph_of):
    graph = graph_of(SequenceClassifier(), torch.randn(2, 5, 8))
    assert graph.between() == {("input.0", "lstm"), ("lstm", "head"), ("head", "output")}


def test_a_module_that_is_used_three_times(graph_of):
    graph = graph_of(Thrice(), torch.randn(3, 4))
    texts = graph.page.locator("[data-site=shared] .ds-box-type").all_text_contents()
    assert texts == ["Linear · call 1 of 3", "Linear · call 2 of 3", "Linear · call 3 of 3"]
    assert [link[:2] for link in graph.links()] == sorted(
        [
            *(("input.0", "shared"), ("shared", "shared"), ("shared", "Thrice:ReLU")),
            *(("Thrice:ReLU", "shared"), ("shared", "head"), ("head", "output")),
        ]
    )
    assert "shared, call 2 of 3" in graph.box("shared", 1).get_attribute("aria-label")


def test_bert(graph_of):
    graph = graph_of(*transformer("bert"))
    graph.all("expand")
    layer = "encoder.layer.1"
    attention = f"{layer}.attention.self"
    mixing = f"{attention}:scaled_dot_product_attention"
    assert {
        *((f"{attention}.{name}", mixing) for name in ("query", "key", "value")),
        ("encoder.layer.0.output.LayerNorm", f"{layer}.attention.output:add"),
        (f"{layer}.output.dropout", f"{layer}.output:add"),
    } <= graph.between()
    graph.all("collapse")
    assert {("embeddings", "encoder"), ("encoder", "pooler"), ("pooler", "output.pooler_output")} <= graph.between()


def test_llama(graph_of):
    graph = graph_of(*transformer("llama"))
    graph.all("expand")
    layer = "model.layers.1"
    assert {
        ("model.layers.0:add", f"{layer}:add"),
        (f"{layer}.self_attn.o_proj", f"{layer}:add"),
        (f"{layer}.mlp.act_fn", f"{layer}.mlp:mul"),
        (f"{layer}.mlp.up_proj", f"{layer}.mlp:mul"),
        ("model.norm", "lm_head"),
    } <= graph.between()


def test_t5(graph_of):
    graph = graph_of(*transformer("t5"))
    graph.all("expand")
    graph.all("collapse")
    assert ("encoder", "decoder") in graph.between()
    assert ("decoder", "lm_head") in graph.between()
    graph.toggle("decoder")
    graph.toggle("decoder.block")
    assert {("encoder", "decoder.block.0"), ("encoder", "decoder.block.1")} <= graph.between()

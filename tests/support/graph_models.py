"""Models whose structure is known, and how their captured module graph is read: for the tests of the graph."""

from collections import Counter

import pytest
import torch
import torch.nn.functional as F
from torch import nn


def label(node):
    """A module's own node stands for its parameters."""
    name = f"{node.site}#{node.call}" if node.call else node.site
    return f"parameter of {name}" if node.kind == "module" else name


def links(graph):
    """Every edge as the names of its ends; one that is there twice is counted."""
    return Counter((label(graph.nodes[edge.source]), label(graph.nodes[edge.target])) for edge in graph.edges)


def sources(graph, target):
    return sorted(source for source, end in links(graph).elements() if end == target)


def of_kind(graph, kind):
    return [node for node in graph.nodes if node.kind == kind]


def loss_of(output):
    if isinstance(output, torch.Tensor):
        return output.float().square().mean()
    values = output.values() if hasattr(output, "values") else output
    return sum(loss_of(value) for value in values if isinstance(value, torch.Tensor) and value.requires_grad)


class Residual(nn.Module):
    def __init__(self, channels, out):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(channels, out, 3, padding=1), nn.BatchNorm2d(out)
        self.conv2, self.bn2 = nn.Conv2d(out, out, 3, padding=1), nn.BatchNorm2d(out)
        self.relu = nn.ReLU(inplace=True)
        if channels != out:
            self.down = nn.Conv2d(channels, out, 1)

    def forward(self, x):
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        y += self.down(x) if hasattr(self, "down") else x
        return self.relu(y)


class ResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.a, self.b, self.head = nn.Conv2d(3, 4, 3), Residual(4, 4), Residual(4, 8), nn.Linear(8, 5)

    def forward(self, x):
        return self.head(self.b(self.a(self.stem(x))).mean((2, 3)))


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.ln, self.qkv, self.proj = nn.LayerNorm(width), nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        q, k, v = self.qkv(self.ln(x)).chunk(3, -1)
        return x + self.proj(F.softmax(q @ k.transpose(-2, -1) / 3.0, -1) @ v)


class GPT(nn.Module):
    def __init__(self, functional=False):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(11, 8), nn.Parameter(torch.randn(4, 8))
        self.blocks = nn.ModuleList([Block(8), Block(8)])
        self.functional = functional
        if not functional:
            self.head = nn.Linear(8, 11, bias=False)
            self.head.weight = self.wte.weight

    def forward(self, ids):
        x = self.wte(ids) + self.wpe
        for block in self.blocks:
            x = block(x)
        return F.linear(x, self.wte.weight) if self.functional else self.head(x)


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.lstm, self.head = nn.Embedding(11, 8), nn.LSTM(8, 6, 2, batch_first=True), nn.Linear(6, 3)

    def forward(self, ids):
        output, (hidden, _) = self.lstm(self.embed(ids))
        return {"logits": self.head(hidden[-1]), "states": output}


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.down, self.middle, self.up = (
            nn.Conv1d(1, 4, 3, padding=1),
            nn.Conv1d(4, 4, 3, padding=1),
            nn.Conv1d(8, 1, 1),
        )
        self.pool = nn.MaxPool1d(2)

    def forward(self, x):
        skip = self.down(x)
        deep = F.interpolate(self.middle(self.pool(skip)), scale_factor=2)
        return self.up(torch.cat([skip, deep], dim=1))


class Wrapped(nn.Module):
    """Calls what it is given between two layers."""

    def __init__(self, function, body=None):
        super().__init__()
        self.before, self.after, self.body = nn.Linear(4, 4), nn.Linear(4, 4), body
        self.function = function

    def forward(self, x, **options):
        return self.after(self.function(self, self.before(x), **options))


def mlp():
    return nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 2))


def mlp_of(width):
    return nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))


def transformer(name):
    transformers = pytest.importorskip("transformers")
    few = {"vocab_size": 11, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2}
    if name == "bert":
        config = transformers.BertConfig(**few, intermediate_size=16, max_position_embeddings=8)
        return transformers.BertModel(config)
    if name == "gpt2":
        config = transformers.GPT2Config(vocab_size=11, n_embd=8, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0)
        return transformers.GPT2LMHeadModel(config)
    few |= {"num_key_value_heads": 1, "intermediate_size": 16, "bos_token_id": 0, "eos_token_id": 1}
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(**few, tie_word_embeddings=True))


IDS = torch.arange(8).reshape(2, 4)
X = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))

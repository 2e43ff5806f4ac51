"""Small models of many architectures, each with rows to explain and background rows."""

import logging
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from deepseek.explain.call import Call
from deepseek.explain.deeplift import DeepLift, deeplift
from deepseek.explain.target import Chooser
from deepseek.kernels.evaluating import evaluating

WIDTH, HIDDEN, CLASSES = 6, 16, 3


class Case(NamedTuple):
    model: nn.Module
    inputs: Any
    background: dict[str, Tensor]


class Function(nn.Module):
    """A hidden layer, any function of it, and a layer of outputs."""

    def __init__(self, function, hidden=HIDDEN, **modules):
        super().__init__()
        self.before, self.after, self.function = nn.Linear(WIDTH, HIDDEN), nn.Linear(hidden, CLASSES), function
        for name, module in modules.items():
            self.add_module(name, module)

    def forward(self, x):
        hidden = self.before(x)
        return self.after(
            self.function(hidden) if self.function.__code__.co_argcount == 1 else self.function(self, hidden)
        )


class Reused(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second, self.last = (
            nn.Linear(WIDTH, HIDDEN),
            nn.Linear(HIDDEN, HIDDEN),
            nn.Linear(HIDDEN, CLASSES),
        )
        self.activation = nn.ReLU()

    def forward(self, x):
        return self.last(self.activation(self.second(self.activation(self.first(x)))))


class Sequences(nn.Module):
    """Every feature is a step of a sequence."""

    def __init__(self, layer, take, hidden=HIDDEN):
        super().__init__()
        self.embed, self.layer, self.last = nn.Linear(1, HIDDEN), layer, nn.Linear(hidden, CLASSES)
        self.take = take

    def forward(self, x):
        return self.last(self.take(self.layer, self.embed(x[..., None])))


class ResidualBlock(nn.Module):
    def __init__(self, before, after, stride):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(before, after, 3, stride, 1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(inplace=True),
            nn.Conv2d(after, after, 3, 1, 1, bias=False),
            nn.BatchNorm2d(after),
        )
        self.skip = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        return self.relu(self.body(x) + self.skip(x))


def resnet(width=8, blocks=4, classes=CLASSES):
    sizes = [width * 2**place for place in range(blocks)]
    stem = [
        nn.Conv2d(3, width, 7, 2, 3, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, 2, 1),
    ]
    body = [
        ResidualBlock(a, b, 1 if place == 0 else 2)
        for place, (a, b) in enumerate(zip([width, *sizes[:-1]], sizes, strict=True))
    ]
    return nn.Sequential(*stem, *body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(sizes[-1], classes))


class Logits(nn.Module):
    """A transformers model, of which the last position's logits are used."""

    def __init__(self, model, take=lambda logits: logits):
        super().__init__()
        self.model, self.take = model, take

    def forward(self, **inputs):
        return self.take(self.model(**inputs).logits)


def _hidden(function, **modules):
    return lambda: _rows(Function(function, **{name: make() for name, make in modules.items()}))


def _layers(*layers, shape=(WIDTH,), rows=3):
    return lambda: _rows(nn.Sequential(*(layer() for layer in layers)), shape, rows)


def _sequence(layer, take, hidden=HIDDEN):
    return lambda: _rows(Sequences(layer(), take, hidden))


def _rows(model, shape=(WIDTH,), rows=3):
    """Norms are moved off their initial values, which would hide mistakes; batch norms get statistics of rows."""
    with torch.no_grad():
        for _ in range(20):
            model(torch.randn(16, *shape))
    for module in model.modules():
        if isinstance(module, (nn.LayerNorm, nn.GroupNorm, nn.BatchNorm1d, nn.BatchNorm2d, nn.RMSNorm)):
            for parameter in module.parameters():
                nn.init.normal_(parameter, 1, 0.3)
    return Case(model, torch.randn(rows, *shape), {"input": torch.randn(4, *shape)})


def _tokens(make: Callable[[], nn.Module], take=lambda logits: logits):
    def case():
        logging.getLogger("transformers").setLevel(logging.ERROR)
        ids = torch.randint(2, 40, (2, 7))
        return Case(
            Logits(make(), take),
            {"input_ids": ids, "attention_mask": torch.ones_like(ids)},
            {"input_ids": torch.randint(2, 40, (3, 7))},
        )

    return case


def _bert():
    from transformers import BertConfig, BertForSequenceClassification

    return BertForSequenceClassification(
        BertConfig(vocab_size=40, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32)
    )


def _gpt2():
    from transformers import GPT2Config, GPT2LMHeadModel

    return GPT2LMHeadModel(
        GPT2Config(vocab_size=40, n_embd=16, n_layer=2, n_head=2, n_positions=16, bos_token_id=0, eos_token_id=1)
    )


def _llama():
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=40,
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
        )
    )


def _vit():
    from transformers import ViTConfig, ViTForImageClassification

    logging.getLogger("transformers").setLevel(logging.ERROR)
    config = ViTConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, image_size=16, patch_size=4
    )
    images = torch.randn(2, 3, 16, 16)
    return Case(
        Logits(ViTForImageClassification(config)), {"pixel_values": images}, {"pixel_values": torch.randn(3, 3, 16, 16)}
    )


def _linear(before, after):
    return lambda: nn.Linear(before, after)


def _activated(activation):
    return _layers(_linear(WIDTH, HIDDEN), activation, _linear(HIDDEN, CLASSES))


def _normalised(norm):
    return _layers(_linear(WIDTH, HIDDEN), norm, nn.Tanh, _linear(HIDDEN, CLASSES))


def _pooled(*pools):
    return _layers(
        lambda: nn.Conv2d(2, 4, 3), nn.ReLU, *pools, nn.Flatten, lambda: nn.LazyLinear(CLASSES), shape=(2, 12, 12)
    )


def _attended(mha, hidden):
    return hidden + mha(hidden, hidden, hidden, need_weights=False)[0]


def _encoder():
    layer = nn.TransformerEncoderLayer(HIDDEN, 2, 32, batch_first=True, activation="gelu")
    return nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)


def _text_cnn():
    return nn.Sequential(
        nn.Conv1d(2, 8, 3, padding=1), nn.BatchNorm1d(8), nn.ReLU(), nn.MaxPool1d(3, 2), nn.Conv1d(8, 8, 3), nn.GELU()
    )


def _assigned(x):
    out = torch.zeros_like(x)
    out[:, 0], out[:, 1:] = x[:, 1].exp(), torch.lerp(x[:, 1:], x[:, :-1].tanh(), 0.3)
    return out


CASES: dict[str, Callable[[], Case]] = {
    "nn.ReLU": _activated(nn.ReLU),
    "F.relu": _hidden(lambda x: F.relu(x)),
    "in-place ReLU": _activated(lambda: nn.ReLU(inplace=True)),
    "in-place arithmetic": _hidden(lambda x: x.clone().mul_(2).add_(x[:, :1]).sigmoid_()),
    "assignment to a part": _hidden(_assigned),
    "reused module": Reused,
    "GELU": _activated(nn.GELU),
    "GELU (tanh)": _activated(lambda: nn.GELU("tanh")),
    "SiLU": _activated(nn.SiLU),
    "ELU": _activated(nn.ELU),
    "Softplus": _activated(nn.Softplus),
    "Mish": _activated(nn.Mish),
    "PReLU": _activated(nn.PReLU),
    "Hardswish": _activated(nn.Hardswish),
    "LogSigmoid": _activated(nn.LogSigmoid),
    "softmax output": _layers(_linear(WIDTH, HIDDEN), nn.ReLU, _linear(HIDDEN, CLASSES), lambda: nn.Softmax(-1)),
    "log-softmax output": _layers(_linear(WIDTH, HIDDEN), nn.ReLU, _linear(HIDDEN, CLASSES), lambda: nn.LogSoftmax(-1)),
    "LayerNorm": _normalised(lambda: nn.LayerNorm(HIDDEN)),
    "RMSNorm": _normalised(lambda: nn.RMSNorm(HIDDEN)),
    "GroupNorm": _normalised(lambda: nn.GroupNorm(4, HIDDEN)),
    "batch norm": _normalised(lambda: nn.BatchNorm1d(HIDDEN)),
    "InstanceNorm": _layers(
        lambda: nn.Conv2d(2, 4, 3), lambda: nn.InstanceNorm2d(4), nn.ReLU, nn.Flatten, _linear(144, 3), shape=(2, 8, 8)
    ),
    "gating": _hidden(lambda s, x: s.up(x) * torch.sigmoid(s.gate(x)), up=_linear(16, 16), gate=_linear(16, 16)),
    "GLU": _hidden(lambda s, x: F.glu(s.both(x)), both=_linear(16, 32)),
    "quotient": _hidden(lambda x: x / (1 + x.abs().sum(-1, keepdim=True))),
    "normalisation and cosine": _hidden(lambda x: F.normalize(x) + F.cosine_similarity(x, x**3)[:, None]),
    "standard deviation": _hidden(lambda x: (x - x.mean(-1, keepdim=True)) / (x.std(-1, keepdim=True) + 0.1)),
    "logsumexp": _hidden(lambda x: x * x.logsumexp(-1, keepdim=True)),
    "maxima": _hidden(lambda x: torch.maximum(x, -x.flip(1)) - torch.minimum(x, x.amax(1, keepdim=True) / 2)),
    "nn.MultiheadAttention": _sequence(
        lambda: nn.MultiheadAttention(HIDDEN, 2, batch_first=True), lambda mha, x: _attended(mha, x).mean(1)
    ),
    "nn.TransformerEncoder": _sequence(_encoder, lambda encoder, x: encoder(x)[:, 0]),
    "causal attention": _hidden(
        lambda x: F.scaled_dot_product_attention(*[x.view(-1, 2, 4, 2)] * 3, is_causal=True).flatten(1)
    ),
    "LSTM": _sequence(lambda: nn.LSTM(HIDDEN, 8, 2, batch_first=True, bidirectional=True), lambda m, x: m(x)[0][:, -1]),
    "GRU": _sequence(lambda: nn.GRU(HIDDEN, HIDDEN, batch_first=True), lambda m, x: m(x)[0][:, -1]),
    "LSTM cell": _sequence(lambda: nn.LSTMCell(HIDDEN, HIDDEN), lambda cell, x: cell(x[:, 1], cell(x[:, 0]))[0]),
    "MaxPool2d(2)": _pooled(lambda: nn.MaxPool2d(2)),
    "MaxPool2d(3, 2)": _pooled(lambda: nn.MaxPool2d(3, 2, padding=1)),
    "adaptive max pooling": _pooled(lambda: nn.AdaptiveMaxPool2d(3)),
    "adaptive average pooling": _pooled(lambda: nn.AdaptiveAvgPool2d(3)),
    "average pooling": _pooled(lambda: nn.AvgPool2d(3, 2)),
    "1-D CNN": _layers(_text_cnn, nn.Flatten, lambda: nn.LazyLinear(CLASSES), shape=(2, 16)),
    "ResNet": lambda: _rows(resnet(), (3, 32, 32)),
    "BERT": _tokens(_bert),
    "GPT-2": _tokens(_gpt2, lambda logits: logits[:, -1, :5]),
    "Llama": _tokens(_llama, lambda logits: logits[:, -1, :5]),
    "ViT": _vit,
}


def make(name: str, dtype: torch.dtype) -> Case:
    """A case in evaluation mode, the same one every time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = CASES[name]()
        case = made if isinstance(made, Case) else _rows(made)
        case.model.eval()
        with torch.no_grad():
            call(case.model, case.inputs)  # lazy layers get their sizes
    case.model.to(dtype)
    return Case(case.model, _to(case.inputs, dtype), _to(case.background, dtype))


def call(model: nn.Module, inputs: Any) -> Any:
    return model(**inputs) if isinstance(inputs, dict) else model(inputs)


def _to(value, dtype):
    if isinstance(value, dict):
        return {name: _to(tensor, dtype) for name, tensor in value.items()}
    return value.to(dtype) if value.is_floating_point() else value


def explain(model: nn.Module, inputs: Any, background: Any, target: Any = None, **options: Any) -> DeepLift:
    """DeepLIFT of a model in evaluation mode."""
    again = Call(model, inputs)
    rows = background if isinstance(background, dict) else {again.explained[0]: background}
    with torch.no_grad(), evaluating(model):
        chooser = Chooser(target, again(), again.rows)
    return deeplift(again, rows, chooser, **options)


def relative_gap(found: DeepLift) -> float:
    """The largest completeness gap, relative to the largest distance from the base value."""
    return float(found.gap.abs().max() / (found.outputs - found.base_values).abs().max())

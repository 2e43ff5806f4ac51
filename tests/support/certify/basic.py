"""Feed-forward, convolutional and recurrent models, and transformers of torch itself."""

import torch
import torch.nn.functional as F
from certify.case import Case, adamw, classify, energy, momentum, sgd
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence
from zoo import CNN, GPT, MLP, FunctionalMLP, ResNet18, SequenceClassifier, TransformerClassifier


class GRUTagger(nn.Module):
    """A bidirectional GRU that labels every position."""

    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(8, 12, bidirectional=True, batch_first=True)
        self.head = nn.Linear(24, 5)

    def forward(self, x):
        return self.head(self.gru(x)[0])


class PackedRNN(nn.Module):
    """A plain RNN over sequences of different lengths."""

    def __init__(self):
        super().__init__()
        self.rnn = nn.RNN(8, 12, num_layers=2, batch_first=True)
        self.head = nn.Linear(12, 5)

    def forward(self, x, lengths):
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        _, state = self.rnn(packed)
        return self.head(state[-1])


class Translator(nn.Module):
    """nn.Transformer from tokens to tokens, with a causal mask."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(20, 16)
        self.transformer = nn.Transformer(16, 2, 1, 1, 32, dropout=0.1, batch_first=True)
        self.head = nn.Linear(16, 20)

    def forward(self, source, target):
        mask = nn.Transformer.generate_square_subsequent_mask(target.shape[1])
        return self.head(self.transformer(self.embed(source), self.embed(target), tgt_mask=mask))


class SelfAttention(nn.Module):
    """nn.MultiheadAttention, asked for its weights too."""

    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(16)
        self.attention = nn.MultiheadAttention(16, 4, dropout=0.1, batch_first=True)
        self.head = nn.Linear(16, 5)

    def forward(self, x):
        normed = self.norm(x)
        mixed, weights = self.attention(normed, normed, normed, need_weights=True)
        return self.head(x + mixed), weights


class UNet(nn.Module):
    """One level down and up again, with a skip that is concatenated."""

    def __init__(self):
        super().__init__()
        self.enter = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(inplace=True))
        self.down = nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(4, 8, 3, padding=1), nn.SiLU())
        self.up = nn.ConvTranspose2d(8, 4, 2, stride=2)
        self.leave = nn.Conv2d(8, 1, 3, padding=1)

    def forward(self, x):
        skip = self.enter(x)
        return self.leave(torch.cat([self.up(self.down(skip)), skip], 1))


class Normalised(nn.Module):
    """Group, instance and local response normalisation."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 8, 3), nn.GroupNorm(2, 8), nn.GELU(), nn.Conv2d(8, 8, 3), nn.InstanceNorm2d(8, affine=True)
        )
        self.response = nn.LocalResponseNorm(3)

    def forward(self, x):
        return F.adaptive_avg_pool2d(self.response(self.body(x)), 1).flatten(1)


class Convolutions1d(nn.Module):
    """Dilated causal convolutions with gates, as in WaveNet."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv1d(4, 8, 2, dilation=2**level) for level in range(3))
        self.head = nn.Conv1d(4, 5, 1)

    def forward(self, x):
        for layer in self.layers:
            value, gate = layer(F.pad(x, (layer.dilation[0], 0))).chunk(2, 1)
            x = x + value.tanh() * gate.sigmoid()
        return self.head(x).transpose(1, 2)


def small_gpt() -> GPT:
    return GPT(layers=2, width=16, heads=2, vocabulary=40, length=16)


def greedy(model: nn.Module) -> torch.Tensor:
    """Continue a prompt by sampling one token at a time."""
    tokens = torch.randint(40, (2, 4))
    for _ in range(4):
        following = torch.multinomial(model(tokens)[:, -1].softmax(-1), 1)
        tokens = torch.cat([tokens, following], 1)
    return tokens


def translate(model: nn.Module) -> torch.Tensor:
    """Extend a translation by the likeliest token each time."""
    source, target = torch.randint(20, (2, 6)), torch.zeros(2, 1, dtype=torch.long)
    for _ in range(3):
        target = torch.cat([target, model(source, target)[:, -1:].argmax(-1)], 1)
    return target


def pictures() -> torch.Tensor:
    return torch.randn(6, 1, 8, 8)


def sequences() -> torch.Tensor:
    return torch.randn(4, 6, 8)


def fused(parameters):
    return torch.optim.AdamW(parameters, lr=1e-2, fused=True)


CASES = {
    "MLP": Case(lambda: MLP(2, 16), lambda: torch.randn(8, 16), part="layers"),
    "wide MLP": Case(lambda: MLP(1, 512), lambda: torch.randn(128, 512), optimizer=momentum, part="layers", threads=2),
    "functional MLP": Case(lambda: FunctionalMLP(2, 16), lambda: torch.randn(8, 16), optimizer=fused, part="head"),
    "CNN": Case(CNN, pictures, optimizer=momentum, part="features", threads=2),
    "ResNet-18": Case(lambda: ResNet18(5, 4), lambda: torch.randn(4, 3, 8, 8), optimizer=momentum, part="blocks"),
    "LSTM": Case(
        lambda: SequenceClassifier(12),
        sequences,
        part="lstm",
        unfit={"GradScaler float16": "oneDNN has no LSTM in float16"},
    ),
    "GRU": Case(GRUTagger, sequences, optimizer=torch.optim.RMSprop, part="gru"),
    "packed RNN": Case(PackedRNN, lambda: (torch.randn(4, 6, 8), torch.randint(1, 7, (4,))), part="head"),
    "Transformer encoder": Case(lambda: TransformerClassifier(16), sequences, part="encoder"),
    "Transformer": Case(
        Translator,
        lambda: (torch.randint(20, (4, 6)), torch.randint(20, (4, 5))),
        optimizer=torch.optim.NAdam,
        part="transformer",
        generate=translate,
    ),
    "self-attention": Case(SelfAttention, lambda: torch.randn(4, 6, 16), (energy,), part="attention"),
    "GPT, tied": Case(small_gpt, lambda: torch.randint(40, (4, 8)), part="blocks.0", generate=greedy),
    "U-Net": Case(UNet, pictures, (energy,), adamw, part="down"),
    "group and instance norm": Case(Normalised, pictures, (classify,), sgd, part="body"),
    "WaveNet": Case(Convolutions1d, lambda: torch.randn(4, 4, 8), optimizer=torch.optim.Adagrad, part="head"),
}

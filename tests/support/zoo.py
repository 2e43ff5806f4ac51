"""Real, small models that tests and benchmarks share."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint


class MLP(nn.Module):
    """A stack of linear layers with ReLU, 64 wide unless told otherwise."""

    def __init__(self, depth: int = 4, width: int = 64, classes: int = 10, activation: type[nn.Module] = nn.ReLU):
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(depth):
            layers += [nn.Linear(width, width), activation()]
        self.layers = nn.Sequential(*layers, nn.Linear(width, classes))

    def forward(self, x):
        return self.layers(x)


class FunctionalMLP(nn.Module):
    """The same with ``F.relu`` instead of modules."""

    def __init__(self, depth: int = 4, width: int = 64, classes: int = 10):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        for layer in self.layers:
            x = F.relu(layer(x))
        return self.head(x)


class CNN(nn.Module):
    """Batch norm, in-place ReLU and dropout on [B, 1, 8, 8] pictures."""

    def __init__(self, classes: int = 10):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.BatchNorm2d(16),
            nn.ReLU(inplace=True),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.BatchNorm2d(32),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
        )
        self.dropout = nn.Dropout(0.3)
        self.head = nn.Linear(32 * 4 * 4, classes)

    def forward(self, x):
        return self.head(self.dropout(self.features(x).flatten(1)))


class SequenceClassifier(nn.Module):
    """An LSTM over [B, T, 8] whose last state is classified."""

    def __init__(self, width: int = 32, classes: int = 10):
        super().__init__()
        self.lstm = nn.LSTM(8, width, num_layers=2, batch_first=True, dropout=0.1)
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        output, _ = self.lstm(x)
        return self.head(output[:, -1])


class TransformerClassifier(nn.Module):
    """A torch.nn transformer encoder over [B, T, 8]."""

    def __init__(self, width: int = 32, classes: int = 10):
        super().__init__()
        self.embed = nn.Linear(8, width)
        layer = nn.TransformerEncoderLayer(width, 4, 64, dropout=0.1, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2)
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        return self.head(self.encoder(self.embed(x)).mean(1))


class Block(nn.Module):
    """A pre-norm GPT block."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.ln1, self.ln2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.up = nn.Linear(width, 4 * width)
        self.act = nn.GELU()
        self.down = nn.Linear(4 * width, width)

    def forward(self, x):
        b, t, d = x.shape
        q, k, v = self.qkv(self.ln1(x)).view(b, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.proj(mixed.transpose(1, 2).reshape(b, t, d))
        return x + self.down(self.act(self.up(self.ln2(x))))


class GPT(nn.Module):
    """A decoder with tied embeddings: tokens [B, T] to logits [B, T, V]."""

    def __init__(self, layers: int = 6, width: int = 256, heads: int = 8, vocabulary: int = 1024, length: int = 128):
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)
        self.positions = nn.Embedding(length, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)
        self.head.weight = self.tokens.weight
        self.apply(self._initialise)

    def forward(self, tokens):
        x = self.tokens(tokens) + self.positions(torch.arange(tokens.shape[1], device=tokens.device))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))

    @staticmethod
    def _initialise(module):
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.normal_(module.weight, std=0.02)


class Residual(nn.Module):
    """A basic block of ResNet-18."""

    def __init__(self, before: int, after: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.shortcut = nn.Sequential()
        if stride != 1 or before != after:
            self.shortcut = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))

    def forward(self, x):
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(out + self.shortcut(x))


class ResNet18(nn.Module):
    """ResNet-18 with the stem for small pictures (3x3, stride 1)."""

    def __init__(self, classes: int = 10, width: int = 64):
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)
        )
        blocks, before = [], width
        for stage, after in enumerate((width, 2 * width, 4 * width, 8 * width)):
            for index in range(2):
                blocks.append(Residual(before, after, 2 if stage and not index else 1))
                before = after
        self.blocks = nn.Sequential(*blocks)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(before, classes)

    def forward(self, x):
        return self.head(self.pool(self.blocks(self.stem(x))).flatten(1))


class Checkpointed(nn.Module):
    """An MLP whose activations are recomputed in the backward pass."""

    def __init__(self, reentrant: bool):
        super().__init__()
        self.body = MLP(depth=2)
        self.reentrant = reentrant

    def forward(self, x):
        return checkpoint(self.body, x, use_reentrant=self.reentrant)


@dataclass
class Output:
    """What some models return."""

    logits: torch.Tensor
    hidden: torch.Tensor


class Splitter(nn.Module):
    """A leaf that returns a dataclass, a dict or a tuple."""

    def __init__(self, form: str):
        super().__init__()
        self.form = form
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, x):
        logits, hidden = x * self.weight, x + self.weight
        if self.form == "dataclass":
            return Output(logits, hidden)
        return {"logits": logits, "hidden": hidden} if self.form == "dict" else (logits, hidden)

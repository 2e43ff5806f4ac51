"""The networks of the fresh trainings: ``[B, features]`` to ``[B, classes]``."""

import torch
import torch.nn.functional as F
from precision_cases import mlp
from torch import Tensor, nn

PATCH = 16
"""Pixels along an edge of a patch of texture."""


def _norm(width: int) -> nn.Module:
    return nn.BatchNorm1d(width, eps=1e-30, track_running_stats=False)


class TextureCNN(nn.Module):
    """Three convolutions with group norm over ``[B, 256]`` pictures."""

    def __init__(self) -> None:
        super().__init__()
        sizes = ((1, 16), (16, 32), (32, 32))
        self.convolutions = nn.ModuleList(nn.Conv2d(i, o, 3, 2, 1) for i, o in sizes)
        self.norms = nn.ModuleList(nn.GroupNorm(4, o) for _, o in sizes)
        self.head = nn.Linear(32, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = x.unflatten(1, (1, PATCH, PATCH))
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = F.gelu(norm(convolution(x)))
        return self.head(x.mean((2, 3)))


class ResidualCNN(nn.Module):
    """Two residual blocks with batch norm over ``[B, 64]`` pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 16, 3, padding=1, bias=False)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                *(nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1, bias=False)),
                *(nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1, bias=False)),
            )
            for _ in range(2)
        )
        self.head = nn.Linear(16 * 16, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x.unflatten(1, (1, 8, 8)))
        for block in self.blocks:
            x = x + block(x)
        return self.head(F.max_pool2d(x.relu(), 2).flatten(1))


class PreNorm(nn.Module):
    """A vision transformer over 16 patches of 2 x 2 pixels, normalised before attention, with dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Conv2d(1, 32, 2, 2)
        self.places = nn.Parameter(torch.randn(16, 32) * 0.1)
        layers = [
            nn.TransformerEncoderLayer(32, 4, 64, 0.05, F.gelu, batch_first=True, norm_first=True) for _ in range(2)
        ]
        self.encoder = nn.Sequential(*layers, nn.LayerNorm(32))
        self.head = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        patches = self.embed(x.unflatten(1, (1, 8, 8))).flatten(2).transpose(1, 2)
        return self.head(self.encoder(patches + self.places).mean(1))


class Reader(nn.Module):
    """An LSTM over the rows of ``[B, 64]`` pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(8, 48, batch_first=True)
        self.head = nn.Linear(48, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.lstm(x.unflatten(1, (8, 8)))[0][:, -1])


class Depthwise(nn.Module):
    """Two blocks of depthwise convolution, layer norm and a wide middle, over ``[B, 256]`` pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 24, 4, 4)
        self.mixes = nn.ModuleList(nn.Conv2d(24, 24, 3, padding=1, groups=24) for _ in range(2))
        self.wides = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(24), nn.Linear(24, 72), nn.GELU(), nn.Linear(72, 24)) for _ in range(2)
        )
        self.head = nn.Linear(24, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x.unflatten(1, (1, PATCH, PATCH)))
        for mix, wide in zip(self.mixes, self.wides, strict=True):
            x = x + wide(mix(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return self.head(x.mean((2, 3)))


class Mixer(nn.Module):
    """Mixes the rows of a picture, then the pixels of a row, twice."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = nn.ModuleList(nn.Sequential(nn.Linear(8, 32), nn.GELU(), nn.Linear(32, 8)) for _ in range(2))
        self.pixels = nn.ModuleList(nn.Sequential(nn.Linear(8, 32), nn.GELU(), nn.Linear(32, 8)) for _ in range(2))
        self.norms = nn.ModuleList(nn.LayerNorm(8) for _ in range(4))
        self.head = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = x.unflatten(1, (8, 8))
        for place, (rows, pixels) in enumerate(zip(self.rows, self.pixels, strict=True)):
            x = x + rows(self.norms[2 * place](x).transpose(1, 2)).transpose(1, 2)
            x = x + pixels(self.norms[2 * place + 1](x))
        return self.head(x.flatten(1))


class OtherUnits(nn.Module):
    """The head computes in millionths of the unit of the logits."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Sequential(nn.Linear(64, 64), nn.ReLU()), nn.Linear(64, 10)
        with torch.no_grad():
            self.head.weight.mul_(1e6)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x)) / 1e6


class Squares(nn.Module):
    """What a layer gives is squared before the next one takes it; a norm at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(64, 64) for _ in range(3))
        self.norm, self.head = nn.LayerNorm(64), nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        first, *others = self.layers
        x = first(x)
        for layer in others:
            x = layer(x.square())
        return self.head(self.norm(x))


def biased(model: nn.Module, bias: float) -> nn.Module:
    """The first layer of a sequence adds a number that the norm behind it takes away."""
    nn.init.constant_(model[0].bias, bias)  # type: ignore[index]
    return model


def fading() -> nn.Module:
    """Six layers, each of which makes its signal ten times smaller."""
    model = mlp(depth=6, activation=nn.Tanh)
    with torch.no_grad():
        for layer in model[:-1:2]:  # type: ignore[index]
            nn.init.orthogonal_(layer.weight, 0.1)
            layer.bias.zero_()
    return model


def cell_reader(*, normalised: bool) -> nn.Module:
    """Two layers over measurements, the first of them behind a norm or not."""
    before = [_norm(30)] if normalised else []
    return nn.Sequential(*before, nn.Linear(30, 32, bias=False), _norm(32), nn.ReLU(), nn.Linear(32, 2))


def texture_mlp() -> nn.Module:
    """Two layers over textures."""
    return nn.Sequential(nn.Linear(PATCH**2, 64, bias=False), _norm(64), nn.ReLU(), nn.Linear(64, 3))


def offset_mlp() -> nn.Module:
    """Three layers over digits; the first has a bias in front of a norm."""
    return nn.Sequential(nn.Linear(64, 64), _norm(64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))


def biased_cnn() -> nn.Module:
    """Two convolutions over textures; the first has a large bias in front of a norm."""
    first = nn.Conv2d(1, 16, 3, 2, 1)
    norm = nn.BatchNorm2d(16, track_running_stats=False)
    rest = (nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(128, 3))
    convolutions = biased(nn.Sequential(first, norm, nn.ReLU(), *rest), 2000.0)
    return nn.Sequential(nn.Unflatten(1, (1, PATCH, PATCH)), convolutions)

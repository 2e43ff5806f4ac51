"""Seventeen more trainings, on which no limit of a policy was set: other architectures, data, units and optimizers.

They were written down before any of them was run. ``FIRST`` tests the policy as the ten cases left it. Foreseen: all go
well but for "outputs with an offset", because the policy looks at the noise of what enters a layer and not at that of
what leaves it. ``SECOND`` is for the policy after that is mended.
"""

from collections.abc import Callable
from functools import cache, partial

import numpy as np
import torch
import torch.nn.functional as F
from precision_cases import CASES, Transformer, mlp
from precision_training import Case, train
from skimage import data
from sklearn.datasets import load_breast_cancer
from torch import Tensor, nn

_PATCH = 16
_LENGTHS, _AREAS = (0, 2), (3,)
"""Which of the ten measurements of cells are lengths and areas; each has a mean, an error and a worst."""


@cache
def textures() -> tuple[Tensor, Tensor]:
    """Patches of photographs of brick, grass and gravel, ``[3072, 256]`` from 0 to 1, and which they show."""
    photographs = torch.from_numpy(np.stack([data.brick(), data.grass(), data.gravel()])).float() / 255
    patches = photographs.unfold(1, _PATCH, _PATCH).unfold(2, _PATCH, _PATCH).reshape(-1, _PATCH * _PATCH)
    return patches, torch.arange(3).repeat_interleave(len(patches) // 3)


@cache
def cells() -> tuple[Tensor, Tensor]:
    """Thirty measurements of breast cells, ``[569, 30]``, and whether they are benign."""
    found = load_breast_cancer()
    return torch.tensor(found.data, dtype=torch.float32), torch.tensor(found.target)


def in_thousandths(x: Tensor) -> Tensor:
    """Measurements of cells with lengths in a unit a thousand times smaller."""
    factor = torch.ones(10)
    factor[list(_LENGTHS)], factor[list(_AREAS)] = 1e3, 1e6
    return x * factor.repeat(3)


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
        x = x.unflatten(1, (1, _PATCH, _PATCH))
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
        x = self.stem(x.unflatten(1, (1, _PATCH, _PATCH)))
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


def _cell_reader(*, normalised: bool) -> nn.Module:
    before = [_norm(30)] if normalised else []
    return nn.Sequential(*before, nn.Linear(30, 32, bias=False), _norm(32), nn.ReLU(), nn.Linear(32, 2))


def _texture_mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(_PATCH**2, 64, bias=False), _norm(64), nn.ReLU(), nn.Linear(64, 3))


def _offset_mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(64, 64), _norm(64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))


def _biased_cnn() -> nn.Module:
    first = nn.Conv2d(1, 16, 3, 2, 1)
    norm = nn.BatchNorm2d(16, track_running_stats=False)
    rest = (nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(128, 3))
    convolutions = biased(nn.Sequential(first, norm, nn.ReLU(), *rest), 2000.0)
    return nn.Sequential(nn.Unflatten(1, (1, _PATCH, _PATCH)), convolutions)


def _optimizer(kind: type[torch.optim.Optimizer], **options: float) -> Callable[..., torch.optim.Optimizer]:
    return partial(kind, **options)


FIRST: dict[str, Case] = {
    "texture CNN, AdamW": Case(
        TextureCNN, data=textures, optimizer=_optimizer(torch.optim.AdamW, lr=2e-3, weight_decay=0.05)
    ),
    "residual CNN, SGD": Case(
        ResidualCNN,
        optimizer=_optimizer(torch.optim.SGD, lr=0.05, momentum=0.9, weight_decay=5e-4, nesterov=True),
        clip=1.0,
    ),
    "pre-norm transformer, accumulated": Case(
        PreNorm, optimizer=_optimizer(torch.optim.AdamW, lr=2e-3), clip=1.0, parts=2
    ),
    "LSTM, tiny loss": Case(Reader, optimizer=_optimizer(torch.optim.RMSprop, lr=2e-3, eps=1e-20), loss_weight=1e-7),
    "raw measurements": Case(lambda: _cell_reader(normalised=False), ("0",), cells, in_thousandths),
    "raw measurements, normalised": Case(lambda: _cell_reader(normalised=True), (), cells, in_thousandths),
    "signals that fade, no scaler": Case(fading, ("0",), scaled=False),
    "a gain that rises": Case(lambda: mlp(norm=True), ("0",), gain=4.0),
    "a baseline, bfloat16": Case(_texture_mlp, ("0",), textures, lambda x: x + 100, half=torch.bfloat16),
    "outputs with an offset": Case(lambda: biased(_offset_mlp(), 3000.0), ("0",)),
}

SECOND: dict[str, Case] = {
    "depthwise CNN, NAdam": Case(Depthwise, data=textures, optimizer=_optimizer(torch.optim.NAdam, lr=2e-3)),
    "mixer, SGD, no scaler": Case(Mixer, optimizer=_optimizer(torch.optim.SGD, lr=0.1, momentum=0.9), scaled=False),
    "transformer, large loss": Case(Transformer, optimizer=_optimizer(torch.optim.Adamax, lr=4e-3), loss_weight=1e4),
    "logits in other units": Case(OtherUnits, ("head",)),
    "a bias that hides": Case(_biased_cnn, ("1.0",), textures),
    "temperatures, bfloat16": Case(lambda: mlp(norm=True), ("0",), change=lambda x: x + 273.15, half=torch.bfloat16),
    "squares": Case(Squares, ("layers.2",), change=lambda x: 100 * x),
}

ALL = CASES | FIRST | SECOND


def train_by_name(name: str, policy: str, seed: int) -> tuple[float, float]:
    """Train a case; in a process of its own, to which no model can be sent.

    Returns:
        The accuracy in percent, and the share of the parameters that computed in half precision at the end.
    """
    trained = train(ALL[name], policy, seed)
    plan = None if trained.precision is None else trained.precision.plan
    return trained.accuracy, 0.0 if plan is None else plan.half_frac

"""Ten small trainings on real handwritten digits: healthy ones, and ones that half precision harms in several ways."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache
from typing import Literal

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import Tensor, nn
from zoo import CNN

from deepseek.kernels.precision import AdaptivePrecision, PackedActivations

FLOAT32 = "float32"
POLICIES = (FLOAT32, "half", "gradient_norm", "exponent")


@dataclass(frozen=True)
class Case:
    """A training.

    Attributes:
        model: Makes the model; takes pictures ``[B, 64]`` and gives ``[B, 10]``, or that and a number ``[B]``.
        harmed: Layers that half precision would harm; the policy must leave them in float32.
        change: What units the pictures, 0 to 1, come in.
        scaled: Whether a gradient scaler is used.
        loss_weight: What the loss is multiplied with.
        aside: Weight of a second loss, the error of the number as an estimate of the ink in thousands.
    """

    model: Callable[[], nn.Module]
    harmed: tuple[str, ...] = ()
    change: Callable[[Tensor], Tensor] = lambda x: x
    scaled: bool = True
    loss_weight: float = 1.0
    aside: float = 0.0


def mlp(*, depth: int = 2, activation: Callable[[], nn.Module] = nn.ReLU, norm: bool = False) -> nn.Module:
    layers: list[nn.Module] = []
    for place in range(depth):
        layers += [nn.Linear(64, 64, bias=not norm), *([_norm()] if norm and not place else []), activation()]
    return nn.Sequential(*layers, nn.Linear(64, 10))


def _norm() -> nn.Module:
    return nn.BatchNorm1d(64, eps=1e-30, track_running_stats=False)


class Transformer(nn.Module):
    """Rows of the picture as tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(8, 32)
        self.places = nn.Parameter(torch.randn(8, 32) * 0.1)
        self.encoder = nn.TransformerEncoderLayer(32, 4, 64, dropout=0.0, batch_first=True)
        self.head = nn.Linear(32 * 8, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(self.embed(x.unflatten(1, (8, 8))) + self.places).flatten(1))


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(8, 64, batch_first=True)
        self.head = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.gru(x.unflatten(1, (8, 8)))[0][:, -1])


class Growing(nn.Module):
    """Residual blocks without normalisation: each makes the sum several times larger."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(nn.Linear(64, 64) for _ in range(6))
        for block in self.blocks:
            nn.init.orthogonal_(block.weight, 9.0)
        self.norm = nn.LayerNorm(64)
        self.head = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = x + block(F.relu(x))
        return self.head(self.norm(x))


class TwoTowers(nn.Module):
    """One tower reads the digit, another one estimates its ink."""

    def __init__(self) -> None:
        super().__init__()
        self.digit, self.ink = mlp(), nn.Linear(64, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.digit(x), self.ink(x)[:, 0]


CASES: dict[str, Case] = {
    "MLP": Case(mlp),
    "CNN": Case(lambda: nn.Sequential(nn.Unflatten(1, (1, 8, 8)), CNN())),
    "transformer": Case(Transformer),
    "GRU": Case(Recurrent),
    "inputs too large": Case(lambda: mlp(norm=True), ("0",), lambda x: x * 1e6),
    "inputs too small": Case(lambda: mlp(norm=True), ("0",), lambda x: x * 1e-7),
    "inputs with an offset": Case(lambda: mlp(norm=True), ("0",), lambda x: x + 3000),
    "sums that grow": Case(Growing, ("blocks.4", "blocks.5")),
    "small loss, no scaler": Case(mlp, ("0", "2", "4"), scaled=False, loss_weight=1e-5),
    "two losses of very different size": Case(TwoTowers, ("ink",), aside=1e12),
}


@cache
def digits() -> tuple[Tensor, Tensor]:
    found = load_digits()
    return torch.tensor(found.data / 16, dtype=torch.float32), torch.tensor(found.target)


def train(
    name: str, policy: str, seed: int = 0, epochs: int = 12, bits: Literal[8, 16] | None = None
) -> tuple[float, AdaptivePrecision | None]:
    """Train a case on half of the digits, with emulated float16 or with activations saved in fewer bits.

    Returns:
        The accuracy on the other half, in percent; and what decided on the precision.
    """
    case, (x, y) = CASES[name], digits()
    torch.manual_seed(seed)
    x, ink = case.change(x), x.sum(1)
    order = torch.randperm(len(x))
    learned, tested = order[::2], order[1::2]
    model = case.model()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3, eps=1e-15)
    scaler = torch.amp.GradScaler("cpu", enabled=case.scaled)
    decay = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, epochs)
    precision = None
    if policy != FLOAT32:
        precision = AdaptivePrecision(model, optimizer, policy=policy, every_epochs=5, scaler=scaler, emulate=True)
    with precision or nullcontext():
        for _ in range(epochs):
            for batch in learned[torch.randperm(len(learned))].split(64):
                optimizer.zero_grad()
                with PackedActivations(bits) if bits else nullcontext():
                    loss = _loss(case, model(x[batch]), y[batch], ink[batch])
                scaler.scale(loss).backward()
                scaler.step(optimizer)
                scaler.update()
            decay.step()
            if precision is not None:
                precision.end_epoch()
        model.eval()
        with torch.no_grad():
            output = model(x[tested])
    output = output[0] if case.aside else output
    return 100 * float((output.argmax(1) == y[tested]).float().mean()), precision


def _loss(case: Case, output: Tensor | tuple[Tensor, Tensor], digit: Tensor, ink: Tensor) -> Tensor:
    if not case.aside:
        return case.loss_weight * F.cross_entropy(output, digit)
    return F.cross_entropy(output[0], digit) + case.aside * F.mse_loss(output[1], ink)


def mean_accuracy(name: str, policy: str, *, seeds: int = 3, bits: Literal[8, 16] | None = None) -> float:
    """Return the mean accuracy of a case over some seeds, in percent."""
    return sum(train(name, policy, seed, bits=bits)[0] for seed in range(seeds)) / seeds

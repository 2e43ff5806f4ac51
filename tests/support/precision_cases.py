"""Ten small trainings on handwritten digits: healthy ones, and ones that half precision harms in several ways.

The limits of the policy ``"exponent"`` were set on these.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from precision_training import Case
from torch import Tensor, nn
from zoo import CNN


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
    "inputs too large": Case(lambda: mlp(norm=True), ("0",), change=lambda x: x * 1e6),
    "inputs too small": Case(lambda: mlp(norm=True), ("0",), change=lambda x: x * 1e-7),
    "inputs with an offset": Case(lambda: mlp(norm=True), ("0",), change=lambda x: x + 3000),
    "sums that grow": Case(Growing, ("blocks.4", "blocks.5")),
    "small loss, no scaler": Case(mlp, ("0", "2", "4"), scaled=False, loss_weight=1e-5),
    "two losses of very different size": Case(TwoTowers, ("ink",), aside=1e12),
}

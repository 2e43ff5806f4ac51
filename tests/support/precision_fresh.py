"""Seventeen more trainings, on which no limit of a policy was set: other architectures, data, units and optimizers.

They were written down before any of them was run. ``FIRST`` tests the policy as the ten cases left it. Foreseen: all go
well but for "outputs with an offset", because the policy looks at the noise of what enters a layer and not at that of
what leaves it. ``SECOND`` is for the policy after that is mended.
"""

from collections.abc import Callable
from functools import cache, partial

import numpy as np
import torch
from precision_cases import CASES, Transformer, mlp
from precision_models import (
    PATCH,
    Depthwise,
    Mixer,
    OtherUnits,
    PreNorm,
    Reader,
    ResidualCNN,
    Squares,
    TextureCNN,
    biased,
    biased_cnn,
    cell_reader,
    fading,
    offset_mlp,
    texture_mlp,
)
from precision_training import Case, train
from skimage import data
from sklearn.datasets import load_breast_cancer
from torch import Tensor

_LENGTHS, _AREAS = (0, 2), (3,)
"""Which of the ten measurements of cells are lengths and areas; each has a mean, an error and a worst."""


@cache
def textures() -> tuple[Tensor, Tensor]:
    """Patches of photographs of brick, grass and gravel, ``[3072, 256]`` from 0 to 1, and which they show."""
    photographs = torch.from_numpy(np.stack([data.brick(), data.grass(), data.gravel()])).float() / 255
    patches = photographs.unfold(1, PATCH, PATCH).unfold(2, PATCH, PATCH).reshape(-1, PATCH * PATCH)
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
    "raw measurements": Case(lambda: cell_reader(normalised=False), ("0",), cells, in_thousandths),
    "raw measurements, normalised": Case(lambda: cell_reader(normalised=True), (), cells, in_thousandths),
    "signals that fade, no scaler": Case(fading, ("0",), scaled=False),
    "a gain that rises": Case(lambda: mlp(norm=True), ("0",), gain=4.0),
    "a baseline, bfloat16": Case(texture_mlp, ("0",), textures, lambda x: x + 100, half=torch.bfloat16),
    "outputs with an offset": Case(lambda: biased(offset_mlp(), 3000.0), ("0",)),
}

SECOND: dict[str, Case] = {
    "depthwise CNN, NAdam": Case(Depthwise, data=textures, optimizer=_optimizer(torch.optim.NAdam, lr=2e-3)),
    "mixer, SGD, no scaler": Case(Mixer, optimizer=_optimizer(torch.optim.SGD, lr=0.1, momentum=0.9), scaled=False),
    "transformer, large loss": Case(Transformer, optimizer=_optimizer(torch.optim.Adamax, lr=4e-3), loss_weight=1e4),
    "logits in other units": Case(OtherUnits, ("head",)),
    "a bias that hides": Case(biased_cnn, ("1.0",), textures),
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

"""Trains small models on real data under a policy of precision: float16 or bfloat16, emulated."""

from collections.abc import Callable, Iterable
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import Tensor, nn

from deepseek.kernels.precision import AdaptivePrecision, PackedActivations

FLOAT32 = "float32"
POLICIES = (FLOAT32, "half", "gradient_norm", "exponent")

Watch = Callable[[nn.Module, torch.optim.Optimizer], Any]
"""Makes a session of the inspector."""


@cache
def digits() -> tuple[Tensor, Tensor]:
    """Handwritten digits, ``[1797, 64]`` from 0 to 1, and which they are."""
    found = load_digits()
    return torch.tensor(found.data / 16, dtype=torch.float32), torch.tensor(found.target)


def adam(parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """An Adam that takes gradients of any size."""
    return torch.optim.Adam(parameters, lr=3e-3, eps=1e-15)


@dataclass(frozen=True)
class Case:
    """A training.

    Attributes:
        model: Makes the model; takes ``[B, features]`` and gives ``[B, classes]``, or that and a number ``[B]``.
        harmed: Layers that half precision would harm; the policy must leave them in float32.
        data: Gives inputs and classes.
        change: What units the inputs come in.
        gain: What the units are multiplied with after each epoch.
        optimizer: Makes the optimizer.
        scaled: Whether a gradient scaler is used.
        half: The half-precision type.
        loss_weight: What the loss is multiplied with.
        aside: Weight of a second loss, the error of the number as an estimate of the ink in thousands.
        clip: Norm to which gradients are clipped.
        parts: In how many parts the gradients of a batch are accumulated.
    """

    model: Callable[[], nn.Module]
    harmed: tuple[str, ...] = ()
    data: Callable[[], tuple[Tensor, Tensor]] = digits
    change: Callable[[Tensor], Tensor] = lambda x: x
    gain: float = 1.0
    optimizer: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer] = adam
    scaled: bool = True
    half: torch.dtype = torch.float16
    loss_weight: float = 1.0
    aside: float = 0.0
    clip: float | None = None
    parts: int = 1


class Trained(NamedTuple):
    """What came of a training.

    Attributes:
        accuracy: On the half of the data that was not learned, in percent.
        precision: What decided on the precision; None for float32.
        session: What watched.
    """

    accuracy: float
    precision: AdaptivePrecision | None
    session: Any


def train(
    case: Case,
    policy: str,
    seed: int = 0,
    epochs: int = 12,
    *,
    bits: Literal[8, 16] | None = None,
    watch: Watch | None = None,
) -> Trained:
    """Train on half of the data: in float32, or under a policy; perhaps with activations saved in fewer bits."""
    x, y = case.data()
    torch.manual_seed(seed)
    x, ink = case.change(x), x.sum(1)
    order = torch.randperm(len(x))
    learned, tested = order[::2], order[1::2]
    model = case.model()
    optimizer = case.optimizer(model.parameters())
    scaler = torch.amp.GradScaler("cpu", enabled=case.scaled)
    decay = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, epochs)
    with ExitStack() as stack:
        session = stack.enter_context(watch(model, optimizer)) if watch else None
        precision = stack.enter_context(_control(case, policy, model, optimizer, scaler)) if policy != FLOAT32 else None
        for epoch in range(epochs):
            for batch in learned[torch.randperm(len(learned))].split(64):
                optimizer.zero_grad()
                for part in batch.chunk(case.parts):
                    with PackedActivations(bits) if bits else nullcontext():
                        output = model(x[part] * case.gain**epoch)
                        loss = _loss(case, output, y[part], ink[part]) * (len(part) / len(batch))
                    scaler.scale(loss).backward()
                if case.clip is not None:
                    scaler.unscale_(optimizer)
                    nn.utils.clip_grad_norm_(model.parameters(), case.clip)
                scaler.step(optimizer)
                scaler.update()
            decay.step()
            if precision is not None:
                precision.end_epoch()
        model.eval()
        with torch.no_grad():
            output = model(x[tested] * case.gain ** (epochs - 1))
    output = output[0] if case.aside else output
    return Trained(100 * float((output.argmax(1) == y[tested]).float().mean()), precision, session)


def _control(
    case: Case, policy: str, model: nn.Module, optimizer: torch.optim.Optimizer, scaler: torch.amp.GradScaler
) -> AdaptivePrecision:
    return AdaptivePrecision(
        model, optimizer, policy=policy, every_epochs=5, dtype=case.half, scaler=scaler, emulate=True
    )


def _loss(case: Case, output: Tensor | tuple[Tensor, Tensor], classes: Tensor, ink: Tensor) -> Tensor:
    if not case.aside:
        return case.loss_weight * F.cross_entropy(output, classes)
    return F.cross_entropy(output[0], classes) + case.aside * F.mse_loss(output[1], ink)


def mean_accuracy(case: Case, policy: str, *, seeds: int = 3, bits: Literal[8, 16] | None = None) -> float:
    """Return the mean accuracy of a case over some seeds, in percent."""
    return sum(train(case, policy, seed, bits=bits).accuracy for seed in range(seeds)) / seeds

"""Classification of real data with knobs of difficulty, by small networks with gated layers."""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional

from deepseek.kernels import SparseFeedForward

SENSORS = 8

MNIST1D_KNOBS = ("scale_coeff", "corr_noise_scale", "iid_noise_scale", "shear_scale", "max_translation")


class Net(nn.Module):
    """Two residual layers between linear ones, gated or dense: [B, inputs] to [B, classes]."""

    def __init__(self, inputs: int, classes: int, width: int, hidden: int, *, gated: bool = True) -> None:
        super().__init__()
        self.embed, self.head = nn.Linear(inputs, width), nn.Linear(width, classes)
        self.layers = nn.ModuleList(_layer(width, hidden, gated=gated) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        for layer in self.layers:
            x = x + layer(functional.layer_norm(x, x.shape[1:]))
        logits: Tensor = self.head(x)
        return logits


def _layer(width: int, hidden: int, *, gated: bool) -> nn.Module:
    if gated:
        return SparseFeedForward(width, hidden)
    return nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))


class Data(NamedTuple):
    """What is learned and what is tested.

    Attributes:
        batches: To be gone through once an epoch.
        x: Test inputs, ``[N, inputs]``.
        y: Their labels.
        difficulty: Where the knobs stood for each of them.
    """

    batches: Iterable[tuple[Tensor, Tensor]]
    x: Tensor
    y: Tensor
    difficulty: Tensor


class Task(NamedTuple):
    """A data set, and the network and the training that suit it.

    Attributes:
        make: Makes the data for a seed.
        inputs, classes, width, hidden: Sizes of the ``Net``.
        epochs, lr: Of its training.
    """

    make: Callable[[int], Data]
    inputs: int
    classes: int
    width: int
    hidden: int
    epochs: int
    lr: float

    def net(self, hidden: int | None = None, *, gated: bool = True) -> Net:
        """Make the network with random weights."""
        return Net(self.inputs, self.classes, self.width, hidden or self.hidden, gated=gated)


class Batches:
    """Samples in a new order, and changed anew, each time they are gone through."""

    def __init__(
        self, x: Tensor, y: Tensor, size: int, change: Callable[[Tensor], tuple[Tensor, Tensor]] | None = None
    ) -> None:
        self.x, self.y, self.size, self.change = x, y, size, change

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for rows in torch.randperm(len(self.x)).split(self.size):
            yield self.change(self.x[rows])[0] if self.change else self.x[rows], self.y[rows]


def half_noisy(x: Tensor) -> tuple[Tensor, Tensor]:
    """Put every other picture under noise of 1.4 standard deviations; also which."""
    noise = 1.4 * (torch.rand(len(x)) > 0.5)
    return x + noise[:, None] * torch.randn_like(x), noise


def noisy(x: Tensor) -> tuple[Tensor, Tensor]:
    """Put pictures under noise of 0 to 2 standard deviations; also how much."""
    noise = 2 * torch.rand(len(x))
    return x + noise[:, None] * torch.randn_like(x), noise


def digits(seed: int) -> Data:
    """scikit-learn's digits, half of them under noise."""
    data = load_digits()
    x, y = torch.tensor(data.data / 8 - 1, dtype=torch.float32), torch.tensor(data.target)
    test, noise = half_noisy(x[1200:].repeat(5, 1))
    return Data(Batches(x[:1200].repeat(2, 1), y[:1200].repeat(2), 100, half_noisy), test, y[1200:].repeat(5), noise)


def faces(seed: int) -> Data:
    """100 faces of Labeled Faces in the Wild and 100 patches beside faces (scikit-image), half of each for testing."""
    import skimage.data

    x, y = torch.tensor(skimage.data.lfw_subset(), dtype=torch.float32).flatten(1), (torch.arange(200) < 100).long()
    x = (x - x.mean()) / x.std()
    order = torch.randperm(200)
    known, unknown = order[:100], order[100:]
    test, noise = noisy(x[unknown].repeat(10, 1))
    return Data(Batches(x[known].repeat(12, 1), y[known].repeat(12), 100, noisy), test, y[unknown].repeat(10), noise)


def mnist1d(seed: int) -> Data:
    """MNIST-1D, 16,000 and 4,000 for testing."""
    x, y, test, labels, difficulty = _signals(seed, 20_000)
    return Data(Batches(x, y, 200), test, labels, difficulty)


def sensors(seed: int) -> Data:
    """MNIST-1D, 160,000 and 40,000 for testing, each signal from one of eight sensors.

    Each sensor has the 40 places of a signal in an order of its own. Which one it was stands behind the signal: a 10 in
    one of eight columns, for a norm like that of the signal.
    """
    x, y, test, labels, difficulty = _signals(seed, 200_000)
    orders = torch.stack([torch.randperm(x.shape[1]) for _ in range(SENSORS)])

    def wired(x: Tensor) -> Tensor:
        sensor = torch.randint(SENSORS, (len(x),))
        return torch.cat([x.gather(1, orders[sensor]), 10.0 * functional.one_hot(sensor, SENSORS)], 1)

    return Data(Batches(wired(x), y, 400), wired(test), labels, difficulty)


def _signals(seed: int, samples: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """MNIST-1D (Greydanus & Kobak 2024), all its knobs at 0 to 2 times their default.

    Returns:
        Signals and labels to learn from, the same to test with (a fifth), and where the knobs stood for the latter.
    """
    from mnist1d.data import get_dataset_args, make_dataset

    parts = []
    for place, factor in enumerate(np.linspace(0, 2, 10)):
        knobs = get_dataset_args()
        knobs.num_samples, knobs.seed = samples // 10, 100 * seed + place
        for name in MNIST1D_KNOBS:
            setattr(knobs, name, factor * getattr(knobs, name))
        knobs.max_translation = int(np.clip(round(knobs.max_translation), 1, 72))  # a signal has 72 places
        made = make_dataset(knobs)
        parts.append([*(made[name] for name in ("x", "y", "x_test", "y_test")), np.full(len(made["y_test"]), factor)])
    x, y, test, labels, difficulty = (torch.tensor(np.concatenate(values)) for values in zip(*parts, strict=True))
    return x.float(), y, test.float(), labels, difficulty


TASKS = {
    "digits": Task(digits, 64, 10, 64, 256, epochs=25, lr=3e-3),
    "mnist1d": Task(mnist1d, 40, 10, 128, 1024, epochs=24, lr=2e-3),
    "lfw faces": Task(faces, 625, 2, 64, 256, epochs=25, lr=1e-3),
}

SENSORS_TASK = Task(sensors, 40 + SENSORS, 10, 128, 1024, epochs=6, lr=2e-3)
"""Inputs of several kinds, for gates by kind."""

"""Small classifiers of digits, trained on data with and without a planted shortcut in the margin."""

from typing import NamedTuple

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from deepseek.explain.shortcuts.regions import picture_regions

SIDE = 10
"""Digits of 8 x 8 pixels with a margin of one."""

REGIONS = picture_regions(SIDE, SIDE) | {"top edge": np.indices((SIDE, SIDE))[0] == 0}

CORNERS = {"top left": (1, 1), "top right": (1, 4), "bottom left": (4, 1), "bottom right": (4, 4)}


class Planted(NamedTuple):
    """A trained classifier, rows that were kept apart, and the region of the shortcut; None without one."""

    model: nn.Module
    inputs: Tensor
    labels: Tensor
    region: str | None


def mlp(classes: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(SIDE**2, 32), nn.ReLU(), nn.Linear(32, classes))


def normed(classes: int) -> nn.Module:
    layers = (nn.Linear(SIDE**2, 48), nn.BatchNorm1d(48), nn.GELU(), nn.Linear(48, 24), nn.Tanh())
    return nn.Sequential(nn.Flatten(), *layers, nn.Linear(24, classes))


def cnn(classes: int) -> nn.Module:
    layers = (nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 16, 3), nn.ReLU(), nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(256, classes))


ARCHITECTURES = (mlp, normed, cnn)
KINDS = ("frame", "corner", "tag")


def make(seed: int, *, planted: bool) -> Planted:
    """Train one: task, architecture, kind of plant, its place, brightness and reliability depend on the seed.

    In clean data the same places are as bright, and say nothing about the class.
    """
    chance = np.random.default_rng(seed)
    digits = load_digits()
    order = chance.permutation(len(digits.target))
    which = digits.target[order]
    labels = (which % 2, which // 5, which)[seed % 7 % 3]  # whether it is odd, whether it is large, which it is
    pictures = np.pad(digits.images[order] / 16, ((0, 0), (1, 1), (1, 1)))
    if labels.max() > 1:  # many classes are read easily unless they are hard to see
        pictures[:, 1:-1, 1:-1] += chance.normal(0, 0.4, (len(labels), 8, 8))
    told = np.where(chance.random(len(labels)) < chance.uniform(0.95, 1), labels, chance.permutation(labels))
    kind = "tag" if labels.max() > 1 else KINDS[seed % 3]
    region = plant(pictures, kind, told if planted else chance.permutation(told), chance)
    inputs, answers = torch.tensor(pictures, dtype=torch.float32)[:, None], torch.tensor(labels)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = fit(ARCHITECTURES[seed // 3 % 3](int(labels.max()) + 1), inputs[:-500], answers[:-500])
    return Planted(model, inputs[-500:], answers[-500:], region if planted else None)


def plant(pictures: np.ndarray, kind: str, classes: np.ndarray, chance: np.random.Generator) -> str:
    """Draw a frame or a corner that is bright for class 1, or a mark at a place of the top edge for each class."""
    brightness = chance.uniform(0.4, 1)
    if kind == "tag":
        pictures[np.arange(len(pictures)), 0, classes] = brightness
        return "top edge"
    level = brightness * classes[:, None, None]
    if kind == "frame":
        for edge in (np.s_[:, :1], np.s_[:, -1:], np.s_[:, :, :1], np.s_[:, :, -1:]):
            pictures[edge] = level
        return "border"
    row, column = CORNERS[chance.choice(list(CORNERS))]
    own = REGIONS[f"cell in row {row}, column {column}"]
    pictures[:, own] = level[:, 0]
    return f"cell in row {row}, column {column}"


def fit(model: nn.Module, inputs: Tensor, labels: Tensor, epochs: int = 12) -> nn.Module:
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(epochs):
        for rows in torch.randperm(len(inputs)).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(inputs[rows]), labels[rows]).backward()
            optimizer.step()
    return model

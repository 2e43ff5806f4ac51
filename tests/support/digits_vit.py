"""A small vision transformer, trained on the digits of scikit-learn: pictures of 8 x 8 pixels, 16 patches of 2 x 2."""

from functools import cache
from typing import NamedTuple

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn

PATCHES = torch.arange(16).reshape(1, 4, 4).repeat_interleave(2, 1).repeat_interleave(2, 2)
"""Number of the patch of every pixel, ``[1, 8, 8]``, as ``groups`` takes it."""


class DigitsViT(nn.Module):
    """Patches, a class token before them, and an encoder: ``[B, 1, 8, 8]`` to logits ``[B, 10]``."""

    def __init__(self, width: int = 32, layers: int = 2, heads: int = 4):
        super().__init__()
        self.embed = nn.Conv2d(1, width, 2, 2)
        self.token = nn.Parameter(torch.randn(1, 1, width) / 10)
        self.places = nn.Parameter(torch.randn(1, 17, width) / 10)
        layer = nn.TransformerEncoderLayer(width, heads, 2 * width, 0.0, "gelu", batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, layers, nn.LayerNorm(width), enable_nested_tensor=False)
        self.head = nn.Linear(width, 10)

    def forward(self, pictures: Tensor) -> Tensor:
        patches = self.embed(pictures).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token.expand(len(patches), -1, -1), patches], 1)
        return self.head(self.encoder(tokens + self.places)[:, 0])


class Digits(NamedTuple):
    """The trained model, and the pictures ``[N, 1, 8, 8]`` between 0 and 1 with their digits."""

    model: DigitsViT
    train: Tensor
    train_digits: Tensor
    test: Tensor
    test_digits: Tensor


@cache
def digits_vit(epochs: int = 25) -> Digits:
    """Train on one thread, the same model every time; tests must leave it as it is."""
    pictures, digits = load_digits(return_X_y=True)
    parts = train_test_split(pictures / 16, digits, test_size=297, random_state=0, stratify=digits)
    train, test = (torch.from_numpy(part).float().reshape(-1, 1, 8, 8) for part in parts[:2])
    train_digits, test_digits = map(torch.from_numpy, parts[2:])
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = _trained(DigitsViT(), train, train_digits, epochs)
    torch.set_num_threads(threads)
    return Digits(model, train, train_digits, test, test_digits)


def _trained(model: DigitsViT, pictures: Tensor, digits: Tensor, epochs: int) -> DigitsViT:
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.05)
    batches = range(0, len(pictures), 50)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=epochs * len(batches))
    for _ in range(epochs):
        order = torch.randperm(len(pictures))
        for start in batches:
            rows = order[start : start + 50]
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(pictures[rows]), digits[rows]).backward()
            optimizer.step()
            schedule.step()
    return model.eval()

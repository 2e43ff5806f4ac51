"""What gates cost in quality and what they know about their inputs: digits, half of them under noise; five seeds."""

import copy
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional

from deepseek.kernels import SparseFeedForward, SparseGate, active_frac, fit_gates, forced_share

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

SEEDS, EPOCHS, NOISE = 5, 25, 1.4


class Net(nn.Module):
    """Two gated residual layers between linear ones: [B, 64] to [B, 10]."""

    def __init__(self, width: int = 64):
        super().__init__()
        self.embed, self.head = nn.Linear(64, width), nn.Linear(width, 10)
        self.layers = nn.ModuleList(SparseFeedForward(width, 4 * width) for _ in range(2))

    def forward(self, x):
        x = self.embed(x)
        for layer in self.layers:
            x = x + layer(functional.layer_norm(x, x.shape[1:]))
        return self.head(x)


def noisy(x: Tensor) -> tuple[Tensor, Tensor]:
    """Pictures of which half are hard to see, and which those are."""
    hard = torch.rand(len(x)) > 0.5
    return x + NOISE * hard[:, None] * torch.randn_like(x), hard


class Batches:
    """Digits with new noise each time they are gone through."""

    def __init__(self, x: Tensor, y: Tensor) -> None:
        self.x, self.y = x.repeat(2, 1), y.repeat(2)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for rows in torch.randperm(len(self.x)).split(100):
            yield noisy(self.x[rows])[0], self.y[rows]


def accuracy(model: nn.Module, x: Tensor, y: Tensor) -> float:
    with torch.no_grad():
        return float((model.eval()(x).argmax(1) == y).double().mean())


def dense_twin(model: nn.Module, batches: Batches, x: Tensor, y: Tensor) -> float:
    """Accuracy of the same network that learns the labels with all its gates open."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    with forced_share(model, 1.0):
        for _ in range(EPOCHS):
            for inputs, labels in batches:
                optimizer.zero_grad()
                functional.cross_entropy(model(inputs), labels).backward()
                optimizer.step()
        return accuracy(model, x, y)


def shuffled(model: nn.Module, x: Tensor, y: Tensor) -> float:
    """Accuracy when each sample is computed with the blocks of another."""
    order = torch.randperm(len(x))
    gates = [module for module in model.modules() if isinstance(module, SparseGate)]
    handles = [gate.register_forward_hook(lambda _gate, _inputs, mask: mask[order]) for gate in gates]
    found = accuracy(model, x, y)
    for handle in handles:
        handle.remove()
    return found


def trial(seed: int) -> dict[str, float]:
    torch.manual_seed(seed)
    data = load_digits()
    x, y = torch.tensor(data.data / 8 - 1, dtype=torch.float32), torch.tensor(data.target)
    batches, (test_x, hard), test_y = Batches(x[:1200], y[:1200]), noisy(x[1200:].repeat(5, 1)), y[1200:].repeat(5)
    model = Net()
    dense = dense_twin(copy.deepcopy(model), batches, test_x, test_y)
    fit_gates(model, batches, target=0.5, spread=0.8, epochs=EPOCHS, lr=3e-3, progress=False)
    shares = active_frac(model, test_x)
    ranks = shares.argsort().argsort().double()
    return {
        "dense": dense,
        "gated": accuracy(model, test_x, test_y),
        "shuffled": shuffled(model, test_x, test_y),
        "share": float(shares.mean()),
        "easy": float(shares[~hard].mean()),
        "hard": float(shares[hard].mean()),
        "spearman": float(np.corrcoef(ranks, hard)[0, 1]),
    }


@pytest.fixture(scope="module")
def results() -> dict[str, np.ndarray]:
    torch.set_num_threads(1)
    rows = [trial(seed) for seed in range(SEEDS)]
    found = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    print({name: values.round(3).tolist() for name, values in found.items()})
    return found


def test_half_of_the_blocks_are_active(results):
    assert results["share"] == pytest.approx(np.full(SEEDS, 0.5), abs=0.05)


def test_within_a_point_of_the_dense_network(results):
    assert results["gated"].mean() >= results["dense"].mean() - 0.01


def test_the_share_follows_the_difficulty(results):
    assert (results["spearman"] >= 0.4).all()


def test_hard_inputs_take_far_more_than_easy_ones(results):
    assert (results["hard"] - results["easy"]).mean() >= 0.15


def test_blocks_of_other_samples_cost_accuracy(results):
    assert results["shuffled"].mean() < results["gated"].mean()

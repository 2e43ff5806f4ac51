"""A training with everything that gates and precision can show, on handwritten digits."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

import deepseek
from deepseek.kernels import AdaptivePrecision, SparseFeedForward


def gated_model(stuck="stuck"):
    """Three layers and two gates, of which the one of the layer named by ``stuck`` never changes its mind."""
    torch.manual_seed(0)
    model = nn.Sequential()
    model.add_module("camera", nn.Linear(64, 32))
    model.add_module("norm", nn.BatchNorm1d(32, track_running_stats=False))
    model.add_module("mlp", SparseFeedForward(32, 64, blocks=8))
    model.add_module(stuck, SparseFeedForward(32, 64, blocks=4))
    model.add_module("head", nn.Linear(32, 10))
    gate = model.get_submodule(f"{stuck}.gate").requires_grad_(False)
    gate.weight.zero_()
    gate.bias.copy_(torch.tensor([3.0, -3.0, 3.0, -3.0]))
    return model


def train_decided(path, policy="exponent", epochs=3, stuck="stuck"):
    """Train on pictures of up to two million photons, which float16 cannot hold; return the open session."""
    digits = load_digits()
    inputs, targets = torch.tensor(digits.data, dtype=torch.float32) * 1.25e5, torch.tensor(digits.target)
    model = gated_model(stuck)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    scaler = torch.amp.GradScaler("cpu")
    session = deepseek.inspect(model, optimizer, every=1, run=path)
    with AdaptivePrecision(model, optimizer, policy=policy, scaler=scaler, every_epochs=2, emulate=True) as precision:
        for _ in range(epochs):
            for batch in torch.randperm(1024).split(128):
                optimizer.zero_grad()
                loss = F.cross_entropy(model(inputs[batch]), targets[batch])
                scaler.scale(loss).backward()
                scaler.step(optimizer)
                scaler.update()
                session.log(loss=loss)
            precision.end_epoch()
    return session

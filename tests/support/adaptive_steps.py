"""A small model whose activations may be checkpointed, and steps of training as people write them."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from deepseek.kernels.precision import Plan, damage
from deepseek.kernels.precision.plan import decide


class Checkpointed(nn.Module):
    def __init__(self, reentrant=None):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(32, 32), nn.GELU(), nn.Linear(32, 32))
        self.head = nn.Linear(32, 10)
        self.reentrant = reentrant

    def forward(self, x):
        if self.reentrant is None:
            return self.head(self.body(x))
        return self.head(checkpoint(self.body, x.requires_grad_(), use_reentrant=self.reentrant))


def make(model=Checkpointed):
    torch.manual_seed(0)
    model = model()
    return model, torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)


def step(model, optimizer, seed=0, parts=1, clip=None, scaler=None, size=1.0):
    torch.manual_seed(seed)
    scaler = scaler or torch.amp.GradScaler("cpu", enabled=False)
    optimizer.zero_grad()
    for _ in range(parts):
        loss = F.cross_entropy(model(size * torch.randn(16, 32)), torch.randint(10, (16,)))
        scaler.scale(loss).backward()
    if clip is not None:
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), clip)
    scaler.step(optimizer)
    scaler.update()
    return loss.item()


def half_but(*names):
    """A policy: half precision but for these layers."""

    def policy(layers, situation):
        chosen = {layer.layer: torch.float32 if layer.layer in names else situation.half for layer in layers}
        decisions = [decide(layer, chosen[layer.layer], "a test", damage(layer, situation.half)) for layer in layers]
        return Plan(situation.epoch, "half_but", "float16", situation.loss_scale, float("nan"), tuple(decisions))

    return policy


def state(model):
    return [value.clone() for value in model.state_dict().values()]

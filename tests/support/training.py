"""Training loops that the tests share; every random draw is seeded."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from zoo import CNN, MLP, SequenceClassifier, TransformerClassifier

CASES: dict[str, tuple[Callable[[], nn.Module], Callable[[], torch.Tensor]]] = {
    "mlp": (MLP, lambda: torch.randn(16, 64)),
    "cnn": (CNN, lambda: torch.randn(16, 1, 8, 8)),
    "transformer": (TransformerClassifier, lambda: torch.randn(8, 12, 8)),
    "lstm": (SequenceClassifier, lambda: torch.randn(8, 12, 8)),
}


def make(case: str) -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = CASES[case][0]()
    return model, torch.optim.AdamW(model.parameters(), lr=1e-3)


def train(model: nn.Module, optimizer: Any, batch: Callable[[], torch.Tensor], steps: int, session: Any = None):
    """Train on noise; return the losses and the last gradients."""
    torch.manual_seed(1)
    losses = []
    for _ in range(steps):
        inputs = batch()
        loss = F.cross_entropy(model(inputs), torch.randint(10, (len(inputs),)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if session is not None:
            session.log(loss=loss)
    return losses, [p.grad.clone() for p in model.parameters() if p.grad is not None]


def everything(model: nn.Module, optimizer: Any) -> list[torch.Tensor]:
    """Parameters, buffers, optimizer state and the state of the random generator."""
    state = [value for values in optimizer.state.values() for value in values.values() if torch.is_tensor(value)]
    return [*(v.clone() for v in model.state_dict().values()), *state, torch.get_rng_state()]

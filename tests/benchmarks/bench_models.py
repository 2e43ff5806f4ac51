"""The models that benchmarks train, each with its loss on a fixed batch."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn
from zoo import GPT, MLP, ResNet18, SequenceClassifier

Trial = tuple[nn.Module, Callable[[nn.Module], torch.Tensor]]


def gpt() -> Trial:
    """Six layers, 256 wide, 8 x 128 tokens."""
    tokens = torch.randint(1024, (8, 128))
    return GPT(), lambda model: F.cross_entropy(model(tokens).flatten(0, 1), tokens.roll(-1, 1).flatten())


def resnet() -> Trial:
    """ResNet-18 on 32 small pictures."""
    return _classifier(ResNet18(), torch.randn(32, 3, 32, 32))


def lstm() -> Trial:
    """Two layers, 128 wide, 64 sequences of 32 steps."""
    return _classifier(SequenceClassifier(width=128), torch.randn(64, 32, 8))


def mlp() -> Trial:
    """Twenty layers, 64 wide, 512 rows: a step of a few milliseconds."""
    return _classifier(MLP(depth=20), torch.randn(512, 64))


def _classifier(model: nn.Module, inputs: torch.Tensor) -> Trial:
    labels = torch.randint(10, (len(inputs),))
    return model, lambda model: F.cross_entropy(model(inputs), labels)

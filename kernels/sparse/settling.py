"""Batch norms and their statistics, which depend on how many blocks compute."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from deepseek.kernels.evaluating import restored
from deepseek.kernels.sparse.control import call


def norms_of(model: nn.Module) -> list[_BatchNorm]:
    """Give the batch norms of a model."""
    return [module for module in model.modules() if isinstance(module, _BatchNorm)]


@contextmanager
def momentum(norms: list[_BatchNorm], value: float | None) -> Iterator[None]:
    """Have batch norms follow the batches with another momentum: 0 keeps their statistics, None averages all."""
    with restored(norms, "momentum"):
        for norm in norms:
            norm.momentum = value
        yield


def settle_statistics(model: nn.Module, batches: Iterable[tuple[Any, Tensor]]) -> None:
    """Replace the statistics of batch norms by those of the gated network; it is left in training."""
    norms = norms_of(model)
    if not norms:
        return
    for norm in norms:
        norm.reset_running_stats()
    model.train()
    with torch.no_grad(), momentum(norms, None):
        for inputs, _ in batches:
            call(model, inputs)

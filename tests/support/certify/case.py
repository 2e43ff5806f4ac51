"""What a row of the matrix is: a model, its data and its loss."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils._pytree import tree_leaves

Loss = Callable[[nn.Module, Any], torch.Tensor]


def call(model: nn.Module, batch: Any) -> Any:
    """Call the model with a dict as keyword arguments, a tuple as positional ones, or one tensor."""
    if isinstance(batch, dict):
        return model(**batch)
    return model(*batch) if isinstance(batch, tuple) else model(batch)


def classify(model: nn.Module, batch: Any) -> torch.Tensor:
    """Cross-entropy between the output [..., C] and labels drawn at random."""
    logits = call(model, batch)
    return F.cross_entropy(logits.flatten(0, -2), torch.randint(logits.shape[-1], logits.shape[:-1]).flatten())


def energy(model: nn.Module, batch: Any) -> torch.Tensor:
    """Sum of the mean squares of all tensors in the output."""
    return sum(tensor.abs().square().mean() for tensor in tensors(call(model, batch)))


def own_loss(model: nn.Module, batch: Any) -> torch.Tensor:
    """The loss that the model computes by itself, as those of transformers do."""
    return call(model, batch).loss


def tensors(output: Any) -> list[torch.Tensor]:
    """All tensors in nested containers."""
    fields = vars(output) if hasattr(output, "__dataclass_fields__") and not isinstance(output, dict) else output
    return [leaf for leaf in tree_leaves(fields) if torch.is_tensor(leaf)]


def adamw(parameters: Iterable[torch.Tensor]) -> torch.optim.Optimizer:
    return torch.optim.AdamW(parameters, lr=1e-2)


def sgd(parameters: Iterable[torch.Tensor]) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=1e-2)


def momentum(parameters: Iterable[torch.Tensor]) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=1e-2, momentum=0.9, nesterov=True)


def halves(model: nn.Module) -> list[list[nn.Parameter]]:
    """Deal the parameters out to two optimizers in turn."""
    parameters = list(model.parameters())
    return [parameters[0::2], parameters[1::2]]


@dataclass(frozen=True)
class Case:
    """A model with everything needed to train it.

    Attributes:
        build: Makes the model; random initial values come from torch's generator.
        batch: Draws a batch; see ``call``.
        losses: The loss, or one for each optimizer where they differ.
        optimizer: Makes an optimizer of parameters.
        part: Path of a submodule that returns tensors; it is checkpointed, and sharded by itself.
        generate: Draws a sequence from the model, where it can.
        groups: Splits the parameters among two optimizers.
        threads: Number of threads that torch computes with; one is faster for small models.
        unfit: Modes that torch itself does not allow for this model, and why.
    """

    build: Callable[[], nn.Module]
    batch: Callable[[], Any]
    losses: Sequence[Loss] = (classify,)
    optimizer: Callable[[Iterable[torch.Tensor]], torch.optim.Optimizer] = adamw
    part: str | None = None
    generate: Callable[[nn.Module], Any] | None = None
    groups: Callable[[nn.Module], list[list[nn.Parameter]]] = halves
    threads: int = 1
    unfit: Mapping[str, str] = field(default_factory=dict)

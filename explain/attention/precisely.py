"""A forward pass in float64, of a model that stays as it is."""

from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from deepseek.errors import DeepseekError
from deepseek.text import printable


class InFloat64(nn.Module):
    """Computes what a model does with its parameters, buffers and inputs in float64.

    These copies take twice the memory of float32, and four times that of halves, while it computes.

    Args:
        model: The model, which keeps its own.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute what the model does.

        Raises:
            DeepseekError: It does not compute in float64.
        """
        own = {name: _double(each) for name, each in chain(self.model.named_parameters(), self.model.named_buffers())}
        given = {name: _double(value) for name, value in kwargs.items()}
        try:
            with torch.autocast("cpu", enabled=False), torch.autocast("cuda", enabled=False):
                return functional_call(self.model, own, tuple(map(_double, args)), given)
        except (RuntimeError, TypeError) as error:
            if isinstance(error, DeepseekError):
                raise
            raise DeepseekError(
                printable(f"`precise=True` needs a model that also computes in float64, and this one does not: {error}")
            ) from error


def _double(value: Any) -> Any:
    return value.double() if isinstance(value, Tensor) and value.is_floating_point() else value

"""A model and what it is called with, so that it can be called again with other tensors in their place."""

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from torch import Tensor, nn

from deepseek.errors import DeepseekError
from deepseek.text import printable

Inputs = Tensor | tuple[Any, ...] | Mapping[str, Any]
"""A tensor, a tuple (positional arguments) or a mapping (keyword arguments, such as a transformers BatchEncoding)."""

SINGLE = "input"
"""Name of the tensor where the inputs are one tensor; positional ones are called ``0``, ``1`` ..."""

TOKEN_IDS = "input_ids"  # noqa: S105  these tokens are words


class Call:
    """One call of a model, which can be repeated for other rows and with other tensors.

    A row is one sample: what lies along the first dimension. Tensors with another first dimension are handed over as
    they are, and of everything that is no tensor a copy, so that a cache does not grow from call to call.

    Args:
        model: Called in evaluation mode; see ``evaluating``.
        inputs: What it is called with.

    Attributes:
        model: The model.
        rows: Number of rows, ``B``.
        tensors: The tensors with a row for each sample, ``[B, ...]``, by name.

    Raises:
        DeepseekError: There is no tensor or no row.
    """

    def __init__(self, model: nn.Module, inputs: Inputs) -> None:
        if not isinstance(model, nn.Module):
            raise DeepseekError(f"`model` must be a torch.nn.Module, not {type(model).__name__}.")
        self.model = model
        self._positional = not isinstance(inputs, Mapping)
        self._arguments = _named(inputs)
        self.rows = _rows(self._arguments)
        self.tensors = {name: value for name, value in self._arguments.items() if self._is_per_row(value)}

    def __call__(self, rows: Tensor | None = None, replaced: Mapping[str, Tensor] | None = None) -> Any:
        """Call the model.

        Args:
            rows: Which rows, ``[N]`` indices that may repeat; all of them by default.
            replaced: Tensors ``[N, ...]`` to be used instead of the rows of those names.

        Returns:
            What the model returns.
        """
        given = {name: _fresh(name, value) for name, value in self._arguments.items()}
        for name, tensor in self.tensors.items():
            given[name] = tensor if rows is None else tensor[rows.to(tensor.device)]
        given |= replaced or {}
        return self.model(*given.values()) if self._positional else self.model(**given)

    def _is_per_row(self, value: Any) -> bool:
        return isinstance(value, Tensor) and value.dim() > 0 and len(value) == self.rows

    @cached_property
    def explained(self) -> tuple[str, ...]:
        """Names of the tensors whose elements are features.

        Those of floating point; without any, the token ids ``input_ids``, or the only tensor there is.

        Raises:
            DeepseekError: Nothing could be explained.
        """
        floating = tuple(name for name, tensor in self.tensors.items() if tensor.is_floating_point())
        if floating:
            return floating
        if TOKEN_IDS in self.tensors:
            return (TOKEN_IDS,)
        if len(self.tensors) == 1:
            return tuple(self.tensors)
        raise DeepseekError(
            f"None of the inputs {', '.join(self.tensors)} holds floating-point numbers, and none is called "
            f"{TOKEN_IDS}: pass what is to be explained as a floating-point tensor."
        )


def _named(inputs: Any) -> dict[str, Any]:
    if isinstance(inputs, Tensor):
        return {SINGLE: inputs}
    if isinstance(inputs, Mapping):
        return {str(name): value for name, value in inputs.items()}
    if isinstance(inputs, tuple):
        return {str(place): value for place, value in enumerate(inputs)}
    raise DeepseekError(
        "`inputs` must be a tensor, a tuple of positional arguments or a dict of keyword arguments, "
        f"not {type(inputs).__name__}."
    )


def _fresh(name: str, value: Any) -> Any:
    """Return a tensor itself, and a copy of anything else."""
    if isinstance(value, Tensor):
        return value
    try:
        return copy.deepcopy(value)
    except (RuntimeError, TypeError) as error:
        raise DeepseekError(
            f"The input `{printable(name)}` must be something that can be copied, because the model may change it: "
            f"{error}. Make a cache under torch.no_grad()."
        ) from error


def _rows(arguments: Mapping[str, Any]) -> int:
    for value in arguments.values():
        if isinstance(value, Tensor) and value.dim() > 0:
            if len(value) == 0:
                raise DeepseekError("`inputs` must hold at least one row, not none.")
            return len(value)
    raise DeepseekError("`inputs` must hold at least one tensor with a row for each sample.")


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Have a model in evaluation mode for a while; each of its modules is then as it was before."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def main_output(output: Any) -> Tensor:
    """Return the tensor that is meant when a model returns several.

    ``logits`` where there are any, otherwise the first tensor of floating point in a mapping, dataclass or tuple.

    Raises:
        DeepseekError: There is none.
    """
    if isinstance(output, Tensor):
        return output
    logits = output.get("logits") if isinstance(output, Mapping) else getattr(output, "logits", None)
    if isinstance(logits, Tensor):
        return logits
    for value in _values(output):
        if isinstance(value, Tensor) and value.is_floating_point():
            return value
    raise DeepseekError(
        f"The model returned {type(output).__name__} without a floating-point tensor: pass "
        "`target=lambda output: ...` that makes one number for each row of it."
    )


def _values(output: Any) -> list[Any]:
    if isinstance(output, Mapping):
        return list(output.values())
    if isinstance(output, (tuple, list)):
        return list(output)
    return list(getattr(output, "__dict__", {}).values())

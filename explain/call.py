"""A model and what it is called with, so that it can be called again with other tensors in their place."""

import copy
from collections.abc import Mapping
from contextlib import ExitStack
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from torch import Tensor, nn

from deepseek.errors import DeepseekError
from deepseek.explain.described import described
from deepseek.explain.embeddings import reader, standing_in
from deepseek.text import printable

if TYPE_CHECKING:
    import pandas as pd

    from deepseek.explain.features import Features

Inputs: TypeAlias = "Tensor | tuple[Any, ...] | Mapping[str, Any] | pd.DataFrame | Features"
"""A tensor, a tuple (positional arguments), a mapping (keyword arguments, such as a transformers BatchEncoding), a
frame of numbers, or what ``Table.features`` and ``words`` make."""

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
        features: The inputs, and what is known about their features.
        rows: Number of rows, ``B``.
        tensors: The tensors with a row for each sample, ``[B, ...]``, by name.

    Raises:
        DeepseekError: There is no tensor or no row.
    """

    def __init__(self, model: nn.Module, inputs: Inputs) -> None:
        if not isinstance(model, nn.Module):
            raise DeepseekError(f"`model` must be a torch.nn.Module, not {type(model).__name__}.")
        self.model = model
        self.features = described(model, inputs)
        self._positional = not isinstance(self.features.inputs, Mapping)
        self._arguments = _named(self.features.inputs)
        self._readers: dict[str, nn.Embedding] = {}
        self.rows = _rows(self._arguments)
        self.tensors = {name: value for name, value in self._arguments.items() if self._is_per_row(value)}

    def __call__(self, rows: Tensor | None = None, replaced: Mapping[str, Tensor] | None = None) -> Any:
        """Call the model.

        Args:
            rows: Which rows, ``[N]`` indices that may repeat; all of them by default.
            replaced: Tensors ``[N, ...]`` to be used instead of the rows of those names; in place of token ids also
                the vectors ``[N, ..., D]`` that ``points`` gives.

        Returns:
            What the model returns.
        """
        given = {name: _fresh(name, value) for name, value in self._arguments.items()}
        for name, tensor in self.tensors.items():
            given[name] = tensor if rows is None else tensor[rows.to(tensor.device)]
        with ExitStack() as stack:
            for name, tensor in (replaced or {}).items():
                if not tensor.is_floating_point() or self._has_gradients(name):
                    given[name] = tensor
                else:
                    stack.enter_context(standing_in(self._reader(name), given[name], tensor))
            return self.model(*given.values()) if self._positional else self.model(**given)

    def points(self, name: str, tensor: Tensor) -> Tensor:
        """Return what gradients are taken at: rows of an input, or the vectors that token ids are embedded as.

        Args:
            name: Of the input.
            tensor: Rows of it, ``[N, ...]``.

        Returns:
            ``[N, ...]``, of token ids ``[N, ..., D]``.

        Raises:
            DeepseekError: These are whole numbers, and no embedding of the model's reads them.
        """
        if self._has_gradients(name):
            return tensor
        with torch.no_grad():
            vectors: Tensor = self._reader(name)(tensor)
        return vectors

    def _has_gradients(self, name: str) -> bool:
        return bool(self.tensors[name].is_floating_point())

    def _reader(self, name: str) -> nn.Embedding:
        if name not in self._readers:
            with torch.no_grad():
                self._readers[name] = reader(self.model, self, name, self.tensors[name])
        return self._readers[name]

    def _is_per_row(self, value: Any) -> bool:
        return isinstance(value, Tensor) and value.dim() > 0 and len(value) == self.rows

    @cached_property
    def explained(self) -> tuple[str, ...]:
        """Names of the tensors whose elements are features.

        Those whose features are known, else those of floating point; without any, the token ids ``input_ids``, or the
        only tensor there is.

        Raises:
            DeepseekError: Nothing could be explained.
        """
        if isinstance(self.features.groups, Mapping):
            return tuple(self.features.groups)
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
        "`inputs` must be a tensor, a tuple of positional arguments, a dict of keyword arguments or a pandas "
        f"DataFrame, not {type(inputs).__name__}."
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

"""An explanation that can be made again, of another model or of other inputs."""

import copy
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from numpy.typing import NDArray
from torch import Tensor, nn

from deepseek.errors import DeepseekError
from deepseek.explain.attribution import Attribution
from deepseek.explain.call import SINGLE, Call, Inputs
from deepseek.explain.features import Features

Explain = Callable[[nn.Module, Any], Attribution | NDArray[Any]]
"""Explains inputs by a model, in the same way every time, such as
``lambda model, inputs: explain.shap(model, inputs, background, target=1, progress=False)``."""


def replaced(inputs: Inputs, call: Call, tensors: Mapping[str, Tensor]) -> Inputs:
    """Return inputs of the form in which they were given, with other tensors; frames become features."""
    known = call.features
    made = _rebuilt(known.inputs, tensors)
    return made if inputs is known.inputs else dataclasses.replace(known, inputs=made)


def row_of(inputs: Inputs, call: Call, row: int) -> Inputs:
    """Return one row of the inputs."""
    found = replaced(inputs, call, {name: tensor[row : row + 1] for name, tensor in call.tensors.items()})
    if not isinstance(found, Features):
        return found
    groups = found.groups
    if isinstance(groups, Mapping):
        groups = {name: _own(part, call.tensors[name], row) for name, part in groups.items()}
    elif groups is not None:
        groups = _own(groups, call.tensors[call.explained[0]], row)
    return dataclasses.replace(found, groups=groups, shown=found.shown[row : row + 1])


def copied(model: nn.Module) -> nn.Module:
    """Return a copy of a model that may be changed.

    Raises:
        DeepseekError: It cannot be copied.
    """
    try:
        return copy.deepcopy(model)
    except (RuntimeError, TypeError) as error:
        raise DeepseekError(f"`model` must be one that can be copied, to be looked at closely: {error}") from error


def _rebuilt(inputs: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(inputs, Mapping):
        return {name: tensors.get(str(name), value) for name, value in inputs.items()}
    if isinstance(inputs, tuple):
        return tuple(tensors.get(str(place), value) for place, value in enumerate(inputs))
    return tensors.get(SINGLE, inputs)


def _own(groups: Any, tensor: Tensor, row: int) -> Any:
    """The groups of one row, where rows have groups of their own."""
    return groups[row : row + 1] if groups.ndim == tensor.dim() else groups

"""Rows of a data set, and their classes."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import default_collate

from deepseek.errors import DeepseekError
from deepseek.explain.call import Call
from deepseek.explain.features import Features


class Sample(NamedTuple):
    """Rows that were chosen at random, in no order.

    Attributes:
        inputs: What a model is called with for them.
        labels: Their classes, ``[N]``.
        total: How many rows the data set has.
    """

    inputs: Features
    labels: NDArray[np.int64]
    total: int


def sample(model: nn.Module, dataset: Any, rows: int, seed: int) -> Sample:
    """Choose rows.

    Args:
        model: What is called with the inputs.
        dataset: A pair of inputs and labels, or a ``torch.utils.data.Dataset`` of pairs for single rows.
        rows: How many at most.
        seed: Of the choice.

    Raises:
        DeepseekError: It is no such data set, or its labels are no classes.
    """
    if isinstance(dataset, tuple) and len(dataset) == 2:
        inputs, labels = dataset[0], _checked(dataset[1])
        call = Call(model, inputs)
        if len(labels) != call.rows:
            raise DeepseekError(f"`dataset` must have as many labels as rows: {call.rows}, not {len(labels)}.")
        chosen = _choice(call.rows, rows, seed)
        return Sample(_rows(call, torch.from_numpy(chosen)), labels[chosen], call.rows)
    if not (hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__")):
        raise DeepseekError(
            "`dataset` must be a pair (inputs, labels) or a torch.utils.data.Dataset of such pairs, not "
            f"{type(dataset).__name__}. Of a DataLoader pass `loader.dataset`."
        )
    chosen = _choice(len(dataset), rows, seed)
    try:
        inputs, labels = default_collate([dataset[int(row)] for row in chosen])
    except (TypeError, ValueError, RuntimeError) as error:
        raise DeepseekError(
            f"The rows of `dataset` must be pairs (input, label) that can be stacked: {error}"
        ) from error
    call = Call(model, tuple(inputs) if isinstance(inputs, list) else inputs)
    return Sample(call.features, _checked(labels), len(dataset))


def _choice(total: int, rows: int, seed: int) -> NDArray[np.int64]:
    return np.random.default_rng(seed).permutation(total)[:rows].astype(np.int64)


def _checked(labels: Any) -> NDArray[np.int64]:
    try:
        given = torch.as_tensor(labels if isinstance(labels, Tensor) else np.array(labels)).cpu()
    except (TypeError, ValueError, RuntimeError) as error:
        raise DeepseekError(f"The labels of `dataset` must be classes, whole numbers from 0: {error}") from error
    if given.dim() != 1 or given.is_floating_point() or given.is_complex() or bool((given < 0).any()):
        raise DeepseekError(
            "The labels of `dataset` must be classes: whole numbers from 0, one a row; they are "
            f"{given.dtype} of shape {tuple(given.shape)}."
        )
    return given.numpy().astype(np.int64)


def _rows(call: Call, rows: Tensor) -> Features:
    def part(name: str, value: Any) -> Any:
        return value[rows.to(value.device)] if name in call.tensors else value

    given = call.features.inputs
    if isinstance(given, Mapping):
        chosen: Any = {str(name): part(str(name), value) for name, value in given.items()}
    elif isinstance(given, tuple):
        chosen = tuple(part(str(place), value) for place, value in enumerate(given))
    else:
        chosen = given[rows.to(given.device)]
    return replace(call.features, inputs=chosen, shown=())

"""Whatever people pass as inputs, with what is known about its features."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from deepseek.explain.features import Features
from deepseek.explain.tables import frame_features, is_frame


def described(model: nn.Module, inputs: Any) -> Features:
    """Return the inputs with what is known about their features, where the model is and, for frames, in its dtype."""
    given = frame_features(inputs) if is_frame(inputs) else inputs
    if not isinstance(given, Features):
        return Features(given)
    like = next((each for each in model.parameters() if each.is_floating_point()), torch.empty(0))
    if isinstance(given.inputs, Tensor):
        return dataclasses.replace(given, inputs=given.inputs.to(like if given.encode else like.device))
    if isinstance(given.inputs, Mapping):
        placed = {name: _on(like.device, value) for name, value in given.inputs.items()}
        return dataclasses.replace(given, inputs=placed)
    return given


def _on(device: torch.device, value: Any) -> Any:
    return value.to(device) if isinstance(value, Tensor) else value

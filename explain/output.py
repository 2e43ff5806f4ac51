"""The tensor that is meant in whatever a model returns."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from deepseek.errors import DeepseekError


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
    if dataclasses.is_dataclass(output):
        return [getattr(output, field.name) for field in dataclasses.fields(output)]
    return list(getattr(output, "__dict__", {}).values())

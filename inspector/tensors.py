"""Finding the tensors inside whatever a module returns."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import torch

_MAX_DEPTH = 6


def walk(output: Any, path: str = "", depth: int = 0) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield each tensor in ``output`` with its path: ``""`` for a lone tensor, else such as ``1.0`` or ``logits``.

    Tuples, lists, mappings (transformers' ``ModelOutput`` among them), dataclasses and ``PackedSequence`` are entered.
    """
    if isinstance(output, torch.Tensor):
        yield path, output
    elif depth < _MAX_DEPTH:
        for key, value in _children(output):
            yield from walk(value, f"{path}.{key}" if path else str(key), depth + 1)


def _children(output: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(output, Mapping):
        yield from output.items()
    elif hasattr(output, "_fields"):
        yield from zip(output._fields, output, strict=True)
    elif isinstance(output, (tuple, list)):
        yield from enumerate(output)
    elif is_dataclass(output) and not isinstance(output, type):
        yield from ((field.name, getattr(output, field.name)) for field in fields(output))

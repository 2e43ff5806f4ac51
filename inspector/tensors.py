"""Finding the tensors inside whatever a module returns, and what of them lies in this process."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch.nn import Parameter

_MAX_DEPTH = 6
_PLAIN = (torch.Tensor, Parameter)


def walk(output: Any, path: str = "", depth: int = 0) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield each tensor in ``output`` with its path: ``""`` for a lone tensor, else such as ``1.0`` or ``logits``.

    Tuples, lists, mappings (transformers' ``ModelOutput`` among them), dataclasses and ``PackedSequence`` are entered.
    """
    if isinstance(output, torch.Tensor):
        yield path, output
    elif depth < _MAX_DEPTH:
        for key, value in _children(output):
            yield from walk(value, f"{path}.{key}" if path else str(key), depth + 1)


def local(tensor: torch.Tensor) -> torch.Tensor:
    """Return the shard of a distributed tensor that this process holds, the values of a nested one, others as they are.

    A distributed tensor must never be reduced as a whole: that would communicate, and hang unless all processes did.
    """
    if tensor.is_nested:
        return tensor.detach().contiguous().values()
    if type(tensor) in _PLAIN:
        return tensor
    shard = getattr(tensor, "_local_tensor", None)
    return shard if isinstance(shard, torch.Tensor) else tensor


def bytes_of(tensor: torch.Tensor) -> int:
    """Return the size of a tensor; of a sparse one that of its indices and values."""
    if tensor.is_sparse:
        return tensor._indices().nbytes + tensor._values().nbytes
    return tensor.numel() * tensor.element_size()


def _children(output: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(output, Mapping):
        yield from output.items()
    elif hasattr(output, "_fields"):
        yield from zip(output._fields, output, strict=True)
    elif isinstance(output, (tuple, list)):
        yield from enumerate(output)
    elif is_dataclass(output) and not isinstance(output, type):
        yield from ((field.name, getattr(output, field.name)) for field in fields(output))

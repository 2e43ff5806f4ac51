"""Half precision emulated: what half-precision arithmetic would round, rounded, with the arithmetic in float32.

Matrix units multiply half-precision numbers exactly, add in float32 and round the result: so rounding what enters and
what leaves a layer gives the numbers that they give, but for the order of additions.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.utils import _pytree as pytree


def rounded(tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Return ``tensor`` with every value rounded to ``dtype``, in its own dtype.

    The gradient is rounded likewise on its way back: the derivative of a cast is a cast.
    """
    return tensor.to(dtype).to(tensor.dtype)


def emulate(
    module: nn.Module, forward: Callable[..., Any], dtype: torch.dtype, args: Any, kwargs: dict[str, Any]
) -> Any:
    """Call the ``forward`` of ``module`` as if it computed in ``dtype``: inputs, parameters and outputs are rounded."""
    args, kwargs = map_floats((args, kwargs), lambda tensor: rounded(tensor, dtype))
    with _rounded_parameters(module, dtype):
        output = forward(*args, **kwargs)
    return map_floats(output, lambda tensor: rounded(tensor, dtype))


def map_floats(value: Any, change: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    """Return ``value`` with every floating-point tensor in it changed; the same tensor twice remains the same twice."""
    known: dict[int, torch.Tensor] = {}

    def changed(leaf: Any) -> Any:
        if not isinstance(leaf, torch.Tensor) or not leaf.is_floating_point():
            return leaf
        if id(leaf) not in known:
            known[id(leaf)] = change(leaf)
        return known[id(leaf)]

    return pytree.tree_map(changed, value)


@contextmanager
def _rounded_parameters(module: nn.Module, dtype: torch.dtype) -> Iterator[None]:
    """Let the module and its parts find rounded parameters; gradients reach the true ones."""
    owners = [(owner, dict(owner._parameters)) for owner in module.modules()]
    try:
        for owner, parameters in owners:
            # Not by setattr, which refuses tensors that are no parameters.
            owner._parameters.update(
                {name: rounded(p, dtype) for name, p in parameters.items() if p is not None}  # type: ignore[misc]
            )
        yield
    finally:
        for owner, parameters in owners:
            owner._parameters.update(parameters)

"""Attention written out: a softmax, and later the product of what became of it with the values."""

import weakref
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from deepseek.explain.attention.by_head import Separate, four_dimensional
from deepseek.explain.attention.product import Product, read_einsum

_CASTS = frozenset(("bfloat16", "double", "float", "half", "to", "type", "type_as"))

_PASSED_ON = _CASTS | frozenset(
    ("__getitem__", "clone", "contiguous", "detach", "dropout", "expand", "nan_to_num", "reshape", "unsqueeze", "view")
)
"""Functions after which a softmax is still looked at as weights."""

_MASKING = frozenset(("__mul__", "mul", "masked_fill"))
"""The same where they keep its shape."""

_PRODUCTS = frozenset(("matmul", "bmm", "__matmul__", "einsum"))


class _Origin(NamedTuple):
    """The softmax that a tensor descends from: the module that took it, and over how many keys."""

    name: str
    keys: int


class SoftmaxTracker:
    """Follows what a softmax over keys returned until it is multiplied with values.

    Tensors are followed by identity, and none is kept alive.
    """

    def __init__(self) -> None:
        self._origins: dict[int, tuple[weakref.ref[Tensor], _Origin]] = {}
        self._unused: dict[str, int] = {}

    @property
    def unused(self) -> list[str]:
        """Names of the modules that took a softmax whose product with values was not seen."""
        return [name for name, count in self._unused.items() if count > 0]

    def saw(self, function: str, args: Any, kwargs: Any, output: Any, where: Callable[[], str]) -> "Product | None":
        """Take notice of a function, and return the product if it multiplied weights with values.

        Args:
            function: Its name.
            args: What it was called with.
            kwargs: What it was called with by name.
            output: What it returned.
            where: Gives the name of the module that called it.
        """
        if not isinstance(output, Tensor):
            return None
        if function == "softmax":
            if output.dim() >= 3 and _dimension(args, kwargs) in (-1, output.dim() - 1):
                self._begin(output, where())
            return None
        if function in _PRODUCTS:
            return self._product(args, kwargs, output)
        if function in _PASSED_ON | _MASKING:
            self._pass_on(_tensors(args, kwargs)[:1], output, function)
        return None

    def _begin(self, output: Tensor, name: str) -> None:
        self._origins[id(output)] = (weakref.ref(output), _Origin(name, output.shape[-1]))
        self._unused[name] = self._unused.get(name, 0) + 1

    def _origin(self, tensor: Tensor) -> _Origin | None:
        reference, origin = self._origins.get(id(tensor), (None, None))
        return origin if reference is not None and reference() is tensor else None

    def _pass_on(self, tensors: list[Tensor], output: Tensor, function: str) -> None:
        for tensor in tensors:
            origin = self._origin(tensor)
            if origin is not None and (function in _PASSED_ON or output.shape == tensor.shape):
                self._origins[id(output)] = (weakref.ref(output), origin)

    def _product(self, args: Any, kwargs: Any, output: Tensor) -> "Product | None":
        tensors = _tensors(args, kwargs)
        origins = [self._origin(tensor) for tensor in tensors]
        origin = next(filter(None, origins), None)
        if len(tensors) != 2 or origin is None:
            return None
        weights, values = tensors if origins[0] else reversed(tensors)
        equation = next((value for value in (*args, *kwargs.values()) if isinstance(value, str)), None)
        if equation is not None:
            product = read_einsum(equation, weights, values, output, swapped=not origins[0])
        else:
            plain = bool(origins[0]) and weights.dim() == values.dim()
            product = Product(weights, values, output, lambda made: made) if plain else None
        if product is None:
            return None
        self._unused[origin.name] -= 1
        return replace(product, partial=weights.shape[-1] < origin.keys)


class Eager(Separate):
    """The weights are those that the model multiplied with its values.

    Args:
        product: What it multiplied.
        rows: Number of rows that the model was called with.
    """

    def __init__(self, product: Product, rows: int) -> None:
        lead = torch.broadcast_shapes(product.weights.shape[:-2], product.values.shape[:-2])
        four = four_dimensional(product.weights.detach().expand(*lead, -1, -1), rows)

        def weigh(heads: Tensor, queries: Tensor) -> Tensor:
            return four[:, heads][:, :, queries]

        def split(made: Tensor) -> Tensor:
            return four_dimensional(product.arrange(made), rows)

        values = product.values.expand(*lead, -1, -1)
        super().__init__(weigh, four_dimensional(values, rows), product.output, split, partial=product.partial)


def _tensors(args: Any, kwargs: Any) -> list[Tensor]:
    """Return the tensors among the arguments, or in the first list among them."""
    flat = [
        value for each in (*args, *kwargs.values()) for value in (each if isinstance(each, (list, tuple)) else [each])
    ]
    return [value for value in flat if isinstance(value, Tensor)]


def _dimension(args: Any, kwargs: Any) -> Any:
    return kwargs.get("dim", args[1] if len(args) > 1 else None)

"""Which attention calls, heads and queries are kept, and how much memory they may take."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from numbers import Integral
from typing import Any

import torch
from torch import Tensor

from deepseek.errors import DeepseekError
from deepseek.text import printable

Layers = str | int | Sequence[str | int] | None
"""A glob over the names of calls, the place of a call (-1 is the last), or several of these; None for all."""

Indices = int | Sequence[int] | None
"""One index or several; negative ones count from the end; None for all."""

LIMIT_BYTES = 1 << 30
"""How much memory maps may take unless it is said."""


@dataclass(frozen=True)
class Selection:
    """What was asked for.

    Attributes:
        layers: Which calls.
        heads: Which heads of each.
        tokens: Which queries of each: the tokens that look.
        limit_bytes: Most that the chosen weights may take.

    Raises:
        DeepseekError: Something is not what it should be.
    """

    layers: Layers = None
    heads: Indices = None
    tokens: Indices = None
    limit_bytes: int = LIMIT_BYTES

    def __post_init__(self) -> None:
        for name in ("heads", "tokens"):
            _check(name, getattr(self, name), Integral, "an index or several")
        _check("layers", self.layers, (str, Integral), 'a glob such as "encoder.*", an index, or several of these')
        if not isinstance(self.limit_bytes, Integral) or self.limit_bytes <= 0:
            raise DeepseekError(f"`limit_bytes` must be a positive whole number, not {self.limit_bytes!r}.")

    @property
    def counts_from_the_end(self) -> bool:
        """Whether the number of calls must be known first."""
        return any(isinstance(layer, Integral) and layer < 0 for layer in _several(self.layers))

    def takes(self, place: int, name: str, count: int | None) -> bool:
        """Whether a call is among those asked for.

        Args:
            place: How many came before it.
            name: Its name.
            count: How many there are, where that is known.
        """
        if self.layers is None:
            return True
        places = [layer for layer in _several(self.layers) if isinstance(layer, Integral)]
        globs = [layer for layer in _several(self.layers) if isinstance(layer, str)]
        return place in places or (count is not None and place - count in places) or _matches(name, globs)

    def check_found(self, names: Sequence[str]) -> None:
        """Raise an error where an index or a glob found none of the calls."""
        for layer in _several(self.layers):
            found = (
                _matches(layer, ()) or any(_matches(name, [layer]) for name in names)
                if isinstance(layer, str)
                else -len(names) <= layer < len(names)
            )
            if not found:
                raise DeepseekError(
                    f"`layers` {layer!r} is none of the {len(names)} attention calls: {_listed(names)}."
                )


class Budget:
    """Counts the memory that maps take.

    Args:
        limit_bytes: The most they may.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes, self._bytes = limit_bytes, 0

    def reserve(self, rows: int, heads: int, queries: int, keys: int, name: str) -> None:
        """Count one more map before it is computed, or raise an error that says what to do."""
        self._bytes += 4 * rows * heads * queries * keys
        if self._bytes > self._limit_bytes:
            raise DeepseekError(
                f"The attention maps up to {printable(name)} take {self._bytes / 1e6:,.1f} MB, more than `limit_bytes` "
                f"of {self._limit_bytes / 1e6:,.1f} MB: choose with `layers`, `heads` or `tokens` (those that look), "
                "pass fewer rows, or raise the limit."
            )


def chosen(what: str, indices: Indices, size: int, name: str, device: torch.device) -> Tensor:
    """Return the indices that were asked for, ``[n]``, counted from the start.

    Args:
        what: Name of the argument.
        indices: What was asked for.
        size: How many there are.
        name: Name of the call.
        device: Where the tensor is wanted.
    """
    if indices is None:
        return torch.arange(size, device=device)
    places = [int(place) for place in _several(indices)]
    if not places or not all(-size <= place < size for place in places):
        raise DeepseekError(
            f"`{what}` must be between {-size} and {size - 1} for the attention call {name}, which has {size}, "
            f"not {_listed(places) or 'empty'}."
        )
    return torch.tensor([place % size for place in places], device=device)


def _several(value: Any) -> list[Any]:
    if value is None:
        return []
    return [value] if isinstance(value, (str, Integral)) else list(value)


def _check(name: str, value: object, allowed: type | tuple[type, ...], wanted: str) -> None:
    if value is None or isinstance(value, (str, Integral)):
        fits = value is None or isinstance(value, allowed)
    else:
        fits = isinstance(value, Iterable) and all(isinstance(each, allowed) for each in value)
    if not fits:
        raise DeepseekError(f"`{name}` must be {wanted}, not {value!r}.")


def _matches(name: str, globs: Iterable[str]) -> bool:
    return any(fnmatchcase(name, glob) for glob in globs)


def _listed(values: Sequence[object]) -> str:
    return ", ".join(map(str, values[:12])) + (", ..." if len(values) > 12 else "")

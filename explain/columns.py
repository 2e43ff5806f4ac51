"""The columns of a table: what was learnt of each, and the numbers that its values become."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from deepseek.errors import DeepseekError

if TYPE_CHECKING:
    import pandas as pd

Encoded = NDArray[np.float64]

MOST_NAMED = 10
"""Columns or categories that an error names."""


@dataclass(frozen=True)
class Numbers:
    """A column of numbers.

    Attributes:
        name: Its label.
        mean: What becomes 0.
        spread: What becomes 1 beside the mean.
        width: How many numbers a value becomes.
    """

    name: Any
    mean: float
    spread: float
    width = 1

    def encode(self, column: "pd.Series[Any]") -> Encoded:
        """Return the numbers of other rows, ``[B, 1]``."""
        return (_numbers(column)[:, None] - self.mean) / self.spread

    def shown(self, column: "pd.Series[Any]") -> list[str]:
        """Return the values of other rows in words."""
        if column.dtype.kind == "b":
            return [str(value) for value in column]
        return [f"{value:.4g}" for value in _numbers(column)]


@dataclass(frozen=True)
class Categories:
    """A column of categories.

    Attributes:
        name: Its label.
        known: Those that there may be.
    """

    name: Any
    known: tuple[Any, ...]

    @property
    def width(self) -> int:
        """How many numbers a value becomes."""
        return len(self.known)

    def encode(self, column: "pd.Series[Any]") -> Encoded:
        """Return 1 for the category of each of other rows, and 0 for the others, ``[B, width]``.

        Raises:
            DeepseekError: A value is missing, or no known category.
        """
        places = {category: place for place, category in enumerate(self.known)}
        _check_complete(column, column.isna().to_numpy(bool))
        if unknown := [value for value in column.unique() if value not in places]:
            raise DeepseekError(
                f"The column {str(self.name)!r} holds {str(unknown[0])!r}, which was not there when the table was "
                f"learnt: {listed(self.known)}."
            )
        encoded = np.zeros((len(column), self.width))
        encoded[np.arange(len(column)), [places[value] for value in column]] = 1
        return encoded

    def shown(self, column: "pd.Series[Any]") -> list[str]:
        """Return the categories of other rows in words."""
        return [f"{value:.4g}" if isinstance(value, float) else str(value) for value in column]


Column = Numbers | Categories


def learnt(column: "pd.Series[Any]", categorical: bool, standardise: bool) -> Column:
    """Learn a column from the training rows.

    Args:
        column: Its values there.
        categorical: Whether numbers are categories.
        standardise: Whether numbers are brought to mean 0 and standard deviation 1.

    Raises:
        DeepseekError: It holds neither numbers nor categories, or has gaps.
    """
    if categorical or _is_text(column):
        _check_complete(column, column.isna().to_numpy(bool))
        return Categories(column.name, _categories(column))
    values = _numbers(column)
    spread = float(values.std()) if standardise else 1.0
    return Numbers(column.name, float(values.mean()) if standardise else 0.0, spread if spread > 0 else 1.0)


def _categories(column: "pd.Series[Any]") -> tuple[Any, ...]:
    """Those that the dtype declares, also where none of the rows holds them; otherwise those that there are."""
    import pandas as pd

    if isinstance(column.dtype, pd.CategoricalDtype):
        return tuple(column.dtype.categories)
    return tuple(sorted(column.unique(), key=lambda value: (type(value).__name__, value)))


def _is_text(column: "pd.Series[Any]") -> bool:
    import pandas as pd

    if isinstance(column.dtype, pd.CategoricalDtype):
        return True
    return not pd.api.types.is_numeric_dtype(column.dtype) and pd.api.types.infer_dtype(column, skipna=True) == "string"


def _numbers(column: "pd.Series[Any]") -> Encoded:
    import pandas as pd

    types = pd.api.types
    if not types.is_numeric_dtype(column.dtype) or types.is_complex_dtype(column.dtype):
        raise DeepseekError(
            f"The column {str(column.name)!r} must hold numbers, or texts that are categories, not "
            f"{types.infer_dtype(column, skipna=True)} ({column.dtype}): convert it first."
        )
    values = column.to_numpy(np.float64, na_value=np.nan)
    _check_complete(column, ~np.isfinite(values))
    return values


def _check_complete(column: "pd.Series[Any]", gaps: NDArray[np.bool_]) -> None:
    if gaps.any():
        raise DeepseekError(
            f"The column {str(column.name)!r} has {int(gaps.sum())} missing or infinite values, the first in row "
            f"{int(gaps.argmax())} of {len(gaps)}: fill them in, or drop these rows."
        )


def listed(names: Sequence[Any]) -> str:
    """Return the first of some names in words, and how many more there are."""
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(map(str, names[:MOST_NAMED])) + more

"""Pandas frames as inputs: numbers as they are, categories as one feature each."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from deepseek.errors import DeepseekError
from deepseek.explain.features import Features

if TYPE_CHECKING:
    import pandas as pd

MOST_NAMED = 10
"""Columns or categories that an error names."""


class Table:
    """How the columns of a frame become numbers, learnt once and used for training and for explaining alike.

    Numbers are brought to mean 0 and standard deviation 1. A column of texts, or of dtype ``category``, becomes a
    number for each of its categories, 1 or 0, which together count as one feature.

    Args:
        frame: The training rows, without what is to be predicted.
        categorical: Columns of numbers that are categories.
        standardise: Whether numbers are brought to mean 0 and standard deviation 1.

    Attributes:
        width: How many numbers a row becomes, ``F``.

    Raises:
        DeepseekError: A column holds neither numbers nor categories, or has gaps; it is named.
    """

    def __init__(self, frame: "pd.DataFrame", *, categorical: Sequence[Any] = (), standardise: bool = True) -> None:
        _check(frame, categorical)
        self._columns = [_learnt(frame[name], name in set(categorical), standardise) for name in frame.columns]
        self.width = sum(column.width for column in self._columns)

    def __repr__(self) -> str:
        return f"<Table of {len(self._columns)} columns, encoded as {self.width} numbers>"

    def encode(self, frame: "pd.DataFrame") -> Tensor:
        """Return the rows of a frame as the model takes them, ``[B, F]``, in torch's default dtype.

        Args:
            frame: It has the columns that were learnt, in any order; others are left alone.

        Raises:
            DeepseekError: A column is missing, has gaps, or holds a category that was not there.
        """
        return self._numbers(frame).to(torch.get_default_dtype())

    def features(self, frame: "pd.DataFrame") -> Features:
        """Return the rows of a frame as ``explain.shap`` takes them, with the names of columns and categories.

        Raises:
            DeepseekError: As for ``encode``.
        """
        widths = [column.width for column in self._columns]
        shown = zip(*(column.shown(frame[column.name]) for column in self._checked(frame)), strict=True)
        return Features(
            inputs=self._numbers(frame),
            groups=np.repeat(np.arange(len(widths)), widths) if max(widths) > 1 else None,
            names=tuple(str(column.name) for column in self._columns),
            shown=tuple(shown),
            encode=self._numbers,
        )

    def _numbers(self, frame: "pd.DataFrame") -> Tensor:
        parts = [column.encode(frame[column.name]) for column in self._checked(frame)]
        return torch.from_numpy(np.concatenate(parts, axis=1))

    def _checked(self, frame: "pd.DataFrame") -> "list[_Column]":
        _check(frame, [column.name for column in self._columns])
        return self._columns


def is_frame(value: object) -> "TypeGuard[pd.DataFrame]":
    """Tell whether something is a pandas frame, without importing pandas for it."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(value, pandas.DataFrame)


def frame_features(frame: "pd.DataFrame") -> Features:
    """Return a frame of numbers as it is, with the names of its columns.

    Raises:
        DeepseekError: A column does not hold numbers, or has gaps.
    """
    table = Table(frame, standardise=False)
    if texts := [str(column.name) for column in table._columns if isinstance(column, _Categories)]:
        raise DeepseekError(
            f"The column {texts[0]!r} holds categories, which a model takes as numbers: encode with `table = "
            "deepseek.explain.Table(train)`, train on `table.encode(train)`, and explain `table.features(frame)`."
        )
    return table.features(frame)


@dataclass(frozen=True)
class _Numbers:
    name: Any
    mean: float
    spread: float
    width = 1

    def encode(self, column: "pd.Series[Any]") -> NDArray[np.float64]:
        return (_numbers(column)[:, None] - self.mean) / self.spread

    def shown(self, column: "pd.Series[Any]") -> list[str]:
        return [f"{value:.4g}" for value in _numbers(column)]


@dataclass(frozen=True)
class _Categories:
    name: Any
    known: tuple[Any, ...]

    @property
    def width(self) -> int:
        return len(self.known)

    def encode(self, column: "pd.Series[Any]") -> NDArray[np.float64]:
        places = {category: place for place, category in enumerate(self.known)}
        _check_complete(column, column.isna().to_numpy(bool))
        if unknown := [value for value in column.unique() if value not in places]:
            raise DeepseekError(
                f"The column {str(self.name)!r} holds {str(unknown[0])!r}, which was not there when the table was "
                f"learnt: {_listed(self.known)}."
            )
        return np.eye(self.width)[[places[value] for value in column]]

    def shown(self, column: "pd.Series[Any]") -> list[str]:
        return [str(value) for value in column]


_Column = _Numbers | _Categories


def _learnt(column: "pd.Series[Any]", categorical: bool, standardise: bool) -> _Column:
    if categorical or _is_text(column):
        _check_complete(column, column.isna().to_numpy(bool))
        return _Categories(column.name, _categories(column))
    values = _numbers(column)
    spread = float(values.std()) if standardise else 1.0
    return _Numbers(column.name, float(values.mean()) if standardise else 0.0, spread if spread > 0 else 1.0)


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


def _numbers(column: "pd.Series[Any]") -> NDArray[np.float64]:
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


def _check(frame: object, columns: Sequence[Any]) -> None:
    if not is_frame(frame):
        raise DeepseekError(f"A pandas DataFrame was expected, not {type(frame).__name__}.")
    if frame.empty or not frame.columns.is_unique:
        raise DeepseekError(
            f"The frame must have rows, and columns of different names; it has {len(frame)} rows and the columns "
            f"{_listed(list(frame.columns))}."
        )
    if missing := [name for name in columns if name not in frame.columns]:
        raise DeepseekError(f"The frame lacks the columns {_listed(missing)}: it has {_listed(list(frame.columns))}.")


def _listed(names: Sequence[Any]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(map(str, names[:MOST_NAMED])) + more

"""What is stored of a table's encoding, and how it is put together again."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepseek.errors import DeepseekError
from deepseek.explain.columns import Categories, Column, Numbers

MAGIC = b"deepseek-table-1\n"
"""What a file begins with."""

Scalar = str | int | float | bool


def stored(columns: Sequence[Column]) -> tuple[dict[str, Any], dict[str, NDArray[np.float64]]]:
    """Return what a file holds: labels and categories, and the mean and spread of every column.

    Raises:
        DeepseekError: A label or category is neither text nor number.
    """
    about = [
        {"name": _plain(each.name), "known": [*map(_plain, each.known)] if isinstance(each, Categories) else None}
        for each in columns
    ]
    scales = [[each.mean, each.spread] if isinstance(each, Numbers) else [0.0, 1.0] for each in columns]
    return {"columns": about}, {"scales": np.array(scales)}


def restored(about: dict[str, Any], arrays: dict[str, NDArray[np.float64]]) -> list[Column]:
    """Return the columns from what a file holds, once they fit each other.

    Raises:
        ValueError: They do not; a part that is missing or of another kind raises what reading it raises.
    """
    scales = arrays["scales"]
    if not about["columns"] or scales.shape != (len(about["columns"]), 2):
        raise ValueError("its numbers do not fit its columns")
    columns = [_column(one["name"], one["known"], *scale) for one, scale in zip(about["columns"], scales, strict=True)]
    if len({column.name for column in columns}) < len(columns):
        raise ValueError("its columns have the same name")
    return columns


def _column(name: Any, known: Any, mean: float, spread: float) -> Column:
    categories = [] if known is None else list(known)
    if not all(isinstance(each, Scalar) for each in (name, *categories)):
        raise ValueError("a name is neither text nor number")
    if known is None:
        if not math.isfinite(mean) or not 0 < spread < math.inf:
            raise ValueError("a column has no scale")
        return Numbers(name, float(mean), float(spread))
    if not categories or len(set(categories)) < len(categories):
        raise ValueError("the categories of a column are not different ones")
    return Categories(name, tuple(categories))


def _plain(value: Any) -> Scalar:
    plain = value.item() if isinstance(value, np.generic) else value
    if not isinstance(plain, Scalar) or (isinstance(plain, float) and not math.isfinite(plain)):
        raise DeepseekError(
            f"Names of columns and categories must be texts or numbers to be saved, not {type(value).__name__}."
        )
    return plain

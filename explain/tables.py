"""Pandas frames as inputs: numbers as they are, categories as one feature each."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np
import torch
from torch import Tensor

from deepseek.errors import DeepseekError
from deepseek.explain.columns import Categories, Column, learnt, listed
from deepseek.explain.features import Features
from deepseek.explain.saved import explained, read, write
from deepseek.explain.table_file import MAGIC, restored, stored

if TYPE_CHECKING:
    import pandas as pd


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
        self._take([learnt(frame[name], name in set(categorical), standardise) for name in frame.columns])

    def _take(self, columns: Sequence[Column]) -> None:
        self._columns = columns
        self.width = sum(column.width for column in columns)

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

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write a file that holds numbers and plain text only, so that the encoding goes where the model goes.

        Returns:
            The path, made absolute.

        Raises:
            DeepseekError: The file cannot be written, or a category is neither text nor number.
        """
        return write(path, MAGIC, *stored(self._columns))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Table":
        """Read a file that ``save`` has written; nothing in it is ever run.

        Raises:
            DeepseekError: The file is missing, foreign or damaged.
        """
        table = cls.__new__(cls)
        with explained(path, "Table.save"):
            table._take(restored(*read(path, MAGIC)))
        return table

    def _numbers(self, frame: "pd.DataFrame") -> Tensor:
        parts = [column.encode(frame[column.name]) for column in self._checked(frame)]
        return torch.from_numpy(np.concatenate(parts, axis=1))

    def _checked(self, frame: "pd.DataFrame") -> Sequence[Column]:
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
    if texts := [str(column.name) for column in table._columns if isinstance(column, Categories)]:
        raise DeepseekError(
            f"The column {texts[0]!r} holds categories, which a model takes as numbers: encode with `table = "
            "deepseek.explain.Table(train)`, train on `table.encode(train)`, and explain `table.features(frame)`."
        )
    return table.features(frame)


def _check(frame: object, columns: Sequence[Any]) -> None:
    if not is_frame(frame):
        raise DeepseekError(f"A pandas DataFrame was expected, not {type(frame).__name__}.")
    if frame.empty or not frame.columns.is_unique:
        raise DeepseekError(
            f"The frame must have rows, and columns of different names; it has {len(frame)} rows and the columns "
            f"{listed(list(frame.columns))}."
        )
    if missing := [name for name in columns if name not in frame.columns]:
        raise DeepseekError(f"The frame lacks the columns {listed(missing)}: it has {listed(list(frame.columns))}.")

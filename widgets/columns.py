"""Bounded history of numbers over steps: when the columns are full, the stride doubles and neighbours merge."""

from collections.abc import Mapping
from math import isfinite, nan

import numpy as np
from numpy.typing import NDArray

MAX_COLUMNS = 512
MIN_COLUMNS = 64

_MERGE = {"max": np.fmax, "min": np.fmin}


class Columns:
    """One matrix ``[rows, columns] float32`` per metric, all over the same steps.

    Column ``c`` covers the steps ``starts[c] .. starts[c] + stride - 1`` and keeps the worst value of each row.
    Steps that were not observed leave no column.

    Args:
        worst: By metric name, ``max`` or ``min``: which value survives a merge.
        cells: Largest number of cells over all metrics; bounds the columns of deep models.
    """

    def __init__(self, worst: Mapping[str, str], cells: int) -> None:
        self.stride = 1
        self.count = 0
        self._merge = {name: _MERGE[rule] for name, rule in worst.items()}
        self._cells = cells
        self._starts = np.zeros(0, np.int32)
        self._values = {name: np.zeros((0, 0), np.float32) for name in worst}

    @property
    def starts(self) -> NDArray[np.int32]:
        """First step of each column."""
        return self._starts[: self.count]

    def values(self, name: str) -> NDArray[np.float32]:
        """Matrix of one metric, ``[rows, columns]``."""
        return self._values[name][:, : self.count]

    def resize(self, rows: int, position: NDArray[np.intp]) -> None:
        """Make room for more rows; old row ``i`` moves to ``position[i]``."""
        capacity = int(np.clip(self._cells // max(1, rows * len(self._values)), MIN_COLUMNS, MAX_COLUMNS))
        while self.count > capacity:
            self._halve()
        self._starts = np.resize(self._starts, capacity) if self.count else np.zeros(capacity, np.int32)
        for name, old in self._values.items():
            new = np.full((rows, capacity), np.nan, np.float32)
            new[position, : self.count] = old[:, : self.count]
            self._values[name] = new

    def add(self, step: int, values: Mapping[str, NDArray[np.float64]]) -> int:
        """Add one observed step (later than all before).

        Returns:
            Index of the column that took it.
        """
        while self._is_new(step) and self.count == len(self._starts):
            self._halve()
        if self._is_new(step):
            self._starts[self.count] = step // self.stride * self.stride
            for matrix in self._values.values():
                matrix[:, self.count] = np.nan
            self.count += 1
        last = self.count - 1
        with np.errstate(over="ignore"):
            for name, merge in self._merge.items():
                column = self._values[name][:, last]
                merge(column, values[name].astype(np.float32), out=column)
        return last

    def _is_new(self, step: int) -> bool:
        return self.count == 0 or step >= self._starts[self.count - 1] + self.stride

    def _halve(self) -> None:
        self.stride *= 2
        starts, first = np.unique(self.starts // self.stride * self.stride, return_index=True)
        for name, merge in self._merge.items():
            merged = merge.reduceat(self.values(name), first, axis=1)
            self._values[name][:, : len(first)] = merged
        self.count = len(first)
        self._starts[: self.count] = starts


class Series:
    """One scalar over steps: mean, lowest and highest value of each bucket of steps.

    Args:
        capacity: Largest number of points.
    """

    def __init__(self, capacity: int = MAX_COLUMNS) -> None:
        self.stride = 1
        self._capacity = capacity
        # Lists, because one number at a time is slow to put into an array.
        self._steps: list[int] = []
        self._weight: list[float] = []
        self._total: list[float] = []
        self._low: list[float] = []
        self._high: list[float] = []

    @property
    def count(self) -> int:
        """Number of points."""
        return len(self._steps)

    @property
    def points(self) -> NDArray[np.float32]:
        """Rows ``step, mean, low, high``, ``[4, points]``; a mean is NaN where a value was not finite."""
        with np.errstate(over="ignore", invalid="ignore"):
            mean = np.divide(self._total, self._weight)
            return np.array([self._steps, mean, self._low, self._high]).astype(np.float32)

    def add(self, step: int, value: float) -> int:
        """Add the value of one step (later than all before); returns the index of its point."""
        while self._is_new(step) and self.count == self._capacity:
            self._halve()
        finite = value if isfinite(value) else nan
        if self._is_new(step):
            self._steps.append(step // self.stride * self.stride)
            self._weight.append(1.0)
            self._total.append(finite)
            self._low.append(value)
            self._high.append(value)
        else:
            self._weight[-1] += 1
            self._total[-1] += finite
            # Comparisons with NaN are false: a number takes its place.
            self._low[-1] = self._low[-1] if self._low[-1] <= value or value != value else value
            self._high[-1] = self._high[-1] if self._high[-1] >= value or value != value else value
        return self.count - 1

    def _is_new(self, step: int) -> bool:
        return not self._steps or step >= self._steps[-1] + self.stride

    def _halve(self) -> None:
        self.stride *= 2
        steps, first = np.unique(np.array(self._steps) // self.stride * self.stride, return_index=True)
        self._steps = steps.tolist()
        self._weight = np.add.reduceat(self._weight, first).tolist()
        self._total = np.add.reduceat(self._total, first).tolist()
        self._low = np.fmin.reduceat(self._low, first).tolist()
        self._high = np.fmax.reduceat(self._high, first).tolist()

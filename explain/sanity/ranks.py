"""Rank correlations between attributions."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepseek.explain.attribution import Attribution

Numbers = NDArray[np.float64]


def rank_correlations(one: Numbers, other: Numbers) -> Numbers:
    """Return Spearman's correlation between the rows of two tables ``[N, M]``, ``[N]``; ties share their mean rank.

    A row whose numbers are all the same has no order, and the correlation 0.
    """
    import pandas as pd

    # Where a method gives no number it ranks a feature last.
    a, b = (pd.DataFrame(np.nan_to_num(table, nan=-np.inf)).rank(axis=1).to_numpy() for table in (one, other))
    a, b = (ranks - ranks.mean(1, keepdims=True) for ranks in (a, b))
    size = np.sqrt((a**2).sum(1) * (b**2).sum(1))
    return np.asarray(np.divide((a * b).sum(1), size, out=np.zeros(len(a)), where=size > 0))


def table(attribution: Attribution | NDArray[Any]) -> Numbers:
    """Return the values of every row, and output where there are several, as a table ``[N, M]``."""
    if not isinstance(attribution, Attribution):
        values = np.asarray(attribution, float)
        return values.reshape(len(values), -1)
    parts = list(attribution.values_by_input.values())
    if attribution.base_values.ndim == 2:
        parts = [np.moveaxis(part, -1, 1).reshape(part.shape[0] * part.shape[-1], -1) for part in parts]
    return np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)

"""Numbers with their 95 % intervals."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Labels = NDArray[np.int64]

_Z = 1.96


class Estimate(NamedTuple):
    """A number that was measured on some rows.

    Attributes:
        value: The number.
        low: Lower end of its 95 % interval.
        high: Upper end.
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        if math.isnan(self.value):
            return "an unknown share"
        value, low, high = (round(100 * end) for end in self)
        return f"{value} % [{low}, {high}]"


def mean(each: Numbers) -> Estimate:
    """Return the mean of one number a row, ``[N]``."""
    value, margin = float(each.mean()), _Z * float(each.std(ddof=1)) / math.sqrt(len(each))
    return Estimate(value, value - margin, value + margin)


def proportion(hits: float, trials: float) -> Estimate:
    """Return the share of hits, in the interval of Wilson (1927), which has a width also where all are hits."""
    if not trials:
        return Estimate(math.nan, math.nan, math.nan)
    value, width = hits / trials, _Z**2 / trials
    middle = (value + width / 2) / (1 + width)
    margin = math.sqrt(value * (1 - value) * width + width**2 / 4) / (1 + width)
    return Estimate(value, max(middle - margin, 0.0), min(middle + margin, 1.0))


def area_by_row(scores: Numbers, labels: Labels) -> Numbers:
    """Return pseudo-values whose mean is the area under the ROC curve, and whose spread is that of the area.

    Args:
        scores: For each class, ``[N, K]``; each against all others, averaged over the classes that occur.
        labels: Classes, ``[N]``.

    Source: DeLong et al., Biometrics 44, 1988: the structural components of the area.
    """
    occurring = [place for place in range(scores.shape[1]) if 0 < (labels == place).sum() < len(labels)]
    parts = [_area_of_class(scores[:, place], labels == place) for place in occurring]
    by_row: Numbers = np.mean(parts, axis=0)
    return by_row


def _area_of_class(scores: Numbers, own: NDArray[np.bool_]) -> Numbers:
    beats = _beats(scores[own], scores[~own])
    is_beaten = 1 - _beats(scores[~own], scores[own])
    area = beats.mean()
    by_row = np.empty(len(scores))
    by_row[own] = area + (beats - area) / own.mean()
    by_row[~own] = area + (is_beaten - area) / (~own).mean()
    return by_row


def _beats(scores: Numbers, others: Numbers) -> Numbers:
    """Share of the others that each score is above; ties count half."""
    ordered = np.sort(others)
    places = np.searchsorted(ordered, scores, "left") + np.searchsorted(ordered, scores, "right")
    share: Numbers = places / (2 * len(others))
    return share

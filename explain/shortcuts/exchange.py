"""The intervention: a region of every row is exchanged for that of another row, and two things are read from it.

Seen from the row, its region was permuted: what is lost is what the model needs the region for (model reliance). Seen
from the row that gave the region, all else was permuted: what is left is what the region sustains alone. And where the
two rows have different answers, region and rest contradict each other: the answer shows which of them decides.

Sources: Breiman, "Random forests", Machine Learning 45, 2001; Fisher, Rudin & Dominici, "All models are wrong, but
many are useful", JMLR 20, 2019 (model reliance); Geirhos et al., "ImageNet-trained CNNs are biased towards texture",
ICLR 2019 (cue conflict).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from deepseek.explain.call import Call
from deepseek.explain.shortcuts.classifier import probabilities
from deepseek.explain.shortcuts.estimates import Estimate, Labels, Numbers, area_by_row, mean, proportion
from deepseek.explain.shortcuts.regions import Region


@dataclass(frozen=True)
class Exchange:
    """What exchanging a region does to the answers.

    Attributes:
        flips: Share of answers that change.
        drop: By how much the accuracy falls.
        auc_drop: By how much the area under the ROC curve falls.
        alone: Accuracy for the labels of the rows that gave the region: what it sustains alone.
        decides: Where region and rest come from rows with different answers, and the model gives one of the two: how
            often it is the region's. NaN where this never happens.
    """

    flips: Estimate
    drop: Estimate
    auc_drop: Estimate
    alone: Estimate
    decides: Estimate


def exchange(call: Call, region: Region, labels: Labels, plain: Numbers, donors: Sequence[Labels]) -> Exchange:
    """Exchange a region.

    Args:
        call: The classifier with its inputs.
        region: The region.
        labels: True classes, ``[N]``.
        plain: Probabilities without exchange, ``[N, K]``.
        donors: For each repetition, which row every row gets the region from, ``[N]``.
    """
    own = plain.argmax(1)
    changed, right, alone, area, for_region, for_rest = np.zeros((6, len(own)))
    for giving in donors:
        mixed = probabilities(call, region, giving)
        said = mixed.argmax(1)
        changed += said != own
        right += said == labels
        alone += said == labels[giving]
        area += area_by_row(mixed, labels)
        conflict = own != own[giving]
        for_region += conflict & (said == own[giving])
        for_rest += conflict & (said == own)
    count = len(donors)
    return Exchange(
        flips=mean(changed / count),
        drop=mean((own == labels) - right / count),
        auc_drop=mean(area_by_row(plain, labels) - area / count),
        alone=mean(alone / count),
        decides=_decided(for_region, for_rest),
    )


def donors(rows: int, repeats: int, seed: int) -> list[Labels]:
    """Choose at random, for each repetition, another row for every row."""
    chance = np.random.default_rng(seed)
    chosen = []
    for _ in range(repeats):
        order, giving = chance.permutation(rows), np.empty(rows, np.int64)
        giving[order] = np.roll(order, 1)
        chosen.append(giving)
    return chosen


def _decided(for_region: Numbers, for_rest: Numbers) -> Estimate:
    """Share of the conflicts won by the region; repetitions of a row count as one observation of its interval."""
    decided = for_region + for_rest
    rows = float((decided > 0).sum())
    return proportion(rows * for_region.sum() / max(decided.sum(), 1), rows)

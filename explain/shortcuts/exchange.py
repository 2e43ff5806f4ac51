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
import torch
from torch import Tensor

from deepseek.explain.call import Call
from deepseek.explain.shortcuts.classifier import Change, probabilities
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
        follows: The same where the region is not exchanged but moved by the difference between the means of the two
            classes, its easiest cue. NaN for inputs of whole numbers.
    """

    flips: Estimate
    drop: Estimate
    auc_drop: Estimate
    alone: Estimate
    decides: Estimate
    follows: Estimate


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
        mixed = probabilities(call, _exchanged(call, region, giving))
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
        follows=_followed(call, region, labels, own, donors[0]),
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


def _exchanged(call: Call, region: Region, giving: Labels) -> Change:
    def change(rows: Tensor) -> dict[str, Tensor]:
        mixed = {}
        for name, mask in region.items():
            own = call.tensors[name]
            here, there = rows.to(own.device), torch.from_numpy(giving)[rows].to(own.device)
            mixed[name] = torch.where(mask.to(own.device), own[there], own[here])
        return mixed

    return change


def _followed(call: Call, region: Region, labels: Labels, own: Labels, giving: Labels) -> Estimate:
    """How often the answer becomes the giving row's when the region moves from the mean of one class to the other's."""
    known = np.isin(own, labels)
    conflict = (own != own[giving]) & known & known[giving]
    if not all(call.tensors[name].is_floating_point() for name in region) or not conflict.any():
        return proportion(0, 0)
    moves = {name: _moves(call.tensors[name], labels, own, giving) * mask for name, mask in region.items()}

    def change(rows: Tensor) -> dict[str, Tensor]:
        return {
            name: own[rows.to(own.device)] + move[rows].to(own)
            for name, move in moves.items()
            for own in [call.tensors[name]]
        }

    said = probabilities(call, change).argmax(1)
    return proportion(float((said == own[giving])[conflict].sum()), float(conflict.sum()))


def _moves(tensor: Tensor, labels: Labels, own: Labels, giving: Labels) -> Tensor:
    """The way from the mean of each row's answer to that of the giving row's, ``[N, ...]``."""
    rows = tensor.detach().cpu()
    means = torch.zeros(int(max(labels.max(), own.max())) + 1, *rows.shape[1:], dtype=rows.dtype)
    for each in np.unique(labels):
        means[each] = rows[torch.from_numpy(labels == each)].mean(0)
    return means[torch.from_numpy(own[giving])] - means[torch.from_numpy(own)]

"""The way in: ``explain.audit_shortcuts``."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import nn

from deepseek.errors import DeepseekError
from deepseek.explain.call import Call
from deepseek.explain.shortcuts.baseline import linear_alone
from deepseek.explain.shortcuts.classifier import Classifier, Shuffled, probabilities
from deepseek.explain.shortcuts.dataset import Sample, sample
from deepseek.explain.shortcuts.estimates import Estimate, Labels, Numbers, area_by_row, mean
from deepseek.explain.shortcuts.exchange import Exchange, donors, exchange
from deepseek.explain.shortcuts.mass import Mass, masses
from deepseek.explain.shortcuts.regions import Region, Regions, checked_regions, features_frac
from deepseek.explain.shortcuts.report import SUSPECTED, RegionReport, ShortcutReport
from deepseek.kernels.evaluating import evaluating

FEWEST_ROWS = 20

CONTROLS = 3
"""Controls that are made by default."""


def audit_shortcuts(
    model: nn.Module,
    dataset: Any,
    regions: Regions = None,
    *,
    irrelevant: Sequence[str] = (),
    controls: int | Sequence[nn.Module] = CONTROLS,
    rows: int = 500,
    repeats: int = 5,
    seed: int = 0,
    progress: bool = True,
) -> ShortcutReport:
    """Find the regions of the inputs that a classifier depends on more than it should.

    Every region is exchanged between rows: that shows what the model needs it for, what it sustains alone, and which
    wins where region and rest contradict each other. Beside that stands how much of the attributions falls on it,
    compared with controls that have learned nothing, so that what is merely bright or large is not taken for used.

    No statistic tells a shortcut from a feature: a border that gives the class away *is* the best feature of its data.
    An audit shows use; whether it is fair, only knowledge of the data can say. So a region is suspected if exchanging
    it costs more than a hundredth of the accuracy, and

    - you said that it should not matter (``irrelevant``), or
    - without that knowledge, by a rule of thumb, if it is the smaller part of the inputs and yet either outvotes all
      the rest (it wins more than half of the contradictions), or gives the answer away: a linear rule that sees
      nothing else has nine tenths of the model's accuracy beyond chance, and the model follows that easy cue more often
      than its size explains.
      Features of the object itself share a decision; a shortcut is easier than the task.

    Otherwise it is ``used`` or ``not used``; ``cannot tell`` where it does not vary in the data. Where regions overlap,
    several may be suspected for what lies in one: the first fits best. Audit data that still hold the shortcut, such as
    a part of the training set's source that was kept apart: elsewhere it cannot be seen.

    Args:
        model: A classifier with an output ``[B, K]``, or one number a row, the log odds of class 1. It is evaluated in
            evaluation mode and left as it was.
        dataset: A pair of inputs (tensor, frame, tuple or dict, as for ``explain.shap``) and labels ``[N]``, or a
            ``torch.utils.data.Dataset`` of such pairs for single rows.
        regions: By name, a bool mask that fits a row (such as ``[H, W]``), or numbers or names of columns; for several
            inputs a dict of masks. By default the border, quadrants and cells of pictures, or single columns.
        irrelevant: Names of the regions that should not matter.
        controls: How many controls are made by shuffling the numbers of every parameter, which needs no training; or
            your own, such as the same architecture trained on permuted labels.
        rows: Most rows that are used, chosen at random.
        repeats: How often every row is given another row's region.
        seed: Of these choices; the random numbers of torch and numpy are not touched.
        progress: Whether a bar shows how far it is.

    Returns:
        The regions, the likeliest shortcut first, with evidence and 95 % intervals over the rows.

    Raises:
        DeepseekError: An argument does not fit.

    Source: Geirhos et al., "Shortcut learning in deep neural networks", Nature Machine Intelligence 2, 2020; for the
    measurements see ``Exchange`` and ``Shuffled``.
    """
    if repeats < 1 or rows < FEWEST_ROWS:
        raise DeepseekError(f"`repeats` must be 1 or more and `rows` {FEWEST_ROWS}; they are {repeats!r} and {rows!r}.")
    chosen = sample(model, dataset, rows, seed)
    call = Call(Classifier(model), chosen.inputs)
    masks = checked_regions(call, regions)
    if unknown := set(irrelevant) - set(masks):
        raise DeepseekError(f"`irrelevant` names {sorted(unknown)[0]!r}; the regions are {', '.join(masks)}.")
    with evaluating(call.model):
        plain = probabilities(call)
        _check(plain, chosen.labels)
        exchanged = _exchanged(call, masks, chosen.labels, plain, donors(call.rows, repeats, seed), progress)
    shares, notes = _masses(model, call, chosen, masks, _controls(model, controls, seed))
    right, chance = mean((plain.argmax(1) == chosen.labels).astype(float)), _chance(plain, chosen.labels)
    varying = features_frac(call, masks)
    found = [
        RegionReport(
            name=name,
            features_frac=varying[name],
            irrelevant=name in irrelevant,
            exchange=exchanged[name],
            linear=linear_alone(call, mask, chosen.labels),
            accuracy=right.value,
            chance=chance,
            mass=shares.get(name),
        )
        for name, mask in masks.items()
    ]
    return ShortcutReport(
        regions=_ranked(found, masks),
        accuracy=right,
        auc=mean(area_by_row(plain, chosen.labels)),
        chance=chance,
        rows=call.rows,
        notes=(*notes, *_notes(right, chance, chosen)),
    )


def _exchanged(
    call: Call, masks: Mapping[str, Region], labels: Labels, plain: Numbers, giving: list[Labels], progress: bool
) -> dict[str, Exchange]:
    from tqdm.auto import tqdm

    bar = tqdm(masks.items(), desc="Auditing", unit="region", disable=not progress, leave=False)
    return {name: exchange(call, mask, labels, plain, giving) for name, mask in bar}


def _masses(
    model: nn.Module, call: Call, chosen: Sample, masks: Mapping[str, Region], controls: Sequence[nn.Module]
) -> tuple[dict[str, Mass], list[str]]:
    if not all(call.tensors[name].is_floating_point() for name in call.explained):
        return {}, ["Inputs of whole numbers have no attributions by gradients: the verdicts rest on exchange alone."]
    explained = {name: mask for name, mask in masks.items() if set(mask) <= set(call.explained)}
    if not explained:
        return {}, []
    try:
        return masses(model, chosen.inputs.inputs, explained, controls), []
    except RuntimeError as error:
        return {}, [f"There are no attributions, and the verdicts rest on exchange alone: {error}"]


def _controls(model: nn.Module, controls: int | Sequence[nn.Module], seed: int) -> list[nn.Module]:
    if isinstance(controls, int):
        return [Shuffled(model, seed + place) for place in range(controls)]
    return list(controls)


def _check(plain: Numbers, labels: Labels) -> None:
    count, classes = plain.shape
    if count < FEWEST_ROWS:
        raise DeepseekError(f"`dataset` must have {FEWEST_ROWS} rows or more, not {count}.")
    if not np.isfinite(plain).all():
        raise DeepseekError("The model's outputs must be finite numbers: some are NaN or infinite.")
    if labels.max() >= classes or len(np.unique(labels)) < 2:
        raise DeepseekError(
            f"The labels must be two or more of the model's {classes} classes, 0 to {classes - 1}; they are "
            f"{', '.join(map(str, np.unique(labels)[:20]))}."
        )
    if len(np.unique(plain.argmax(1))) < 2:
        raise DeepseekError(
            f"The model gives the same answer for all {count} rows: there is nothing to audit. One number a row is "
            "read as log odds, above 0 for class 1; a model that gives probabilities must give one for each class."
        )


def _chance(plain: Numbers, labels: Labels) -> float:
    """Accuracy of the answers for the labels of other rows."""
    answers = plain.argmax(1)
    return float(sum((answers == each).mean() * (labels == each).mean() for each in np.unique(labels)))


def _ranked(found: Sequence[RegionReport], masks: Mapping[str, Region]) -> tuple[RegionReport, ...]:
    """What should not matter and does comes first, then the highest scores; of equal ones the smaller region."""
    sizes = {name: sum(int(part.sum()) for part in mask.values()) for name, mask in masks.items()}
    return tuple(
        sorted(
            found,
            key=lambda each: (not (each.irrelevant and each.verdict == SUSPECTED), -each.score, sizes[each.name]),
        )
    )


def _notes(right: Estimate, chance: float, chosen: Sample) -> list[str]:
    notes = []
    if right.low <= chance:
        notes.append(
            f"The model is right in {right}, and by chance it would be in {100 * chance:.0f} %: what it depends on "
            "says little."
        )
    if chosen.total > len(chosen.labels):
        notes.append(f"{len(chosen.labels)} of {chosen.total} rows were chosen at random.")
    return notes

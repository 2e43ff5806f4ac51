"""What an audit found, region by region."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from deepseek.explain.shortcuts.estimates import Estimate
from deepseek.explain.shortcuts.exchange import Exchange
from deepseek.explain.shortcuts.mass import Mass
from deepseek.text import printable

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

Verdict = Literal["shortcut suspected", "used", "not used", "cannot tell"]

SUSPECTED: Verdict = "shortcut suspected"

MATERIAL = 0.01
"""A region is used if exchanging it costs more accuracy than this, at the lower end of the interval."""

OUTVOTES = 0.5
"""A smaller part of the inputs is suspected if it wins more conflicts than this, at the lower end of the interval."""

GIVES_AWAY = 0.9
"""... or if a linear rule on it alone has this share of the accuracy beyond chance, and the model follows it."""

MOST_TOLD = 4
"""Regions that the text describes at least; also those that are suspected or were named as irrelevant."""


@dataclass(frozen=True, eq=False)
class RegionReport:
    """How a model depends on one region.

    Attributes:
        name: The region.
        features_frac: Its share of the features that vary in the data.
        irrelevant: Whether it was said that it should not matter.
        exchange: What exchanging it does.
        linear: Accuracy of a linear rule that sees this region alone.
        accuracy: Accuracy of the model.
        chance: Accuracy by chance.
        mass: Its share of the attributions; None where they cannot be computed.
    """

    name: str
    features_frac: float
    irrelevant: bool
    exchange: Exchange
    linear: Estimate
    accuracy: float
    chance: float
    mass: Mass | None = None

    @property
    def weight(self) -> Estimate:
        """How much more the region decides than its size explains: 1 where it decides by its share of the features."""
        if not self.features_frac:
            return Estimate(math.nan, math.nan, math.nan)
        value, low, high = (end / self.features_frac for end in self.exchange.decides)
        return Estimate(value, low, high)

    @property
    def ease(self) -> float:
        """Share of the model's accuracy beyond chance that a linear rule reaches on this region alone, 0 to 1."""
        beyond = self.accuracy - self.chance
        return min(max((self.linear.value - self.chance) / beyond, 0.0), 1.0) if beyond > 0 else 0.0

    @property
    def verdict(self) -> Verdict:
        """What follows from the measurements; see ``audit_shortcuts``."""
        if not self.features_frac or math.isnan(self.exchange.decides.value):
            return "cannot tell"
        if self.exchange.drop.low <= MATERIAL:
            return "not used"
        outvotes = self.exchange.decides.low > OUTVOTES
        gives_away = self.ease >= GIVES_AWAY and self.exchange.follows.low > self.features_frac
        unfair = self.features_frac < 0.5 and (outvotes or gives_away)
        return SUSPECTED if self.irrelevant or unfair else "used"

    @property
    def score(self) -> float:
        """What regions are ranked by: how much it decides for its size, and follows, by the odds of an easy cue."""
        if not self.features_frac or math.isnan(self.exchange.decides.low):
            return 0.0
        ease, follows = min(max(self.ease, 0.01), 0.99), np.nan_to_num(self.exchange.follows.low)
        return float(self.exchange.decides.low + follows * ease / (1 - ease)) / self.features_frac

    @property
    def evidence(self) -> tuple[str, ...]:
        """The measurements in words."""
        if not self.features_frac:
            return ("It is the same in all rows: audit data in which it varies.",)
        done = self.exchange
        return (
            f"Taken from another row: accuracy falls by {done.drop} and AUC by {done.auc_drop} (in percentage points), "
            f"and {done.flips} of the answers change.",
            f"Alone, with all else from another row: it sustains an accuracy of {done.alone}.",
            f"Where it contradicts the rest: it decides {done.decides}, with {100 * self.features_frac:.0f} % of the "
            f"features: {self.weight.value:.2g} times its share.",
            f"An easy cue: a linear rule that sees it alone is right in {self.linear}; moved as that rule would, from "
            f"the mean of one class to another's, it takes {done.follows} of the answers along.",
            *((f"Attributions: {_in_words(self.mass)}",) if self.mass else ()),
        )


@dataclass(frozen=True, eq=False, repr=False)
class ShortcutReport:
    """What an audit found.

    Attributes:
        regions: The regions: those that should not matter and do, then by ``score``.
        accuracy: Of the model on the rows of the audit.
        auc: Area under its ROC curve, each class against all others.
        chance: Accuracy of the same answers for the labels of other rows: what a region without information sustains.
        rows: Number of rows.
        notes: What a reader must know before trusting the verdicts.
    """

    regions: tuple[RegionReport, ...]
    accuracy: Estimate
    auc: Estimate
    chance: float
    rows: int
    notes: tuple[str, ...] = ()

    @property
    def suspected(self) -> tuple[str, ...]:
        """Names of the regions that are suspected to be shortcuts."""
        return tuple(each.name for each in self.regions if each.verdict == SUSPECTED)

    @property
    def score(self) -> float:
        """How far the model goes towards a shortcut: the largest score of a region."""
        return max(each.score for each in self.regions)

    def frame(self) -> "pd.DataFrame":
        """Return one row per region; shares are 0 to 1, ``_low`` and ``_high`` the ends of 95 % intervals."""
        import pandas as pd

        return pd.DataFrame([_row(each) for each in self.regions])

    def plot(self) -> "Figure":
        """Draw which decides when a region contradicts the rest, and the accuracy without it and with it alone."""
        from deepseek.explain.shortcuts.picture import picture

        return picture(self)

    def __str__(self) -> str:
        found = f"suspected: {', '.join(self.suspected)}" if self.suspected else "nothing suspected"
        must = {each.name for each in self.regions if each.irrelevant} | set(self.suspected)
        told = [each for place, each in enumerate(self.regions) if place < MOST_TOLD or each.name in must]
        untold = len(self.regions) - len(told)
        lines = [
            f"Shortcut audit, {found}",
            f"  {self.rows} rows, accuracy {self.accuracy}, AUC {self.auc}; by chance {100 * self.chance:.0f} %",
            *(line for each in told for line in (f"  {each.name}: {each.verdict}", *_indented(each.evidence))),
            *([f"  {untold} more regions, none of them suspected: see `frame()`"] if untold else []),
            *(f"  Note: {note}" for note in self.notes),
            "  It shows what the model depends on. Whether it should, only those who know the data can say.",
        ]
        return printable("\n".join(lines))

    __repr__ = __str__


def _indented(lines: tuple[str, ...]) -> list[str]:
    return [f"    {line}" for line in lines]


def _in_words(mass: Mass) -> str:
    if mass.controls is None:
        return f"it has {mass.model}."
    low, high = mass.controls
    more = "more than" if mass.model.low > high else "no more than"
    return f"it has {mass.model}, {more} in models that have learned nothing ({100 * low:.0f} to {100 * high:.0f} %)."


def _row(each: RegionReport) -> dict[str, object]:
    nothing = Estimate(math.nan, math.nan, math.nan)
    measured = {
        "accuracy_drop": each.exchange.drop,
        "auc_drop": each.exchange.auc_drop,
        "flips": each.exchange.flips,
        "alone": each.exchange.alone,
        "decides": each.exchange.decides,
        "follows": each.exchange.follows,
        "weight": each.weight,
        "linear": each.linear,
        "mass": nothing if each.mass is None else each.mass.model,
    }
    numbers = {
        f"{name}{end}": value
        for name, estimate in measured.items()
        for end, value in zip(("", "_low", "_high"), estimate, strict=True)
    }
    low, high = (math.nan, math.nan) if each.mass is None or each.mass.controls is None else each.mass.controls
    about = {"region": each.name, "verdict": each.verdict, "features_frac": each.features_frac}
    return {**about, **numbers, "control_mass_low": low, "control_mass_high": high}

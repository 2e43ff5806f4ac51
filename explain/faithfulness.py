"""How faithful an attribution is: does the output change most where it says so, more than by chance?

Sources: Samek et al., "Evaluating the visualization of what a deep neural network has learned", 2017 (deletion and
insertion); DeYoung et al., "ERASER", ACL 2020 (comprehensiveness, sufficiency).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from deepseek.errors import DeepseekError
from deepseek.explain.attribution import Attribution
from deepseek.explain.call import Call, Inputs, evaluating
from deepseek.explain.shapley.game import Game, checked_background
from deepseek.explain.shapley.players import Groups, Players
from deepseek.explain.target import Chooser, Target

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

Fill = Literal["background", "mean", "zero"]
"""What stands for removed features: the rows of the background one after the other (outputs are averaged), their mean,
or zeros. A verdict that depends on it is about the filling, not about the model."""

Measure = Literal["deletion", "insertion", "comprehensiveness", "sufficiency"]

LARGER_IS_BETTER: dict[Measure, bool] = {
    "deletion": False,
    "insertion": True,
    "comprehensiveness": True,
    "sufficiency": False,
}

POINTS = 21
"""Points of a curve, with everything and with nothing removed among them."""

FRACTIONS = (0.1, 0.2, 0.3, 0.5)
"""Shares of features over which comprehensiveness and sufficiency are averaged."""


@dataclass(frozen=True, slots=True)
class Score:
    """One measure of an attribution, beside that of random rankings.

    All are relative to how far outputs are, on average, from those with every feature removed; means over the rows.

    Attributes:
        measure: ``deletion`` and ``insertion``: area under the curve of the output as features are removed from, or
            added in, the order of their attributions. ``comprehensiveness``: the drop without the top features;
            ``sufficiency``: the drop with the top features only.
        fill: What stood for removed features.
        value: The attribution's; small is good for ``deletion`` and ``sufficiency``, large for the others.
        low: Lower end of its 95 % interval over the rows.
        high: Upper end.
        random: Mean over random rankings.
        random_low: 2.5th percentile of the random rankings.
        random_high: 97.5th percentile.
    """

    measure: Measure
    fill: Fill
    value: float
    low: float
    high: float
    random: float
    random_low: float
    random_high: float

    @property
    def better(self) -> bool:
        """Whether it is better than 97.5 % of random rankings."""
        if LARGER_IS_BETTER[self.measure]:
            return self.value > self.random_high
        return self.value < self.random_low


@dataclass(frozen=True, eq=False, repr=False)
class FaithfulnessReport:
    """What was measured of one attribution.

    Attributes:
        scores: One for each measure and fill.
        curves: By fill, the mean output by share of features, relative to the whole effect, ``[POINTS]``: ``deletion``,
            ``insertion`` and the means of the same over random rankings.
        evaluations: Rows that the model computed.
    """

    scores: tuple[Score, ...]
    curves: Mapping[Fill, Mapping[str, NDArray[np.float64]]]
    evaluations: int

    @property
    def trustworthy(self) -> bool:
        """Whether every measure with every fill is better than 97.5 % of random rankings."""
        return all(score.better for score in self.scores)

    def frame(self) -> "pd.DataFrame":
        """Return one row per measure and fill."""
        import pandas as pd

        return pd.DataFrame([{name: getattr(score, name) for name in _FIELDS} for score in self.scores])

    def __str__(self) -> str:
        verdict = "better than random in every measure" if self.trustworthy else self._doubt()
        lines = [
            f"  {score.measure} ({score.fill}): {score.value:.3f} [{score.low:.3f}, {score.high:.3f}], "
            f"random {score.random:.3f} [{score.random_low:.3f}, {score.random_high:.3f}]"
            for score in self.scores
        ]
        return "\n".join([f"Faithfulness: {verdict}", *lines])

    __repr__ = __str__

    def _doubt(self) -> str:
        weak = [f"{score.measure} ({score.fill})" for score in self.scores if not score.better]
        return f"not better than random in {', '.join(weak)}"

    def plot(self) -> "Figure":
        """Draw the curves, a panel for each fill."""
        from deepseek.explain.picture import Picture

        figure = Picture(figsize=(4.2 * len(self.curves), 3.4), layout="constrained")
        shares = np.linspace(0, 1, POINTS)
        panels = figure.subplots(1, len(self.curves), squeeze=False)[0]
        for axes, (fill, curves) in zip(panels, self.curves.items(), strict=True):
            for name, color in (("deletion", "#d1495b"), ("insertion", "#2e6fbb")):
                axes.plot(shares, curves[name], color=color, label=name)
                axes.plot(shares, curves[f"random {name}"], color=color, linestyle=":", label=f"{name}, random order")
            axes.set_title(f"removed features: {fill}")
            axes.set_xlabel("share of features removed or added")
            axes.set_ylabel("output, relative to the whole effect")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
        return figure


_FIELDS = ("measure", "fill", "value", "low", "high", "random", "random_low", "random_high", "better")


def faithfulness(
    model: nn.Module,
    inputs: Inputs,
    attribution: Attribution | NDArray[np.float64],
    background: Any,
    *,
    target: Target,
    groups: Groups = None,
    fills: Sequence[Fill] = get_args(Fill),
    randoms: int = 20,
    seed: int = 0,
) -> FaithfulnessReport:
    """Measure whether an attribution ranks features as the model uses them, beside random rankings.

    Args:
        model: The model that was explained.
        inputs: The inputs that were explained.
        attribution: Of one output a row; or any numbers that rank the features, such as an attention map, in the shape
            of the (only) input or ``[B, G]``.
        background: Rows that stand for removed features, as for ``explain.shap``.
        target: Which output; the one that was explained.
        groups: The groups that were explained.
        fills: What stands for removed features: ``background``, ``mean``, ``zero``.
        randoms: Number of random rankings.
        seed: Of these.

    Returns:
        The scores, with intervals, and the curves.

    Raises:
        DeepseekError: An argument does not fit.
    """
    if unknown := [fill for fill in fills if fill not in get_args(Fill)]:
        raise DeepseekError(f"`fills` may hold {', '.join(get_args(Fill))}, not {unknown[0]!r}.")
    if not isinstance(randoms, int) or randoms < 2:
        raise DeepseekError(f"`randoms` must be a whole number from 2, not {randoms!r}.")
    call = Call(model, inputs)
    players = Players(call, groups)
    rows = checked_background(call, background)
    ranks = _ranks(attribution, players, call)
    chance = np.random.default_rng(seed)
    orders = [ranks, *(np.argsort(chance.random(ranks.shape), axis=1) for _ in range(randoms))]
    scores, curves, evaluations = [], {}, 0
    with evaluating(model):
        with torch.no_grad():
            chooser = Chooser(target, call(), call.rows)
        if chooser.count != 1:
            raise DeepseekError("`target` must choose one output a row: faithfulness is measured for one at a time.")
        for fill in fills:
            game = Game(call, players, _filled(rows, fill), chooser)
            outputs = np.stack([_outputs(game, order) for order in orders])
            scores += [_score(measure, fill, outputs) for measure in get_args(Measure)]
            curves[fill] = _curves(outputs)
            evaluations += game.evaluations
    return FaithfulnessReport(tuple(scores), curves, evaluations)


def _ranks(attribution: Any, players: Players, call: Call) -> NDArray[np.intp]:
    """Order of the players of every row, the largest attribution first, ``[B, M]``."""
    if isinstance(attribution, Attribution):
        if attribution.base_values.ndim != 1:
            raise DeepseekError("`attribution` must be of one output a row: explain with `target=`.")
        parts = [_towards_the_output(attribution, part) for part in attribution.values_by_input.values()]
    else:
        parts = [np.asarray(attribution, float)]
    values = np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)
    if values.shape != (call.rows, players.count):
        raise DeepseekError(
            f"`attribution` must hold a number for each of {players.count} features of {call.rows} rows; "
            f"it holds {values.shape[1]} of {len(values)}."
        )
    return np.argsort(-values, axis=1, kind="stable")


def _towards_the_output(attribution: Attribution, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values that are large where a feature moved the output to where it is, be that up or down."""
    direction = np.where(attribution.outputs < attribution.base_values, -1.0, 1.0)
    return values * direction.reshape(-1, *[1] * (values.ndim - 1))


def _filled(rows: Mapping[str, torch.Tensor], fill: Fill) -> dict[str, torch.Tensor]:
    if fill == "background":
        return dict(rows)
    if fill == "zero":
        return {name: torch.zeros_like(row[:1]) for name, row in rows.items()}
    return {name: row.double().mean(0, keepdim=True).to(row.dtype) for name, row in rows.items()}


def _outputs(game: Game, order: NDArray[np.intp]) -> NDArray[np.float64]:
    """Outputs with the top features removed, and with only them, relative to the whole effect: ``[B, 2, P]``."""
    count = order.shape[1]
    kept = np.round(np.concatenate([np.linspace(0, 1, POINTS), FRACTIONS]) * count).astype(int)
    result, effects = [], []
    for row in range(len(order)):
        position = np.argsort(order[row])
        top = position[None, :] < kept[:, None]
        empty, full = game.ends(row)[:, 0]
        worth = game(row, np.concatenate([~top, top]))[:, 0].reshape(2, -1)
        result.append((worth - empty) * np.sign(full - empty))
        effects.append(abs(full - empty))
    whole = float(np.mean(effects))
    return np.stack(result) / (whole if whole else 1.0)


def _measured(measure: Measure, outputs: NDArray[np.float64]) -> NDArray[np.float64]:
    """The measure of each row, from ``[..., 2, P]``."""
    removed, alone = outputs[..., 0, :], outputs[..., 1, :]
    if measure == "deletion":
        return _area(removed)
    if measure == "insertion":
        return _area(alone)
    drop = alone[..., POINTS - 1 :][..., :1] - (removed if measure == "comprehensiveness" else alone)[..., POINTS:]
    return np.asarray(drop.mean(-1))


def _area(outputs: NDArray[np.float64]) -> NDArray[np.float64]:
    curve = outputs[..., :POINTS]
    return np.asarray((curve[..., 1:] + curve[..., :-1]).mean(-1) / 2)


def _score(measure: Measure, fill: Fill, outputs: NDArray[np.float64]) -> Score:
    each = _measured(measure, outputs)
    own, random = each[0], each[1:].mean(1)
    spread = 1.96 * own.std(ddof=1) / np.sqrt(len(own)) if len(own) > 1 else float("nan")
    low, high = np.percentile(random, [2.5, 97.5])
    value = own.mean()
    numbers = (value, value - spread, value + spread, random.mean(), low, high)
    return Score(measure, fill, *map(float, numbers))


def _curves(outputs: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    removed, alone = outputs[..., 0, :POINTS], outputs[..., 1, :POINTS]
    return {
        "deletion": removed[0].mean(0),
        "insertion": alone[0].mean(0),
        "random deletion": removed[1:].mean((0, 1)),
        "random insertion": alone[1:].mean((0, 1)),
    }

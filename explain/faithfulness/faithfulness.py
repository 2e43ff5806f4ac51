"""``explain.faithfulness``: an attribution beside random ones, by several measures."""

from collections.abc import Mapping, Sequence
from typing import Any, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from deepseek.errors import DeepseekError
from deepseek.explain.attribution import Attribution
from deepseek.explain.call import Call, Inputs
from deepseek.explain.explaining import Explain
from deepseek.explain.faithfulness.curves import OfCurves, curves, measured, outputs
from deepseek.explain.faithfulness.infidelity import infidelity
from deepseek.explain.faithfulness.report import FaithfulnessReport, Fill, Score
from deepseek.explain.faithfulness.sensitivity import max_sensitivity
from deepseek.explain.faithfulness.values import by_player, towards_the_output
from deepseek.explain.shapley.game import Game, checked_background
from deepseek.explain.shapley.players import Groups, Players
from deepseek.explain.target import Chooser, Target
from deepseek.kernels.evaluating import evaluating


def faithfulness(
    model: nn.Module,
    inputs: Inputs,
    attribution: Attribution | NDArray[Any],
    background: Any = None,
    *,
    target: Target,
    groups: Groups = None,
    fills: Sequence[Fill] = get_args(Fill),
    explain: Explain | None = None,
    randoms: int = 20,
    seed: int = 0,
) -> FaithfulnessReport:
    """Measure whether an attribution says what the model does, beside random ones: the same values in other places.

    Args:
        model: The model that was explained.
        inputs: The inputs that were explained.
        attribution: Of one output a row; or any numbers that rank the features, such as an attention map, in the shape
            of the (only) input or ``[B, G]``.
        background: Rows that stand for removed features, as for ``explain.shap``.
        target: Which output; the one that was explained.
        groups: The groups that were explained; attributions of single features are summed over them.
        fills: What stands for removed features: ``background``, ``mean``, ``zero``.
        explain: Explains inputs by a model as the attribution was made, such as ``lambda model, inputs:
            explain.shap(model, inputs, background, target=1, progress=False)``; with it, the sensitivity to small
            changes of the inputs is measured as well.
        randoms: Number of random attributions.
        seed: Of these, and of the sets of features that are removed.

    Returns:
        The scores, with intervals, and the curves.

    Raises:
        DeepseekError: An argument does not fit.
    """
    if unknown := [fill for fill in fills if fill not in get_args(Fill)]:
        raise DeepseekError(f"`fills` may hold {', '.join(get_args(Fill))}, not {unknown[0]!r}.")
    if not fills:
        raise DeepseekError(f"`fills` must hold at least one of {', '.join(get_args(Fill))}.")
    if not isinstance(randoms, int) or randoms < 2:
        raise DeepseekError(f"`randoms` must be a whole number from 2, not {randoms!r}.")
    call = Call(model, inputs)
    players = Players(call, groups)
    rows = checked_background(call, background)
    values = by_player(attribution, players, call)
    chance = np.random.default_rng(seed)
    there = np.arange(players.count) < np.array(players.counts)[:, None]
    orders, rivals = _rivals(towards_the_output(attribution, values), there, randoms, chance)
    scores, drawn, gains, evaluations = [], {}, [], 0
    with evaluating(model):
        with torch.no_grad():
            chooser = Chooser(target, call(), call.rows)
        if chooser.count != 1:
            raise DeepseekError("`target` must choose one output a row: faithfulness is measured for one at a time.")
        for fill in fills:
            game = Game(call, players, _filled(rows, fill), chooser)
            found = np.stack([outputs(game, order) for order in orders])
            scores += [Score.of(measure, fill, measured(measure, found)) for measure in get_args(OfCurves)]
            scores.append(Score.of("infidelity", fill, infidelity(game, rivals, chance)))
            drawn[fill] = curves(found)
            gains.append(measured("insertion", found[0]) - measured("deletion", found[0]))
            evaluations += game.evaluations
    if explain is not None:
        _, places = _rivals(values, there, randoms, chance)
        sensitivity = max_sensitivity(explain, inputs, call, players, places, chance)
        scores.append(Score.of("max_sensitivity", None, sensitivity))
    return FaithfulnessReport(tuple(scores), drawn, np.mean(gains, axis=0), evaluations)


def _rivals(
    values: NDArray[np.float64], there: NDArray[np.bool_], randoms: int, chance: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Order of the players, the largest value first, and their values, before random ones, ``[1 + R, B, M]``.

    Those that a row does not have, which are not ``there``, come last.
    """
    ranks = np.argsort(np.where(there, -values, np.inf), axis=1, kind="stable")
    others = (np.where(there, chance.random(ranks.shape), np.inf) for _ in range(randoms))
    orders = np.stack([ranks, *(np.argsort(other, axis=1, kind="stable") for other in others)])
    rivals = np.empty(orders.shape)
    np.put_along_axis(rivals, orders, np.take_along_axis(values, ranks, axis=1)[None], axis=2)
    return orders, rivals


def _filled(rows: Mapping[str, torch.Tensor], fill: Fill) -> dict[str, torch.Tensor]:
    if fill == "background":
        return dict(rows)
    if fill == "zero":
        return {name: torch.zeros_like(row[:1]) for name, row in rows.items()}
    return {name: row.double().mean(0, keepdim=True).to(row.dtype) for name, row in rows.items()}

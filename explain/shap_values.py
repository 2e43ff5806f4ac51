"""``explain.shap``: Shapley values by the method that fits the model, the features and the budget."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal, Protocol, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from deepseek.errors import DeepseekError
from deepseek.explain.attribution import Arrays, Attribution
from deepseek.explain.by_deeplift import NoRuleError, by_deeplift
from deepseek.explain.call import Call, Inputs
from deepseek.explain.cross_check import beside
from deepseek.explain.expected_gradients import ExpectedGradients
from deepseek.explain.shapley.exact import MOST_PLAYERS, Exact
from deepseek.explain.shapley.game import Game, checked_background
from deepseek.explain.shapley.kernel import Kernel
from deepseek.explain.shapley.permutation import Permutation
from deepseek.explain.shapley.players import Groups, Players
from deepseek.explain.target import Chooser, Target
from deepseek.kernels.evaluating import evaluating

Method = Literal["auto", "exact", "kernel", "permutation", "expected_gradients", "deeplift"]

EXACT_COALITIONS = 1024
"""``auto`` enumerates no more coalitions than this unless ``max_evals`` allows more."""

KERNEL_PLAYERS = 200
"""With more players ``auto`` takes gradients, or permutations where there are none."""

STEPS = 32
"""Points on each path of expected gradients."""

INTERRUPTED = "It was interrupted: the values are as far as they had got."
"""The note of values that are not all that was asked for."""


COALITIONS = 2048
"""So many coalitions, and two for each player, are sampled where ``max_evals`` does not say otherwise."""


_SLOPES: dict[Method, Method] = {"deeplift": "expected_gradients", "expected_gradients": "deeplift"}
"""What each method that takes slopes is checked by."""


class Estimator(Protocol):
    """Finds the values of one row, better with each round."""

    done: bool
    values: NDArray[np.float64] | None
    errors: NDArray[np.float64] | None

    def advance(self) -> None:
        """Do one more round."""


def shap(
    model: nn.Module,
    inputs: Inputs,
    background: Any = None,
    *,
    target: Target = None,
    method: Method = "auto",
    groups: Groups = None,
    max_evals: int | None = None,
    check: bool = False,
    progress: bool = True,
    seed: int = 0,
) -> Attribution:
    """Explain outputs by Shapley values: how much each feature moved each of them away from what was to be expected.

    Absent features are taken from the rows of a background, over which outputs are averaged: the values of a row add up
    to its output minus the mean output of the background.

    Args:
        model: Any module; it is evaluated in evaluation mode, and left as it was.
        inputs: What to explain: a tensor ``[B, ...]``, a tuple (positional arguments), a dict (keyword arguments), a
            frame of numbers, or what ``Table.features`` and ``words`` make.
        background: Rows that stand for absent features, as the inputs are: such as 100 training samples. Texts made
            by ``words`` bring their own.
        target: None for all outputs; an index, an index for each row, or a function of what the model returns.
        method: ``exact`` enumerates all coalitions; ``kernel`` (regression) and ``permutation`` sample them and tell
            their standard errors; for many features ``deeplift`` (on the traced graph) and ``expected_gradients``
            approximate with far fewer evaluations; ``auto`` chooses by the number of features and the budget.
        groups: Whole numbers in the shape of a row, or of all rows where these differ: features of the same number
            count as one, -1 is always present.
        max_evals: Largest number of rows that the model may compute for each row explained.
        check: Compare ``deeplift`` with ``expected_gradients``, or these with it, and note whether they agree. Sampled
            values tell their own errors and are not compared.
        progress: Whether a bar shows how far it is; an interruption returns what there is by then.
        seed: Of the sampling methods; the random numbers of torch and numpy are not touched.

    Returns:
        Values, base values, completeness gap, standard errors, and what they cost.

    Raises:
        DeepseekError: An argument does not fit; the sentence says what was expected.
    """
    _check(method, max_evals)
    began = time.perf_counter()
    call = Call(model, inputs)
    players = Players(call, groups)
    rows = checked_background(call, background)
    with evaluating(model):
        with torch.no_grad():
            chooser = Chooser(target, call(), call.rows)
        game = Game(call, players, rows, chooser)
        chosen = _fitting(game, max_evals) if method == "auto" else method
        try:
            result = _explained(game, chosen, max_evals, progress, seed)
        except NoRuleError as error:
            if method != "auto":
                raise
            chosen = "expected_gradients"
            result = _explained(game, chosen, max_evals, progress, seed)
            result = replace(result, notes=(*result.notes, f"DeepLIFT was not possible: {error}"))
        if check and chosen in _SLOPES:
            result = _checked(result, game, _SLOPES[chosen], progress, seed)
    return replace(result, method=chosen, seconds=time.perf_counter() - began)


def _checked(result: Attribution, game: Game, other: Method, progress: bool, seed: int) -> Attribution:
    """Note whether another method agrees."""
    try:
        found = replace(_explained(game, other, None, progress, seed), method=other)
    except DeepseekError as error:
        note = f"It could not be checked: {error}"
        return replace(result, notes=(*result.notes, note))
    evaluations = result.evaluations + found.evaluations
    return replace(result, notes=(*result.notes, beside(result, found)), evaluations=evaluations)


def _explained(game: Game, method: Method, max_evals: int | None, progress: bool, seed: int) -> Attribution:
    if method == "deeplift":
        return by_deeplift(game, progress=progress)
    notes = []
    if max_evals is not None and (most := max_evals // _LEAST[method](game.players.count)) < game.background_rows:
        game = _with_fewer_rows(game, most, method, max_evals, seed)
        notes.append(f"Only {most} of the background's rows were used, to keep to `max_evals`.")
    estimators = _ESTIMATORS[method](game, max_evals, seed)
    if _run(estimators, progress):
        notes.append(INTERRUPTED)
    return replace(_attribution(game, estimators), notes=tuple(notes))


def _check(method: Any, max_evals: Any) -> None:
    if method not in get_args(Method):
        raise DeepseekError(f"`method` must be one of {', '.join(get_args(Method))}, not {method!r}.")
    if max_evals is not None and (not isinstance(max_evals, int) or max_evals < 1):
        raise DeepseekError(f"`max_evals` must be a whole number from 1, not {max_evals!r}.")


def _run(estimators: list[Any], progress: bool) -> bool:
    """Advance all by turns until they are done; return whether the user interrupted that."""
    from tqdm.auto import tqdm

    with tqdm(total=len(estimators), desc="Explaining", unit="row", disable=not progress, leave=False) as bar:
        try:
            while waiting := [each for each in estimators if not each.done]:
                for each in waiting:
                    each.advance()
                    bar.update(each.done)
        except KeyboardInterrupt:
            if all(each.values is None for each in estimators):
                raise
            return True
    return False


def _fitting(game: Game, max_evals: int | None) -> Method:
    """The method that ``auto`` stands for."""
    count = game.players.count
    affordable = EXACT_COALITIONS if max_evals is None else max_evals // game.background_rows
    if count <= MOST_PLAYERS and 2**count <= affordable:
        return "exact"
    if count <= KERNEL_PLAYERS:
        return "kernel"
    if not _has_gradients(game):
        return "permutation"
    return "expected_gradients" if game.players.frozen or max_evals is not None else "deeplift"


def _has_gradients(game: Game) -> bool:
    call = game.call
    if not all(call.tensors[name].is_floating_point() for name in call.explained):
        return False
    first = torch.zeros(1, dtype=torch.long)
    moved = {name: call.tensors[name][:1].detach().clone().requires_grad_() for name in call.explained}
    with torch.enable_grad():
        return game.chooser(call(first, moved), first).requires_grad


def _with_fewer_rows(game: Game, most: int, method: str, max_evals: int, seed: int) -> Game:
    """The same game over so many rows of the background, chosen at random."""
    if most < 1:
        raise DeepseekError(
            f"`max_evals={max_evals}` is too few for {game.players.count} features: method {method!r} needs at least "
            f"{_LEAST[method](game.players.count):,} evaluations. Allow more, or join features by `groups`."
        )
    chosen = np.sort(np.random.default_rng(seed).permutation(game.background_rows)[:most])
    return Game(game.call, game.players, {name: row[chosen] for name, row in game.background.items()}, game.chooser)


def _exact(game: Game, max_evals: int | None, _seed: int) -> list[Any]:
    count = game.players.count
    if count > MOST_PLAYERS:
        raise DeepseekError(
            f"`method='exact'` enumerates 2^M coalitions, and there are M = {count} features: at most {MOST_PLAYERS} "
            "are possible. Use method='kernel', or join features by `groups`."
        )
    if max_evals is not None and max_evals < 2**count * game.background_rows:
        raise DeepseekError(
            f"`method='exact'` needs {2**count * game.background_rows:,} evaluations for {count} features and "
            f"{game.background_rows} background rows, and `max_evals` is {max_evals:,}: use method='kernel'."
        )
    return [Exact(game, row) for row in range(game.call.rows)]


def _kernel(game: Game, max_evals: int | None, seed: int) -> list[Any]:
    coalitions = _coalitions(game, max_evals)
    return [
        Kernel(game, row, coalitions, seed) if count > 1 else Exact(game, row)
        for row, count in enumerate(game.players.counts)
    ]


def _permutation(game: Game, max_evals: int | None, seed: int) -> list[Any]:
    coalitions = _coalitions(game, max_evals)
    return [
        Permutation(game, row, coalitions, seed) if count > 1 else Exact(game, row)
        for row, count in enumerate(game.players.counts)
    ]


def _coalitions(game: Game, max_evals: int | None) -> int:
    if max_evals is None:
        return COALITIONS + 2 * game.players.count
    return max_evals // game.background_rows


def _expected_gradients(game: Game, max_evals: int | None, _seed: int) -> list[Any]:
    steps = STEPS if max_evals is None else min(STEPS, max_evals // game.background_rows - 2)
    return [ExpectedGradients(game, row, steps) for row in range(game.call.rows)]


_ESTIMATORS: dict[str, Callable[[Game, int | None, int], list[Any]]] = {
    "exact": _exact,
    "kernel": _kernel,
    "permutation": _permutation,
    "expected_gradients": _expected_gradients,
}

_LEAST: dict[str, Callable[[int], int]] = {
    "exact": lambda _: 1,
    "kernel": lambda count: min(2 * count + 2, 2**count) if count < MOST_PLAYERS else 2 * count + 2,
    "permutation": lambda count: 2 * count,
    "expected_gradients": lambda _: 4,
}
"""Fewest coalitions, or points of a path, with which a method can do anything."""


def _attribution(game: Game, estimators: Sequence[Estimator]) -> Attribution:
    single = game.chooser.single
    nothing = np.full((game.players.count, game.chooser.count), np.nan)

    def shaped(parts: list[NDArray[np.float64] | None]) -> Arrays:
        known = [nothing if part is None else part for part in parts]
        return game.players.shaped([part[..., 0] for part in known] if single else known)

    ends = np.stack([game.ends(row) for row in range(game.call.rows)])
    ends = ends[..., 0] if single else ends
    exact = all(each.errors is None and each.values is not None for each in estimators)
    errors = [
        np.zeros_like(each.values) if each.errors is None and each.values is not None else each.errors
        for each in estimators
    ]
    return Attribution(
        values_by_input=shaped([each.values for each in estimators]),
        data_by_input=game.players.data(game.call),
        base_values=ends[:, 0],
        outputs=ends[:, 1],
        method="",
        target=game.chooser.description,
        background=game.background_text,
        std_error_by_input=None if exact else shaped(errors),
        groups=game.players.groups,
        evaluations=game.evaluations,
        **game.players.labels,
    )

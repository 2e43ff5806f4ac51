"""The numbers of an attribution, one for each player of the game between features."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepseek.errors import DeepseekError
from deepseek.explain.attribution import Attribution
from deepseek.explain.call import Call
from deepseek.explain.shapley.players import Players

Numbers = NDArray[np.float64]


def by_player(attribution: Attribution | NDArray[Any], players: Players, call: Call) -> Numbers:
    """Return a number for every player of every row, ``[B, M]``: what belongs to a group is summed.

    Args:
        attribution: Of one output a row; or numbers in the shape of the (only) input, or ``[B, M]``.
        players: The features or groups.
        call: The model with its inputs.

    Raises:
        DeepseekError: The attribution is of several outputs, or does not fit the players.
    """
    if isinstance(attribution, Attribution):
        if attribution.base_values.ndim != 1:
            raise DeepseekError("`attribution` must be of one output a row: explain with `target=`.")
        parts = attribution.values_by_input
    else:
        parts = {call.explained[0]: np.asarray(attribution, float)}
    shapes = {name: tuple(call.tensors[name].shape) for name in call.explained}
    if players.grouped and {name: part.shape for name, part in parts.items()} == shapes:
        (collected,) = players.collected({name: part[..., None] for name, part in parts.items()}).values()
        return collected[..., 0]
    values = np.concatenate([part.reshape(len(part), -1) for part in parts.values()], axis=1)
    if values.shape != (call.rows, players.count):
        raise DeepseekError(
            f"`attribution` must hold a number for each of {players.count} features of {call.rows} rows; "
            f"it holds {values.shape[1]} of {len(values)}."
        )
    return values


def towards_the_output(attribution: Attribution | NDArray[Any], values: Numbers) -> Numbers:
    """Make values ``[B, M]`` large where a feature moved the output to where it is, be that up or down.

    Other numbers than attributions, such as attention maps, have no direction and stay as they are.
    """
    if not isinstance(attribution, Attribution):
        return values
    return values * np.where(attribution.outputs < attribution.base_values, -1.0, 1.0)[:, None]

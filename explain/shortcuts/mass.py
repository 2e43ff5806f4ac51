"""How much of the attributions falls on each region, for the model and for controls that have learned nothing."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from deepseek.explain.call import Call, Inputs
from deepseek.explain.expected_gradients import ExpectedGradients
from deepseek.explain.shapley.game import Game
from deepseek.explain.shapley.players import Players
from deepseek.explain.shortcuts.classifier import Classifier, probabilities
from deepseek.explain.shortcuts.estimates import Estimate, Numbers, mean
from deepseek.explain.shortcuts.regions import Region
from deepseek.explain.target import Chooser
from deepseek.kernels.evaluating import evaluating

ROWS, BACKGROUND = 24, 12
"""Rows that are explained, and other rows that absent features are taken from."""

STEPS = 8
"""Points on each path of expected gradients."""


class Mass(NamedTuple):
    """The share of a region in the attributions (absolute, of the answer), averaged over rows.

    Attributes:
        model: In those of the model.
        controls: The smallest and the largest share among the controls; None without any.
    """

    model: Estimate
    controls: tuple[float, float] | None


def masses(
    model: nn.Module, inputs: Inputs, regions: Mapping[str, Region], controls: Sequence[nn.Module]
) -> dict[str, Mass]:
    """Measure the share of every region, by expected gradients.

    Args:
        model: The classifier; it and the controls must be differentiable.
        inputs: Its inputs, in no order, of floating point where attributions go.
        regions: The regions.
        controls: Other models of the same inputs and outputs.

    Returns:
        By name of the region.
    """
    own = _shares(model, inputs, regions)
    others = [_shares(control, inputs, regions).mean(0) for control in controls]
    return {
        name: Mass(mean(own[:, place]), _range([float(other[place]) for other in others]))
        for place, name in enumerate(regions)
    }


def _shares(model: nn.Module, inputs: Inputs, regions: Mapping[str, Region]) -> Numbers:
    """The share of each region in the attributions of each explained row, ``[rows, R]``."""
    call = Call(Classifier(model), inputs)
    with evaluating(call.model):
        plain = probabilities(call)
        chooser = Chooser(torch.from_numpy(plain.argmax(1)), torch.from_numpy(plain), call.rows)
        explained = min(ROWS, call.rows // 2)
        background = {name: call.tensors[name][explained:][:BACKGROUND] for name in call.explained}
        game = Game(call, Players(call), background, chooser)
        members = np.stack([_members(call, region) for region in regions.values()])
        return np.stack([_of_row(ExpectedGradients(game, row, STEPS), members) for row in range(explained)])


def _of_row(estimator: ExpectedGradients, members: Numbers) -> Numbers:
    estimator.advance()
    values = np.zeros(1) if estimator.values is None else np.abs(estimator.values[:, 0])
    shares: Numbers = members @ values / (values.sum() or 1.0)
    return shares


def _members(call: Call, region: Region) -> Numbers:
    """Which players belong to a region, ``[M]``: the elements of the explained inputs, in their order."""
    nothing = {name: torch.zeros(call.tensors[name].shape[1:], dtype=torch.bool) for name in call.explained}
    parts = {**nothing, **region}
    return torch.cat([parts[name].reshape(-1) for name in call.explained]).double().numpy()


def _range(shares: list[float]) -> tuple[float, float] | None:
    return (min(shares), max(shares)) if shares else None

"""How much an explanation changes when the inputs move a little."""

import numpy as np
import torch
from numpy.typing import NDArray

from deepseek.errors import DeepseekError
from deepseek.explain.call import Call, Inputs
from deepseek.explain.explaining import Explain, replaced
from deepseek.explain.faithfulness.values import by_player
from deepseek.explain.shapley.players import Players

RADIUS = 0.02
"""How far every number moves at most, in standard deviations of its input."""

MOVES = 10
"""How often the inputs are moved."""

Numbers = NDArray[np.float64]


def max_sensitivity(
    explain: Explain, inputs: Inputs, call: Call, players: Players, rivals: Numbers, chance: np.random.Generator
) -> Numbers:
    """Return the largest change of every row's attributions, relative to their size.

    Args:
        explain: Explains inputs as those that are compared were.
        inputs: The inputs.
        call: The model with the same inputs.
        players: The features or groups.
        rivals: The attributions, and the same values in random places, ``[N, B, M]``.
        chance: Draws the moves.

    Returns:
        ``[N, B]``: the change when the inputs move; and for the others how far they are from the attributions.

    Raises:
        DeepseekError: An input does not hold floating-point numbers, or the explanations do not fit.

    Source: Yeh et al., "On the (in)fidelity and sensitivity of explanations", NeurIPS 2019, equation 4.
    """
    own = rivals[0]
    moved = [
        by_player(explain(call.model, replaced(inputs, call, _moved(call, chance))), players, call) - own
        for _ in range(MOVES)
    ]
    changes = np.concatenate([np.linalg.norm(moved, axis=2).max(0)[None], np.linalg.norm(rivals[1:] - own, axis=2)])
    sizes = np.linalg.norm(own, axis=1)
    return np.asarray(changes / np.where(sizes > 0, sizes, 1))


def _moved(call: Call, chance: np.random.Generator) -> dict[str, torch.Tensor]:
    """What is explained, every number moved at random."""
    moved = {}
    for name in call.explained:
        tensor = call.tensors[name].detach()
        if not tensor.is_floating_point():
            raise DeepseekError(f"`explain` needs inputs that can move a little, and {name} holds {tensor.dtype}.")
        step = torch.from_numpy(chance.uniform(-RADIUS, RADIUS, tuple(tensor.shape))).to(tensor)
        moved[name] = tensor + step * tensor.std()
    return moved

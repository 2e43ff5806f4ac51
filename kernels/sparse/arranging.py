"""Which hidden units and channels shall share a block."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

ROUNDS = 10


def group_units(weight: Tensor, blocks: int) -> Tensor:
    """Put units with similar incoming weights into one block: k-means on the sphere, all clusters of one size.

    Args:
        weight: ``[H, D]``, a row for each unit; ``H`` is a multiple of ``blocks``.
        blocks: Number of blocks.

    Returns:
        The units in their new order, ``[H] int64``; equal for equal weights.

    Source:
        Zhang et al. 2022, MoEfication, section 3.2.
    """
    units = functional.normalize(weight.detach().float(), dim=1)
    size = len(units) // blocks
    centres = units[torch.linspace(0, len(units) - 1, blocks).long()]
    owner = torch.arange(len(units)) // size
    for _ in range(ROUNDS):
        owner = _balanced(units @ centres.t(), size)
        centres = functional.normalize(torch.stack([units[owner == block].mean(0) for block in range(blocks)]), dim=1)
    return torch.argsort(owner, stable=True).to(weight.device)


def _balanced(similarity: Tensor, size: int) -> Tensor:
    """Give each unit the nearest block that has room, the most similar pairs first: ``[H]``."""
    units, blocks = similarity.shape
    owner, room = [-1] * units, [size] * blocks
    for pair in similarity.flatten().argsort(descending=True, stable=True).tolist():
        unit, block = divmod(pair, blocks)
        if owner[unit] < 0 and room[block]:
            owner[unit] = block
            room[block] -= 1
    return torch.tensor(owner)


@torch.no_grad()
def order_channels(convs: Sequence[nn.Conv2d], norms: Sequence[nn.BatchNorm2d]) -> None:
    """Sort the hidden channels of a chain of convolutions, the weightiest first; what the chain computes stays.

    The weight of a channel is that of its norm times that of the next convolution for it.

    Args:
        convs: Convolutions, changed in place.
        norms: The batch norms behind them, changed in place.
    """
    for conv, norm, later in zip(convs[:-1], norms[:-1], convs[1:], strict=True):
        reach = later.weight.transpose(0, 1).flatten(1).norm(dim=1)
        order = (norm.weight.abs() * reach).argsort(descending=True, stable=True)
        conv.weight.copy_(conv.weight[order])
        later.weight.copy_(later.weight[:, order])
        for values in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
            if values is not None:
                values.copy_(values[order])

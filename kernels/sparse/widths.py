"""Gated convolutions in evaluation: the samples of a batch by the number of blocks they want."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional


class Packs:
    """Convolution weights cut to fewer channels, each copied together once.

    A pack is made anew when its weight was replaced or changed in place; a change through ``.data`` goes unseen.
    """

    def __init__(self) -> None:
        self._packs: dict[tuple[int, int, int], tuple[tuple[int, int], Tensor]] = {}

    def cut(self, conv: nn.Conv2d, outputs: int, inputs: int) -> Tensor:
        """Give the weight of the first channels, ``[outputs, inputs, k, k]``; with its graph if wanted."""
        weight = conv.weight
        part = weight[:outputs, :inputs]
        if torch.is_grad_enabled() or weight.is_inference() or part.is_contiguous():
            return part
        key, state = (id(conv), outputs, inputs), (weight.data_ptr(), weight._version)
        if key not in self._packs or self._packs[key][0] != state:
            layout = torch.channels_last if _is_channels_last(weight) else torch.contiguous_format
            self._packs[key] = (state, part.detach().contiguous(memory_format=layout))
        return self._packs[key][1]


class Chain(NamedTuple):
    """Convolutions, the batch norms behind them, and their packed weights.

    Attributes:
        convs: The convolutions.
        norms: The norms, in evaluation.
        packs: Keeps the weights of each width.
    """

    convs: list[nn.Conv2d]
    norms: list[nn.BatchNorm2d]
    packs: Packs

    def narrow(self, x: Tensor, width: int) -> Tensor:
        """Compute ``[B, C, H, W]`` with the first hidden channels only, before the last norm."""
        *inner, last = self.convs
        for conv, norm in zip(inner, self.norms, strict=False):
            weight = self.packs.cut(conv, width, x.shape[1])
            x = functional.conv2d(x, weight, None, conv.stride, conv.padding)
            x = functional.relu(_first_channels(norm, x, width), inplace=True)
        weight = self.packs.cut(last, last.out_channels, width)
        return functional.conv2d(x, weight, None, last.stride, last.padding)

    def finish(self, x: Tensor) -> Tensor:
        """Apply the last norm."""
        return _first_channels(self.norms[-1], x, x.shape[1])

    def nothing(self, x: Tensor) -> Tensor:
        """Give what comes before the last norm when no hidden channel computes."""
        height, width = x.shape[2:]
        for conv in self.convs:
            height, width = (height - 1) // conv.stride[0] + 1, (width - 1) // conv.stride[1] + 1
        return x.new_zeros(len(x), self.convs[-1].out_channels, height, width)


def run_widths(chain: Chain, x: Tensor, mask: Tensor) -> Tensor:
    """Compute a chain of convolutions, each sample with as many hidden channels as it wants.

    Args:
        chain: The convolutions.
        x: ``[B, C, H, W]``.
        mask: ``[B, blocks]``; the first so many are 1.

    Returns:
        ``[B, C_out, H', W']``.
    """
    size = chain.convs[0].out_channels // mask.shape[1]
    widths = (mask.sum(1).int() * size).tolist()
    distinct = sorted(set(widths))
    if len(distinct) == 1 and distinct[0]:
        return chain.finish(chain.narrow(x, distinct[0]))
    output = None
    for width in filter(None, distinct):
        index = torch.tensor([row for row, own in enumerate(widths) if own == width], device=x.device)
        part = chain.narrow(x[index], width)
        output = _zeros(part, len(x)) if output is None else output
        output = output.index_copy(0, index, part) if part.requires_grad else output.index_copy_(0, index, part)
    return chain.finish(chain.nothing(x) if output is None else output)


def _first_channels(norm: nn.BatchNorm2d, x: Tensor, width: int) -> Tensor:
    values = (norm.running_mean, norm.running_var, norm.weight, norm.bias)
    mean, variance, weight, bias = (None if value is None else value[:width] for value in values)
    return functional.batch_norm(x, mean, variance, weight, bias, eps=norm.eps)


def _zeros(like: Tensor, rows: int) -> Tensor:
    layout = torch.channels_last if _is_channels_last(like) else torch.contiguous_format
    empty = torch.empty((rows, *like.shape[1:]), dtype=like.dtype, device=like.device, memory_format=layout)
    return empty.zero_()


def _is_channels_last(tensor: Tensor) -> bool:
    return tensor.is_contiguous(memory_format=torch.channels_last) and not tensor.is_contiguous()

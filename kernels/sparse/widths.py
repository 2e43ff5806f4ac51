"""Gated convolutions in evaluation: the samples of a batch by the number of blocks they want."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from deepseek.kernels.sparse.narrow import Narrow, Packs, accumulate, can_pack, compute, folded


class Chain(NamedTuple):
    """Convolutions, the batch norms behind them, and both together in each width.

    Attributes:
        convs: The convolutions.
        norms: The norms, in evaluation.
        packs: Keeps what is computed in each width.
    """

    convs: list[nn.Conv2d]
    norms: list[nn.BatchNorm2d]
    packs: Packs

    def compute(self, x: Tensor, width: int) -> Tensor:
        """Compute ``[B, C, H, W]`` with the first hidden channels only."""
        if not width:
            return self._nothing(x)
        conv, last, x = self._to_last(x, width)
        return compute(conv, last, x, relu=False)

    def join(self, x: Tensor, width: int, residual: Tensor) -> None:
        """Compute it, and overwrite the residual with ``relu(residual + output)``; for where no gradient is wanted."""
        if not width:
            residual.copy_(joined(self._nothing(x), residual))
            return
        conv, last, hidden = self._to_last(x, width)
        if last.is_packed and _is_channels_last(residual):
            accumulate(conv, last, hidden, residual, relu=True)
        else:
            residual.copy_(joined(compute(conv, last, hidden, relu=False), residual))

    def can_join_blocks(self, x: Tensor, residual: Tensor) -> bool:
        """Whether ``join_blocks`` can and should be taken: where weights, not pictures, are most of what is read."""
        return (
            len(self.convs) == 2
            and not torch.is_grad_enabled()
            and self.packs.keeps
            and all(map(can_pack, self.convs))
            and _is_channels_last(residual)
            and 2 * self.convs[-1].weight.nbytes > x.nbytes
        )

    def join_blocks(self, x: Tensor, counts: Sequence[int], size: int, residual: Tensor) -> None:
        """Do as ``join``, block by block of hidden channels, so that each weight is read once for all who want it.

        Args:
            x: ``[B, C, H, W]``.
            counts: How many blocks each sample wants, the largest first.
            size: Channels of a block.
            residual: As the output.
        """
        (first, last), (norm, last_norm) = self.convs, self.norms
        for start in range(0, first.out_channels, size):
            wanted = sum(count * size > start for count in counts)
            if not wanted:
                break
            block, outputs = range(start, start + size), range(last.out_channels)
            narrow = self.packs.narrow(first, norm, x, block, range(x.shape[1]))
            hidden = compute(first, narrow, x[:wanted], relu=True)
            narrow = self.packs.narrow(last, last_norm, hidden, outputs, block)
            if not start:
                residual[wanted:] += narrow.bias.reshape(-1, 1, 1)
            accumulate(last, narrow, hidden, residual[:wanted], relu=False)
        residual.relu_()

    def _to_last(self, x: Tensor, width: int) -> tuple[nn.Conv2d, Narrow, Tensor]:
        """Compute up to the last convolution; give it, what of it is wanted, and its input."""
        for conv, norm in zip(self.convs[:-1], self.norms[:-1], strict=True):
            x = compute(conv, self.packs.narrow(conv, norm, x, range(width), range(x.shape[1])), x, relu=True)
        last = self.convs[-1]
        return last, self.packs.narrow(last, self.norms[-1], x, range(last.out_channels), range(x.shape[1])), x

    def _nothing(self, x: Tensor) -> Tensor:
        """Give what comes out when no hidden channel computes."""
        height, width = x.shape[2:]
        for conv in self.convs:
            height, width = (height - 1) // conv.stride[0] + 1, (width - 1) // conv.stride[1] + 1
        bias = folded(self.convs[-1], self.norms[-1], range(self.convs[-1].out_channels), range(0)).bias
        return bias.reshape(-1, 1, 1).expand(len(x), -1, height, width)


def run_widths(chain: Chain, x: Tensor, mask: Tensor, residual: Tensor | None = None) -> Tensor:
    """Compute a chain of convolutions, each sample with as many hidden channels as it wants.

    Args:
        chain: The convolutions.
        x: ``[B, C, H, W]``.
        mask: ``[B, blocks]``; the first so many are 1.
        residual: As the output: give ``relu(residual + output)``.

    Returns:
        ``[B, C_out, H', W']``.
    """
    size = chain.convs[0].out_channels // mask.shape[1]
    counts = mask.sum(1).int()
    widths = (counts * size).tolist()
    if len(set(widths)) == 1:  # nothing to gather
        return joined(chain.compute(x, widths[0]), residual)
    if residual is not None and chain.can_join_blocks(x, residual):
        return _by_blocks(chain, x, counts, size, residual)
    output: Tensor | None = None
    for width in sorted(set(widths), reverse=True):  # the layout and the dtype are those of the widest
        rows = [row for row, own in enumerate(widths) if own == width]
        index = torch.tensor(rows, device=x.device)
        part = _part(chain, width, x, index, residual)
        output = _room(part, len(x)) if output is None else output
        if part.requires_grad:
            output = output.index_copy(0, index, part.to(output.dtype))
            continue
        for row, sample in zip(rows, part.unbind(), strict=True):  # several times faster than index_copy_
            output[row].copy_(sample)
    return joined(chain.compute(x, 0), residual) if output is None else output


def _by_blocks(chain: Chain, x: Tensor, counts: Tensor, size: int, residual: Tensor) -> Tensor:
    """Compute the samples in the order of their widths, which makes those that want a block the first ones."""
    counts, order = counts.sort(descending=True)
    some = _samples(x, order)
    rest = some.clone() if residual is x else _samples(residual, order)
    chain.join_blocks(some, counts.tolist(), size, rest)
    return _samples(rest, order.argsort())


def _part(chain: Chain, width: int, x: Tensor, rows: Tensor, residual: Tensor | None) -> Tensor:
    """Compute some rows."""
    some = _samples(x, rows)
    if residual is None:
        return chain.compute(some, width)
    rest = some if residual is x else _samples(residual, rows)
    if torch.is_grad_enabled():
        return joined(chain.compute(some, width), rest)
    chain.join(some, width, rest)
    return rest


def joined(output: Tensor, residual: Tensor | None) -> Tensor:
    """Give ``relu(residual + output)``, or the output where there is no residual."""
    return output if residual is None else functional.relu(output + residual, inplace=True)


def _samples(x: Tensor, index: Tensor) -> Tensor:
    """Some samples, in the layout of all."""
    if _is_channels_last(x):  # as whole pieces of memory
        return x.permute(0, 2, 3, 1).index_select(0, index).permute(0, 3, 1, 2)
    return x.index_select(0, index)


def _room(like: Tensor, rows: int) -> Tensor:
    layout = torch.channels_last if _is_channels_last(like) else torch.contiguous_format
    return torch.empty((rows, *like.shape[1:]), dtype=like.dtype, device=like.device, memory_format=layout)


def _is_channels_last(tensor: Tensor) -> bool:
    return tensor.is_contiguous(memory_format=torch.channels_last) and not tensor.is_contiguous()

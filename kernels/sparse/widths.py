"""Gated convolutions in evaluation: the samples of a batch by the number of blocks they want."""

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from deepseek.kernels.sparse.tracing import is_traced


class Narrow(NamedTuple):
    """A convolution of fewer channels, the batch norm behind it folded in.

    Attributes:
        weight: ``[outputs, inputs, k, k]``; opaque if it is packed.
        bias: ``[outputs]``.
        is_packed: Whether the weight lies as oneDNN wants it.
    """

    weight: Tensor
    bias: Tensor
    is_packed: bool


class Packs:
    """Narrow convolutions, each made once.

    One is made anew when a tensor that it was made of was replaced or changed in place, or pictures have another size;
    a change through ``.data`` goes unseen. Copies of a layer make their own.
    """

    def __init__(self) -> None:
        self._packs: dict[tuple[int, int, int, bool], tuple[object, Narrow]] = {}

    def __reduce__(self) -> tuple[type["Packs"], tuple[()]]:
        """Opaque weights can be neither copied nor pickled."""
        return Packs, ()

    def narrow(self, conv: nn.Conv2d, norm: nn.BatchNorm2d, outputs: int, x: Tensor) -> Narrow:
        """Give the convolution that computes the first outputs from ``[B, inputs, H, W]``; with its graph if wanted."""
        sources = conv.weight, *_values(norm)
        if torch.is_grad_enabled() or any(tensor.is_inference() for tensor in sources):
            return _folded(conv, norm, outputs, x.shape[1])
        state = [(tensor.data_ptr(), tensor._version) for tensor in sources], x.shape[2:]
        key = (id(conv), outputs, x.shape[1], _can_pack(conv))
        if key not in self._packs or self._packs[key][0] != state:
            folded = _folded(conv, norm, outputs, x.shape[1])
            self._packs[key] = state, _packed(folded, conv, x) if _can_pack(conv) else folded
        return self._packs[key][1]


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
        return _compute(conv, last, x, relu=False)

    def join(self, x: Tensor, width: int, residual: Tensor) -> None:
        """Compute it, and overwrite the residual with ``relu(residual + output)``; for where no gradient is wanted."""
        if not width:
            residual.copy_(joined(self._nothing(x), residual))
            return
        conv, last, hidden = self._to_last(x, width)
        if last.is_packed and _is_channels_last(residual):
            _accumulate(conv, last, hidden, residual)
        else:
            residual.copy_(joined(_compute(conv, last, hidden, relu=False), residual))

    def _to_last(self, x: Tensor, width: int) -> tuple[nn.Conv2d, Narrow, Tensor]:
        """Compute up to the last convolution; give it, what of it is wanted, and its input."""
        for conv, norm in zip(self.convs[:-1], self.norms[:-1], strict=True):
            x = _compute(conv, self.packs.narrow(conv, norm, width, x), x, relu=True)
        last = self.convs[-1]
        return last, self.packs.narrow(last, self.norms[-1], last.out_channels, x), x

    def _nothing(self, x: Tensor) -> Tensor:
        """Give what comes out when no hidden channel computes."""
        height, width = x.shape[2:]
        for conv in self.convs:
            height, width = (height - 1) // conv.stride[0] + 1, (width - 1) // conv.stride[1] + 1
        bias = _folded(self.convs[-1], self.norms[-1], self.convs[-1].out_channels, 0).bias
        return bias.reshape(-1, 1, 1).expand(len(x), -1, height, width)


class FoldedConv(nn.Sequential):
    """A convolution, its batch norm, and perhaps a ReLU and more: in evaluation one operation as far as that goes.

    Where a gradient is wanted or somebody listens to one of them, they compute one after the other.
    """

    def __init__(self, *modules: nn.Module) -> None:
        super().__init__(*modules)
        self._packs = Packs()

    def forward(self, x: Tensor) -> Tensor:
        """Compute ``[B, C, H, W]``."""
        conv, norm, *rest = modules = list(self)
        apart = self.training or torch.is_grad_enabled() or is_traced() or any(map(_is_listened_to, modules))
        if not apart and isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            relu = bool(rest) and isinstance(rest[0], nn.ReLU)
            x = _compute(conv, self._packs.narrow(conv, norm, conv.out_channels, x), x, relu=relu)
            modules = rest[relu:]
        for module in modules:
            x = module(x)
        return x

    def train(self, mode: bool = True) -> "FoldedConv":
        """Switch to training, or to evaluation; packed weights are made anew."""
        self._packs = Packs()
        return super().train(mode)


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
    widths = (mask.sum(1).int() * size).tolist()
    if len(set(widths)) == 1:  # nothing to gather
        return joined(chain.compute(x, widths[0]), residual)
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


def _is_listened_to(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks)


def _accumulate(conv: nn.Conv2d, narrow: Narrow, x: Tensor, residual: Tensor) -> None:
    """Add a convolution to the residual in its place, and cut the sum off below zero."""
    torch.ops.mkldnn._convolution_pointwise_.binary(
        residual, x, narrow.weight, narrow.bias, conv.padding, conv.stride, (1, 1), 1, "add", 1.0, "relu", [], None
    )


def _compute(conv: nn.Conv2d, narrow: Narrow, x: Tensor, *, relu: bool) -> Tensor:
    if narrow.is_packed:
        packed: Tensor = torch.ops.mkldnn._convolution_pointwise(
            x, narrow.weight, narrow.bias, conv.padding, conv.stride, (1, 1), 1, "relu" if relu else "none", [], ""
        )
        return packed
    x = functional.conv2d(x, narrow.weight, narrow.bias, conv.stride, conv.padding)
    return functional.relu(x, inplace=True) if relu else x


def _folded(conv: nn.Conv2d, norm: nn.BatchNorm2d, outputs: int, inputs: int) -> Narrow:
    mean, variance, weight, bias = (value[:outputs] for value in _values(norm))
    scale = weight * (variance + norm.eps).rsqrt()
    return Narrow(conv.weight[:outputs, :inputs] * scale.reshape(-1, 1, 1, 1), bias - mean * scale, is_packed=False)


def _can_pack(conv: nn.Conv2d) -> bool:
    """Whether oneDNN computes this convolution, with a weight that lies as it wants it."""
    return (
        conv.weight.is_cpu
        and conv.weight.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and torch.backends.mkldnn.is_available()
        and isinstance(conv.padding, tuple)
    )


def _packed(folded: Narrow, conv: nn.Conv2d, x: Tensor) -> Narrow:
    sizes = conv.padding, conv.stride, (1, 1), 1, x.shape  # a weight for pictures of another size may be very slow
    weight = torch.ops.aten.mkldnn_reorder_conv2d_weight(folded.weight.to_mkldnn(), *sizes)
    return Narrow(weight, folded.bias, is_packed=True)


def _values(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return cast("Tensor", norm.running_mean), cast("Tensor", norm.running_var), norm.weight, norm.bias


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

"""Convolutions of fewer channels, with the batch norm behind them folded in and weights packed once."""

from collections.abc import Sequence
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

    All are made anew when a tensor that they were made of was replaced or changed in place, and one when pictures have
    another size; a change through ``.data`` goes unseen. Copies of a layer make their own.
    """

    def __init__(self) -> None:
        self._packs: dict[tuple[object, ...], tuple[torch.Size, Narrow]] = {}
        self._state: list[tuple[int, int]] | None = None

    def __reduce__(self) -> tuple[type["Packs"], tuple[()]]:
        """Opaque weights can be neither copied nor pickled."""
        return Packs, ()

    def follow(self, convs: Sequence[nn.Conv2d], norms: Sequence[nn.BatchNorm2d]) -> None:
        """Forget what was made of tensors that are not the same any more; to be called before others are asked for."""
        sources = [*(conv.weight for conv in convs), *(value for norm in norms for value in _values(norm))]
        tells = not any(tensor.is_inference() for tensor in sources)
        state = [(tensor.data_ptr(), tensor._version) for tensor in sources] if tells else None
        if state is None or state != self._state:
            self._packs.clear()
        self._state = state

    @property
    def keeps(self) -> bool:
        """Whether anything is kept, and packed: not of inference tensors, which do not tell that they were changed."""
        return self._state is not None

    def narrow(self, conv: nn.Conv2d, norm: nn.BatchNorm2d, x: Tensor, outputs: range, inputs: range) -> Narrow:
        """Give the convolution of some channels to some, ``[B, inputs, H, W]``; with its graph if wanted."""
        if torch.is_grad_enabled() or not self.keeps:
            return folded(conv, norm, outputs, inputs)
        key = (id(conv), outputs, inputs, torch.is_autocast_enabled("cpu"))
        size, narrow = self._packs.get(key, (None, None))
        if narrow is None or size != x.shape[2:]:
            narrow = folded(conv, norm, outputs, inputs)
            if can_pack(conv):
                narrow = _packed(narrow, conv, x)
            self._packs[key] = x.shape[2:], narrow
        return narrow


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
            self._packs.follow([conv], [norm])
            narrow = self._packs.narrow(conv, norm, x, range(conv.out_channels), range(conv.in_channels))
            x = compute(conv, narrow, x, relu=relu)
            modules = rest[relu:]
        for module in modules:
            x = module(x)
        return x

    def train(self, mode: bool = True) -> "FoldedConv":
        """Switch to training, or to evaluation; packed weights are made anew."""
        self._packs = Packs()
        return super().train(mode)


def compute(conv: nn.Conv2d, narrow: Narrow, x: Tensor, *, relu: bool) -> Tensor:
    """Compute a narrow convolution of ``[B, inputs, H, W]``, and perhaps a ReLU."""
    if narrow.is_packed:
        packed: Tensor = torch.ops.mkldnn._convolution_pointwise(
            x, narrow.weight, narrow.bias, conv.padding, conv.stride, (1, 1), 1, "relu" if relu else "none", [], ""
        )
        return packed
    x = functional.conv2d(x, narrow.weight, narrow.bias, conv.stride, conv.padding)
    return functional.relu(x, inplace=True) if relu else x


def accumulate(conv: nn.Conv2d, narrow: Narrow, x: Tensor, residual: Tensor, *, relu: bool) -> None:
    """Add a convolution to the residual in its place, and perhaps cut the sum off below zero."""
    weight, bias, _ = narrow
    then = "relu" if relu else None
    torch.ops.mkldnn._convolution_pointwise_.binary(
        residual, x, weight, bias, conv.padding, conv.stride, (1, 1), 1, "add", 1.0, then, [], None
    )


def can_pack(conv: nn.Conv2d) -> bool:
    """Whether oneDNN computes this convolution, with a weight that lies as it wants it."""
    return (
        conv.weight.is_cpu
        and conv.weight.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and torch.backends.mkldnn.is_available()
        and isinstance(conv.padding, tuple)
    )


def folded(conv: nn.Conv2d, norm: nn.BatchNorm2d, outputs: range, inputs: range) -> Narrow:
    """Fold the norm in; of several convolutions whose outputs are added, only the one of the first inputs shifts."""
    of_outputs, of_inputs = (slice(channels.start, channels.stop) for channels in (outputs, inputs))
    mean, variance, weight, bias = (value[of_outputs] for value in _values(norm))
    scale = weight * (variance + norm.eps).rsqrt()
    shift = torch.zeros_like(bias) if inputs.start else bias - mean * scale
    return Narrow(conv.weight[of_outputs, of_inputs] * scale.reshape(-1, 1, 1, 1), shift, is_packed=False)


def _packed(narrow: Narrow, conv: nn.Conv2d, x: Tensor) -> Narrow:
    sizes = conv.padding, conv.stride, (1, 1), 1, x.shape  # a weight for pictures of another size may be very slow
    weight = torch.ops.aten.mkldnn_reorder_conv2d_weight(narrow.weight.to_mkldnn(), *sizes)
    return Narrow(weight, narrow.bias, is_packed=True)


def _values(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return cast("Tensor", norm.running_mean), cast("Tensor", norm.running_var), norm.weight, norm.bias


def _is_listened_to(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks)

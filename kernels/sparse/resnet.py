"""Residual networks that spend as many channels on a picture as it needs."""

from typing import cast

import torch
from torch import Tensor, nn

from deepseek.kernels.sparse.conv import SparseConv2d
from deepseek.kernels.sparse.narrow import FoldedConv
from deepseek.kernels.sparse.tracing import is_traced
from deepseek.kernels.sparse.widths import joined


class GatedResidual(nn.Module):
    """``relu(branch(x) + skip(x))`` with a gated branch.

    Args:
        branch: The gated convolutions; or the plain ones that were cut out of them.
        skip: What the input takes beside them.
    """

    def __init__(self, branch: nn.Module, skip: nn.Module) -> None:
        super().__init__()
        self.branch, self.skip = branch, skip

    def forward(self, x: Tensor) -> Tensor:
        """Compute ``[B, C, H, W]``."""
        residual = self.skip(x)
        if isinstance(self.branch, SparseConv2d):
            return cast("Tensor", self.branch(x, residual))
        return joined(self.branch(x), residual)


class DsaResNet(nn.Module):
    """A residual network (He et al. 2015) of four stages, whose blocks are gated.

    Args:
        depths: Blocks of each stage.
        bottleneck: Bottlenecks of 1x1, 3x3 and 1x1 convolutions, four times as wide outside, instead of two 3x3.
        num_classes: Outputs.
        in_channels: Channels of the pictures.
        width: Hidden channels of the first stage; each further one has twice as many.
        small_images: The stem is a 3x3 convolution, for pictures of 32x32 or so, instead of 7x7 and pooling.
        blocks: Blocks of hidden channels of each gate.
        threshold: A block computes where its gate exceeds this.
    """

    def __init__(
        self,
        depths: tuple[int, ...],
        *,
        bottleneck: bool,
        num_classes: int,
        in_channels: int,
        width: int,
        small_images: bool,
        blocks: int,
        threshold: float,
    ) -> None:
        super().__init__()
        self.stem = _stem(in_channels, width, small_images=small_images)
        kernel_sizes, expansion = ((1, 3, 1), 4) if bottleneck else ((3, 3), 1)
        layers, before = [], width
        for stage, depth in enumerate(depths):
            channels = width * 2**stage
            for index in range(depth):
                stride = 2 if stage and not index else 1
                branch = SparseConv2d(
                    before,
                    channels,
                    channels * expansion,
                    kernel_sizes=kernel_sizes,
                    stride=stride,
                    blocks=blocks,
                    threshold=threshold,
                )
                layers.append(GatedResidual(branch, _skip(before, channels * expansion, stride)))
                before = channels * expansion
        self.layers = nn.Sequential(*layers)
        self.head = nn.Linear(before, num_classes)
        self._initialise()

    def forward(self, x: Tensor) -> Tensor:
        """Compute pictures ``[B, in_channels, H, W]`` to ``[B, num_classes]``."""
        if x.is_cpu and not self.training and not is_traced():
            x = x.contiguous(memory_format=torch.channels_last)  # what the narrow convolutions take
        pooled = self.layers(self.stem(x)).mean((2, 3))
        logits: Tensor = self.head(pooled)
        return logits

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def dsa_resnet18(
    num_classes: int = 10,
    *,
    in_channels: int = 3,
    width: int = 64,
    small_images: bool = True,
    blocks: int = 4,
    threshold: float = 0.5,
) -> DsaResNet:
    """Make a gated ResNet-18 with random weights.

    Args:
        num_classes: Outputs.
        in_channels: Channels of the pictures.
        width: Hidden channels of the first stage; a multiple of ``blocks``.
        small_images: For pictures of 32x32 or so; False for the stem of the paper.
        blocks: Blocks of hidden channels of each gate.
        threshold: A block computes where its gate exceeds this.
    """
    return DsaResNet(
        (2, 2, 2, 2),
        bottleneck=False,
        num_classes=num_classes,
        in_channels=in_channels,
        width=width,
        small_images=small_images,
        blocks=blocks,
        threshold=threshold,
    )


def dsa_resnet50(
    num_classes: int = 10,
    *,
    in_channels: int = 3,
    width: int = 64,
    small_images: bool = True,
    blocks: int = 4,
    threshold: float = 0.5,
) -> DsaResNet:
    """Make a gated ResNet-50 with random weights; arguments as ``dsa_resnet18``."""
    return DsaResNet(
        (3, 4, 6, 3),
        bottleneck=True,
        num_classes=num_classes,
        in_channels=in_channels,
        width=width,
        small_images=small_images,
        blocks=blocks,
        threshold=threshold,
    )


def _stem(in_channels: int, width: int, *, small_images: bool) -> nn.Sequential:
    size, stride = (3, 1) if small_images else (7, 2)
    conv = nn.Conv2d(in_channels, width, size, stride, size // 2, bias=False)
    pool = [] if small_images else [nn.MaxPool2d(3, 2, 1)]
    return FoldedConv(conv, nn.BatchNorm2d(width), nn.ReLU(inplace=True), *pool)


def _skip(before: int, after: int, stride: int) -> nn.Module:
    if stride == 1 and before == after:
        return nn.Identity()
    return FoldedConv(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))

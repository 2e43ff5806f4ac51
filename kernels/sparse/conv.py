"""The residual branch of a convolutional block, whose hidden channels compute where the input asks for them."""

from typing import cast

from torch import Tensor, nn
from torch.nn import functional

from deepseek.errors import DeepseekError
from deepseek.kernels.sparse.gate import SparseGate
from deepseek.kernels.sparse.masking import masked
from deepseek.kernels.sparse.narrow import Packs
from deepseek.kernels.sparse.tracing import is_traced
from deepseek.kernels.sparse.widths import Chain, joined, run_widths


class SparseConv2d(nn.Module):
    """Convolutions with gated channels between them, each followed by batch norm: a basic block's or a bottleneck's.

    ``conv - norm - relu - mask`` for all but the last, ``conv - norm`` for the last. A gate sees the standardised mean
    of each input channel and chooses how many blocks of the hidden channels compute, the first ones always before the
    later ones: so that the samples of a batch fall into a few widths, each a dense network of its own, with weights
    packed once.

    In training everything is computed and masked; in evaluation only what is active.

    Args:
        in_channels: Channels of the input.
        channels: Hidden channels; a multiple of ``blocks``. Blocks of 16 channels or more are computed best.
        out_channels: Channels of the output.
        kernel_sizes: Odd sizes, at least two: ``(3, 3)`` for a basic block, ``(1, 3, 1)`` for a bottleneck.
        stride: Of the first convolution that is larger than 1x1.
        blocks: Number of blocks, and of widths.
        threshold: A block computes where its gate exceeds this.
        executor: ``auto`` or ``widths`` computes what is active, ``masked`` everything.

    Attributes:
        gate: The ``SparseGate``; ordered.
        executed: Name of the executor that the last forward took.

    Raises:
        DeepseekError: The sizes do not fit.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        out_channels: int,
        *,
        kernel_sizes: tuple[int, ...] = (3, 3),
        stride: int = 1,
        blocks: int = 4,
        threshold: float = 0.5,
        executor: str = "auto",
    ) -> None:
        super().__init__()
        _check(channels, blocks, kernel_sizes, executor)
        sizes = [in_channels, *[channels] * (len(kernel_sizes) - 1), out_channels]
        strided = next((place for place, size in enumerate(kernel_sizes) if size > 1), 0)
        self.convs = nn.ModuleList(
            nn.Conv2d(before, after, size, stride if place == strided else 1, size // 2, bias=False)
            for place, (before, after, size) in enumerate(zip(sizes, sizes[1:], kernel_sizes, strict=False))
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(size) for size in sizes[1:])
        self.scale = nn.BatchNorm1d(in_channels, affine=False)
        self.gate = SparseGate(in_channels, blocks, threshold=threshold, ordered=True)
        self.in_channels, self.executor = in_channels, executor
        self.executed = ""
        self._packs = Packs()

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        """Compute ``[B, in_channels, H, W]`` to ``[B, out_channels, H / stride, W / stride]``, rounded up.

        With a ``residual`` of that shape, give ``relu(residual + output)``.

        Raises:
            DeepseekError: The input is not a batch of pictures with ``in_channels``.
        """
        if x.ndim != 4 or x.shape[1] != self.in_channels:
            raise DeepseekError(f"Expected an input [B, {self.in_channels}, H, W], got {list(x.shape)}.")
        mask = self.gate(self._pooled(x))
        if self.training or is_traced():
            return joined(self.forward_masked(x, mask), residual)
        on_accelerator = self.executor == "auto" and not x.is_cpu
        self.executed = "masked" if self.executor == "masked" or on_accelerator else "widths"
        if self.executed == "masked":
            return joined(self.forward_masked(x, mask), residual)
        return run_widths(self._chain(), x, mask, residual)

    def train(self, mode: bool = True) -> "SparseConv2d":
        """Switch to training, or to evaluation; packed weights are made anew."""
        self._packs = Packs()
        return super().train(mode)

    def _pooled(self, x: Tensor) -> Tensor:
        """Mean of each channel, relative to other samples: ``[B, C]``."""
        pooled = x.mean((2, 3))
        if self.training and len(x) == 1:  # a batch of one has no spread to learn
            return functional.batch_norm(pooled, self.scale.running_mean, self.scale.running_var)
        scaled: Tensor = self.scale(pooled)
        return scaled

    def forward_masked(self, x: Tensor, mask: Tensor) -> Tensor:
        """Compute everything, then mask the hidden channels with a choice of blocks, ``[B, blocks]``."""
        for conv, norm in zip(self.convs[:-1], self.norms[:-1], strict=True):
            x = masked(functional.relu(norm(conv(x)), inplace=True), mask)
        last: Tensor = self.norms[-1](self.convs[-1](x))
        return last

    def _chain(self) -> Chain:
        chain = Chain(cast("list[nn.Conv2d]", [*self.convs]), cast("list[nn.BatchNorm2d]", [*self.norms]), self._packs)
        self._packs.follow(chain.convs, chain.norms)
        return chain


def _check(channels: int, blocks: int, kernel_sizes: tuple[int, ...], executor: str) -> None:
    if blocks < 1 or channels % blocks:
        raise DeepseekError(f"Expected channels to be a multiple of blocks, got {channels} in {blocks} blocks.")
    if len(kernel_sizes) < 2 or not all(size % 2 for size in kernel_sizes):
        raise DeepseekError(f"Expected at least two odd kernel sizes, got {kernel_sizes}.")
    if executor not in ("auto", "masked", "widths"):
        raise DeepseekError(f"There is no executor {executor!r} for this layer; take one of auto, masked, widths.")

"""Tensors in 8 or 16 bits: whole numbers with one scale for every 256 neighbours."""

from dataclasses import dataclass

import torch
from torch import Tensor

BLOCK = 256
"""Elements that share a scale, which takes four bytes: 1.6 % of them in 8 bits."""

_CODES = {8: torch.int8, 16: torch.int16}


@dataclass(frozen=True, slots=True, eq=False)
class Packed:
    """A flat tensor, packed.

    Attributes:
        codes: ``[blocks, BLOCK]``, int8 or int16; the last block is filled up with zeros.
        scales: What the codes of each block are multiplied with, ``[blocks, 1] float32``.
        numel: Number of elements.
        dtype: Of the tensor.
    """

    codes: Tensor
    scales: Tensor
    numel: int
    dtype: torch.dtype

    @property
    def nbytes(self) -> int:
        """Bytes that the packed tensor takes."""
        return self.codes.nbytes + self.scales.nbytes

    def unpack(self) -> Tensor:
        """Return the values, ``[numel]``."""
        return torch.mul(self.codes, self.scales).reshape(-1)[: self.numel].to(self.dtype)


def pack(values: Tensor, bits: int) -> Packed:
    """Pack a flat tensor.

    A step is the largest magnitude of a block divided by 127 or 32,767. Every value is off by at most half a step, but
    for those of less than half a step: they keep their sign and become a whole one, so that zeros and only zeros are
    zero, as derivatives of rectifiers need it. A block with a value that is NaN or infinite has no finite value after.

    Args:
        values: ``[N]``, of floating point.
        bits: 8 or 16.
    """
    numel = values.numel()
    blocks = torch.nn.functional.pad(values.float(), (0, -numel % BLOCK)).view(-1, BLOCK)
    largest = torch.iinfo(_CODES[bits]).max
    scales = (blocks.abs().amax(1, keepdim=True) / largest).clamp_min_(torch.finfo(torch.float32).tiny)
    codes = (blocks / scales).round_()
    codes = torch.where((codes == 0) & (blocks != 0), blocks.sign(), codes)
    return Packed(codes.to(_CODES[bits]), scales, numel, values.dtype)

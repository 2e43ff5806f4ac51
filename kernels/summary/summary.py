"""The summary of one tensor, for users."""

from typing import NamedTuple

import torch
from torch import Tensor

from deepseek.errors import DeepseekError
from deepseek.kernels.summary.op import summarize_row
from deepseek.kernels.summary.transfer import start_transfer


class Summary(NamedTuple):
    """What ``summarize`` tells about a tensor.

    Attributes:
        numel: Number of elements.
        shape: Sizes of the tensor.
        dtype: Its dtype, such as ``float32``.
        mean: Mean of the finite elements.
        std: Population standard deviation of the finite elements.
        l2: Square root of the sum of their squares; 0 without any.
        rms: Square root of the mean of their squares.
        min: Smallest finite element.
        max: Largest finite element.
        absmax: Largest magnitude of a finite element.
        zero_frac: Share of elements equal to zero.
        positive_frac: Share of elements that are finite and above zero.
        nonfinite_count: Number of NaN and infinite elements.
        subnormal16_frac: Share of elements that are not zero but smaller in magnitude than ``2**-14``, the smallest
            normal float16: in float16 they lose precision or vanish.
        overflow16_frac: Share of elements that are finite but infinite when rounded to float16 (magnitude of at
            least 65520).
    """

    numel: int
    shape: tuple[int, ...]
    dtype: str
    mean: float
    std: float
    l2: float
    rms: float
    min: float
    max: float
    absmax: float
    zero_frac: float
    positive_frac: float
    nonfinite_count: float
    subnormal16_frac: float
    overflow16_frac: float


def summarize(tensor: Tensor) -> Summary:
    """Summarise a tensor in one pass: location, scale, extremes, zeros, and what float16 would lose.

    Statistics are taken over the finite elements; shares over all of them. Fields are NaN where they have no value:
    the statistics without any finite element, the shares of an empty tensor, everything but ``numel``, ``shape`` and
    ``dtype`` for complex, meta, nested and quantised tensors. Sums are accumulated in float64 from blocks of float32;
    squares of float64 magnitudes beyond 1e154 overflow to infinity, as they do in torch.

    Args:
        tensor: Any shape, dtype, layout and device. It is neither changed nor kept; on an accelerator this waits for
            the device.

    Returns:
        The summary; its fields are plain Python numbers.

    Raises:
        DeepseekError: If the argument is not a tensor.
    """
    if not isinstance(tensor, Tensor):
        raise DeepseekError(
            f"Expected a torch.Tensor, got {type(tensor).__name__}; convert it with torch.as_tensor(...) first."
        )
    with torch._C.DisableTorchFunction():
        shape = () if tensor.is_nested else tuple(tensor.shape)
        dtype = str(tensor.dtype).removeprefix("torch.")
        row = start_transfer([summarize_row(tensor)]).wait()[0]
        return Summary(tensor.numel(), shape, dtype, *row.tolist())

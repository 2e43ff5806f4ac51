"""Which saved tensors may be packed: knows the function that is being computed, and what it was given."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - its usual name
from torch.overrides import TorchFunctionMode

from deepseek.kernels.precision.storages import Storages

SMALLEST = 1024
"""Elements below which packing is not worth its while."""

TOLERANT: frozenset[Any] = frozenset(
    {
        *(F.linear, F.conv1d, F.conv2d, F.conv3d, F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d),
        *(torch.mm, torch.bmm, torch.matmul, torch.addmm, torch.baddbmm),
        *(Tensor.mm, Tensor.bmm, Tensor.matmul, Tensor.__matmul__),
        *(F.gelu, F.silu, F.mish, F.relu, torch.relu, torch.relu_, Tensor.relu, F.leaky_relu, torch.tanh, Tensor.tanh),
        *(F.layer_norm, F.group_norm, F.batch_norm, F.instance_norm, F.dropout, F.dropout1d, F.dropout2d),
        *(F.softmax, torch.softmax, Tensor.softmax, F.scaled_dot_product_attention, F.multi_head_attention_forward),
        *(F.max_pool1d, F.max_pool2d, F.max_pool3d, torch.mul, Tensor.mul, Tensor.__mul__),
    }
)
"""Functions whose derivatives change little when what they saved does. Divisions, powers, logarithms and square roots
are none: near zero theirs change without bound."""


class Calls(TorchFunctionMode):
    """Watches the functions of torch that are called while it is entered, and lets them compute."""

    def __init__(self) -> None:
        super().__init__()
        self._given = Storages()
        self._sizes: set[int] = set()

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Compute ``func``, knowing what it was called with."""
        kwargs = kwargs or {}
        if getattr(func, "__name__", "") == "__get__":  # an attribute, such as `shape`
            return func(*args, **kwargs)
        tensors = [*_tensors(args), *_tensors(kwargs.values())]
        with torch._C.DisableTorchFunction():
            self._note_given(tensors)
            before, self._sizes = self._sizes, _sizes(func, args, tensors) if func in TOLERANT else set()
        try:
            return func(*args, **kwargs)
        finally:
            self._sizes = before

    def is_given(self, tensor: Tensor) -> bool:
        """Whether the tensor is (part of) one that was not computed with gradients: it is alive anyway."""
        return tensor in self._given

    def tolerates(self, tensor: Tensor) -> bool:
        """Whether the function being computed may find this tensor changed a little.

        Statistics may not be: what is packed has the size of something that went into the function.
        """
        fits = tensor.numel() >= SMALLEST and tensor.nbytes <= tensor.untyped_storage().nbytes()
        return fits and tensor.is_floating_point() and tensor.numel() in self._sizes

    def _note_given(self, tensors: list[Tensor]) -> None:
        for tensor in tensors:
            if tensor.is_leaf and tensor.layout is torch.strided and tensor.device.type != "meta":
                self._given.add(tensor)


def _sizes(func: Callable[..., Any], args: tuple[Any, ...], tensors: list[Tensor]) -> set[int]:
    """How many elements the tensors that went in have, and attention's probabilities: all else are statistics."""
    sizes = {tensor.numel() for tensor in tensors if not tensor.is_leaf}
    if func is F.scaled_dot_product_attention and _are_tensors(args[:2]):  # [..., T, D] and [..., S, D]
        sizes.add(args[0].numel() // max(args[0].shape[-1], 1) * args[1].shape[-2])
    if func is F.multi_head_attention_forward and _are_tensors(args[:2]):  # [T, (B,) D], [S, (B,) D], ..., heads
        sizes.add(args[0].numel() // max(args[0].shape[-1], 1) * args[1].shape[0] * args[4])
    return sizes


def _are_tensors(values: tuple[Any, ...]) -> bool:
    return len(values) == 2 and all(isinstance(value, Tensor) for value in values)


def _tensors(values: Any) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, (tuple, list)):
            yield from (each for each in value if isinstance(each, Tensor))

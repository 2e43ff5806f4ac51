"""Keeps what autograd saves between forward and backward in fewer bits, and counts its bytes."""

import weakref
from contextlib import ExitStack
from typing import Literal, Self

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.multiprocessing.reductions import StorageWeakRef

from deepseek.errors import DeepseekError
from deepseek.kernels.precision.packing import Packed, pack
from deepseek.kernels.precision.storages import Storages
from deepseek.kernels.precision.tolerance import Calls


class PackedActivations:
    """While it is entered, what autograd saves for the backward pass is kept in 8 or 16 bits.

    Training takes less memory, and its gradients change a little; outputs are what they were::

        with PackedActivations(bits=8) as saved:
            loss = F.cross_entropy(model(x), y)
        loss.backward()
        print(saved.saved_bytes, saved.original_bytes)

    Packed are floating-point tensors of at least 1,024 elements that were computed, not given (parameters, inputs and
    masks are alive anyway), and saved by functions whose derivatives tolerate it: matrix products, convolutions,
    attention, normalisations, rectifiers and their kin, softmax, dropout. Of these, small statistics such as variances
    stay exact. Losses, divisions, logarithms, recurrent layers, and what compiled or checkpointed parts save, are left
    alone.

    Args:
        bits: 8 or 16; None packs nothing and counts only.

    Attributes:
        original_bytes: What autograd would keep of the forwards in the block without packing.
        saved_bytes: What it keeps. Neither counts parameters and inputs.

    Raises:
        DeepseekError: Another number of bits.
    """

    def __init__(self, bits: Literal[8, 16] | None = 16) -> None:
        if bits not in (8, 16, None):
            raise DeepseekError(f"`bits` must be 8, 16 or None (count only), not {bits!r}.")
        self.original_bytes = 0
        self.saved_bytes = 0
        self._bits = bits
        self._calls = Calls()
        self._originals = Storages()
        self._kept = Storages()
        self._shared: weakref.WeakValueDictionary[tuple[object, ...], _Shared] = weakref.WeakValueDictionary()
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._stack.enter_context(saved_tensors_hooks(self._pack, _unpack))
        self._stack.enter_context(self._calls)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _pack(self, tensor: Tensor) -> "Tensor | _Saved":
        with torch._C.DisableTorchFunction(), torch.no_grad():
            if tensor.layout is not torch.strided or tensor.device.type == "meta" or self._calls.is_given(tensor):
                return tensor
            self.original_bytes += self._originals.add(tensor)
            if self._bits is None or tensor.element_size() * 8 <= self._bits or not self._calls.tolerates(tensor):
                self.saved_bytes += self._kept.add(tensor)
                return tensor
            return self._pack_once(tensor, self._bits)

    def _pack_once(self, tensor: Tensor, bits: int) -> "_Saved":
        """Pack a tensor, unless another function has saved the same memory and that is still in use."""
        dense = _is_dense(tensor)
        storage = tensor.untyped_storage()
        layout = (tensor.numel(),) if dense else (tensor.shape, tensor.stride())
        key = (storage._cdata, tensor.storage_offset(), tensor.dtype, tensor._version, layout)
        shared = self._shared.get(key)
        if shared is None:
            flat = tensor.as_strided((tensor.numel(),), (1,)) if dense else tensor.reshape(-1)
            shared = self._shared[key] = _Shared(pack(flat, bits), StorageWeakRef(storage))
            self.saved_bytes += shared.packed.nbytes
        return _Saved(shared, tensor.shape, tensor.stride() if dense else None)


class _Shared:
    """A packed tensor. The weak reference to where it came from keeps that address from being used again."""

    __slots__ = ("__weakref__", "packed", "source")

    def __init__(self, packed: Packed, source: StorageWeakRef) -> None:
        self.packed, self.source = packed, source


class _Saved:
    """What autograd holds instead of a tensor; ``stride`` is None for a tensor that had gaps and comes back without."""

    __slots__ = ("shape", "shared", "stride")

    def __init__(self, shared: _Shared, shape: torch.Size, stride: tuple[int, ...] | None) -> None:
        self.shared, self.shape, self.stride = shared, shape, stride


def _unpack(saved: Tensor | _Saved) -> Tensor:
    if isinstance(saved, Tensor):
        return saved
    with torch._C.DisableTorchFunction(), torch.no_grad():
        values = saved.shared.packed.unpack()
        return values.view(saved.shape) if saved.stride is None else values.as_strided(saved.shape, saved.stride)


def _is_dense(tensor: Tensor) -> bool:
    """Whether the elements fill a stretch of memory, in whatever order."""
    expected = 1
    for stride, size in sorted(zip(tensor.stride(), tensor.shape, strict=True)):
        if size != 1 and stride != expected:
            return False
        expected *= size
    return True

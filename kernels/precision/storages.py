"""The memory behind tensors, told apart even after it was released."""

from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef

_FEWEST = 256


class Storages:
    """A set of storages that keeps none of them alive.

    The address of a storage is its name, and is not given to another one as long as there is a weak reference to it.
    """

    def __init__(self) -> None:
        self._known: dict[int, StorageWeakRef] = {}
        self._limit = _FEWEST

    def __contains__(self, tensor: Tensor) -> bool:
        return tensor.untyped_storage()._cdata in self._known

    def add(self, tensor: Tensor) -> int:
        """Add the storage of a tensor; return its bytes when it is new, else 0."""
        storage = tensor.untyped_storage()
        if storage._cdata in self._known:
            return 0
        if len(self._known) >= self._limit:
            self._known = {name: reference for name, reference in self._known.items() if not reference.expired()}
            self._limit = max(2 * len(self._known), _FEWEST)
        self._known[storage._cdata] = StorageWeakRef(storage)
        return storage.nbytes()

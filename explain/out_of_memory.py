"""Whether memory was not enough: batches are then halved."""

import torch


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error says that memory was not enough, on whichever device."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _OUT_OF_MEMORY)


_OUT_OF_MEMORY = ("can't allocate memory", "not enough memory", "out of memory")

"""The threads that torch computes with, for our native code."""

import ctypes
import sys
from pathlib import Path

import torch

_FUNCTIONS = ("GOMP_parallel", "omp_get_max_threads", "omp_get_thread_num", "omp_get_num_threads")


def addresses_in_torch() -> list[int]:
    """Give the addresses of the functions of torch's OpenMP that native code needs.

    Raises:
        OSError: There is no such library here.
        AttributeError: It has another OpenMP.
    """
    if sys.platform != "linux":
        raise OSError("The OpenMP of torch is asked for its threads on Linux only.")
    library = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"))  # its dependencies included
    return [ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0 for name in _FUNCTIONS]

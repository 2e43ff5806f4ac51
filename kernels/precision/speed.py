"""Whether half precision is faster than float32 here: on many processors it is not."""

import time
from functools import cache
from statistics import median

import torch

_SIZES = {"cpu": 192}
"""Rows and columns of the matrices; processors without half arithmetic take long enough for small ones."""

_ACCELERATOR_SIZE = 4096
_ROUNDS = 5


@cache
def half_speedup(device_type: str, dtype: torch.dtype) -> float:
    """Measure how many times faster a matrix product is in ``dtype`` than in float32; below 1 it is slower.

    It is measured once a process and takes well under a second.

    Args:
        device_type: Such as ``cpu`` or ``cuda``.
        dtype: ``torch.float16`` or ``torch.bfloat16``.
    """
    with torch.no_grad(), torch.autocast(device_type, enabled=False):
        return _seconds(device_type, torch.float32) / _seconds(device_type, dtype)


def _seconds(device_type: str, dtype: torch.dtype) -> float:
    size = _SIZES.get(device_type, _ACCELERATOR_SIZE)
    matrix = torch.full((size, size), 0.5, dtype=dtype, device=device_type)
    times = []
    for _ in range(_ROUNDS + 1):
        _wait(device_type)
        started = time.perf_counter()
        torch.mm(matrix, matrix)
        _wait(device_type)
        times.append(time.perf_counter() - started)
    return median(times[1:])


def _wait(device_type: str) -> None:
    if device_type != "cpu":
        torch.accelerator.synchronize()

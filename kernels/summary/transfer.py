"""Brings tensors to the host while nobody waits: the summary rows of a step in one copy per device."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from deepseek.kernels.summary.columns import COLUMNS
from deepseek.kernels.summary.general import Row
from deepseek.kernels.summary.layouts import unobserved


class HostCopy(NamedTuple):
    """A tensor that is copied to the host, behind the work that is already queued on the current stream.

    Attributes:
        host: Where it arrives; the tensor itself if it lies on the host.
        arrived: Ends the copy.
    """

    host: Tensor
    arrived: torch.Event | None

    @classmethod
    def start(cls, tensor: Tensor) -> "HostCopy":
        """Start the copy, without waiting; to be called in the thread that computed the tensor."""
        if tensor.device.type == "cpu":
            return cls(tensor, None)
        with unobserved():
            host = tensor.to("cpu", non_blocking=True)  # lands in pinned memory that torch allocates for it
        arrived = torch.Event(tensor.device)
        arrived.record(torch.accelerator.current_stream(tensor.device))  # else on that of the current device
        return cls(host, arrived)

    def wait(self) -> Tensor:
        """Wait until it has arrived; to be called in any thread."""
        if self.arrived is not None:
            self.arrived.synchronize()
        return self.host

    def __float__(self) -> float:
        with unobserved():
            return float(self.wait())


class Transfer:
    """Rows on their way to the host; made by ``start_transfer``."""

    def __init__(self, native: list[tuple[int, bytes]], copies: list["_Copy"]) -> None:
        self._native = native
        self._copies = copies

    def wait(self) -> NDArray[np.float64]:
        """Wait until all rows have arrived; to be called in any thread.

        Returns:
            ``[R, 12]`` rows in the order given to ``start_transfer``.
        """
        if not self._copies:
            return np.frombuffer(b"".join([data for _, data in self._native])).reshape(-1, len(COLUMNS))
        count = len(self._native) + sum(len(copy.places) for copy in self._copies)
        rows = np.empty((count, len(COLUMNS)))
        if self._native:
            places, data = zip(*self._native, strict=True)
            rows[list(places)] = np.frombuffer(b"".join(data)).reshape(-1, len(COLUMNS))
        for copy in self._copies:
            with unobserved():
                rows[copy.places] = copy.stacked.wait().numpy()
        return rows


def start_transfer(rows: Sequence[Row]) -> Transfer:
    """Start bringing rows to the host; to be called in the training thread, at the end of a step.

    The rows of each device are stacked there and copied to pinned memory behind the work that is already queued on
    its current stream. The training thread does not wait for any of it.

    Args:
        rows: What ``summarize_row`` and ``summarize_update_row`` returned.
    """
    native: list[tuple[int, bytes]] = []
    elsewhere: list[tuple[int, Tensor]] = []
    for place, row in enumerate(rows):
        if isinstance(row, bytes):
            native.append((place, row))
        else:
            elsewhere.append((place, row))
    return Transfer(native, _start_copies(elsewhere) if elsewhere else [])


def _start_copies(rows: list[tuple[int, Tensor]]) -> list["_Copy"]:
    on_device: dict[torch.device, list[tuple[int, Tensor]]] = {}
    with unobserved():
        for place, row in rows:
            on_device.setdefault(row.device, []).append((place, row))
        return [_Copy.start(placed) for placed in on_device.values()]


class _Copy(NamedTuple):
    """The rows of one device and their places in the result."""

    places: list[int]
    stacked: HostCopy

    @classmethod
    def start(cls, placed: list[tuple[int, Tensor]]) -> "_Copy":
        places, rows = zip(*placed, strict=True)
        return cls(list(places), HostCopy.start(torch.stack(rows)))

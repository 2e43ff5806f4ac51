"""What ways there are to compute a gated layer, and what each promises."""

from dataclasses import dataclass
from typing import Literal

import torch


@dataclass(frozen=True, slots=True)
class Executor:
    """A way to compute a gated layer.

    Attributes:
        name: As in ``executor=...``.
        layers: The layers that it computes.
        devices: Types of the devices it runs on, ``any`` for all.
        dtypes: Dtypes that it computes in.
        exactness: ``oracle`` for the masked dense computation that defines the result; ``rounding`` for the same sums
            in another order: float64 agrees to 1e-12, float32 to 1e-5.
        saves: What it does not compute.
    """

    name: str
    layers: tuple[str, ...]
    devices: tuple[str, ...]
    dtypes: tuple[torch.dtype, ...]
    exactness: Literal["oracle", "rounding"]
    saves: str


_FLOATS = (torch.float32, torch.float64, torch.bfloat16, torch.float16)

_BOTH = ("SparseFeedForward", "SparseConv2d")

EXECUTORS = {
    executor.name: executor
    for executor in (
        Executor("masked", _BOTH, ("any",), _FLOATS, "oracle", "nothing"),
        Executor("native", _BOTH[:1], ("cpu",), _FLOATS[:1], "rounding", "for each row the blocks it does not want"),
        Executor("runs", _BOTH[:1], ("any",), _FLOATS, "rounding", "blocks that no row wants"),
        Executor("gathered", _BOTH[:1], ("any",), _FLOATS, "rounding", "for each row the blocks it does not want"),
        Executor("triton", _BOTH[:1], ("cuda",), _FLOATS, "rounding", "for each row the blocks it does not want"),
        Executor("widths", _BOTH[1:], ("any",), _FLOATS, "rounding", "for each sample the channels it does not want"),
    )
}
"""By name. Only ``masked`` and ``triton`` never wait for the values of the gates, which lie on the accelerator."""

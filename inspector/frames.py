"""The functions that are being called, as far as Python knows them."""

import sys
from collections.abc import Iterator
from types import FrameType


def calling_frames() -> Iterator[FrameType]:
    """Yield the frame of whoever iterates, then that of its caller, and so on to the outermost."""
    frame = sys._getframe().f_back
    while frame is not None:
        yield frame
        frame = frame.f_back

"""Computing with a model that may be in the middle of its training: it is left as it was, and the user sees how far."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event

from torch import nn

from deepseek.explain.attention.watch import undisturbed


class Cancelled(KeyboardInterrupt):
    """Ends a computation at the user's wish, as Ctrl-C does; what there is by then may be shown."""


@contextmanager
def computing(model: nn.Module, stop: Event, tell: Callable[[int], None]) -> Iterator[None]:
    """Follow what is computed with a model, in evaluation mode; modes and random state are then as they were.

    Args:
        model: The model; while this lasts, it has one hook more.
        stop: When set, the next forward pass raises ``Cancelled`` instead.
        tell: Is told how many forward passes have begun.
    """
    passes = 0

    def follow(_module: nn.Module, _inputs: object) -> None:
        nonlocal passes
        if stop.is_set():
            raise Cancelled
        passes += 1
        tell(passes)

    with undisturbed(model):
        handle = model.register_forward_pre_hook(follow)
        try:
            yield
        finally:
            handle.remove()

"""Computing with a model that may be in the middle of its training: it is left as it was, and the user sees how far."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from threading import Event

from torch import nn

from deepseek.explain.attention.watch import undisturbed
from deepseek.inspector.session import living_sessions


class Cancelled(KeyboardInterrupt):
    """Ends a computation at the user's wish, as Ctrl-C does; what there is by then may be shown."""


@contextmanager
def computing(model: nn.Module, stop: Event, tell: Callable[[int], None]) -> Iterator[None]:
    """Follow what is computed with a model, which is set apart meanwhile.

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

    with set_apart(model):
        handle = model.register_forward_pre_hook(follow)
        try:
            yield
        finally:
            handle.remove()


@contextmanager
def set_apart(model: nn.Module) -> Iterator[None]:
    """Have a model in evaluation mode, unseen by sessions; modes and random state are then as they were.

    Training must not go on meanwhile.
    """
    with ExitStack() as stack:
        for session in living_sessions():
            if session.watches(model):
                stack.enter_context(session.set_apart())
        stack.enter_context(undisturbed(model))
        yield

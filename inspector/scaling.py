"""Hears of loss scaling: ``torch.amp.GradScaler`` tells nobody that it scaled a loss or skipped a step.

While a session is open, the methods ``scale`` and ``step`` of the class are wrapped; the wrappers tell the sessions and
hand everything through. With the last session the original methods return.
"""

import functools
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from torch.amp.grad_scaler import GradScaler


class ScalingListener(Protocol):
    """What wants to hear of loss scaling. Nothing that it does may raise."""

    def loss_is_scaled(self, scaler: GradScaler) -> None:
        """The losses of the backward passes to come are scaled."""

    def scaler_steps(self, optimizer: Any) -> Callable[[], None]:
        """The scaler steps the optimizer or skips the step; call what is returned when it has."""


_listeners: list[ScalingListener] = []
_wrapped: list[tuple[type[GradScaler], str, Any, Any]] = []
"""Class, name of the method, the original, the wrapper."""


def listen(listener: ScalingListener) -> Callable[[], None]:
    """Tell ``listener`` of loss scaling in this process; return what ends it."""
    if not _listeners:
        _wrap()
    _listeners.append(listener)

    def end() -> None:
        if listener in _listeners:
            _listeners.remove(listener)
            if not _listeners:
                _unwrap()

    return end


def _wrap() -> None:
    for cls in _with_subclasses(GradScaler):
        for name, wrapper in (("scale", _scale), ("step", _step)):
            if name in vars(cls):
                original = vars(cls)[name]
                wrapped = wrapper(original)
                _wrapped.append((cls, name, original, wrapped))
                setattr(cls, name, wrapped)


def _unwrap() -> None:
    while _wrapped:
        cls, name, original, wrapper = _wrapped.pop()
        if vars(cls)[name] is wrapper:  # else somebody wrapped it again, and ours hands everything through
            setattr(cls, name, original)


def _scale(original: Any) -> Any:
    @functools.wraps(original)
    def scale(self: GradScaler, outputs: Any) -> Any:
        scaled = original(self, outputs)
        if self.is_enabled():
            for listener in tuple(_listeners):
                listener.loss_is_scaled(self)
        return scaled

    return scale


def _step(original: Any) -> Any:
    @functools.wraps(original)
    def step(self: GradScaler, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        ended = [listener.scaler_steps(optimizer) for listener in tuple(_listeners)] if self.is_enabled() else ()
        result = original(self, optimizer, *args, **kwargs)
        for tell in ended:
            tell()
        return result

    return step


def _with_subclasses(cls: type[GradScaler]) -> Iterator[type[GradScaler]]:
    yield cls
    for subclass in cls.__subclasses__():
        yield from _with_subclasses(subclass)

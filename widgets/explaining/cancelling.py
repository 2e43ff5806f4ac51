"""The computations that a page may end while a cell runs, in which the Jupyter kernel hears of no widget's messages."""

from typing import Protocol
from weakref import WeakValueDictionary

from deepseek.errors import DeepseekError


class Cancellable(Protocol):
    """What computes for a view."""

    def cancel(self) -> None:
        """End what is computed; called in any thread."""


_views: WeakValueDictionary[str, Cancellable] = WeakValueDictionary()


def let_cancel(view: str, computation: Cancellable) -> None:
    """Let pages end what is computed for a view, for as long as that lives."""
    _views[view] = computation


def cancel(view: str) -> None:
    """End what is computed for a view.

    Raises:
        DeepseekError: There is no such view.
    """
    computation = _views.get(view)
    if computation is None:
        raise DeepseekError("The explanation is gone: run its cell again.")
    computation.cancel()

"""Models and modules that are different for a while."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Have a model in evaluation mode for a while; each of its modules is then as it was before."""
    with restored(model.modules(), "training"):
        model.eval()
        yield


@contextmanager
def restored(modules: Iterable[nn.Module], name: str) -> Iterator[None]:
    """Give each module at the end the value of an attribute that it has now."""
    before = [(module, getattr(module, name)) for module in modules]
    try:
        yield
    finally:
        for module, value in before:
            setattr(module, name, value)

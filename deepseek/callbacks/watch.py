"""A session that the events of a training framework open, feed and close."""

import functools
import importlib
import importlib.util
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ParamSpec, TypedDict, TypeVar, cast

import torch
from torch import nn
from torch.optim import Optimizer

from deepseek.compose import inspect
from deepseek.errors import DeepseekError
from deepseek.inspector import Session
from deepseek.inspector.frames import calling_frames
from deepseek.inspector.rules import Judge, Rule
from deepseek.inspector.session import check_options
from deepseek.inspector.sites import SiteFilter

log = logging.getLogger("deepseek")

P = ParamSpec("P")
T = TypeVar("T")


class Options(TypedDict, total=False):
    """What every callback takes: the keyword arguments of ``deepseek.inspect``, and ``report``."""

    budget: float
    every: int | None
    sites: SiteFilter
    kinds: Sequence[str] | None
    rules: str | Sequence[Rule]
    run: str | Path | None
    report: str | Path | None


def harmless(action: Callable[P, None]) -> Callable[P, None]:
    """Let no error of a method of ``Watch`` reach the trainer: it is said once, and training goes on."""

    @functools.wraps(action)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            action(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - whatever fails inside us must not reach training
            cast("Watch", args[0]).failed(action.__name__, error)

    return guarded


class Watch:
    """At most one session at a time, of which no error gets out once the arguments were found right.

    Args:
        report: Where to write a report when the session closes.
        options: The keyword arguments of ``deepseek.inspect``; see there.

    Attributes:
        session: The newest session; None before training began.

    Raises:
        DeepseekError: An argument does not make sense.
    """

    def __init__(
        self,
        *,
        budget: float = 0.05,
        every: int | None = None,
        sites: SiteFilter = None,
        kinds: Sequence[str] | None = None,
        rules: str | Sequence[Rule] = "standard",
        run: str | Path | None = None,
        report: str | Path | None = None,
    ) -> None:
        check_options(budget, every, kinds)
        Judge(rules)
        self.session: Session | None = None
        self._options: dict[str, Any] = {
            "budget": budget,
            "every": every,
            "sites": sites,
            "kinds": kinds,
            "rules": rules,
            "run": run,
        }
        self._report = report
        self._running = False
        self._said: set[str] = set()

    @harmless
    def open(self, model: nn.Module, optimizers: Sequence[Optimizer]) -> None:
        """Start a session; one that still runs, because training was cut short, is closed first."""
        self.close()
        self.session = inspect(model, optimizers, **self._options)
        self._running = True

    @harmless
    def log(self, values: Mapping[str, Any]) -> None:
        """Record those of ``values`` that are numbers."""
        if self.session is not None and self._running:
            self.session.log(**{name: value for name, value in values.items() if _is_number(value)})

    @harmless
    def close(self) -> None:
        """Close the session if it runs, and write the report that was asked for."""
        if self.session is not None and self._running:
            self._running = False
            self.session.close()
            if self._report is not None:
                self.session.report(self._report)

    def failed(self, part: str, error: Exception) -> None:
        """Say once that ``part`` does not work."""
        if part not in self._said:
            self._said.add(part)
            log.warning("deepseek: the callback could not %s the session (%s). Training goes on.", part, error)

    def __getstate__(self) -> dict[str, Any]:
        """A copy, such as the one that a spawned worker gets, starts without the session."""
        return {**self.__dict__, "session": None, "_running": False}


def _is_number(value: Any) -> bool:
    return value.numel() == 1 if isinstance(value, torch.Tensor) else isinstance(value, (int, float))


def base_class(name: str, *packages: str) -> Any:
    """The class that a framework expects its callbacks to be of.

    Args:
        name: Name of the class.
        packages: Modules that may hold it: the first one that is imported already counts, else the first installed.

    Returns:
        The class; without any of the packages one that raises, naming the command that installs the first.
    """
    loaded = [package for package in packages if package in sys.modules]
    for package in loaded or packages:
        if importlib.util.find_spec(package.partition(".")[0]) is not None:
            return getattr(importlib.import_module(package), name)
    return _absent(packages[0].partition(".")[0])


def _absent(package: str) -> type:
    def refuse(_cls: type, *_args: Any, **_options: Any) -> Any:
        raise DeepseekError(f"This callback belongs to the package {package}, which is missing: pip install {package}")

    return type("Absent", (), {"__new__": refuse})


def caller(kind: type[T]) -> T | None:
    """The object of class ``kind`` of which a method is calling us, directly or not.

    Frameworks hand their callbacks less than themselves, and not everything can be done with what they hand over.
    """
    selves = (frame.f_locals.get("self") for frame in calling_frames())
    return next((found for found in selves if isinstance(found, kind)), None)

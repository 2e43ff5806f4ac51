"""What may be asked of a running session: a closed set of small, validated commands."""

import math
from dataclasses import dataclass, fields
from numbers import Real
from pathlib import Path
from typing import Any, ClassVar

from deepseek.errors import DeepseekError

MAX_CONDITION = 500
"""Longest condition of a breakpoint in characters."""

MAX_LAYER = 1000
"""Longest name of a layer, or glob over names, in characters."""

_MAX_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Pause:
    """Hold training at the end of the step in progress; ``reason`` says why where nobody asked for it."""

    verb: ClassVar[str] = "pause"
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Resume:
    """End the pause, or take back one that has not begun."""

    verb: ClassVar[str] = "resume"


@dataclass(frozen=True, slots=True)
class StepOnce:
    """Let one step pass, then pause; several add up."""

    verb: ClassVar[str] = "step_once"


@dataclass(frozen=True, slots=True)
class Stop:
    """End the training loop at the end of the step in progress."""

    verb: ClassVar[str] = "stop"


@dataclass(frozen=True, slots=True)
class _Change:
    """A new value, or a factor on the present one; exactly one of the two."""

    verb: ClassVar[str]
    value: float | None = None
    factor: float | None = None

    def __post_init__(self) -> None:
        if (self.value is None) == (self.factor is None):
            raise DeepseekError(f"`{self.verb}` takes either a `value` or a `factor`: give exactly one of them.")
        if self.value is not None:
            object.__setattr__(self, "value", _number(self.verb, "value", self.value, zero=True))
        if self.factor is not None:
            object.__setattr__(self, "factor", _number(self.verb, "factor", self.factor, zero=False))


@dataclass(frozen=True, slots=True)
class SetLearningRate(_Change):
    """Set or scale the learning rate of every parameter group."""

    verb: ClassVar[str] = "set_lr"


@dataclass(frozen=True, slots=True)
class SetWeightDecay(_Change):
    """Set or scale the weight decay of every parameter group."""

    verb: ClassVar[str] = "set_weight_decay"


@dataclass(frozen=True, slots=True)
class SetClip:
    """Clip the norm of each optimizer's gradients before every step; None ends it."""

    verb: ClassVar[str] = "set_clip"
    max_norm: float | None

    def __post_init__(self) -> None:
        if self.max_norm is not None:
            object.__setattr__(self, "max_norm", _number(self.verb, "max_norm", self.max_norm, zero=False))


@dataclass(frozen=True, slots=True)
class BreakOn:
    """Pause when a condition becomes true; see ``condition`` for the grammar."""

    verb: ClassVar[str] = "break_on"
    condition: str

    def __post_init__(self) -> None:
        if not isinstance(self.condition, str) or not 0 < len(self.condition) <= MAX_CONDITION:
            raise DeepseekError(
                f"`break_on` takes a condition of 1 to {MAX_CONDITION} characters, such as `loss > 10`, "
                f"not {_shown(self.condition)}."
            )


@dataclass(frozen=True, slots=True)
class WatchCloser:
    """Look at the layers of a name or a glob closely in every step; None ends it."""

    verb: ClassVar[str] = "watch_closer"
    site: str | None

    def __post_init__(self) -> None:
        if self.site is not None:
            _check_layer(self.verb, self.site)


@dataclass(frozen=True, slots=True)
class AskDetail:
    """Look at the layers of a name or a glob closely in the next step."""

    verb: ClassVar[str] = "ask_detail"
    site: str

    def __post_init__(self) -> None:
        _check_layer(self.verb, self.site)


@dataclass(frozen=True, slots=True)
class Explain:
    """Explain the current weights on the inputs that ``Session.explain_with`` was given; while training is paused."""

    verb: ClassVar[str] = "explain"


@dataclass(frozen=True, slots=True)
class ClearBreaks:
    """Forget every breakpoint. From Python only."""

    verb: ClassVar[str] = "clear_breaks"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Save the states of model and optimizers. From Python only: a path from a browser is never accepted."""

    verb: ClassVar[str] = "snapshot"
    path: Path

    def __post_init__(self) -> None:
        path = self.path.absolute()
        object.__setattr__(self, "path", path)
        if not path.parent.is_dir() or path.is_dir():
            raise DeepseekError(f"`snapshot` takes the path of a file in a folder that exists, not {str(path)!r}.")


Command = (
    Pause
    | Resume
    | StepOnce
    | Stop
    | SetLearningRate
    | SetWeightDecay
    | SetClip
    | BreakOn
    | WatchCloser
    | AskDetail
    | Explain
    | ClearBreaks
    | Snapshot
)

_FROM_OUTSIDE: dict[str, tuple[type[Command], frozenset[str], frozenset[str]]] = {
    Pause.verb: (Pause, frozenset(), frozenset()),
    Resume.verb: (Resume, frozenset(), frozenset()),
    StepOnce.verb: (StepOnce, frozenset(), frozenset()),
    Stop.verb: (Stop, frozenset(), frozenset()),
    SetLearningRate.verb: (SetLearningRate, frozenset({"value", "factor"}), frozenset()),
    SetWeightDecay.verb: (SetWeightDecay, frozenset({"value", "factor"}), frozenset()),
    SetClip.verb: (SetClip, frozenset({"max_norm"}), frozenset({"max_norm"})),
    BreakOn.verb: (BreakOn, frozenset({"condition"}), frozenset({"condition"})),
    WatchCloser.verb: (WatchCloser, frozenset({"site"}), frozenset({"site"})),
    AskDetail.verb: (AskDetail, frozenset({"site"}), frozenset({"site"})),
    Explain.verb: (Explain, frozenset(), frozenset()),
}
"""By verb: the command, the arguments that it may have, and those that it must have."""


def parse(data: object) -> Command:
    """Read a command that came from outside, such as ``{"verb": "set_lr", "factor": 0.5}``.

    Args:
        data: Anything; nothing about it is trusted.

    Raises:
        DeepseekError: It is not exactly one of the known commands with arguments that make sense.
    """
    if not isinstance(data, dict):
        raise DeepseekError(f'A command is an object such as {{"verb": "pause"}}, not {_shown(data)}.')
    verb = data.get("verb")
    if not isinstance(verb, str) or verb not in _FROM_OUTSIDE:
        raise DeepseekError(f"Unknown verb {_shown(verb)}. Known are: {', '.join(_FROM_OUTSIDE)}.")
    kind, allowed, needed = _FROM_OUTSIDE[verb]
    arguments = {name: value for name, value in data.items() if name != "verb"}
    if not needed <= arguments.keys() <= allowed:
        takes = ", ".join(f"`{name}`" for name in sorted(allowed)) or "no arguments"
        raise DeepseekError(f"`{verb}` takes {takes}, not {', '.join(map(_shown, list(arguments)[:3])) or 'nothing'}.")
    return kind(**arguments)


def arguments_of(command: Command) -> dict[str, float | str]:
    """The arguments of a command that were given, as an event keeps them."""
    given = {field.name: getattr(command, field.name) for field in fields(command)}
    if isinstance(command, (SetClip, WatchCloser)):
        given = {name: "none" if value is None else value for name, value in given.items()}
    return {
        name: value if isinstance(value, float) else str(value)
        for name, value in given.items()
        if value not in (None, "")
    }


def _check_layer(verb: str, site: object) -> None:
    if not isinstance(site, str) or not 0 < len(site) <= MAX_LAYER:
        raise DeepseekError(f"`{verb}` takes the name of a layer, such as `encoder.0`, as `site`, not {_shown(site)}.")


def _number(verb: str, name: str, value: Any, *, zero: bool) -> float:
    """Return a finite number above zero, or also zero.

    Raises:
        DeepseekError: It is something else.
    """
    least = "from 0" if zero else "above 0"
    wrong = DeepseekError(f"`{verb}` takes a finite number {least} as `{name}`, not {_shown(value)}.")
    if isinstance(value, bool) or not isinstance(value, Real):
        raise wrong
    try:
        number = float(value)
    except OverflowError:
        raise wrong from None
    if not math.isfinite(number) or number < 0 or (number == 0 and not zero):
        raise wrong
    return number


def _shown(value: object) -> str:
    """A value from outside, short: what is long or nested is named by its type only."""
    if isinstance(value, str):
        return repr(value if len(value) <= _MAX_SHOWN else value[:_MAX_SHOWN] + "…")
    if isinstance(value, float) or value is None:
        return repr(value)
    return f"a value of type {type(value).__name__}"

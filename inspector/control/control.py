"""Takes commands from any thread and applies them between steps, in the thread that trains."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from time import perf_counter_ns, time
from typing import Any, NamedTuple, Protocol

import torch
from torch import nn

from deepseek.errors import DeepseekError, TrainingStopped
from deepseek.inspector.control.breakpoints import Breakpoints
from deepseek.inspector.control.commands import (
    AskDetail,
    BreakOn,
    ClearBreaks,
    Command,
    Explain,
    Pause,
    Resume,
    SetClip,
    SetLearningRate,
    SetWeightDecay,
    Snapshot,
    StepOnce,
    Stop,
    WatchCloser,
    arguments_of,
)
from deepseek.inspector.control.tuning import Clip, change, save
from deepseek.inspector.detail.closer import named
from deepseek.inspector.record import Event, StepRecord
from deepseek.inspector.recorder import Recorder, log
from deepseek.text import printable

MAX_WAITING = 100
"""Commands that may wait to be applied."""

_MAX_WHO = 100
_LOOK_S = 0.25
"""So often a paused thread looks whether the program has ended around it."""
_HEAR_S = 0.05
"""So often it listens, where commands come in only when asked for."""


class Training(Protocol):
    """What a control needs to know of the training that it controls."""

    count: int
    """Steps that have ended."""

    @property
    def in_progress(self) -> bool:
        """Whether a step has begun and not ended."""

    def model(self) -> nn.Module | None:
        """The model, as long as it exists."""

    def optimizers(self) -> list[torch.optim.Optimizer]:
        """The optimizers that still exist."""

    def follow_on_clip(self) -> None:
        """See to it that gradients are observed after they were clipped."""

    def look_closer(self, command: WatchCloser | AskDetail) -> None:
        """Look at some layers closely."""

    def set_apart(self) -> AbstractContextManager[None]:
        """Have what the model computes meanwhile belong to no step."""

    def pause_ended(self) -> None:
        """The time since the last step belongs to no step."""


class _Order(NamedTuple):
    command: Command
    who: str


class Control:
    """The mailbox of a session, and the pauses.

    A pause is a number of steps that may still pass: ``_passes``, None while training runs freely.

    Args:
        key: The key of the session.
        recorder: Receives an event for every command, with the step that follows it.
        breakpoints: The conditions on which to pause.
        publish: Makes what is known so far visible; called when a pause begins.

    Attributes:
        pending: Whether there is anything to do at the end of the step; all that a step looks at.
        paused: Whether the thread that trains is being held.
        thread: Identity of the thread that trains, as far as known.
        explain: Explains the model that it is given; None where nothing was said of how.
    """

    def __init__(self, key: str, recorder: Recorder, breakpoints: Breakpoints, publish: Callable[[], None]) -> None:
        self.pending = False
        self.paused = False
        self.breakpoints = breakpoints
        self.thread = threading.get_ident()
        self.explain: Callable[[nn.Module], None] | None = None
        self._key = key
        self._recorder = recorder
        self._publish = publish
        self._training: Training | None = None
        self._changed = threading.Condition()
        self._orders: deque[_Order] = deque()
        self._passes: int | None = None
        self._reason = ""
        self._applying = False
        self._closed = False
        self._listen: Callable[[], None] | None = None
        self._clips: list[Any] = []

    def follow(self, training: Training) -> None:
        """Begin to apply commands to a training."""
        self._training = training

    def hear(self, listen: Callable[[], None] | None) -> None:
        """Have ``listen`` called between steps and in pauses, by the thread that trains; it may submit commands."""
        self._listen = listen
        self.pending = self.pending or listen is not None

    def submit(self, command: Command, who: str) -> None:
        """Take a command from any thread; from the one that trains, between steps, it takes effect at once.

        Raises:
            DeepseekError: The session is closed, too many commands wait, a condition cannot be read, there is no such
                layer, or nothing can be explained now.
            TrainingStopped: The command was ``Stop`` and took effect at once.
        """
        here = threading.get_ident() == self.thread and not self._applying
        if isinstance(command, Pause) and here and not command.reason:
            command = replace(command, reason="asked for by the thread that trains")
        if isinstance(command, (WatchCloser, AskDetail)) and command.site is not None:
            self._check_layer(command.site)
        if isinstance(command, Explain):
            self._check_explainable()
        with self._changed:
            if self._closed:
                raise DeepseekError(f"`{command.verb}` comes too late: the session is closed.")
            if len(self._orders) >= MAX_WAITING:
                raise DeepseekError(f"{MAX_WAITING} commands are waiting for the end of the step already.")
            if isinstance(command, BreakOn):
                self.breakpoints.add(command.condition)
            self._orders.append(_Order(command, printable(who)[:_MAX_WHO]))
            self.pending = True
            self._changed.notify_all()
        training = self._training
        at_once = here and not isinstance(command, Pause)
        if at_once and training is not None and not training.in_progress:
            self._finish(self._apply_waiting)

    def at_boundary(self) -> None:
        """Apply what waits, and pause as long as that is asked for. Called in the thread that trains."""
        self.thread = threading.get_ident()
        if self._passes:
            self._passes -= 1
        self._finish(self._obey)

    def observe(self, record: StepRecord) -> None:
        """Ask for a pause if a step that was recorded brings a breakpoint's condition about. For the worker."""
        condition = self.breakpoints.hit(record)
        if condition is None or self.paused:
            return
        with self._changed:
            coming = self._passes == 0 or any(isinstance(order.command, Pause) for order in self._orders)
        if not coming:
            with suppress(DeepseekError):  # the session is closed by now
                self.submit(Pause(f"`{condition}` at step {record.step}"), "breakpoint")

    def close(self) -> None:
        """End a pause, stop clipping and take no more commands."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._unclip()

    def _finish(self, work: Callable[[], None]) -> None:
        """Do some of the work and note whether there is more."""
        self._applying = True
        try:
            work()
        finally:
            self._applying = False
            with self._changed:
                self.pending = bool(self._orders) or self._passes is not None or self._listen is not None

    def _obey(self) -> None:
        self._apply_waiting()
        if self._passes == 0:
            self._pause()

    def _pause(self) -> None:
        started = perf_counter_ns()
        try:
            self.paused = True
            self._publish()
            self._say_paused()
            while self._passes == 0 and not self._is_over():
                with self._changed:
                    self._changed.wait_for(lambda: self._orders or self._closed, _HEAR_S if self._listen else _LOOK_S)
                self._apply_waiting()
        except BaseException:
            self._passes = None
            raise
        finally:
            self.paused = False
            self._recorder.set_apart(perf_counter_ns() - started)
            self._the_training().pause_ended()

    def _is_over(self) -> bool:
        """Whether nobody is left who could end the pause: then training goes on."""
        over = self._closed or not threading.main_thread().is_alive()
        if over:
            self._passes = None
        return over

    def _apply_waiting(self) -> None:
        if self._listen is not None:
            self._recorder.guard("listening for commands", self._listen)
        while True:
            try:
                order = self._orders.popleft()
            except IndexError:
                return
            self._apply(order)

    def _apply(self, order: _Order) -> None:
        """Apply a command and note the event; what goes wrong is noted instead of raised."""
        data: dict[str, float | str] = {"verb": order.command.verb, **arguments_of(order.command), "who": order.who}
        data |= {"time": time(), "steps": float(self._the_training().count)}
        try:
            data |= self._do(order.command)
        except Exception as error:  # noqa: BLE001 - whatever fails inside us must not reach training
            data["refused"] = f"{error}" if isinstance(error, DeepseekError) else f"{type(error).__name__}: {error}"
            with suppress(Exception):  # a handler of the user's may fail as well
                log.warning("deepseek: `%s` was not done: %s.", order.command.verb, printable(data["refused"]))
        self._recorder.events.append(Event("command", data))
        if isinstance(order.command, Stop):
            self._passes = None
            raise TrainingStopped(self._key, self._the_training().count)

    def _do(self, command: Command) -> dict[str, str]:
        training = self._the_training()
        match command:
            case Pause():
                self._passes = 0
                self._reason = command.reason
            case Resume():
                self._passes = None
            case StepOnce():
                self._passes = (self._passes or 0) + 1
            case SetLearningRate() | SetWeightDecay():
                return change(command, training.optimizers())
            case SetClip():
                self._clip(command.max_norm, training)
            case WatchCloser() | AskDetail() | Explain():
                self._look(command, training)
            case Snapshot():
                save(command.path, training.model(), training.optimizers(), training.count)
            case ClearBreaks():
                self.breakpoints.clear()
            case Stop() | BreakOn():  # the one is raised when it has been noted, the other holds since it was asked for
                pass
        return {}

    def _say_paused(self) -> None:
        """Say once why training stands still where that was not just asked for by somebody else."""
        reason, self._reason = self._reason, ""
        if reason:
            with suppress(Exception):  # a handler of the user's may fail as well
                log.warning(
                    "deepseek: training is paused after step %d: %s. `session.resume()` from another thread or Ctrl-C "
                    "ends the pause.",
                    self._the_training().count - 1,
                    printable(reason),
                )

    def _check_layer(self, site: str) -> None:
        model = self._the_training().model()
        if model is not None:
            named(model, site)

    def _check_explainable(self) -> Callable[[nn.Module], None]:
        if not self.paused:
            raise DeepseekError("`explain` needs a training that is paused: choose pause first.")
        if self.explain is None:
            raise DeepseekError(
                "`explain` needs inputs: call session.explain_with(inputs, background) before training begins."
            )
        return self.explain

    def _look(self, command: WatchCloser | AskDetail | Explain, training: Training) -> None:
        if not isinstance(command, Explain):
            training.look_closer(command)
            return
        explain, model = self._check_explainable(), training.model()
        if model is None:
            raise DeepseekError("the model is gone")
        try:
            with training.set_apart():
                explain(model)
        except KeyboardInterrupt:  # ends the computing, not the pause
            raise DeepseekError("interrupted") from None

    def _clip(self, max_norm: float | None, training: Training) -> None:
        optimizers: Sequence[torch.optim.Optimizer] = training.optimizers()
        if not optimizers and max_norm is not None:
            raise DeepseekError("the session has no optimizer: pass it to deepseek.inspect")
        self._unclip()
        if max_norm is not None:
            self._clips = [each.register_step_pre_hook(Clip(self._recorder, max_norm)) for each in optimizers]
            training.follow_on_clip()

    def _unclip(self) -> None:
        while self._clips:
            self._clips.pop().remove()

    def _the_training(self) -> Training:
        assert self._training is not None  # noqa: S101 - follow() comes first
        return self._training

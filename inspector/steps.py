"""Where a training step begins and ends, and what belongs to it."""

import math
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from threading import get_ident
from time import perf_counter, perf_counter_ns, time
from typing import Any, TypeVar

import torch
from torch import nn
from torch._C import _current_autograd_node as current_autograd_node
from torch.amp.grad_scaler import GradScaler

from deepseek.errors import DeepseekError
from deepseek.inspector.accounts import Accounts, BareStep, PendingStep
from deepseek.inspector.checkpointing import is_checkpointing
from deepseek.inspector.control.commands import AskDetail, WatchCloser
from deepseek.inspector.control.control import Control
from deepseek.inspector.detail.closer import Closer
from deepseek.inspector.governor import Governor
from deepseek.inspector.interruption import Interruption
from deepseek.inspector.passes import Passes
from deepseek.inspector.precision import PrecisionWatch
from deepseek.inspector.probes.attach import Attachment
from deepseek.inspector.probes.boundary import BoundaryHook
from deepseek.inspector.probes.gradient import has_closure
from deepseek.inspector.record import Event
from deepseek.inspector.recorder import Recorder
from deepseek.inspector.scaling import listen
from deepseek.kernels.precision import AdaptivePrecision
from deepseek.kernels.summary import HostCopy, start_transfer

_T = TypeVar("_T")
_PATIENCE = 100
"""Steps of one optimizer after which the others are no longer waited for."""


class Steps:
    """Counts steps, decides with the governor what is observed, and emits each when it is over.

    A step ends when each optimizer has stepped; without an optimizer, when the next forward of the whole model begins.
    A finished step is held back until the next one begins, so that values logged after ``optimizer.step()`` still
    belong to it.

    Args:
        recorder: Holds the rows of the step in progress.
        attachment: The probes.
        governor: Decides what the next step observes.
        passes: Observes forwards without gradients.
        accounts: Takes each finished step.
        control: Is called at the end of a step when there is something to obey.
        closer: Looks at single layers closely.

    Attributes:
        count: Number of steps that have ended.
    """

    def __init__(
        self,
        recorder: Recorder,
        attachment: Attachment,
        governor: Governor,
        passes: Passes,
        accounts: Accounts,
        control: Control,
        closer: Closer,
    ) -> None:
        self._recorder = recorder
        self._attachment = attachment
        self._governor = governor
        self._passes = passes
        self._accounts = accounts
        self._control = control
        self._closer = closer
        self._precision = PrecisionWatch()
        self._handles: list[Any] = []
        self._close_handles: list[Any] = []
        self._closely = False
        self._always_closely = False
        self._measured: set[int] = set()
        self._norm_cadence = 1
        self._waiting_for: dict[int, int] = {}
        self._stepped: set[int] = set()
        self._interruption = Interruption()
        self._watching = True
        self.count = 0
        self._open = False
        self._unprepared = False
        self._apart = False
        self._scalars: dict[str, float | HostCopy] = {}
        self._squares: float | torch.Tensor | None = None
        self._last_end: float | None = None

    def attach(self, model: nn.Module, optimizers: Sequence[torch.optim.Optimizer]) -> None:
        """Start counting; the first step is observed."""
        self._model = weakref.ref(model)
        self._optimizers = tuple(map(weakref.ref, optimizers))
        self._waiting_for = dict.fromkeys(map(id, optimizers), 0)
        self._control.follow(self)
        self._hook_boundaries()
        self._end_listening = listen(_Scaling(weakref.ref(self)))
        self._recorder.on_backward = self._interruption.backward_runs
        self._prepare_next()

    def close(self) -> None:
        """Stop counting, remove every hook and emit what is there, an unfinished step included."""
        self._recorder.active = False
        parts = (self._end_listening, self._passes.end, self._end_unfinished, self.release, self._remove_hooks)
        for part in (*parts, self._closer.give_up, self._attachment.close):
            self._recorder.guard("closing the session", part)
        self._recorder.active = False

    @property
    def watching(self) -> bool:
        """Whether anything is recorded; steps are counted in any case."""
        return self._watching

    @watching.setter
    def watching(self, watching: bool) -> None:
        if watching != self._watching:
            self._watching = watching
            self._recorder.guard("installing probes", self._resume if watching else self._suspend)

    @property
    def in_progress(self) -> bool:
        """Whether a step has begun and not ended, as far as the forward of the model tells."""
        return self._open

    def model(self) -> nn.Module | None:
        """The model, as long as it exists."""
        return self._model()

    def optimizers(self) -> list[torch.optim.Optimizer]:
        """The optimizers that still exist."""
        return [optimizer for reference in self._optimizers if (optimizer := reference()) is not None]

    def follow_on_clip(self) -> None:
        """Observe gradients after they were clipped: hooks of an optimizer run in the order of their registration."""
        if self._closely:
            _remove(self._close_handles)
            self._closely = False
            self._hook_closely(True)

    def look_closer(self, command: WatchCloser | AskDetail) -> None:
        """Look at some layers closely from the next step on, or once in it.

        What is asked for once in a pause is also looked at now, as far as it is there.
        """
        model = self._watched_model()
        if isinstance(command, WatchCloser):
            self._closer.watch(model, command.site)
        else:
            self._closer.ask(model, command.site)
            if self._control.paused:
                self._closer.look(model, command.site, self.count - 1)
        self._install_closer()

    @contextmanager
    def set_apart(self) -> Iterator[None]:
        """Have what the model computes meanwhile belong to no step, and be seen by no probe."""
        active, self._recorder.active, self._apart = self._recorder.active, False, True
        try:
            yield
        finally:
            self._recorder.active, self._apart = active, False

    def pause_ended(self) -> None:
        """Leave the time since the last step out of all accounts."""
        self._last_end = None
        self._accounts.forget_background()

    def log(self, scalars: dict[str, float | HostCopy]) -> None:
        """Add named values to the step in progress, or to the last one if no new one has begun."""
        if not self._watching:
            return
        if self._open or not self._accounts.log(scalars):
            self._scalars.update(scalars)

    def release(self) -> None:
        """Emit the steps that are held back."""
        self._accounts.release()

    def release_if_idle(self, seconds: float) -> None:
        """Emit the steps that are held back when nothing has happened for a while."""
        if self._last_end is not None and perf_counter() - self._last_end > seconds:
            self.release()

    def fail(self, error: Exception) -> None:
        """Switch the whole inspector off after an error of its own."""
        self._recorder.active = self._watching = False
        self._recorder.failed("counting steps", error)
        self._recorder.guard("removing probes", self._closer.give_up)
        self._recorder.guard("removing probes", self._attachment.remove)

    def loss_is_scaled(self, scaler: GradScaler) -> None:
        """The gradients of the backward passes to come are scaled; after a step they may be so still."""
        self._always_closely = True
        self._hook_closely(True)
        scale = getattr(scaler, "_scale", None)
        if isinstance(scale, torch.Tensor) and scale.device.type != "cpu":
            self._recorder.inverse_scale = scale.detach().reciprocal()
        else:
            self._recorder.inverse_scale = 1.0 / scaler.get_scale()

    def scaler_stepped(self, optimizer: Any, before: int | None) -> None:
        """A loss scaler has stepped the optimizer, or skipped the step because a gradient was not finite."""
        if id(optimizer) in self._waiting_for and self._waiting_for[id(optimizer)] == before:
            self._recorder.events.append(Event("step_skipped", {"reason": "a gradient was NaN or infinite"}))
            self._optimizer_stepped(optimizer)

    def times_stepped(self, optimizer: Any) -> int:
        """How often an optimizer has stepped."""
        return self._waiting_for.get(id(optimizer), 0)

    def _end_unfinished(self) -> None:
        forward_is_a_step = self._open and not self._waiting_for
        if any(self._recorder.rows.values()) or self._scalars or forward_is_a_step:
            self._end()

    def _hook_boundaries(self) -> None:
        if (model := self._model()) is not None:
            before, after = self._boundary(self._on_forward), self._boundary(self._after_forward)
            self._handles.append(model.register_forward_pre_hook(before, with_kwargs=True))
            self._handles.append(model.register_forward_hook(after))
        for optimizer in self.optimizers():
            self._handles.append(optimizer.register_step_post_hook(self._boundary(self._after_update)))

    def _hook_closely(self, wanted: bool) -> None:
        """Follow what happens within a step, or only where steps end: every hook that is called costs.

        The hooks on the model stay in any case, because a compiled model would be compiled again without them.
        """
        closely = wanted or self._always_closely
        if closely and not self._closely:
            for optimizer in self.optimizers():
                hook = self._boundary(self._before_update)
                self._close_handles.append(optimizer.register_step_pre_hook(hook))
        elif self._closely and not closely:
            _remove(self._close_handles)
        self._closely = closely

    def _boundary(self, action: Callable[..., None]) -> BoundaryHook:
        return BoundaryHook(self._recorder, self.fail, action)

    def _suspend(self) -> None:
        """Take every hook off but one, which counts."""
        self._passes.end()
        self._end_unfinished()
        self._accounts.settle()
        self.release()
        self._prepare_next()
        self._closer.remove()
        self._remove_hooks()
        counting = self._boundary(self._count)
        optimizer = self._optimizers[-1]() if self._optimizers else None
        if optimizer is not None:
            self._handles.append(optimizer.register_step_post_hook(counting))
        elif (model := self._model()) is not None:
            self._handles.append(model.register_forward_hook(counting))

    def _resume(self) -> None:
        self._remove_hooks()
        self._recorder.take_spent_ms()
        self._last_end = None
        self._hook_boundaries()
        self._prepare_next()

    def _count(self, *_: Any) -> None:
        self.count += 1
        if self._control.pending:
            self._control.at_boundary()

    def _remove_hooks(self) -> None:
        _remove(self._handles)
        _remove(self._close_handles)
        self._closely = False

    def _on_forward(self, model: nn.Module, _args: Any, kwargs: dict[str, Any]) -> None:
        if current_autograd_node() is not None or self._apart:
            return
        if self._waiting_for and not torch.is_grad_enabled() and not is_checkpointing():
            self._hook_closely(True)
            self._recorder.in_forward = True
            self._passes.begin(kwargs, watching=self._watching)
            return
        if self._unprepared:
            self._prepare_next()
        if not self._waiting_for and self._open:
            self._end()
            if self._control.pending:
                self._control.at_boundary()
        self._open = True
        if self._closely:
            self._begin_observed(model)

    def _begin_observed(self, model: nn.Module) -> None:
        if self._interruption.happened(model):
            self._drop_interrupted()
        self._control.thread = get_ident()
        self._attachment.hook_late()
        self._interruption.forward_runs()
        self._recorder.in_forward = True
        self._recorder.active = self._watching

    def _after_forward(self, *_: Any) -> None:
        if not self._closely or self._apart:
            return
        self._recorder.in_forward = False
        if not self._passes.end():
            self._interruption.forward_ended()

    def _before_update(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        if self._interruption.update_is_nested(optimizer):
            self._always_closely = True
            return
        if self._interruption.update_was_interrupted():
            self._drop_interrupted()
        closure = has_closure(args, kwargs)
        self._interruption.update_runs(closure=closure)
        if self._watching:
            if not closure:
                self._measure_norm(optimizer)
            self._attachment.before_update(optimizer, closure=closure)

    def _after_update(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        if not self._closely:
            self._measure_norm(optimizer)
            self._optimizer_stepped(optimizer)
            return
        if not self._interruption.update_ended():
            return
        closure = has_closure(args, kwargs)
        if self._watching:
            self._measure_norm(optimizer)
            self._attachment.after_update(optimizer, closure=closure)
        self._optimizer_stepped(optimizer)

    def _measure_norm(self, optimizer: torch.optim.Optimizer) -> None:
        """Add the gradients of an optimizer to the norm of the step, once; after its step if not before."""
        if self.count % self._norm_cadence or id(optimizer) in self._measured:
            return
        start = perf_counter_ns()
        squares = self._attachment.square_sum_of_gradients(optimizer)
        if squares is not None:
            self._measured.add(id(optimizer))
            if getattr(optimizer, "grad_scale", None) is not None and self._recorder.inverse_scale is not None:
                squares = squares * self._recorder.inverse_scale**2
            self._squares = squares if self._squares is None else self._squares + squares
        self._recorder.spend("norm", start)

    def _optimizer_stepped(self, optimizer: Any) -> None:
        self._waiting_for[id(optimizer)] += 1
        if len(self._waiting_for) > 1 and not self._have_all_stepped(optimizer):
            return
        self._end()
        if self._control.pending:
            self._control.at_boundary()

    def _have_all_stepped(self, optimizer: Any) -> bool:
        """Whether the step of this optimizer was the last one that the others waited for."""
        self._stepped.add(id(optimizer))
        most = max(self._waiting_for.values())
        return all(key in self._stepped or most - count > _PATIENCE for key, count in self._waiting_for.items())

    def _drop_interrupted(self) -> None:
        during = self._interruption.clear()
        events = [*self._recorder.events, Event("step_interrupted", {"during": during})]
        self._recorder.discard()
        self._recorder.events += events
        self._attachment.end_step()
        self._closer.restart()
        self._stepped.clear()
        self._measured.clear()
        self._squares = None

    def _end(self) -> None:
        """Close the books of this step and prepare for the next."""
        looked = self._closer.active
        if looked:
            self._closely_guarded(lambda: self._closer.end_step(self.count))
        recorder = self._recorder
        if self._precision.decided != AdaptivePrecision.decided:
            recorder.events += self._precision.news(self._model())
        bare, installed = self._close_books(), self._attachment.installed
        self.count += 1
        if installed or looked or recorder.rows or recorder.full_units or recorder.events:
            self._attachment.has_observed = True
            self._accounts.add(self._pending(bare, bool(installed)), installed)
        elif self._accounts.note(bare):
            self._accounts.settle()
        else:
            return
        if bare.gradient_norm is math.inf:
            self._governor.alarm()
        self._prepare_next()

    def _close_books(self) -> BareStep:
        now, before = perf_counter(), self._last_end
        self._last_end, self._open = now, False
        wall_ms = math.nan if before is None else (now - before) * 1e3
        if self._passes.elapsed_ns:
            wall_ms -= self._passes.end_step()
        norm: float | HostCopy = math.nan
        if self._measured:
            norm, self._squares = _root(self._squares), None
            self._measured.clear()
        scalars, self._scalars = self._scalars, {}
        self._stepped.clear()
        self._recorder.inverse_scale = None
        return BareStep(self.count, time(), wall_ms, norm, scalars)

    def _pending(self, bare: BareStep, observed: bool) -> PendingStep:
        recorder = self._recorder
        if "function" in self._attachment.installed and (coverage := self._attachment.new_coverage()) is not None:
            recorder.events.append(coverage)
        rows = {kind: found for kind, found in recorder.rows.items() if found}
        pending = PendingStep(
            step=bare.step,
            time=bare.time,
            wall_ms=bare.wall_ms,
            inspector_ms=0.0,
            observed=observed,
            rows=rows,
            transfer=start_transfer([row[3] for found in rows.values() for row in found]),
            sites=recorder.sites.take_new(),
            layouts=recorder.take_layouts(),
            scalars=bare.scalars,
            units=recorder.full_units,
            events=tuple(recorder.events),
            gradient_norm=bare.gradient_norm,
            graph=self._attachment.new_graph(),
        )
        recorder.discard()
        return pending

    def _prepare_next(self) -> None:
        """Install what the next step observes; not while hooks are being called that this would remove."""
        self._unprepared = current_autograd_node() is not None
        if self._unprepared:
            self._recorder.active = False
            return
        groups = self._governor.next_groups() if self._watching else ()
        self._norm_cadence = self._governor.norm_cadence
        if groups or self._closely:
            self._attachment.end_step()
            self._recorder.active = self._watching
            self._attachment.install(groups)
            self._hook_closely(bool(groups))
        if self._closer.wanted or self._closer.active:
            self._install_closer()

    def _install_closer(self) -> None:
        """Put hooks on the layers that the next step shall be looked at for; an idle step has none."""
        model = self._model()
        if self._unprepared or not self._watching or model is None:
            return
        self._closely_guarded(lambda: self._closer.install(model))
        if self._closer.active:
            self._recorder.active = True
            self._hook_closely(True)

    def _closely_guarded(self, action: Callable[[], None]) -> None:
        """Do a part of looking closely; what fails ends it, and goes no further."""
        try:
            action()
        except Exception as error:  # noqa: BLE001 - whatever fails inside us must not reach training
            self._recorder.guard("removing probes", self._closer.give_up)
            self._recorder.failed("looking closely at layers", error)

    def _watched_model(self) -> nn.Module:
        model = self._model()
        if model is None or not self._watching:
            raise DeepseekError("nothing is recorded: the model is gone, or `session.watching` is False")
        return model


class _Scaling:
    """Passes on what a loss scaler does, as long as the session lives; nothing that fails gets out."""

    def __init__(self, steps: weakref.ref[Steps]) -> None:
        self._steps = steps

    def loss_is_scaled(self, scaler: GradScaler) -> None:
        self._guarded(lambda steps: steps.loss_is_scaled(scaler))

    def scaler_steps(self, optimizer: Any) -> Callable[[], None]:
        before = self._guarded(lambda steps: steps.times_stepped(optimizer))
        return partial(self._guarded, lambda steps: steps.scaler_stepped(optimizer, before))

    def _guarded(self, action: Callable[[Steps], _T]) -> _T | None:
        steps = self._steps()
        if steps is None:
            return None
        try:
            return action(steps)
        except Exception as error:  # noqa: BLE001 - whatever fails inside us must not reach training
            steps.fail(error)
            return None


def _remove(handles: list[Any]) -> None:
    for handle in handles:
        handle.remove()
    handles.clear()


def _root(squares: float | torch.Tensor | None) -> float | HostCopy:
    """Norm from the sum of squares; infinite for NaN, and NaN when there is no sum."""
    if squares is None:
        return math.nan
    if isinstance(squares, torch.Tensor):
        return HostCopy.start(squares.sqrt())
    return math.sqrt(squares) if math.isfinite(squares) else math.inf

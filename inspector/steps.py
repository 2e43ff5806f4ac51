"""Where a training step begins and ends, and what belongs to it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter, time
from typing import Any

import torch
from torch import nn

from deepseek.inspector.governor import Governor, Timing
from deepseek.inspector.probes.attach import Attachment
from deepseek.inspector.probes.probe import Probe
from deepseek.inspector.record import Layout, Site, TensorKind
from deepseek.inspector.recorder import Clock, Recorder, Row
from deepseek.kernels.summary import Transfer, start_transfer


@dataclass(slots=True)
class PendingStep:
    """A finished step whose numbers may still be on their way from the accelerator."""

    step: int
    time: float
    wall_ms: float
    inspector_ms: float
    observed: bool
    rows: dict[TensorKind, list[Row]]
    transfer: Transfer
    sites: tuple[Site, ...]
    layouts: tuple[Layout, ...]
    scalars: dict[str, float | torch.Tensor] = field(default_factory=dict)


class Steps:
    """Counts steps, decides with the governor which are observed, and emits each when it is over.

    A step ends when the optimizer has stepped; without an optimizer, when the next forward of the whole model begins.
    A finished step is held back until the next one begins, so that values logged after ``optimizer.step()`` still
    belong to it.

    Attributes:
        count: Number of steps that have ended.
    """

    def __init__(
        self,
        recorder: Recorder,
        attachment: Attachment,
        governor: Governor,
        emit: Callable[[PendingStep], None],
    ) -> None:
        self._recorder = recorder
        self._attachment = attachment
        self._governor = governor
        self._emit = emit
        self._handles: list[Any] = []
        self._has_optimizer = False
        self.count = 0
        self._open = False
        self._held: list[PendingStep] = []
        self._scalars: dict[str, float | torch.Tensor] = {}
        self._last_end: float | None = None

    def attach(self, model: nn.Module, optimizer: torch.optim.Optimizer | None) -> None:
        """Start counting; the first step is observed."""
        self._has_optimizer = optimizer is not None
        self._handles.append(model.register_forward_pre_hook(BoundaryHook(self, self._on_forward)))
        if optimizer is not None:
            self._handles += [
                optimizer.register_step_pre_hook(BoundaryHook(self, self._before_update)),
                optimizer.register_step_post_hook(BoundaryHook(self, self._after_update)),
            ]
        self._attachment.install()
        self._recorder.active = True

    def close(self) -> None:
        """Stop counting, remove every hook and emit what is there, an unfinished step included."""
        self._recorder.active = False
        if any(self._recorder.rows.values()) or self._scalars:
            self._end()
        self.release()
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._attachment.close()
        self._recorder.active = False

    def log(self, scalars: dict[str, float | torch.Tensor]) -> None:
        """Add named values to the step in progress, or to the last one if no new one has begun."""
        held = self._held[:1]
        if held and not self._open:
            held[0].scalars.update(scalars)
        else:
            self._scalars.update(scalars)

    def release(self) -> None:
        """Emit the step that is held back."""
        while self._held:
            self._emit(self._held.pop())

    def release_if_idle(self, seconds: float) -> None:
        """Emit the step that is held back when nothing has happened for a while."""
        if self._last_end is not None and perf_counter() - self._last_end > seconds:
            self.release()

    def fail(self, error: Exception) -> None:
        """Switch the whole inspector off after an error of its own."""
        self._recorder.active = False
        self._recorder.failed("counting steps", error)
        self._attachment.remove()

    def _on_forward(self, *_: Any) -> None:
        if not self._has_optimizer:
            if self._open:
                self._end()
        elif not torch.is_grad_enabled():
            self._recorder.active = False
            return
        self._recorder.active = True
        self._open = True
        self.release()

    def _before_update(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        self._attachment.before_update(optimizer)

    def _after_update(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        self._attachment.after_update(optimizer)
        self._end()

    def _end(self) -> None:
        """Close the books of this step and prepare for the next."""
        with Clock(self._recorder):
            self.release()
            pending = self._pending()
        now = perf_counter()
        pending.wall_ms = (now - self._last_end) * 1e3 if self._last_end is not None else float("nan")
        self._last_end = now
        pending.inspector_ms = self._recorder.take_spent_ns() / 1e6
        self._governor.add(Timing(pending.wall_ms, pending.inspector_ms, pending.observed))
        self._held.append(pending)
        self._scalars = {}
        self.count += 1
        self._open = False
        with Clock(self._recorder):
            self._prepare_next()

    def _pending(self) -> PendingStep:
        rows = self._recorder.take_rows()
        return PendingStep(
            step=self.count,
            time=time(),
            wall_ms=float("nan"),
            inspector_ms=0.0,
            observed=self._attachment.installed,
            rows=rows,
            transfer=start_transfer([row[3] for found in rows.values() for row in found]),
            sites=self._recorder.sites.take_new(),
            layouts=self._recorder.take_layouts(),
            scalars=self._scalars,
        )

    def _prepare_next(self) -> None:
        self._attachment.end_step()
        self._recorder.active = True
        if self._governor.observe_next():
            self._attachment.install()
        else:
            self._attachment.remove()


class BoundaryHook(Probe):
    """A hook that marks where steps begin and end; it runs on every step, observed or not."""

    def __init__(self, steps: Steps, action: Callable[..., None]) -> None:
        super().__init__(steps._recorder, 0)
        self.steps = steps
        self.action = action

    def __call__(self, *args: Any) -> None:
        """Run the action; after an error the inspector is off."""
        if torch.compiler.is_compiling() or not self.enabled:
            return
        try:
            self.action(*args)
        except Exception as error:  # noqa: BLE001 - whatever fails inside us must not reach training
            self.enabled = False
            self.steps.fail(error)

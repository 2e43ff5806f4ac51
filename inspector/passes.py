"""Forwards without gradients between training steps: evaluation, and generation token by token."""

from dataclasses import dataclass
from time import perf_counter_ns
from typing import Any, Literal

from deepseek.inspector.governor import PassGovernor
from deepseek.inspector.probes.attach import Attachment
from deepseek.inspector.record import TensorKind
from deepseek.inspector.recorder import Group, Recorder

Phase = Literal["eval", "generate"]

KIND_OF_PHASE: dict[Phase, TensorKind] = {"eval": "eval_activation", "generate": "generate_activation"}

_CACHES = ("past_key_values", "cache_params")
"""Arguments by which a model is told to continue a sequence."""


@dataclass(slots=True)
class _Pass:
    """A forward in progress, and what to return to after it."""

    phase: Phase
    observed: bool
    started_ns: int
    spent_ns: dict[Group, int]
    was_active: bool


class Passes:
    """Observes forwards without gradients, each phase with its own cadence, and keeps their time apart from training.

    Args:
        recorder: Receives the rows, under the kinds of ``KIND_OF_PHASE``.
        attachment: The probes.
        budget: Largest share of their time that the inspector may cost.
        every: Observe each ``every``-th instead, whatever it costs.

    Attributes:
        elapsed_ns: What they took since the last training step ended.
    """

    def __init__(self, recorder: Recorder, attachment: Attachment, budget: float, every: int | None) -> None:
        self._recorder = recorder
        self._attachment = attachment
        self._governors = {phase: PassGovernor(budget, every) for phase in KIND_OF_PHASE}
        self._running: _Pass | None = None
        self.elapsed_ns = 0

    def begin(self, kwargs: dict[str, Any], *, watching: bool) -> None:
        """Begin a forward; ``kwargs`` are those of the model."""
        self.end()
        recorder = self._recorder
        phase: Phase = "generate" if any(kwargs.get(name) is not None for name in _CACHES) else "eval"
        kind = KIND_OF_PHASE[phase]
        observed = watching and kind in recorder.kinds and self._governors[phase].observe_next()
        self._running = _Pass(phase, observed, perf_counter_ns(), recorder.spent_ns, recorder.active)
        recorder.spent_ns = {}
        recorder.active = observed
        if observed:
            self._attachment.install_for_pass(kind)

    def end(self) -> bool:
        """End the forward in progress; return whether there was one."""
        running, self._running = self._running, None
        if running is None:
            return False
        if running.observed:
            self._attachment.end_pass()
        elapsed_ns = perf_counter_ns() - running.started_ns
        spent_ns, self._recorder.spent_ns = sum(self._recorder.spent_ns.values()), running.spent_ns
        self._recorder.active = running.was_active
        self._governors[running.phase].add(elapsed_ns / 1e6, spent_ns / 1e6, observed=running.observed)
        self.elapsed_ns += elapsed_ns
        return True

    def end_step(self) -> float:
        """A training step has ended; return the milliseconds that forwards without gradients took during it."""
        for governor in self._governors.values():
            governor.end_step()
        elapsed, self.elapsed_ns = self.elapsed_ns / 1e6, 0
        return elapsed

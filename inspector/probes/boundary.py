"""Where steps and forwards of the whole model begin and end."""

from collections.abc import Callable
from time import perf_counter_ns
from typing import Any

from torch.compiler import is_compiling

from deepseek.inspector.probes.probe import Probe
from deepseek.inspector.recorder import Recorder


class BoundaryHook(Probe):
    """A hook that runs on every step, observed or not.

    Args:
        recorder: Is charged with the time.
        fail: Called with the error when the action raises one; the hook is off then.
        action: What to do, with the arguments of the hook.
    """

    group = "boundary"

    def __init__(self, recorder: Recorder, fail: Callable[[Exception], None], action: Callable[..., None]) -> None:
        super().__init__(recorder, 0)
        self.fail = fail
        self.action = action

    def __call__(self, *args: Any) -> None:
        """Run the action; time that probes spend meanwhile is theirs."""
        if is_compiling() or not self.enabled:
            return
        start, before = perf_counter_ns(), self.recorder.total_ns
        try:
            self.action(*args)
        except Exception as error:  # noqa: BLE001 - whatever fails inside us must not reach training
            self.enabled = False
            self.fail(error)
        by_others = self.recorder.total_ns - before
        self.recorder.charge("boundary", perf_counter_ns() - start - by_others)

"""What all probes have in common: they observe, they never change, and they never let an error out."""

from contextlib import nullcontext
from time import perf_counter_ns
from typing import Any, ClassVar

from torch.compiler import is_compiling

from deepseek.inspector.recorder import Group, Recorder


class Probe:
    """A hook that hands every tensor back untouched.

    Returning None leaves outputs and gradients as they are. An error switches this probe off, is reported once, and
    never reaches the training loop. A pickled or deep-copied probe (within a saved model, an EMA copy) becomes an
    inert function of the standard library, so that the copy neither records nor needs this package.

    Attributes:
        group: What the probe's time is charged to.
    """

    group: ClassVar[Group]
    __torch_unserializable__ = True

    def __init__(self, recorder: Recorder, site: int) -> None:
        self.recorder = recorder
        self.site = site
        self.enabled = True

    def __call__(self, *args: Any) -> None:
        """Observe unless recording is off or torch.compile is tracing."""
        if is_compiling() or not self.recorder.active or not self.enabled:
            return
        start = perf_counter_ns()
        try:
            self.observe(*args)
        except Exception as error:  # noqa: BLE001 - whatever fails inside us must not reach training
            self.enabled = False
            self.recorder.failed(f"{type(self).__name__} at {self._name()}", error)
        self.recorder.spend(self.group, start)

    def observe(self, *args: Any) -> None:
        """Record what the hook was given."""
        raise NotImplementedError

    def __reduce__(self) -> tuple[Any, ...]:
        return getattr, (nullcontext(), "__exit__")

    def _name(self) -> str:
        return self.recorder.sites.sites[self.site].name

"""The tracker for ``accelerate.Accelerator``."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Unpack

from deepseek.callbacks.watch import Options, Watch, base_class, caller
from deepseek.inspector import Session

if TYPE_CHECKING:
    Base = object
else:
    Base = base_class("GeneralTracker", "accelerate.tracking")


class AccelerateTracker(Base):
    """Watches what an Accelerator trains: ``Accelerator(log_with=AccelerateTracker())``.

    The session begins with ``accelerator.init_trackers``, or with the first ``accelerator.log`` should nothing be
    prepared before; it ends with ``accelerator.end_training`` or with the process. It watches the first model that was
    prepared, and all optimizers. What ``accelerator.log`` is given becomes scalars. The main process watches.

    Args:
        options: The keyword arguments of ``deepseek.inspect``, and ``report``: the path of a report that is written
            when the session ends.

    Raises:
        DeepseekError: An argument does not make sense, or accelerate is missing.
    """

    name = "deepseek"
    requires_logging_directory = False

    def __init__(self, **options: Unpack[Options]) -> None:
        self._watch = Watch(**options)
        super().__init__()

    @property
    def session(self) -> Session | None:
        """The newest session; None before it began."""
        return self._watch.session

    @property
    def tracker(self) -> Session | None:
        """The session, under the name that Accelerate uses."""
        return self.session

    def start(self) -> None:
        """Open the session if a model was prepared already."""
        from accelerate import Accelerator

        accelerator = caller(Accelerator)
        if accelerator is not None and accelerator._models:
            self._watch.open(accelerator._models[0], accelerator._optimizers)

    def log(self, values: Mapping[str, Any], step: int | None = None, **_: Any) -> None:
        """Record ``values`` with the step in progress, whatever number the script gives it."""
        if self.session is None:
            self.start()
        self._watch.log(values)

    def finish(self) -> None:
        """Close the session."""
        self._watch.close()

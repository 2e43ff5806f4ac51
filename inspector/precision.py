"""Notices what an ``AdaptivePrecision`` decides on the layers of the model."""

from torch import nn

from deepseek.inspector.record import Event
from deepseek.kernels.precision import AdaptivePrecision, Plan, plans_of

PRECISION = "precision"
"""Kind of the events that hold a decision; there is one for each layer."""


class PrecisionWatch:
    """Remembers which decisions were told already.

    Attributes:
        decided: ``AdaptivePrecision.decided`` when it last looked; nothing is new as long as that is the same.
    """

    def __init__(self) -> None:
        self.decided = -1
        self._told: Plan | None = None

    def news(self, model: nn.Module | None) -> list[Event]:
        """Return the decisions in force when they are new, one event for each layer."""
        self.decided = AdaptivePrecision.decided
        plans = plans_of(model) if model is not None else ()
        if not plans or plans[-1] is self._told:
            return []
        self._told = plans[-1]
        return [Event(PRECISION, row) for row in plans[-1].rows()]

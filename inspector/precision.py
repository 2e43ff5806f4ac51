"""Notices what an ``AdaptivePrecision`` decides on the layers of the model."""

from torch import nn

from deepseek.inspector.record import Event
from deepseek.kernels.precision import Plan, plans_of

PRECISION = "precision"
"""Kind of the events that hold a decision; there is one for each layer."""


class PrecisionWatch:
    """Remembers which decisions were told already."""

    def __init__(self) -> None:
        self._told: Plan | None = None

    def news(self, model: nn.Module | None) -> list[Event]:
        """Return the decisions in force when they are new, one event for each layer."""
        plans = plans_of(model) if model is not None else ()
        if not plans or plans[-1] is self._told:
            return []
        self._told = plans[-1]
        return [Event(PRECISION, row) for row in plans[-1].rows()]

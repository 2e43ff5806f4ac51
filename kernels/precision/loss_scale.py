"""The loss scale, read from torch's gradient scaler and set there between two steps."""

from torch.amp.grad_scaler import GradScaler


class LossScale:
    """The scale of a gradient scaler; 1 without one.

    Args:
        scaler: The gradient scaler, if there is one; a scaler that is not enabled is none.
    """

    def __init__(self, scaler: GradScaler | None) -> None:
        self._scaler = scaler if scaler is not None and scaler.is_enabled() else None
        self._wanted: float | None = None

    @property
    def is_adjustable(self) -> bool:
        """Whether there is a scaler."""
        return self._scaler is not None

    def read(self) -> float:
        """Return the scale; an accelerator is waited for."""
        return 1.0 if self._scaler is None else float(self._scaler.get_scale())

    def want(self, scale: float) -> None:
        """Ask for another scale, to be set by ``settle``."""
        self._wanted = scale if scale != self.read() else None

    def settle(self) -> None:
        """Set the scale that was asked for; to be called where the scaler has no gradients on its books."""
        if self._wanted is not None and self._scaler is not None:
            self._scaler.update(self._wanted)
        self._wanted = None

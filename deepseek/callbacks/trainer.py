"""The callback for ``transformers.Trainer``."""

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Unpack

from deepseek.callbacks.watch import Options, Watch, base_class, caller
from deepseek.inspector import Session

if TYPE_CHECKING:
    Base = object
else:
    Base = base_class("TrainerCallback", "transformers")


class TrainerCallback(Base):
    """Watches a model while ``transformers.Trainer`` trains it: ``Trainer(..., callbacks=[TrainerCallback()])``.

    The session begins with the training and ends with it, also when it ends with an error or is interrupted. What the
    trainer logs (loss, learning rate, evaluation metrics) becomes scalars. Of several processes the first one watches.

    A callback that is added later, by ``trainer.add_callback``, cannot see that training failed: its session then ends
    with the next training or with the process.

    Args:
        options: The keyword arguments of ``deepseek.inspect``, and ``report``: the path of a report that is written
            when the session ends.

    Raises:
        DeepseekError: An argument does not make sense, or transformers is missing.
    """

    def __init__(self, **options: Unpack[Options]) -> None:
        self._watch = Watch(**options)

    @property
    def session(self) -> Session | None:
        """The newest session; None before training began."""
        return self._watch.session

    def on_init_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Make sure that the session is closed however training ends: there is no event for errors."""
        from transformers import Trainer

        trainer: Any = caller(Trainer)
        if trainer is not None:
            trainer.train = _closing(self._watch, trainer.train)

    def on_train_begin(self, args: Any, state: Any, control: Any, *, model: Any, optimizer: Any, **_: Any) -> None:
        """Open the session."""
        if state.is_world_process_zero:
            self._watch.open(model, [optimizer])

    def on_log(self, args: Any, state: Any, control: Any, logs: Mapping[str, Any] | None = None, **_: Any) -> None:
        """Record what the trainer logs."""
        self._watch.log(logs or {})

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Close the session."""
        self._watch.close()


def _closing(watch: Watch, train: Any) -> Any:
    @functools.wraps(train)
    def train_and_close(*args: Any, **kwargs: Any) -> Any:
        try:
            return train(*args, **kwargs)
        finally:
            watch.close()

    return train_and_close

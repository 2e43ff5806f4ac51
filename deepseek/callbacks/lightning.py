"""The callback for Lightning's ``Trainer``."""

from typing import TYPE_CHECKING, Any, Unpack

from deepseek.callbacks.watch import Options, Watch, base_class
from deepseek.inspector import Session

if TYPE_CHECKING:
    Base = object
else:
    Base = base_class("Callback", "lightning.pytorch", "pytorch_lightning")


class LightningCallback(Base):
    """Watches a module while Lightning trains it: ``lightning.Trainer(callbacks=[LightningCallback()])``.

    The session begins with the training, after the sanity check, and ends with it, also when it ends with an error or
    is interrupted. The loss, the learning rate and all logged metrics become scalars. Of several processes the first
    one watches. Works with ``lightning`` and with ``pytorch_lightning``.

    Args:
        options: The keyword arguments of ``deepseek.inspect``, and ``report``: the path of a report that is written
            when the session ends.

    Raises:
        DeepseekError: An argument does not make sense, or Lightning is missing.
    """

    def __init__(self, **options: Unpack[Options]) -> None:
        super().__init__()
        self._watch = Watch(**options)
        self._of_batches: set[str] = set()
        self._of_epochs: set[str] = set()

    @property
    def session(self) -> Session | None:
        """The newest session; None before training began."""
        return self._watch.session

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Open the session."""
        self._of_batches, self._of_epochs = set(), set()
        if trainer.is_global_zero:
            self._watch.open(pl_module, trainer.optimizers)

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Record the loss, the learning rate and what the module logs at every batch."""
        self._of_batches |= trainer.callback_metrics.keys() - self._of_epochs
        loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
        rates = {f"learning_rate{i or ''}": one.param_groups[0]["lr"] for i, one in enumerate(trainer.optimizers)}
        self._watch.log({"loss": loss, **rates, **_chosen(trainer.callback_metrics, self._of_batches)})

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Record what is known only now; these metrics keep their values until the next epoch ends."""
        self._of_epochs |= trainer.callback_metrics.keys() - self._of_batches
        self._watch.log(_chosen(trainer.callback_metrics, self._of_epochs))

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """Record the metrics of the validation."""
        if not trainer.sanity_checking:
            self.on_train_epoch_end(trainer, pl_module)

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Close the session."""
        self._watch.close()

    def teardown(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Close the session."""
        self._watch.close()


def _chosen(metrics: dict[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in metrics.items() if name in names}

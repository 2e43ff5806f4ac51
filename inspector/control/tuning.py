"""What a command changes about training: learning rate, weight decay, clipping, and the file of a snapshot."""

import contextlib
import math
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from deepseek.errors import DeepseekError
from deepseek.inspector.control.commands import SetLearningRate, SetWeightDecay
from deepseek.inspector.probes.gradient import has_closure, parameters_of
from deepseek.inspector.probes.probe import Probe
from deepseek.inspector.recorder import Recorder


def change(command: SetLearningRate | SetWeightDecay, optimizers: Sequence[torch.optim.Optimizer]) -> dict[str, str]:
    """Set or scale a number of every parameter group; return the values before and after.

    Numbers that are tensors, as capturable optimizers have them, are changed in place.

    Raises:
        DeepseekError: No parameter group has such a number, or the result is not finite.
    """
    name = "lr" if isinstance(command, SetLearningRate) else "weight_decay"
    groups = [group for optimizer in optimizers for group in optimizer.param_groups if name in group]
    if not groups:
        raise DeepseekError(f"the session has no optimizer with `{name}`: pass it to deepseek.inspect")
    old = [float(group[name]) for group in groups]
    new = [cast("float", command.value) if command.factor is None else each * command.factor for each in old]
    if not all(map(math.isfinite, new)):
        raise DeepseekError(f"`{name}` would no longer be finite")
    for group, value in zip(groups, new, strict=True):
        _assign(group, name, value)
    return {f"{name}_before": _joined(old), f"{name}_after": _joined(new)}


class Clip(Probe):
    """An optimizer step pre-hook that clips the norm of the optimizer's gradients.

    Args:
        recorder: Is told about a failure.
        max_norm: Largest norm of all the optimizer's gradients taken together, free of any loss scale.
    """

    group = "boundary"

    def __init__(self, recorder: Recorder, max_norm: float) -> None:
        super().__init__(recorder, 0)
        self.max_norm = max_norm

    def __call__(self, *args: Any) -> None:
        """Clip; an error switches clipping off and is reported once."""
        if not self.enabled:
            return
        try:
            self.observe(*args)
        except Exception as error:  # noqa: BLE001 - whatever fails inside us must not reach training
            self.enabled = False
            self.recorder.failed("clipping gradients", error)

    def observe(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        """Clip the gradients of one optimizer; a fused one may hold them scaled still, a closure makes them later."""
        if has_closure(args, kwargs):
            return
        scale = getattr(optimizer, "grad_scale", None)
        limit = self.max_norm if scale is None else self.max_norm * float(scale)
        nn.utils.clip_grad_norm_(parameters_of(optimizer), limit)


def save(path: Path, model: nn.Module | None, optimizers: Sequence[torch.optim.Optimizer], steps: int) -> None:
    """Write the states of model and optimizers to a private file, whole or not at all.

    Raises:
        DeepseekError: The model is gone.
        OSError: The file cannot be written.
    """
    if model is None:
        raise DeepseekError("the model no longer exists")
    states = {
        "model": model.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in optimizers],
        "steps": steps,
    }
    handle, name = tempfile.mkstemp(prefix=f".{path.name[:100]}-", dir=path.parent)  # created with mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            torch.save(states, file)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise


def _assign(group: dict[str, Any], name: str, value: float) -> None:
    if isinstance(group[name], torch.Tensor):
        with torch.no_grad():
            group[name].fill_(value)
    else:
        group[name] = value


def _joined(values: Sequence[float]) -> str:
    """The different values, in order."""
    return ", ".join(f"{value:g}" for value in dict.fromkeys(values))

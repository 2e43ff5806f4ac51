"""Mixed precision that decides for each layer from what it measured, and looks again from time to time."""

import logging
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any, ClassVar, Self

import torch
from torch import nn
from torch._C import _current_autograd_node as current_autograd_node
from torch.amp.grad_scaler import GradScaler

from deepseek.kernels.precision.arguments import check, checked_policy
from deepseek.kernels.precision.deciding import Decider
from deepseek.kernels.precision.forwards import LayerForward, ModelForward
from deepseek.kernels.precision.layers import layers_of
from deepseek.kernels.precision.loss_scale import LossScale
from deepseek.kernels.precision.plan import Plan
from deepseek.kernels.precision.policies import Policy
from deepseek.kernels.precision.survey import Survey
from deepseek.text import printable

log = logging.getLogger("deepseek")

_PATIENCE = 16
"""Forwards between two looks at the loss scale, which an accelerator must be waited for."""

_BACKED_OFF = 4
"""A loss scale so many times smaller than planned is a reason to measure again."""


class AdaptivePrecision:
    """Computes each layer in half precision or in float32, as a policy decides from the layer's gradients.

    The first training step, one after the first epoch and one every ``every_epochs`` epochs are computed in float32 and
    measured; from what they show, the policy decides until the next one. So is a step after the gradient scaler had to
    go far below the planned scale, because something overflows that did not. Call ``end_epoch()`` after each epoch.
    Training itself needs no other change::

        scaler = torch.amp.GradScaler("cuda")
        with AdaptivePrecision(model, optimizer, scaler=scaler) as precision:
            for epoch in range(30):
                for x, y in loader:
                    optimizer.zero_grad()
                    scaler.scale(F.cross_entropy(model(x), y)).backward()
                    scaler.step(optimizer)
                    scaler.update()
                precision.end_epoch()
            print(precision.plan)

    The model's forward runs in one ``torch.autocast``, which layers that stay in float32 leave; its outputs are
    float32. Parameters stay as they are, so that clipping, accumulation and checkpoints work as ever; activation
    checkpointing does too. Modules within the model may be compiled, the whole must not. Until ``close()`` the
    ``forward`` of the model and of its layers is replaced; copies and pickles of the model have the original.

    Args:
        model: The model.
        optimizer: The optimizer that trains it.
        policy: ``"exponent"`` decides from how many values half precision would lose; ``"gradient_norm"`` is the
            published rule, ``"half"`` takes half precision everywhere; or a function of the evidence of the layers and
            the situation that returns a ``Plan``.
        tau: Threshold of ``"gradient_norm"``.
        every_epochs: After how many epochs to look again.
        dtype: The half-precision type, ``torch.float16`` or ``torch.bfloat16``.
        scaler: The gradient scaler, if one scales the loss. ``"exponent"`` sets its scale to the one it decided for.
        emulate: Round what enters and leaves each half-precision layer and compute it in float32: the numbers of half
            precision on a device that is not faster with it. Operations between the layers stay in float32.

    Attributes:
        plans: The decisions so far, the newest last.
        epoch: Number of epochs that have ended.
        decided: Number of decisions in this process so far, whatever the model.

    Raises:
        DeepseekError: An argument does not make sense; nothing has been changed then.
    """

    decided: ClassVar[int] = 0

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        *,
        policy: str | Policy = "exponent",
        tau: float = 0.01,
        every_epochs: int = 10,
        dtype: torch.dtype = torch.float16,
        scaler: GradScaler | None = None,
        emulate: bool = False,
    ) -> None:
        check(model, optimizer, tau, every_epochs)
        self._scale = LossScale(scaler)
        self._decider = Decider(model, checked_policy(policy, dtype), dtype, tau, self._scale, emulated=emulate)
        self._every_epochs = every_epochs
        self._emulated = emulate
        self._due = True
        self._forwards = 0
        self._survey: Survey | None = None
        self._surveyed_scale = 1.0
        self._eager = ExitStack()
        self._autocast = torch.float32
        self.epoch = 0
        self._layers = [LayerForward(name, layer, emulated=emulate) for name, layer in layers_of(model).items()]
        self._model = ModelForward(model, self._begin)
        self.plans: list[Plan] = self._model.plans
        self._handle = optimizer.register_step_pre_hook(self._before_step)

    @property
    def plan(self) -> Plan | None:
        """The decisions in force; None before the first training step."""
        return self.plans[-1] if self.plans else None

    def __repr__(self) -> str:
        return str(self.plan or "AdaptivePrecision: nothing is decided before the first training step; all is float32")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def end_epoch(self) -> None:
        """Say that an epoch is over; the next training step is measured if it is time to look again."""
        self.epoch += 1
        self._due = self._due or self.epoch == 1 or self.epoch % self._every_epochs == 0

    def preview(self, policy: str | Policy, dtype: torch.dtype | None = None) -> Plan:
        """Return what another policy or type would decide from the newest measurements; nothing is applied.

        Raises:
            DeepseekError: Nothing was measured yet, or there is no such policy or type.
        """
        dtype = self._decider.dtype if dtype is None else dtype
        return self._decider.preview(checked_policy(policy, dtype), dtype, self.epoch)

    def close(self) -> None:
        """Give the modules their own ``forward`` back; the model computes in float32 again."""
        self._end_survey()
        self._handle.remove()
        self._model.remove()
        for layer in self._layers:
            layer.remove()

    def _begin(self) -> None:
        """Called when a forward of the model begins."""
        if not torch.is_grad_enabled() or current_autograd_node() is not None:
            return
        self._scale.settle()
        self._forwards += 1
        if self._survey is not None and self._scale.read() < self._surveyed_scale:
            # The step was skipped for gradients that were not finite: they would speak for all that follow.
            self._end_survey()
            self._due = True
        if self._due or (self._forwards % _PATIENCE == 0 and self._has_overflown()):
            self._due = False
            self._surveyed_scale = self._scale.read()
            self._survey = Survey({layer.name: layer.module for layer in self._layers})
            for layer in self._layers:
                layer.survey = self._survey
            self._model.dtype = torch.float32
            if "torch._dynamo" in sys.modules:  # else nothing is compiled
                # Until the backward pass is over: it computes checkpointed parts once more.
                self._eager.enter_context(torch.compiler.set_stance("force_eager"))

    def _has_overflown(self) -> bool:
        """Whether the scaler had to go below the scale at which nothing overflowed: something has grown since."""
        return (
            self.plan is not None and self._survey is None and self._scale.read() < self.plan.loss_scale / _BACKED_OFF
        )

    def _before_step(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        """Decide, when the step that is being measured has its gradients."""
        survey = self._survey
        if survey is None or not survey.is_complete:
            return
        try:
            # Some fused optimizers unscale gradients themselves.
            still_scaled = getattr(optimizer, "grad_scale", None) is not None
            evidence = survey.finish(self._scale.read() if still_scaled else 1.0)
            self._apply(self._decider.decide(evidence, self.epoch))
        except Exception as error:  # noqa: BLE001 - whatever fails inside us must not reach training
            log.warning(
                "deepseek: deciding on precision failed (%s: %s); it stays as it was. Your training goes on.",
                type(error).__name__,
                printable(error),
            )
        self._end_survey()

    def _apply(self, plan: Plan) -> None:
        dtypes = {decision.layer: getattr(torch, decision.dtype) for decision in plan.decisions}
        for layer, dtype in [(layer, dtypes[layer.name]) for layer in self._layers]:  # all of them, or none
            layer.dtype = dtype
        self._autocast = torch.float32 if self._emulated or not plan.half_frac else getattr(torch, plan.half)
        self._scale.want(plan.loss_scale)
        self.plans.append(plan)
        AdaptivePrecision.decided += 1

    def _end_survey(self) -> None:
        if self._survey is not None:
            self._survey.close()
            self._survey = None
        for layer in self._layers:
            layer.survey = None
        self._model.dtype = self._autocast
        self._eager.close()


def plans_of(model: nn.Module) -> Sequence[Plan]:
    """Return the decisions on the precision of a model's layers so far; none without an ``AdaptivePrecision``."""
    forward = vars(model).get("forward")
    return forward.plans if isinstance(forward, ModelForward) else ()

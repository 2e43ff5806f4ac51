"""Mixed precision that decides for each layer from what it measured, and looks again from time to time."""

import logging
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, Self

import torch
from torch import nn
from torch._C import _current_autograd_node as current_autograd_node
from torch.amp.grad_scaler import GradScaler

from deepseek.errors import DeepseekError
from deepseek.kernels.precision.evidence import Evidence
from deepseek.kernels.precision.exponents import HALVES
from deepseek.kernels.precision.forwards import LayerForward, ModelForward, device_type_of
from deepseek.kernels.precision.layers import layers_of
from deepseek.kernels.precision.plan import Plan
from deepseek.kernels.precision.policies import POLICIES, Policy, Situation
from deepseek.kernels.precision.speed import half_speedup
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

    Raises:
        DeepseekError: An argument does not make sense; nothing has been changed then.
    """

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
        _check(model, optimizer, tau, every_epochs)
        self._policy, self._dtype = _choice(policy, dtype)
        self._tau = tau
        self._quantile: float | None = None
        self._every_epochs = every_epochs
        self._scaler = scaler if scaler is not None and scaler.is_enabled() else None
        self._emulated = emulate
        self._evidence: list[Evidence] = []
        self._due = True
        self._forwards = 0
        self._survey: Survey | None = None
        self._eager = ExitStack()
        self._autocast = torch.float32
        self._wanted_scale: float | None = None
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
        chosen, dtype = _choice(policy, self._dtype if dtype is None else dtype)
        if not self._evidence:
            raise DeepseekError("Nothing was measured yet: a preview needs one training step.")
        return chosen(self._evidence, self._situation(dtype))

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
        if self._wanted_scale is not None and self._scaler is not None:
            # Between two steps, where the scaler has no gradients on its books.
            self._scaler.update(self._wanted_scale)
            self._wanted_scale = None
        self._forwards += 1
        if self._due or (self._forwards % _PATIENCE == 0 and self._has_overflown()):
            self._due = False
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
            self.plan is not None and self._survey is None and self._loss_scale() < self.plan.loss_scale / _BACKED_OFF
        )

    def _before_step(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        """Decide, when the step that is being measured has its gradients."""
        survey = self._survey
        if survey is None or not survey.is_complete:
            return
        try:
            # Some fused optimizers unscale gradients themselves.
            still_scaled = getattr(optimizer, "grad_scale", None) is not None
            self._evidence = survey.finish(self._loss_scale() if still_scaled else 1.0)
            self._apply(self._decide())
        except Exception as error:  # noqa: BLE001 - whatever fails inside us must not reach training
            log.warning(
                "deepseek: deciding on precision failed (%s: %s); it stays as it was. Your training goes on.",
                type(error).__name__,
                printable(error),
            )
        self._end_survey()

    def _decide(self) -> Plan:
        situation = self._situation(self._dtype)
        plan = self._possible(self._policy(self._evidence, situation))
        if self._quantile is None:
            norms = [layer.gradient_norm for layer in self._evidence]
            self._quantile = sum(norm < self._tau for norm in norms) / len(norms)
        if situation.speedup is not None and situation.speedup <= 1 and not self.plans:
            log.warning(
                "deepseek: %s is %.3g times slower than float32 on this device. AdaptivePrecision(..., emulate=True) "
                "shows what it would do to the numbers; PackedActivations saves memory here.",
                plan.half,
                1 / situation.speedup,
            )
        return plan

    def _possible(self, plan: Plan) -> Plan:
        """Leave recurrent layers on processors in float32: torch cannot compute all of them in half precision there."""
        if self._emulated or device_type_of(self._model.module) != "cpu":
            return plan
        recurrent = {layer.name for layer in self._layers if isinstance(layer.module, nn.RNNBase)}
        reason = "torch has no half-precision recurrent layers on processors"
        decisions = [
            replace(decision, dtype="float32", reason=reason) if decision.layer in recurrent else decision
            for decision in plan.decisions
        ]
        return replace(plan, decisions=tuple(decisions))

    def _situation(self, dtype: torch.dtype) -> Situation:
        return Situation(
            epoch=self.epoch,
            half=dtype,
            loss_scale=self._loss_scale(),
            scalable=self._scaler is not None,
            speedup=None if self._emulated else half_speedup(device_type_of(self._model.module), dtype),
            tau=self._tau,
            quantile=self._quantile,
        )

    def _apply(self, plan: Plan) -> None:
        dtypes = {decision.layer: getattr(torch, decision.dtype) for decision in plan.decisions}
        for layer, dtype in [(layer, dtypes[layer.name]) for layer in self._layers]:  # all of them, or none
            layer.dtype = dtype
        self._autocast = torch.float32 if self._emulated or not plan.half_frac else getattr(torch, plan.half)
        self._wanted_scale = plan.loss_scale if plan.loss_scale != self._loss_scale() else None
        self.plans.append(plan)

    def _end_survey(self) -> None:
        if self._survey is not None:
            self._survey.close()
            self._survey = None
        for layer in self._layers:
            layer.survey = None
        self._model.dtype = self._autocast
        self._eager.close()

    def _loss_scale(self) -> float:
        return 1.0 if self._scaler is None else float(self._scaler.get_scale())


def plans_of(model: nn.Module) -> Sequence[Plan]:
    """Return the decisions on the precision of a model's layers so far; none without an ``AdaptivePrecision``."""
    forward = vars(model).get("forward")
    return forward.plans if isinstance(forward, ModelForward) else ()


def _choice(policy: str | Policy, dtype: torch.dtype) -> tuple[Policy, torch.dtype]:
    if dtype not in HALVES:
        raise DeepseekError(f"`dtype` must be torch.float16 or torch.bfloat16, not {dtype!r}.")
    if callable(policy):
        return policy, dtype
    if policy not in POLICIES:
        raise DeepseekError(f"There is no policy {policy!r}. Known are: {', '.join(POLICIES)}.")
    return POLICIES[policy], dtype


def _check(model: Any, optimizer: Any, tau: Any, every_epochs: Any) -> None:
    if not isinstance(model, nn.Module):
        raise DeepseekError(f"`model` must be a torch.nn.Module, not {type(model).__name__}.")
    if getattr(model, "_compiled_call_impl", None) is not None or type(model).__name__ == "OptimizedModule":
        raise DeepseekError(
            "The whole model is compiled; its layers cannot be measured then. Compile the modules within it instead, "
            "such as `model.encoder.compile()`."
        )
    if isinstance(vars(model).get("forward"), ModelForward):
        raise DeepseekError(
            "The precision of this model is controlled already: close the other AdaptivePrecision first."
        )
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise DeepseekError(f"`optimizer` must be a torch.optim.Optimizer, not {type(optimizer).__name__}.")
    if not isinstance(tau, (int, float)) or not tau > 0:
        raise DeepseekError(f"`tau` must be a gradient norm above 0, not {tau!r}.")
    if not isinstance(every_epochs, int) or every_epochs < 1:
        raise DeepseekError(f"`every_epochs` must be a whole number of epochs from 1, not {every_epochs!r}.")

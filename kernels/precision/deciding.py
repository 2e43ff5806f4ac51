"""Asks a policy, tells it what the device and the run are like, and corrects what the device cannot compute."""

import logging
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import nn

from deepseek.errors import DeepseekError
from deepseek.kernels.precision.evidence import Evidence
from deepseek.kernels.precision.forwards import device_type_of
from deepseek.kernels.precision.loss_scale import LossScale
from deepseek.kernels.precision.plan import Plan
from deepseek.kernels.precision.policies import Policy, Situation
from deepseek.kernels.precision.speed import half_speedup

log = logging.getLogger("deepseek")


class Decider:
    """Makes plans from what was measured.

    Args:
        model: The model.
        policy: What decides.
        dtype: The half-precision type.
        tau: Threshold of ``gradient_norm``.
        scale: The loss scale.
        emulated: Whether half precision is emulated: then it need not be faster.
    """

    def __init__(
        self, model: nn.Module, policy: Policy, dtype: torch.dtype, tau: float, scale: LossScale, *, emulated: bool
    ) -> None:
        self.dtype = dtype
        self._model, self._policy, self._tau, self._scale, self._emulated = model, policy, tau, scale, emulated
        self._evidence: Sequence[Evidence] = ()
        self._quantile: float | None = None

    def decide(self, evidence: Sequence[Evidence], epoch: int) -> Plan:
        """Return the precision of each layer, and warn once where half precision is slower."""
        first, self._evidence = not self._evidence, evidence
        situation = self._situation(epoch, self.dtype)
        plan = self._possible(self._policy(evidence, situation))
        if self._quantile is None:
            norms = [layer.gradient_norm for layer in evidence]
            self._quantile = sum(norm < self._tau for norm in norms) / len(norms)
        if first and situation.speedup is not None and situation.speedup <= 1:
            log.warning(
                "deepseek: %s is %.3g times slower than float32 on this device. AdaptivePrecision(..., emulate=True) "
                "shows what it would do to the numbers; PackedActivations saves memory here.",
                plan.half,
                1 / situation.speedup,
            )
        return plan

    def preview(self, policy: Policy, dtype: torch.dtype, epoch: int) -> Plan:
        """Return what another policy would decide from the newest measurements.

        Raises:
            DeepseekError: Nothing was measured yet.
        """
        if not self._evidence:
            raise DeepseekError("Nothing was measured yet: a preview needs one training step.")
        return policy(self._evidence, self._situation(epoch, dtype))

    def _situation(self, epoch: int, dtype: torch.dtype) -> Situation:
        return Situation(
            epoch=epoch,
            half=dtype,
            loss_scale=self._scale.read(),
            scalable=self._scale.is_adjustable,
            speedup=None if self._emulated else half_speedup(device_type_of(self._model), dtype),
            tau=self._tau,
            quantile=self._quantile,
        )

    def _possible(self, plan: Plan) -> Plan:
        """Leave recurrent layers on processors in float32: torch cannot compute all of them in half precision there."""
        if self._emulated or device_type_of(self._model) != "cpu":
            return plan
        recurrent = {name for name, module in self._model.named_modules() if isinstance(module, nn.RNNBase)}
        reason = "torch has no half-precision recurrent layers on processors"
        decisions = [
            replace(decision, dtype="float32", reason=reason) if decision.layer in recurrent else decision
            for decision in plan.decisions
        ]
        return replace(plan, decisions=tuple(decisions))

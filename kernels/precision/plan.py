"""Which layers compute in half precision, and why: the record that policies make and the inspector shows."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import torch

from deepseek.kernels.precision.evidence import Damage, Evidence
from deepseek.text import printable

if TYPE_CHECKING:
    import pandas as pd

PLAN_COLUMNS = (
    *("epoch", "policy", "half", "loss_scale", "layer", "dtype", "reason", "numel", "gradient_norm"),
    *Damage._fields,
)
"""What ``Plan.rows`` and ``Plan.table`` tell about each layer."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The precision of one layer.

    Attributes:
        layer: Qualified name of the module.
        dtype: What it computes in: ``float16``, ``bfloat16`` or ``float32``.
        reason: One sentence.
        numel: Number of its parameters.
        gradient_norm: L2 norm of the gradient of its parameters, free of the loss scale.
        damage: What half precision would do to the layer, whether it was chosen or not.
    """

    layer: str
    dtype: str
    reason: str
    numel: int
    gradient_norm: float
    damage: Damage


@dataclass(frozen=True, slots=True)
class Plan:
    """The precision of every layer, as decided from one training step in float32.

    Attributes:
        epoch: The epoch in which it was made, from 0.
        policy: Who made it.
        half: The half-precision type that was considered.
        loss_scale: The loss scale that the damage was predicted for; 1 without a gradient scaler.
        tau: Threshold of the policy ``gradient_norm``; NaN for others.
        decisions: One for each layer, in the order of the model.
    """

    epoch: int
    policy: str
    half: str
    loss_scale: float
    tau: float
    decisions: tuple[Decision, ...]

    @property
    def half_frac(self) -> float:
        """Share of the layers' parameters that compute in half precision."""
        total = sum(decision.numel for decision in self.decisions)
        return sum(decision.numel for decision in self.decisions if decision.dtype != "float32") / max(total, 1)

    def __str__(self) -> str:
        lines = [
            f"epoch {self.epoch}, policy {self.policy}: {self.half_frac:.0%} of the parameters in {self.half}, "
            f"loss scale {self.loss_scale:g}"
        ]
        width = max((len(decision.layer) for decision in self.decisions), default=0)
        lines += [f"  {d.layer:{width}}  {d.dtype:8}  {d.reason}" for d in self.decisions]
        return printable("\n".join(lines))

    def table(self) -> "pd.DataFrame":
        """Return one row per layer: dtype, reason, gradient norm, and the damage that half precision would do."""
        import pandas as pd

        rows = [
            {name: printable(value) if isinstance(value, str) else value for name, value in row.items()}
            for row in self.rows()
        ]
        return pd.DataFrame(rows)

    def rows(self) -> list[dict[str, float | str]]:
        """Return one row per layer as plain numbers and texts by name, those of the plan included."""
        about: dict[str, float | str] = {
            "epoch": self.epoch,
            "policy": self.policy,
            "half": self.half,
            "loss_scale": self.loss_scale,
        }
        return [about | _row(decision) for decision in self.decisions]


def decide(evidence: Evidence, dtype: torch.dtype, reason: str, damage: Damage) -> Decision:
    """Return the decision for a layer."""
    name = str(dtype).removeprefix("torch.")
    return Decision(evidence.layer, name, reason, evidence.numel, evidence.gradient_norm, damage)


def _row(decision: Decision) -> dict[str, float | str]:
    row = {name: value for name, value in asdict(decision).items() if name != "damage"}
    return row | decision.damage._asdict()

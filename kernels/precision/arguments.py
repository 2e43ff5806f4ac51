"""What ``AdaptivePrecision`` may be called with."""

from typing import Any

import torch
from torch import nn

from deepseek.errors import DeepseekError
from deepseek.kernels.precision.exponents import HALVES
from deepseek.kernels.precision.forwards import ModelForward
from deepseek.kernels.precision.policies import POLICIES, Policy


def check(model: Any, optimizer: Any, tau: Any, every_epochs: Any) -> None:
    """Raise a ``DeepseekError`` for arguments that make no sense."""
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


def checked_policy(policy: str | Policy, dtype: torch.dtype) -> Policy:
    """Return the policy of that name.

    Raises:
        DeepseekError: There is no such policy, or ``dtype`` is no half-precision type.
    """
    if dtype not in HALVES:
        raise DeepseekError(f"`dtype` must be torch.float16 or torch.bfloat16, not {dtype!r}.")
    if callable(policy):
        return policy
    if policy not in POLICIES:
        raise DeepseekError(f"There is no policy {policy!r}. Known are: {', '.join(POLICIES)}.")
    return POLICIES[policy]

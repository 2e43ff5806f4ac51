"""How often each unit of a layer was active in one step."""

import torch
from torch import nn

from deepseek.inspector.detail.data import MAX_UNITS, UnitActivity, UnitsOf
from deepseek.inspector.probes.units import Bounds, unit_axis
from deepseek.inspector.sites import is_unit_weight
from deepseek.inspector.tensors import local
from deepseek.kernels.summary import count_live_rows, count_units


def units_of_output(output: torch.Tensor, bounds: Bounds, after: str) -> UnitActivity | None:
    """Count the samples in which each unit of an activation function was active and saturated.

    Args:
        output: What the function returned.
        bounds: Where it is off and saturated.
        after: Class name of the layer before.
    """
    output = local(output.detach())
    axis = unit_axis(output, after)
    if axis is None or not output.is_floating_point() or not output.numel() or output.shape[axis] > MAX_UNITS:
        return None
    active, saturated = _zeros(output.shape[axis], output), _zeros(output.shape[axis], output)
    count_units(active, saturated, output, axis, bounds)
    return _activity("activation", output.numel() // output.shape[axis], active, saturated)


def units_of_gradient(module: nn.Module) -> UnitActivity | None:
    """Tell which units of a linear or convolution layer any gradient reached; None where there is no gradient."""
    weight = module._parameters.get("weight")
    if weight is None or weight.grad is None or not is_unit_weight(module, weight):
        return None
    gradient = local(weight.grad)
    if gradient.layout is not torch.strided or not 0 < len(gradient) <= MAX_UNITS:
        return None
    active = _zeros(len(gradient), gradient)
    count_live_rows(active, gradient)
    return _activity("gradient", 1, active, torch.zeros_like(active))


def _zeros(units: int, like: torch.Tensor) -> torch.Tensor:
    return torch.zeros(units, dtype=torch.int32, device=like.device)


def _activity(of: UnitsOf, samples: int, active: torch.Tensor, saturated: torch.Tensor) -> UnitActivity:
    counts = (each.cpu().numpy().astype("uint32") for each in (active, saturated))
    return UnitActivity(of, samples, *counts)

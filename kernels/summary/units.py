"""How often each unit of a layer is active, and how often saturated."""

import torch
from torch import Tensor
from torch._C import _is_torch_function_mode_enabled as _has_function_mode

from deepseek.errors import DeepseekError
from deepseek.kernels.summary.layouts import describe, is_sparse, is_summarisable, unobserved
from deepseek.kernels.summary.native import counts_address, in_place_code, native
from deepseek.kernels.summary.reference import as_float

Bounds = tuple[float, float, float, float]
"""``(dead_low, dead_high, saturated_low, saturated_high)``."""


def count_units(active: Tensor, saturated: Tensor, output: Tensor, axis: int, bounds: Bounds) -> None:
    """Add to the counts of each unit how many of its elements are active, and how many are saturated.

    An element is off if ``dead_low <= y <= dead_high`` and active otherwise (so NaN is active); it is saturated if
    ``y <= saturated_low`` or ``y >= saturated_high``. Comparisons are made in float32 (float64 for float64 tensors,
    integers and bool), the bounds rounded to that. ``dead_low=inf, dead_high=-inf`` calls no element off, NaN bounds
    none saturated; ``saturated_low=-inf, saturated_high=inf`` only those that are infinite. Dense float tensors on the
    CPU are read once, in place, whatever their order in memory. Nothing is synchronised. Outputs that are sparse or
    cannot be summarised leave the counts as they are.

    Args:
        active: ``[units]`` int32 on the device of ``output``; changed in place.
        saturated: As ``active``.
        output: Any shape with ``output.shape[axis] == units``.
        axis: Dimension of the units; negative ones count from the end.
        bounds: Where units are off and where they are saturated.

    Raises:
        DeepseekError: If the counts or the axis do not fit.
    """
    if _has_function_mode():
        with torch._C.DisableTorchFunction():
            _count_units(active, saturated, output, axis, bounds)
    else:
        _count_units(active, saturated, output, axis, bounds)


def _count_units(active: Tensor, saturated: Tensor, output: Tensor, axis: int, bounds: Bounds) -> None:
    code = in_place_code(output)
    if code is not None and -output.ndim <= axis < output.ndim and (numel := output.numel()):
        try:
            units = output.shape[axis]
            to_active, to_saturated = counts_address(active, units), counts_address(saturated, units)
            if to_active and to_saturated:
                inner = output.stride(axis) if units > 1 else numel  # in a dense tensor, all that lies closer together
                outer = numel // (units * inner)
                address = output.data_ptr()
                return native.count_units(address, outer, units, inner, code, *bounds, to_active, to_saturated)
        except RuntimeError:  # no memory of its own: released, or inside a torch.func transform
            pass
    with unobserved():
        return reference_count_units(active, saturated, output, axis, bounds)


def reference_count_units(active: Tensor, saturated: Tensor, output: Tensor, axis: int, bounds: Bounds) -> None:
    """Count units in plain torch; arguments as ``count_units`` takes them."""
    if not is_summarisable(output) or is_sparse(output):
        return
    _expect_fitting(active, saturated, output, axis)
    if output.numel() == 0:
        return
    units = as_float(output.detach()).movedim(axis, 0).reshape(output.shape[axis], -1)
    # On the host, because a number beyond float32 has no way into a comparison but a tensor.
    limits = torch.tensor(bounds, dtype=torch.float64, device="cpu").to(units.dtype)
    dead_low, dead_high, saturated_low, saturated_high = limits
    active += ((units >= dead_low) & (units <= dead_high)).logical_not_().sum(1)
    saturated += ((units <= saturated_low) | (units >= saturated_high)).sum(1)


def _expect_fitting(active: Tensor, saturated: Tensor, output: Tensor, axis: int) -> None:
    units = output.shape[axis] if -output.ndim <= axis < output.ndim else None
    for counts in (active, saturated):
        if units is None or counts.shape != (units,) or counts.dtype != torch.int32 or counts.device != output.device:
            raise DeepseekError(
                f"Expected counts of shape [units], int32, on the device of the output, got {describe(counts)} for "
                f"axis {axis} of {describe(output)}; create them with "
                "torch.zeros(output.shape[axis], dtype=torch.int32, device=output.device)."
            )

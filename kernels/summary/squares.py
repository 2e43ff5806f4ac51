"""The sum of squares over many tensors at once, cheap enough for every step."""

import math
import struct
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor
from torch._C import _is_torch_function_mode_enabled as _has_function_mode

from deepseek.kernels.summary.general import Row
from deepseek.kernels.summary.layouts import is_sparse, is_summarisable, unobserved
from deepseek.kernels.summary.native import CODES, in_place_code, native, plain
from deepseek.kernels.summary.reference import as_float

_L2_AND_NONFINITE = struct.Struct("=16xd48xd16x")


def square_sum_of(row: Row) -> float:
    """Return the sum of squares that a summary holds already; NaN if elements are not finite or it is on a device."""
    if not isinstance(row, bytes):
        return math.nan
    l2, nonfinite = _L2_AND_NONFINITE.unpack(row)
    return float(l2 * l2) if nonfinite == 0.0 else math.nan


def square_sums(tensors: Sequence[Tensor]) -> float | Tensor:
    """Add up the squares of all elements of all tensors: the square of their global norm.

    Accumulated in float64 from short sums of float32; not finite if any element is not. On accelerators the norms come
    from one ``torch._foreach_norm`` a device (in float32 at least, so magnitudes beyond 1e19 give infinity), their
    sums are added on the device of the first, and nothing is synchronised. Of a sparse tensor the stored values count;
    one that is not coalesced is coalesced first, which does synchronise on an accelerator. Of complex tensors the
    magnitudes count. What cannot be summarised otherwise (meta, nested, quantised and fake tensors, tensors inside a
    ``torch.func`` transform) is left out.

    Args:
        tensors: Any shapes, dtypes, layouts and devices.

    Returns:
        A number where all tensors are on the CPU, else a scalar tensor on an accelerator.
    """
    if _has_function_mode():
        with torch._C.DisableTorchFunction():
            return _square_sums(tensors)
    return _square_sums(tensors)


def _square_sums(tensors: Sequence[Tensor]) -> float | Tensor:
    total, others = native.take_square_sum(list(tensors)) if CODES else (0.0, list(tensors))
    if not others:
        return total
    with unobserved():
        reals = [real for tensor in others if (real := _as_real(tensor)) is not None]
        return _sum_of_others(total, reals)


def _sum_of_others(total: float, reals: list[Tensor]) -> float | Tensor:
    groups = dict[tuple[torch.device, torch.dtype], list[Tensor]]()
    for real in reals:
        code = in_place_code(real)
        if code is not None:
            total += native.square_sum(real.data_ptr(), real.numel(), code)
        else:
            wide = as_float(real)
            groups.setdefault((wide.device, wide.dtype), []).append(wide)
    result: float | Tensor = total
    # From one accelerator to another nothing waits; a number of the host travels along with the addition.
    for part in sorted((device_square_sum(group) for group in groups.values()), key=lambda part: part.is_cpu):
        result += part.item() if part.is_cpu else part.to(_device_of(result) or part.device, non_blocking=True)
    return result


def _device_of(number: float | Tensor) -> torch.device | None:
    return number.device if isinstance(number, Tensor) else None


def device_square_sum(tensors: list[Tensor]) -> Tensor:
    """Add up the squares of real tensors of one device and dtype there, with one launch for all of them."""
    wide = torch.float32 if tensors[0].device.type == "mps" else torch.float64
    # On the host precision is worth more than speed.
    norms = torch._foreach_norm(tensors, 2, dtype=wide if tensors[0].is_cpu else None)
    return torch.stack(norms).to(wide).square().sum()


def reference_square_sum(tensors: Iterable[Tensor]) -> float:
    """Add up the squares of any tensors with numbers in them, slowly, in float64."""
    dense = (tensor.detach().to_dense() for tensor in tensors)
    return sum(x.to(torch.complex128).abs().square().sum().item() for x in dense)


def _as_real(tensor: Tensor) -> Tensor | None:
    """Give the stored elements as an ordinary real tensor, None where there are none."""
    if not (is_summarisable(tensor) or tensor.is_complex()):
        return None
    tensor = tensor.detach()
    if is_sparse(tensor):
        tensor = _stored(tensor)
    if tensor.is_complex():
        tensor = torch.view_as_real(tensor.resolve_conj())
    return plain(tensor) if is_summarisable(tensor) and tensor.numel() > 0 else None


def _stored(tensor: Tensor) -> Tensor:
    if tensor.layout is not torch.sparse_coo:
        return tensor.values()
    return tensor._values() if tensor.is_coalesced() else tensor.coalesce()._values()

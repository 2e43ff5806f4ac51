"""What rounding to half precision loses, predicted from counts, equals what casting loses."""

import math

import pytest
import torch
from torch import Tensor

from deepseek.errors import DeepseekError
from deepseek.kernels.precision import Lost, count_exponents

HALVES = (torch.float16, torch.bfloat16)


def lost_by_casting(x: Tensor, dtype: torch.dtype, scale: float = 1.0) -> Lost:
    x = x.float()
    cast = (x * scale).to(dtype)
    counted = x.isfinite() & (x != 0)
    zero, narrow = cast == 0, cast.abs() < torch.finfo(dtype).smallest_normal
    parts = (counted, counted & zero, counted & narrow & ~zero, counted & cast.isinf())
    return Lost(*(int(part.sum()) for part in parts))


def turning_points() -> Tensor:
    """Where rounding turns over for either type and many scales, with the neighbours on both sides."""
    points = []
    for dtype in HALVES:
        info = torch.finfo(dtype)
        bits, lowest = 1 - round(math.log2(info.eps)), info.smallest_normal
        infinity = 2.0 ** math.frexp(info.max)[1]
        points += [lowest * 2.0**-bits, lowest * 2.0 ** (1 - bits), lowest * (1 - 2.0**-bits), lowest]
        points += [info.max, infinity * (1 - 2.0 ** -(bits + 1)), infinity / 2]
    scaled = torch.tensor([point * 2.0**shift for point in points for shift in range(-26, 27)]).double().float()
    up, down = (scaled.nextafter(torch.tensor(limit)) for limit in (math.inf, 0.0))
    return torch.cat([scaled, up, down, -scaled, -up, -down])


def any_bits(count: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(2**32, (count,), generator=generator).to(torch.int32).view(torch.float32)


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("scale", [1.0, 2.0, 1024.0, 2.0**16, 2.0**24])
def test_at_every_turning_point_of_rounding(dtype, scale):
    x = turning_points()
    assert count_exponents(x).lost(dtype, scale) == lost_by_casting(x, dtype, scale)


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("scale", [1.0, 2.0**16])
def test_for_floats_of_any_bits(dtype, scale):
    x = any_bits(1_000_003)
    assert count_exponents(x).lost(dtype, scale) == lost_by_casting(x, dtype, scale)


@pytest.mark.parametrize("scale", [0.5, 2.0**-10])
def test_scales_below_one(scale):
    x = turning_points()
    assert count_exponents(x).lost(torch.float16, scale) == lost_by_casting(x, torch.float16, scale)


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_other_dtypes(half, dtype):
    x = turning_points().to(dtype)
    assert count_exponents(x).lost(half) == lost_by_casting(x, half)


def test_layouts_and_sizes():
    x = any_bits(60).reshape(3, 4, 5)
    for view in (x.transpose(0, 2), x[:, ::2], x[:0], x[0, 0, 0], x[:, :1].expand(3, 7, 5)):
        counts = count_exponents(view)
        assert counts.numel == view.numel()
        assert counts.lost(torch.float16) == lost_by_casting(view, torch.float16)


def test_counts_of_two_tensors_add_up():
    x = turning_points()
    both = count_exponents(x[:777]) + count_exponents(x[777:])
    assert both.numel == len(x)
    assert both.lost(torch.float16) == lost_by_casting(x, torch.float16)


def test_what_is_not_finite_is_counted_apart():
    counts = count_exponents(torch.tensor([math.nan, math.inf, -math.inf, 0.0, -0.0, 1.0]))
    assert (counts.numel, counts.nonfinite, counts.nonzero) == (6, 3, 1)
    assert counts.lost(torch.float16) == Lost(1, 0, 0, 0)


def test_shares_are_of_the_values_other_than_zero():
    lost = count_exponents(torch.tensor([0.0, 1e-9, 1e-6, 1e6, 1.0])).lost(torch.float16)
    assert (lost.underflow_frac, lost.subnormal_frac, lost.overflow_frac) == (0.25, 0.25, 0.25)
    assert count_exponents(torch.zeros(3)).lost(torch.float16).underflow_frac == 0.0


@pytest.mark.parametrize("x", [torch.ones(2, dtype=torch.int64), torch.ones(2, 2).to_sparse(), torch.ones(2).cfloat()])
def test_only_dense_floats_can_be_counted(x):
    with pytest.raises(DeepseekError, match="Expected a dense floating-point tensor"):
        count_exponents(x)


def test_other_types_and_scales_are_refused():
    counts = count_exponents(torch.ones(2))
    with pytest.raises(DeepseekError, match=r"float16 or torch.bfloat16, got torch.float32"):
        counts.lost(torch.float32)
    with pytest.raises(DeepseekError, match="power of two"):
        counts.lost(torch.float16, 1000.0)

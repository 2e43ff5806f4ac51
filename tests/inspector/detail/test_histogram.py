"""Histograms count exactly as numpy and torch's own conversions do."""

import math

import numpy as np
import pytest
import torch

from deepseek.inspector.detail import EXPONENTS, FORMATS
from deepseek.inspector.detail.histogram import histogram

DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def made(case, dtype):
    generator = torch.Generator().manual_seed(7)
    match case:
        case "normal":
            return torch.randn(1_000_003, generator=generator).to(dtype)
        case "wide":  # from far below to far above every format
            exponents = torch.randint(-160, 130, (50_001,), generator=generator)
            return torch.ldexp(torch.randn(50_001, generator=generator, dtype=torch.float64), exponents).to(dtype)
        case "integers":
            return torch.randint(-32, 33, (777,), generator=generator).to(dtype)
        case "nonfinite":
            return torch.tensor([math.nan, math.inf, -math.inf, 1.0, -2.0, 0.0, -0.0]).to(dtype)
        case "only nonfinite":
            return torch.tensor([math.nan, math.inf]).to(dtype)
        case "equal":
            return torch.full((13,), 3.25, dtype=dtype)
        case "transposed":
            return torch.randn(37, 41, generator=generator).to(dtype).T
        case "scalar":
            return torch.tensor(2.5, dtype=dtype)
    return torch.zeros(0, dtype=dtype)


CASES = ("normal", "wide", "integers", "nonfinite", "only nonfinite", "equal", "transposed", "scalar", "empty")


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("case", CASES)
def test_counts_equal_numpy(case, dtype):
    tensor = made(case, dtype)
    found = histogram("activation", "", tensor)
    values = tensor.to(torch.float64).numpy().ravel()
    finite = values[np.isfinite(values)]
    assert (found.numel, found.nonfinite) == (values.size, values.size - finite.size)
    assert found.zeros == np.count_nonzero(finite == 0)
    assert found.dtype == str(dtype).removeprefix("torch.")
    if finite.size:
        counts, edges = np.histogram(finite, 64)
        assert (found.low, found.high) == (edges[0], edges[-1])
        assert np.array_equal(found.counts, counts)
    else:
        assert math.isnan(found.low)
        assert not found.counts.any()
    exponents = np.frexp(np.abs(finite[finite != 0]))[1] - 1
    expected = np.bincount(np.clip(exponents, EXPONENTS[0], EXPONENTS[-1]) - EXPONENTS[0], minlength=len(EXPONENTS))
    assert np.array_equal(found.exponents, expected)


def at_the_edges():
    """Every limit of every format, and its neighbours on both sides."""
    points = [v for form in FORMATS for v in (form.smallest / 2, form.smallest, form.normal, form.largest)]
    points += [form.normal - form.smallest / 2 for form in FORMATS] + [65520.0, 464.0, 61440.0, 2.0**128 - 2.0**119]
    near = torch.tensor(points, dtype=torch.float64).to(torch.float32)
    near = near[near.isfinite()]
    up, down = torch.nextafter(near, torch.tensor(math.inf)), torch.nextafter(near, torch.tensor(0.0))
    return torch.cat([near, up, down, -near, -up, -down, torch.zeros(3)])


@pytest.mark.parametrize("values", [at_the_edges(), made("wide", torch.float32)], ids=["edges", "wide"])
@pytest.mark.parametrize("index", range(len(FORMATS)), ids=[form.name for form in FORMATS])
def test_what_a_format_loses_equals_rounding_to_it(values, index):
    form = FORMATS[index]
    rounded = values.to(getattr(torch, form.name)).to(torch.float64)
    present = values.isfinite() & (values != 0)
    zero = present & (rounded == 0)
    subnormal = present & (rounded != 0) & (rounded.abs() < form.normal)
    lost = present & ~rounded.isfinite()
    if form.name == "float8_e4m3fn":  # has no infinity: torch makes NaN of what is too large, or cuts it to 448
        lost = present & (values.abs() > 464)
        assert ((rounded.isnan() | (rounded.abs() == form.largest)) == (values.abs() >= 432))[values.isfinite()].all()
    found = histogram("activation", "", values)
    assert found.formats[index].tolist() == [int(mask.sum()) for mask in (zero, subnormal, lost)]


@pytest.mark.parametrize(
    "tensor",
    [torch.arange(3), torch.ones(2, dtype=torch.bool), torch.ones(2, 2).to_sparse(), torch.ones(2, device="meta")],
    ids=["integers", "bool", "sparse", "meta"],
)
def test_tensors_that_hold_no_dense_numbers_are_left_out(tensor):
    assert histogram("activation", "", tensor) is None


def test_a_range_beyond_every_number_leaves_the_bins_empty():
    found = histogram("activation", "", torch.tensor([-1.7e308, 1.7e308], dtype=torch.float64))
    assert not found.counts.any()
    assert found.exponents[-1] == 2

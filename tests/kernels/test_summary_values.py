"""Summary rows equal a float64 computation in numpy, whatever the dtype, layout, size and content."""

import math
import random

import numpy as np
import pytest
import torch
from torch import Tensor

from deepseek.kernels.summary import (
    COLUMNS,
    native,
    square_sums,
    start_transfer,
    summarize_row,
    summarize_update_row,
)

FLOATS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
OTHERS = (torch.float8_e4m3fn, torch.float8_e5m2, torch.int64, torch.int32, torch.int8, torch.uint8, torch.bool)
SIZES = (0, 1, 2, 7, 63, 65, 1000, 4095, 4096, 4097, 8192, 12289, 50000)
CONTENTS = (
    "normal",
    "shifted",
    "relu",
    "outliers",
    "huge",
    "tiny",
    "denormal",
    "constant",
    "ramp",
    "sprinkled",
    "nan",
    "zeros",
)
LAYOUTS = ("contiguous", "channels_last", "transposed", "strided", "expanded", "scalar", "offset", "permuted")


def sprinkled(x: Tensor, generator: torch.Generator) -> Tensor:
    special = torch.tensor([math.nan, math.inf, -math.inf, -0.0, 0.0, 65519.0, 65520.0, -65520.0, 2.0**-14])
    chosen = torch.randint(0, 40, x.shape, generator=generator)
    return torch.where(chosen < len(special), special.double()[chosen.clamp(max=len(special) - 1)], x)


def content(kind: str, size: int, generator: torch.Generator) -> Tensor:
    x = torch.randn(size, generator=generator, dtype=torch.float64)
    return {
        "normal": lambda: x,
        "shifted": lambda: x * 0.01 + 100,
        "relu": lambda: x.relu(),
        "outliers": lambda: torch.where(x.abs() > 3, x * 1e4, x * 1e-4),
        "huge": lambda: x * 1e30,
        "tiny": lambda: x * 1e-30,
        "denormal": lambda: x * 1e-40,
        "constant": lambda: torch.full_like(x, 0.1),
        "ramp": lambda: torch.logspace(-25, 25, size, dtype=torch.float64) * x.sign(),
        "sprinkled": lambda: sprinkled(x, generator),
        "nan": lambda: torch.full_like(x, math.nan),
        "zeros": lambda: torch.where(x > 0, 0.0, -0.0),
    }[kind]()


def laid_out(x: Tensor, layout: str) -> Tensor:
    match layout:
        case "scalar":
            return x[0].clone() if len(x) else x
        case "strided":
            return torch.stack([x, torch.full_like(x, 7)], 1)[:, 0]
        case "offset":
            return torch.cat([x[:1], x])[1:] if len(x) else x
        case "expanded":
            return x.unsqueeze(0).expand(3, -1)
    if x.numel() % 8 or x.numel() == 0:
        return x
    match layout:
        case "channels_last":
            return x.view(2, 4, 1, -1).to(memory_format=torch.channels_last)
        case "transposed":
            return x.view(4, -1).t()
        case "permuted":
            return x.view(2, 4, -1).permute(1, 2, 0)
    return x


def sample(seed: int) -> Tensor:
    """Draw one of the tensors to test; which one is decided by the seed alone."""
    rng, generator = random.Random(seed), torch.Generator().manual_seed(seed)
    x = content(rng.choice(CONTENTS), rng.choice(SIZES), generator)
    dtype = FLOATS[seed % 4] if seed % 3 else rng.choice(OTHERS)
    if not dtype.is_floating_point:
        x = (x.nan_to_num(0.0, 1.0, -1.0) * 10).clamp(0 if dtype in (torch.uint8, torch.bool) else -100, 100)
    return laid_out(x.to(dtype), rng.choice(LAYOUTS))


def values(*rows: bytes | Tensor) -> np.ndarray:
    return start_transfer(rows).wait()


def expected(tensor: Tensor) -> tuple[dict[str, float], np.ndarray]:
    """Compute the columns in float64, and return the finite elements beside them."""
    x = tensor.double().numpy().ravel()
    kept = x[np.isfinite(x)]
    some, every = len(kept) > 0, len(x) > 0
    columns = {
        "mean": kept.mean() if some else math.nan,
        "std": kept.std() if some else math.nan,
        "l2": float(np.sqrt((kept**2).sum())),
        "rms": np.sqrt((kept**2).mean()) if some else math.nan,
        "min": kept.min() if some else math.nan,
        "max": kept.max() if some else math.nan,
        "absmax": np.abs(kept).max() if some else math.nan,
        "zero_frac": (x == 0).mean() if every else math.nan,
        "positive_frac": (np.isfinite(x) & (x > 0)).mean() if every else math.nan,
        "nonfinite_count": len(x) - len(kept),
        "subnormal16_frac": ((x != 0) & (np.abs(x) < 2.0**-14)).mean() if every else math.nan,
        "overflow16_frac": (np.isfinite(x) & (np.abs(x) >= 65520)).mean() if every else math.nan,
    }
    return columns, kept


def check(row: np.ndarray, tensor: Tensor) -> None:
    got = dict(zip(COLUMNS, row.tolist(), strict=True))
    want, kept = expected(tensor)
    for column in ("min", "max", "absmax", "nonfinite_count"):
        assert got[column] == pytest.approx(want[column], rel=0, abs=0, nan_ok=True), column
    for column in ("zero_frac", "positive_frac", "subnormal16_frac", "overflow16_frac"):
        assert got[column] == pytest.approx(want[column], rel=1e-15, nan_ok=True), column
    assert got["l2"] ** 2 == pytest.approx(want["l2"] ** 2, rel=1e-5)
    assert got["rms"] == pytest.approx(want["rms"], rel=1e-5, nan_ok=True)
    if len(kept) == 0:
        assert math.isnan(got["mean"])
        assert math.isnan(got["std"])
        return
    assert abs(got["mean"] - want["mean"]) * len(kept) <= 1e-5 * np.abs(kept).sum()
    # A float32 mean is exact to about 1e-7 of the largest magnitude, and so are the deviations from it.
    assert got["std"] == pytest.approx(want["std"], rel=1e-5, abs=1e-7 * want["absmax"])


@pytest.mark.parametrize("block", range(10))
def test_rows_equal_a_float64_reference(implementation: str, block: int) -> None:
    for seed in range(20 * block, 20 * block + 20):
        tensor = sample(seed)
        check(values(summarize_row(tensor))[0], tensor)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_ten_million_elements(dtype: torch.dtype) -> None:
    tensor = torch.randn(10_000_000, generator=torch.Generator().manual_seed(0)).to(dtype)
    check(values(summarize_row(tensor))[0], tensor)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_every_16_bit_pattern_is_read_right(implementation: str, dtype: torch.dtype) -> None:
    patterns = torch.arange(-(2**15), 2**15, dtype=torch.int16).view(dtype)
    for chunk in patterns.split(1111):
        check(values(summarize_row(chunk))[0], chunk)


def test_a_mean_far_above_the_spread_does_not_cancel(implementation: str) -> None:
    tensor = torch.randn(10_000, generator=torch.Generator().manual_seed(0)) + 1000
    row = dict(zip(COLUMNS, values(summarize_row(tensor))[0], strict=True))
    assert row["std"] == pytest.approx(tensor.double().std(correction=0).item(), rel=1e-5)


def test_a_level_that_jumps_between_blocks(implementation: str) -> None:
    noise = torch.randn(5, 4096, generator=torch.Generator().manual_seed(0))
    tensor = noise * torch.tensor([[1.0], [1e-6], [1.0], [1e-12], [1e6]]) + torch.tensor(
        [[0.0], [1e6], [0], [0], [-1e9]]
    )
    check(values(summarize_row(tensor))[0], tensor)


def test_a_constant_has_no_spread(implementation: str) -> None:
    row = dict(zip(COLUMNS, values(summarize_row(torch.full((9999,), 0.1)))[0], strict=True))
    assert row["std"] == 0.0
    assert row["mean"] == pytest.approx(np.float32(0.1), rel=1e-12)


def test_denormals_are_counted_where_they_are_flushed_to_zero(implementation: str) -> None:
    tensor = torch.tensor([1e-40, 1.0, 0.0, 2.0])
    if implementation == "torch" or not torch.set_flush_denormal(True):
        pytest.skip("torch itself sees zeros then")
    try:
        row = dict(zip(COLUMNS, values(summarize_row(tensor))[0], strict=True))
    finally:
        torch.set_flush_denormal(False)
    assert (row["zero_frac"], row["positive_frac"], row["subnormal16_frac"]) == (0.25, 0.75, 0.25)


def as_bits(x: Tensor) -> Tensor:
    return x.view({2: torch.int16, 4: torch.int32, 8: torch.int64}[x.element_size()])


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("layout", ["contiguous", "channels_last", "strided", "transposed"])
@pytest.mark.parametrize("size", [0, 1, 4096, 50_000])
def test_updates(implementation: str, dtype: torch.dtype, layout: str, size: int) -> None:
    generator = torch.Generator().manual_seed(size)
    old = laid_out(content("sprinkled", size, generator).to(dtype), layout)
    new = laid_out(content("normal", size, generator).to(dtype), layout)
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    for later in (new, old.clone().neg_()):
        difference = later.to(wide) - old.to(wide)
        rows = values(*summarize_update_row(later, old))
        check(rows[0], later)
        check(rows[1], difference)
        assert torch.equal(as_bits(old), as_bits(later))


def test_an_update_of_unlike_strides(implementation: str) -> None:
    new = torch.randn(6, 6, generator=torch.Generator().manual_seed(0))
    old = torch.arange(36.0).view(6, 6).t()
    difference = new - old
    check(values(summarize_update_row(new, old)[1])[0], difference)
    assert torch.equal(old, new)


def test_an_update_of_a_parameter(implementation: str) -> None:
    new, old = torch.nn.Parameter(torch.ones(5)), torch.zeros(5)
    rows = values(*summarize_update_row(new, old))
    assert rows[:, 0].tolist() == [1.0, 1.0]
    assert old.tolist() == [1.0] * 5


def test_an_update_of_a_sparse_parameter(implementation: str) -> None:
    new, old = torch.eye(3).to_sparse(), torch.zeros(3, 3).to_sparse()
    rows = values(*summarize_update_row(new, old))
    assert rows[0, 0] == pytest.approx(1 / 3)
    assert math.isnan(rows[1, 0])
    assert torch.equal(old.to_dense(), torch.eye(3))


def test_an_older_torch_without_an_exchange_table(monkeypatch: pytest.MonkeyPatch) -> None:
    if native.native is None:
        pytest.skip("the native part was not built")
    monkeypatch.setattr(native.native, "summarize_tensor", lambda tensor: None)
    monkeypatch.setattr(native.native, "update_tensor", lambda new, old: None)
    monkeypatch.setattr(native.native, "take_square_sum", lambda tensors: (0.0, tensors))
    for seed in range(40):
        tensor = sample(seed)
        check(values(summarize_row(tensor))[0], tensor)
    new, old = torch.arange(6.0), torch.ones(6)
    assert values(*summarize_update_row(new, old))[:, 0].tolist() == [2.5, 1.5]
    assert square_sums([new, old, new.double()]) == 2 * 55.0 + 55.0

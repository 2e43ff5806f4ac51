"""Counts of active and saturated units equal brute force, to the last one."""

import math

import pytest
import torch
from torch import Tensor

from deepseek.errors import DeepseekError
from deepseek.kernels.summary import count_units

INF = math.inf
FLOATS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
BOUNDS = ((0.0, 0.0, -1.9, 1.9), (-INF, 0.1, math.nan, math.nan), (INF, -INF, -INF, INF), (-0.3, 0.3, -1e300, 0.7))
SHAPES = (
    (1,), (7,), (5, 3), (40, 64), (33, 257), (600, 1), (2, 9001), (3, 5, 7), (2, 70, 31), (2, 3, 33), (2, 5, 4097),
    (2, 3, 5, 7), (3, 12, 8, 8), (1, 1, 1), (0, 4), (4, 0), (2, 500, 3, 3),
)  # fmt: skip


def counts(length: int) -> Tensor:
    return torch.arange(length, dtype=torch.int32)


def content(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """Numbers of few digits, so that many equal a bound, and what is not finite."""
    generator = torch.Generator().manual_seed(math.prod(shape))
    x = torch.randn(shape, generator=generator).round(decimals=1)
    kind = torch.randint(40, shape, generator=generator)
    for number, value in enumerate((math.nan, INF, -INF, -0.0, 1e-45)):
        x[kind == number] = value
    return x.to(dtype)


def brute_force(output: Tensor, axis: int, bounds: tuple[float, ...]) -> tuple[Tensor, Tensor]:
    y = output if output.dtype == torch.float64 else output.float()
    low, high, saturated_low, saturated_high = (torch.tensor(b, dtype=torch.float64).to(y.dtype) for b in bounds)
    rows = y.movedim(axis, 0).flatten(1) if y.ndim > 1 else y[:, None]
    off, saturated = (rows >= low) & (rows <= high), (rows <= saturated_low) | (rows >= saturated_high)
    return (~off).sum(1), saturated.sum(1)


def check(output: Tensor, axis: int, bounds: tuple[float, float, float, float]) -> None:
    units = output.shape[axis]
    active, saturated = counts(units), counts(units)
    count_units(active, saturated, output, axis, bounds)
    want = brute_force(output, axis, bounds)
    assert torch.equal(active, counts(units) + want[0])
    assert torch.equal(saturated, counts(units) + want[1])


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_shape_axis_and_bound(implementation: str, dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    x = content(shape, dtype)
    for axis in range(-len(shape), len(shape)):
        for bounds in BOUNDS:
            check(x, axis, bounds)


def test_layouts(implementation: str) -> None:
    x = content((4, 6, 5, 3), torch.float32)
    column_major = x.permute(1, 2, 3, 0).contiguous().permute(3, 0, 1, 2)
    gaps, overlaps = torch.stack([x, x], -1)[..., 0], x[:, :1].expand(4, 6, 5, 3)
    for tensor in (x.to(memory_format=torch.channels_last), column_major, gaps, overlaps, torch._neg_view(x), x.long()):
        for axis in range(4):
            check(tensor, axis, BOUNDS[0])


def test_channels_last_is_read_without_a_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    from deepseek.kernels.summary import native, units

    if native.native is None:
        pytest.skip("the native part was not built")

    def refuse(*_: object) -> None:
        raise AssertionError("not in place")

    monkeypatch.setattr(units, "reference_count_units", refuse)
    check(torch.randn(2, 64, 7, 7).to(memory_format=torch.channels_last), 1, BOUNDS[0])
    check(torch.randn(8, 6).t(), 0, BOUNDS[0])


def test_nan_is_active_and_not_saturated(implementation: str) -> None:
    active, saturated = counts(1), counts(1)
    count_units(active, saturated, torch.full((9, 1), math.nan), 1, (-INF, INF, 0.0, 0.0))
    assert (active.item(), saturated.item()) == (9, 0)


def test_bounds_are_rounded_to_the_precision_of_the_comparison(implementation: str) -> None:
    tenth = torch.tensor([0.1])
    for tensor, is_off in ((tenth, True), (tenth.double(), False)):
        active, saturated = torch.zeros(2, 1, dtype=torch.int32)
        count_units(active, saturated, tensor, 0, (0.1, 0.1, -INF, INF))
        assert active.item() == (not is_off)


def test_outputs_without_numbers_change_nothing(implementation: str) -> None:
    active, saturated = counts(2), counts(2)
    for output in (torch.ones(2, 2, dtype=torch.complex64), torch.ones(2, 2, device="meta"), torch.eye(2).to_sparse()):
        count_units(active, saturated, output, 0, BOUNDS[0])
    torch.vmap(lambda x: count_units(active, saturated, x, 0, BOUNDS[0]) or x)(torch.ones(3, 2))
    assert active.tolist() == saturated.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("wrong", "axis"),
    [
        (torch.zeros(3, dtype=torch.int32), 1),
        (torch.zeros(2, 1, dtype=torch.int32), 1),
        (torch.zeros(2), 1),
        (torch.zeros(2, dtype=torch.int32), 2),
        (torch.zeros(2, dtype=torch.int32, device="meta"), 1),
    ],
)
def test_counts_that_do_not_fit_are_refused(implementation: str, wrong: Tensor, axis: int) -> None:
    right = torch.zeros(2, dtype=torch.int32)
    for active, saturated in ((wrong, right), (right, wrong)):
        with pytest.raises(DeepseekError, match=r"counts of shape \[units\], int32"):
            count_units(active, saturated, torch.ones(3, 2), axis, BOUNDS[0])
    assert right.tolist() == [0, 0]


def test_counts_with_gaps_are_counted_in_place(implementation: str) -> None:
    both = torch.zeros(2, 2, dtype=torch.int32)
    count_units(both[:, 0], both[:, 1], torch.tensor([[0.0, 5.0]]), 1, (0.0, 0.0, -INF, 3.0))
    assert both.tolist() == [[0, 0], [1, 1]]

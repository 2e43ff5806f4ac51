"""The sum of squares over many tensors equals a float64 computation."""

import math

import pytest
import torch
from torch import Tensor

from deepseek.kernels.summary import square_sums
from deepseek.kernels.summary.squares import device_square_sum, reference_square_sum

FLOATS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
SIZES = (0, 1, 2, 3, 5, 63, 1023, 1024, 1025, 4099, 70_001)


def normal(*shape: int, scale: float = 1.0, dtype: torch.dtype = torch.float32) -> Tensor:
    generator = torch.Generator().manual_seed(math.prod(shape))
    return (torch.randn(shape, generator=generator, dtype=torch.float64) * scale).to(dtype)


@pytest.mark.parametrize("dtype", [*FLOATS, torch.int64, torch.float8_e4m3fn])
@pytest.mark.parametrize("size", SIZES)
def test_each_size_and_dtype(implementation: str, dtype: torch.dtype, size: int) -> None:
    x = normal(size, scale=3.0, dtype=dtype)
    assert square_sums([x]) == pytest.approx((x.double() ** 2).sum().item(), rel=1e-6)


@pytest.mark.parametrize("scale", [1e-40, 1e-30, 1e-18, 1e-12, 1.0, 1e12, 1e18, 1e30, 3e37])
def test_magnitudes_whose_squares_leave_float32(implementation: str, scale: float) -> None:
    x = normal(5000, scale=scale)
    assert square_sums([x]) == pytest.approx((x.double() ** 2).sum().item(), rel=1e-6)


def test_tiny_and_huge_numbers_in_one_chunk(implementation: str) -> None:
    x = torch.full((1024,), 1e-25)
    x[17] = 1e25
    assert square_sums([x]) == pytest.approx(1e50, rel=1e-6)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("dtype", FLOATS)
def test_one_element_that_is_not_finite_shows(implementation: str, dtype: torch.dtype, value: float) -> None:
    for place in (0, 1000, 1024, 2998):
        x = normal(2999, dtype=dtype)
        x[place] = value
        assert not math.isfinite(square_sums([normal(10), x, normal(10)]))


@pytest.mark.filterwarnings("ignore:Sparse")
def test_many_tensors_of_all_kinds_add_up(implementation: str) -> None:
    x = normal(6, 8)
    sparse = torch.sparse_coo_tensor([[1, 1, 3]], torch.tensor([2.0, -1.0, 5.0]), (4,), check_invariants=True)
    tensors = [
        x, x.double(), x.half(), x.t(), x[:, ::2], x[:1].expand(5, 8), x.long(), torch.zeros(0), torch.tensor(3.0),
        sparse, sparse.coalesce(), x.to_sparse_csr(), torch.complex(x, 2 * x), torch.complex(x, x).conj(),
        torch._neg_view(x), torch.nn.Parameter(x), normal(2, 3, 4, 5).to(memory_format=torch.channels_last),
    ]  # fmt: skip
    assert square_sums(tensors) == pytest.approx(reference_square_sum(tensors), rel=1e-6)


def test_nothing_gives_zero(implementation: str) -> None:
    assert square_sums([]) == 0.0
    assert square_sums([torch.zeros(0), torch.zeros(3)]) == 0.0


def test_what_cannot_be_summarised_is_left_out(implementation: str) -> None:
    released = torch.ones(4)
    released.untyped_storage().resize_(0)
    with torch._subclasses.FakeTensorMode():
        fake = torch.ones(3)
    total = square_sums([torch.ones(2), torch.ones(3, device="meta"), released, fake])
    del released  # it cannot be printed
    assert total == pytest.approx(2.0)


def test_inside_a_function_transform_nothing_counts(implementation: str) -> None:
    seen: list[object] = []
    torch.vmap(lambda x: seen.append(square_sums([x, torch.ones(2)])) or x)(torch.ones(3, 2))
    assert seen == [pytest.approx(2.0)]


def test_an_uncoalesced_gradient_stays_uncoalesced(implementation: str) -> None:
    sparse = torch.sparse_coo_tensor([[1, 1]], torch.ones(2), (4,), check_invariants=True)
    assert square_sums([sparse]) == 4.0
    assert not sparse.is_coalesced()


@pytest.mark.parametrize("dtype", FLOATS)
def test_what_an_accelerator_computes(dtype: torch.dtype) -> None:
    tensors = [normal(30, dtype=dtype), normal(5, 6, dtype=dtype).t()]
    total = device_square_sum(tensors)
    assert total.shape == ()
    assert total.item() == pytest.approx(reference_square_sum(tensors), rel=1e-6)

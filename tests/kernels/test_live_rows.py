"""Counting the rows of a gradient that hold anything but zeros."""

import math

import pytest
import torch
from torch import Tensor

from deepseek.errors import DeepseekError
from deepseek.kernels.summary import count_live_rows

DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64)


def gradient(rows: int, columns: int, seed: int = 0) -> Tensor:
    """Rows that are dead, alive everywhere, or alive in one place only (once the last)."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.zeros(rows, columns)
    for row in range(rows):
        if row % 3 == 1:
            x[row] = 3.0
        elif row % 3 == 2:
            x[row, -1 if row == 2 else int(torch.randint(columns, (), generator=generator))] = -1.0
    return x


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("columns", [1, 2, 3, 7, 64, 127, 129, 1000])
def test_live_rows(implementation: str, dtype: torch.dtype, columns: int) -> None:
    x = gradient(10, columns).to(dtype)
    counts = torch.arange(10, dtype=torch.int32)
    count_live_rows(counts, x)
    assert torch.equal(counts, torch.arange(10) + (x != 0).any(1))


def test_layouts(implementation: str) -> None:
    x = gradient(6, 24).view(6, 2, 3, 4)
    column_major = x.permute(1, 2, 3, 0).contiguous().permute(3, 0, 1, 2)
    for tensor in (x.to(memory_format=torch.channels_last), column_major, x[:, :, ::2], x[:, :1].expand(6, 5, 3, 4)):
        counts = torch.zeros(6, dtype=torch.int32)
        count_live_rows(counts, tensor)
        assert torch.equal(counts, (tensor != 0).flatten(1).any(1).int())


def test_nan_denormals_and_the_smallest_numbers_are_alive_and_minus_zero_is_not(implementation: str) -> None:
    counts = torch.zeros(4, dtype=torch.int32)
    count_live_rows(counts, torch.tensor([[0.0, math.nan], [0.0, 1e-45], [-0.0, -0.0], [0.0, math.inf]]))
    assert counts.tolist() == [1, 1, 0, 1]


def test_counts_add_up_in_place(implementation: str) -> None:
    counts = torch.zeros(3, dtype=torch.int32)
    for _ in range(5):
        count_live_rows(counts, torch.tensor([[0.0], [1.0], [2.0]]))
    assert counts.tolist() == [0, 5, 5]


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (1, 1)])
def test_small_shapes(implementation: str, shape: tuple[int, int]) -> None:
    counts = torch.zeros(shape[0], dtype=torch.int32)
    count_live_rows(counts, torch.ones(shape))
    assert counts.tolist() == [float(shape[1] > 0)] * shape[0]


def test_sparse_gradients(implementation: str) -> None:
    x = gradient(6, 4)
    for sparse in (x.to_sparse(1), x.to_sparse(2)):
        counts = torch.zeros(6, dtype=torch.int32)
        count_live_rows(counts, sparse)
        assert torch.equal(counts, (x != 0).any(1).int())


def test_gradients_without_numbers_change_nothing(implementation: str) -> None:
    counts = torch.zeros(2, dtype=torch.int32)
    count_live_rows(counts, torch.ones(2, 2, dtype=torch.complex64))
    assert counts.tolist() == [0, 0]


@pytest.mark.parametrize("counts", [torch.zeros(3), torch.zeros(2, 1), torch.zeros(2, dtype=torch.float64)])
def test_counts_that_do_not_fit_are_refused(counts: Tensor) -> None:
    with pytest.raises(DeepseekError, match=r"counts of shape \[rows\], int32"):
        count_live_rows(counts, torch.ones(2, 2))

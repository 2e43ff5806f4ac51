"""What a picture of weights shows is what the weights are."""

import numpy as np
import pytest
import torch
from torch import nn

from deepseek.inspector.detail.data import MAX_PICTURE
from deepseek.inspector.detail.picture import picture


def test_a_small_matrix_is_shown_as_it_is():
    layer = nn.Linear(5, 3)
    assert np.array_equal(picture(layer).values, layer.weight.detach().numpy())
    assert "reduced" not in picture(layer).caption


def test_a_large_matrix_keeps_the_largest_weight_of_each_part_and_says_so():
    layer = nn.Linear(300, 256, bias=False)
    layer.weight.data[17, 299] = -9.0
    found = picture(layer)
    assert found.values.shape == (128, 128)
    assert found.values[8, 127] == -9.0
    assert "reduced" in found.caption
    pairs = layer.weight.detach()[:2, :3].flatten()  # rows 0 and 1, columns 0 to ceil(300/128)-1 = 2
    assert found.values[0, 0] == pairs[pairs.abs().argmax()]


@pytest.mark.parametrize(
    ("layer", "kernel"),
    [
        (nn.Conv2d(3, 8, 5), (5, 5)),
        (nn.Conv2d(64, 128, 3), (3, 3)),
        (nn.Conv1d(4, 6, 7), (1, 7)),
        (nn.Conv3d(2, 3, 2), (4, 2)),
        (nn.ConvTranspose2d(3, 8, 5), (5, 5)),
        (nn.Conv2d(1, 1, 200), (128, 128)),
        (nn.Conv2d(1, 100, 1), (1, 1)),
    ],
    ids=str,
)
def test_filters_stand_in_a_grid_with_lines_between_them(layer, kernel):
    found = picture(layer)
    assert found.kind == "filters"
    assert max(found.values.shape) <= MAX_PICTURE
    weight = layer.weight.detach()
    first = (weight.transpose(0, 1) if isinstance(layer, nn.ConvTranspose2d) else weight)[0, 0]
    first = first.reshape(-1, first.shape[-1])[: kernel[0], : kernel[1]].numpy()
    assert np.array_equal(found.values[: kernel[0], : kernel[1]], first)


@pytest.mark.parametrize("options", [{}, {"kdim": 12, "vdim": 20}], ids=["packed", "apart"])
def test_heads_stand_below_each_other_with_query_key_and_value_beside(options):
    torch.manual_seed(0)
    layer = nn.MultiheadAttention(16, 4, **options)
    found = picture(layer)
    assert found.kind == "heads"
    assert found.values.shape[0] == 4 * 4 + 3
    query = layer.in_proj_weight[:16] if not options else layer.q_proj_weight
    assert np.array_equal(found.values[5:9, :16], query[4:8].detach().numpy())
    assert np.isnan(found.values[4]).all()


def test_many_wide_heads_fit():
    found = picture(nn.MultiheadAttention(320, 64))
    assert max(found.values.shape) <= MAX_PICTURE
    assert "32 of 64 heads" in found.caption
    assert "reduced" in found.caption


@pytest.mark.parametrize("layer", [nn.ReLU(), nn.LayerNorm(4), nn.LazyLinear(3)], ids=str)
def test_others_make_no_picture(layer):
    assert picture(layer) is None

"""Pictures: cells of a grid and superpixels as features, drawn over the picture."""

import sys

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits, load_sample_image
from torch import nn

from deepseek.errors import DeepseekError
from deepseek.explain import Attribution, grid, shap, superpixels


def explained(model, inputs, background, **options):
    return shap(model, inputs, background, progress=False, **options)


def flower(size=48):
    image = load_sample_image("flower.jpg")[:: 427 // size, :: 640 // size][:size, :size] / 255
    return torch.from_numpy(np.moveaxis(image, -1, 0).copy()).float()


def test_a_grid_has_cells_of_about_one_size():
    assert grid((4, 6), 2, 3).tolist() == [[0, 0, 1, 1, 2, 2]] * 2 + [[3, 3, 4, 4, 5, 5]] * 2
    uneven = grid((3, 7, 5), 3, 2)
    assert uneven.shape == (3, 7, 5)
    assert (uneven == uneven[0]).all()
    assert set(uneven[0, :, 0]) == {0, 2, 4}
    sizes = np.bincount(uneven[0].reshape(-1))
    assert sizes.min() >= 4
    assert sizes.max() <= 9


@pytest.mark.parametrize(
    ("shape", "rows", "columns"), [((8,), 1, 1), ((8, 8), 9, 1), ((8, 8), 0, 2), ((1, 2, 8, 8), 2, 2)]
)
def test_a_grid_that_does_not_fit_is_refused(shape, rows, columns):
    with pytest.raises(DeepseekError, match="picture"):
        grid(shape, rows, columns)


def test_cells_are_explained_and_laid_over_the_picture():
    pictures = torch.from_numpy(load_digits().images).float()
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 1))
    cells = grid((8, 8), 4, 2)
    found = explained(model, pictures[:2], pictures[2:12], groups=cells, target=0)
    assert found.values.shape == (2, 8)
    single = ((pictures[:2] - pictures[2:12].mean(0)) * model[1].weight.reshape(8, 8)).detach().numpy()
    np.testing.assert_allclose(found.values[0], np.bincount(cells.reshape(-1), single[0].reshape(-1)), atol=1e-4)
    left, right = found.plot(0).axes[:2]
    np.testing.assert_allclose(left.images[0].get_array(), pictures[0])
    np.testing.assert_allclose(right.images[0].get_array(), pictures[0])
    np.testing.assert_allclose(right.images[1].get_array(), found.values[0][cells])
    assert right.images[1].get_alpha() < 1
    borders = right.collections[0].get_segments()
    assert len(borders) == 3 * 8 + 8


def test_superpixels_follow_the_colours():
    pytest.importorskip("skimage")
    halves = torch.zeros(3, 20, 20)
    halves[0, :, :10], halves[2, :, 10:] = 1, 1
    found = superpixels(halves, 4)
    assert found.shape == (3, 20, 20)
    assert (found == found[0]).all()
    assert not set(found[0, :, :10].flat) & set(found[0, :, 10:].flat)
    gray = superpixels(halves[0].numpy(), 4)
    assert gray.shape == (20, 20)
    assert not set(gray[:, :10].flat) & set(gray[:, 10:].flat)
    natural = superpixels(flower(), 30)
    assert 15 <= natural.max() + 1 <= 45
    assert set(natural.flat) == set(range(natural.max() + 1))


def test_each_picture_has_superpixels_of_its_own(tmp_path):
    pytest.importorskip("skimage")
    pictures = torch.stack([flower(), flower().flip(2)])
    groups = np.stack([superpixels(picture, count) for picture, count in zip(pictures, (6, 12), strict=True)])
    model = nn.Sequential(nn.Conv2d(3, 2, 5, stride=4), nn.Flatten(), nn.LazyLinear(1)).eval()
    model(pictures)
    found = explained(model, pictures, torch.zeros(1, 3, 48, 48), groups=groups, target=0)
    counts = groups.reshape(2, -1).max(1) + 1
    assert found.values.shape == (2, counts.max())
    assert (found.values[0, counts[0] :] == 0).all()
    assert found.relative_gap < 1e-4
    alone = explained(model, pictures[:1], torch.zeros(1, 3, 48, 48), groups=groups[0], target=0)
    np.testing.assert_allclose(found.values[0, : counts[0]], alone.values[0], atol=1e-5)
    again = Attribution.load(found.save(tmp_path / "pictures"))
    np.testing.assert_array_equal(again.groups, groups)
    heat = again.plot(1).axes[1].images[1].get_array()
    np.testing.assert_allclose(heat, found.values[1][groups[1, 0]])
    assert again.plot(0).axes[0].images[0].get_array().shape == (48, 48, 3)
    assert len(found.frame(0)) == counts[0]


@pytest.mark.parametrize(
    ("image", "count"),
    [(np.zeros((8, 8)), 0), (np.zeros((8, 8)), 65), (np.zeros(8), 4), (np.full((8, 8), np.nan), 4)],
)
def test_what_has_no_superpixels_is_refused(image, count):
    pytest.importorskip("skimage")
    with pytest.raises(DeepseekError, match=r"picture|pixels"):
        superpixels(image, count)


def test_a_missing_library_names_its_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage.segmentation", None)
    with pytest.raises(DeepseekError, match="pip install scikit-image"):
        superpixels(np.zeros((8, 8)), 4)

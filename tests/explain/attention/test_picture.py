"""Pictures: everything is named, foreign text stays text, and the place of each color is where it belongs."""

import io

import matplotlib.pyplot as plt
import matplotlib.style
import numpy as np
import pytest
import torch
from payloads import PAYLOADS
from torch import nn
from torch.nn import functional as F

from deepseek.errors import DeepseekError
from deepseek.explain import attention

X = torch.randn(2, 6, 8, generator=torch.Generator().manual_seed(0))


def maps(name="layer", **options):
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self._modules = {
                name: nn.MultiheadAttention(8, 2, batch_first=True),
                "b": nn.MultiheadAttention(8, 4, batch_first=True),
            }

        def forward(self, x):
            for module in self._modules.values():
                x = x + module(x, x, x)[0]
            return x.mean((1, 2))

    return attention(Model(), X, **options)


def texts(figure):
    figure.savefig(io.BytesIO())
    return [each for each in figure.findobj(lambda artist: hasattr(artist, "get_parse_math")) if each.get_text()]


def words(figure):
    return [each.get_text() for each in texts(figure)]


def test_the_grid_shows_every_head_of_every_layer():
    figure = maps().plot(1)
    axes, bar = figure.axes
    assert axes.get_title() == "Where Model looks, row 1"
    assert [each.get_text() for each in axes.get_yticklabels()] == ["layer (self)", "b (self)"]
    assert [each.get_text() for each in axes.get_xticklabels()] == ["0", "1", "2", "3"]
    assert "looked at" in axes.get_xlabel()
    assert "that looks" in axes.get_ylabel()
    assert "weight" in bar.get_ylabel()
    image = axes.images[0].get_array()
    assert image[:48, 2 * 49 :].mask.all()
    assert not image[49:, 3 * 49 :].mask.any()
    assert figure.get_facecolor() == (1, 1, 1, 1)


def test_one_head_shows_its_weights_and_tokens():
    shown = maps().labelled([[f"{row}{letter}" for letter in "abcdef"] for row in range(2)])
    figure = shown.plot(1, at="layer", head=1)
    axes = figure.axes[0]
    np.testing.assert_array_equal(axes.images[0].get_array(), shown["layer"].weights[1, 1])
    assert [each.get_text() for each in axes.get_xticklabels()] == ["1a", "1b", "1c", "1d", "1e", "1f"]
    assert [each.get_text() for each in axes.get_yticklabels()] == ["1a", "1b", "1c", "1d", "1e", "1f"]
    assert axes.get_title() == "Where head 1 of layer looks (self)"
    part = maps(heads=1, tokens=[4]).plot(at=0)
    assert [each.get_text() for each in part.axes[0].get_yticklabels()] == ["4"]
    for options, message in (
        ({"row": 2}, "`row` must"),
        ({"head": 9}, "`head` must"),
        ({"at": "x"}, "No attention map"),
    ):
        with pytest.raises(DeepseekError, match=message):
            shown.plot(**options)


def test_tokens_are_as_dark_as_they_are_looked_at():
    class Looks(nn.Module):
        def forward(self, x, scores):
            return F.softmax(scores, -1) @ x[:, None]

    scores = torch.tensor([9.0, 1.0, 0.0, 2.0]).expand(1, 1, 4, 4)
    shown = attention(Looks(), (torch.randn(1, 4, 3), scores)).labelled([["[CLS]", "a", "b", "c"]], special=["[CLS]"])
    figure = shown.average(orders=2).plot()
    colors = {each.get_text(): each.get_bbox_patch().get_facecolor() for each in figure.axes[0].texts}
    assert list(colors) == ["[CLS]", "a", "b", "c"]
    assert colors["b"][0] > colors["a"][0] > colors["c"][0] == colors["[CLS]"][0]
    assert any("in random order" in " ".join(text.split()) for text in words(figure))


def test_patches_lie_over_the_picture():
    class Patches(nn.Module):
        def forward(self, x):
            tokens = F.unfold(x, 2, stride=2).mT
            weights = torch.zeros(len(x), 6, 6)
            weights[:, :, 4] = 1
            return (F.softmax(weights * 50, -1) @ tokens).mean((1, 2))

    scores = attention(Patches(), torch.rand(2, 3, 4, 6)).average(orders=2)
    assert scores.grid == (2, 3)
    heat = scores.plot(1).axes[1].images[1]
    np.testing.assert_allclose(heat.get_array(), [[0, 0, 0], [0, 1, 0]], atol=1e-6)
    assert heat.get_extent() == scores.plot(1).axes[1].images[0].get_extent() == [0, 6, 4, 0]


@pytest.mark.parametrize("style", ["default", "dark_background"])
def test_notebooks_show_the_pictures_on_white_whatever_style_is_set(style):
    made = maps()
    with matplotlib.style.context(style):
        for figure in (made.plot(), made.plot(at=0), made.average(orders=2).plot()):
            shown = plt.imread(io.BytesIO(figure._repr_png_()), format="png")
            np.testing.assert_array_equal(shown[[0, -1], [0, -1]], 1)


def test_labels_of_a_small_grid_fit_the_picture():
    figure = maps().plot()
    figure.savefig(io.BytesIO())
    axes = figure.axes[0]
    for text in (axes.title, axes.xaxis.label, axes.yaxis.label):
        box = text.get_window_extent()
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= figure.bbox.x1
        assert box.y1 <= figure.bbox.y1


HOSTILE = [*PAYLOADS[:: len(PAYLOADS) // 6], "$x^2$", "$\\frac{1}{0", "\x1b[31m", "\u202e", "", "a" * 500]


@pytest.mark.parametrize("place", range(0, len(HOSTILE), 6))
def test_foreign_texts_stay_text(place):
    hostile = [*HOSTILE, *HOSTILE][place : place + 6]
    shown = maps((hostile[0] + hostile[-1]).replace(".", "")).labelled([hostile] * 2)
    for figure in (shown.plot(), shown.plot(at=0), shown.average(orders=2).plot()):
        axes = figure.axes[0]
        foreign = [axes.title, axes._left_title, *axes.texts, *(axes.get_yticklabels() if axes.axison else [])]
        assert not any(each.get_parse_math() for each in foreign if each.get_text())
        assert not {"\x1b", "\u202e"} & set("".join(words(figure)))
        assert max(map(len, words(figure))) < 400

"""The page: readable and operable without scripts and network, small, and safe with foreign texts."""

import numpy as np
import pytest
import torch
from markup import Elements
from payloads import SAMPLE
from torch import nn

from deepseek.errors import DeepseekError
from deepseek.explain import attention
from deepseek.explain.attention.page import page


def maps(names=("a", "b"), heads=2, tokens=6, width=8):
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self._modules = {name: nn.MultiheadAttention(width, heads, batch_first=True) for name in names}

        def forward(self, x):
            for module in self._modules.values():
                x = x + module(4 * x, x, x)[0]
            return x.mean((1, 2))

    return attention(Model(), torch.randn(2, tokens, width, generator=torch.Generator().manual_seed(0)))


TEXTS = [[f"{row}{letter}" for letter in "abcdef"] for row in range(2)]


@pytest.mark.browser
def test_a_head_is_enlarged_by_keyboard_and_closed_again(open_page, tmp_path, artifacts):
    shown = maps().labelled(TEXTS)
    written = shown.report(tmp_path / "attention.html", row=1, scores=[shown.rollout(orders=2)])
    opened = open_page(written)
    assert opened.title() == "Where Model looks, row 1"
    assert "not why" in opened.inner_text("body")
    assert opened.locator(".tokens span").all_inner_texts() == TEXTS[1]
    assert opened.locator("p", has_text="in random order").is_visible()
    head = opened.locator("figure").nth(3)
    small = head.locator("img").bounding_box()
    assert small["width"] == small["height"] == 56
    head.locator(".map a").focus()
    opened.keyboard.press("Enter")
    assert head.locator("img").bounding_box()["width"] == 6 * 12
    weights = shown["b"].weights[1, 1]
    query, key = np.unravel_index(weights.argmax(), weights.shape)
    assert head.locator("td").all_inner_texts()[:3] == [TEXTS[1][query], TEXTS[1][key], f"{weights.max():.3f}"]
    assert head.locator("h3").inner_text() == "Head 1 of b (self)"
    assert "1a" in opened.evaluate("document.querySelector('svg.texts').textContent")
    opened.screenshot(path=artifacts / "attention_head.png")
    head.locator(".close").focus()
    opened.keyboard.press("Enter")
    assert head.locator("img").bounding_box()["width"] == 56
    opened.screenshot(path=artifacts / "attention_page.png")


def test_every_picture_has_a_text_and_every_head_a_line_in_the_table():
    text = page(maps(), 0)
    assert text.count("<img ") == text.count('alt="Head') == 4
    assert "<td>entropy_bits</td>" not in text
    assert text.count("<th>entropy_bits</th>") == 1
    assert not {"script", "link", "iframe", "object"} & set(Elements(text).tags)


@pytest.mark.browser
def test_twelve_layers_of_twelve_heads_and_128_tokens_stay_below_5_mb(open_page, tmp_path):
    shown = maps([f"layer{place}" for place in range(12)], 12, 128, 48)
    shown = shown.labelled([[f"token {place}" for place in range(128)]] * 2)
    written = shown.report(tmp_path / "large.html")
    print(f"{written.stat().st_size / 1e6:.2f} MB")
    assert written.stat().st_size <= 5e6
    assert open_page(written).locator("figure").count() == 144


@pytest.mark.browser
def test_foreign_texts_neither_run_nor_load(open_page, tmp_path):
    hostile = [text.replace(".", "") or "x" for text in dict.fromkeys(SAMPLE)]
    tame, shown = maps([str(place) for place in range(len(set(hostile)))]), maps(dict.fromkeys(hostile))
    texts = [[*SAMPLE, *SAMPLE, *["x"] * 6][:6]] * 2
    shown = shown.labelled(texts)
    written = shown.report(tmp_path / "hostile.html", scores=[shown.average(orders=2)])
    opened = open_page(written)
    assert opened.evaluate("window.hacked") is None
    tags, tame_tags = Elements(page(shown, 0)).tags, Elements(page(tame.labelled(TEXTS), 0)).tags
    assert sorted(tags) == sorted(tame_tags)


def test_a_page_that_cannot_be_written_says_so(tmp_path):
    with pytest.raises(DeepseekError, match="path where the explanation can be written"):
        maps().report(tmp_path / "no" / "folder.html")
    with pytest.raises(DeepseekError, match="`row` must"):
        maps().report(tmp_path / "page.html", row=2)

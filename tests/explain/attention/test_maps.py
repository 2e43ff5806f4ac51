"""What a set of maps offers: names, tables, texts, and files that cannot do harm."""

import json
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from deepseek.errors import DeepseekError
from deepseek.explain.attention.attend import attention
from deepseek.explain.attention.maps import AttentionMaps
from deepseek.explain.attention.storing import MAGIC

X = torch.randn(2, 6, 8, generator=torch.Generator().manual_seed(0))


def made(**options):
    torch.manual_seed(0)
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 3)
    return attention(encoder, X, **options)


def test_maps_are_an_ordered_sequence_with_names():
    maps = made()
    assert maps.names == [f"layers.{place}.self_attn" for place in range(3)]
    assert maps["layers.1.self_attn"] is maps[1]
    assert maps[-1] is list(maps)[2]
    assert maps[1:].names == maps.names[1:]
    assert repr(maps) == "<AttentionMaps of TransformerEncoder: 3 calls (self), 6 heads; where it looks, not why>"
    assert "2 rows, 2 heads, 6 queries, 6 keys" in repr(maps[0])
    with pytest.raises(DeepseekError, match="No attention map is called 'x'; there are layers"):
        maps["x"]


class Looks(nn.Module):
    """One head whose weights are given."""

    def forward(self, x, scores):
        return F.softmax(scores, -1) @ x[:, None]


def test_the_summary_of_a_head_that_is_known():
    even, own = (
        torch.zeros(1, 4, 4),
        torch.full((1, 4, 4), -torch.inf).diagonal_scatter(torch.zeros(1, 4), dim1=1, dim2=2),
    )
    maps = attention(Looks(), (torch.randn(1, 4, 3), torch.stack([even, own], 1)))
    table = maps.labelled([["[CLS]", "a", "b", "[SEP]"]], special=["[CLS]", "[SEP]"]).summary()
    assert table["entropy_bits"].tolist() == pytest.approx([2.0, 0.0])
    assert table["distance"].tolist() == pytest.approx([1.25, 0.0])
    assert table["self_frac"].tolist() == pytest.approx([0.25, 1.0])
    assert table["first_frac"].tolist() == pytest.approx([0.25, 0.25])
    assert table["special_frac"].tolist() == pytest.approx([0.5, 0.5])
    assert table["head"].tolist() == [0, 1]
    assert all(math.isnan(each) for each in maps.summary()["special_frac"])


def test_texts_that_do_not_fit_are_refused():
    for texts in ([["a"] * 5] * 2, [["a"] * 6], [["a"] * 6, ["a"] * 5], []):
        with pytest.raises(DeepseekError, match="texts"):
            made().labelled(texts)


@pytest.mark.parametrize("options", [{}, {"heads": 1, "tokens": [0, 5], "layers": -1}])
def test_files_hold_all_of_it(tmp_path, options):
    texts = [[f"{row}{place}" for place in range(6)] for row in range(2)]
    before = made(**options).labelled(texts, special=["00", "15"])
    after = AttentionMaps.load(before.save(tmp_path / "a"))
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one.weights, other.weights)
        np.testing.assert_array_equal(one.value_norms, other.value_norms)
        for name in ("name", "kind", "heads", "queries", "tokens", "deviation"):
            assert getattr(one, name) == getattr(other, name)
    assert (after.model, after.complete, after.notes) == (before.model, before.complete, before.notes)
    assert after.source.texts == before.source.texts
    np.testing.assert_array_equal(after.source.special, before.source.special)
    assert after.call is None


def test_strangers_files_are_refused(tmp_path):
    good = made(layers=0).save(tmp_path / "good").read_bytes()
    start = len(MAGIC) + 8
    end = start + int.from_bytes(good[len(MAGIC) : start], "little")
    about = json.loads(good[start:end])
    each = about["maps"][0]

    def changed(**changes):
        raw = json.dumps({**about, **changes}).encode()
        return MAGIC + len(raw).to_bytes(8, "little") + raw + good[end:]

    bad = {
        "noise": b"noise",
        "short": good[:-4],
        "kind": changed(maps=[{**each, "kind": "why"}]),
        "heads": changed(maps=[{**each, "heads": [0]}]),
        "negative": changed(maps=[{**each, "heads": [-1, 0]}]),
        "queries": changed(maps=[{**each, "queries": [9] * 6}]),
        "more": changed(maps=[each, each]),
        "tokens": changed(source={"texts": [["a"], ["b", "c"]], "special": None, "real": None}),
        "flat": changed(source={"texts": [], "special": [True], "real": None}),
        "shape": changed(shapes={**about["shapes"], "value_norms/0": [12, 2]}),
        "null": changed(maps=None),
    }
    for name, content in bad.items():
        (tmp_path / name).write_bytes(content)
    for path in (*map(tmp_path.joinpath, bad), tmp_path / "absent"):
        with pytest.raises(DeepseekError, match="Expected a file written by AttentionMaps"):
            AttentionMaps.load(path)
    with pytest.raises(DeepseekError, match="path where the explanation can be written"):
        made(layers=0).save(tmp_path / "no" / "folder")


def test_names_and_texts_cannot_reach_the_terminal():
    class Evil(nn.Module):
        def __init__(self):
            super().__init__()
            self.add_module("\x1b[31m$x^2$\u202e", nn.MultiheadAttention(8, 2, batch_first=True))

        def forward(self, x):
            return next(iter(self.children()))(x, x, x)[0]

    maps = attention(Evil(), X)
    for text in (str(maps), repr(maps), repr(maps[0]), str(maps.average(orders=2)), repr(maps.average(orders=2))):
        assert "\x1b" not in text
        assert "\u202e" not in text
    for options in ({"limit_bytes": 1}, {"layers": "no"}, {"heads": 9}):
        with pytest.raises(DeepseekError) as error:
            attention(Evil(), X, **options)
        assert "\x1b" not in str(error.value)

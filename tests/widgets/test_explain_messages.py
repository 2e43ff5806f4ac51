"""What is sent of an explanation: its numbers, in the form in which they are drawn, as many as may be sent."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from looking import Looking
from payloads import SAMPLE
from sklearn.datasets import load_breast_cancer, load_digits
from torch import nn

from deepseek import explain
from deepseek.errors import DeepseekError
from deepseek.explain import Attribution
from deepseek.widgets.explaining import packing
from deepseek.widgets.explaining.message import explanation_message
from deepseek.widgets.explaining.static import static_html


def unpacked(packed):
    """The arrays of a message, by name."""
    arrays, start = {}, 0
    for info in packed.message["arrays"]:
        kind = np.dtype(info["dtype"])
        end = start + kind.itemsize * int(np.prod(info["shape"]))
        arrays[info["name"]] = np.frombuffer(packed.payload[start:end], kind).reshape(info["shape"])
        start = end
    assert start == len(packed.payload)
    return arrays


@pytest.fixture(scope="module")
def table():
    """Attributions of a model of real measurements, with standard errors."""
    torch.manual_seed(0)
    measured = load_breast_cancer()
    rows = torch.tensor((measured.data - measured.data.mean(0)) / measured.data.std(0)).float()
    model = nn.Sequential(nn.Linear(30, 8), nn.Tanh(), nn.Linear(8, 2))
    found = explain.shap(model, rows[:3], rows[50:60], max_evals=1000, progress=False)
    return found.named(list(map(str, measured.feature_names)), ["malignant", "benign"])


@pytest.fixture(scope="module")
def digits():
    """A model of real pictures, and some of them."""
    torch.manual_seed(0)
    pictures = torch.tensor(load_digits().images / 16).float()[:, None]
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10)), pictures


def test_a_message_holds_values_errors_and_gap_of_every_row_and_output(table):
    packed = explanation_message(table)
    arrays, message = unpacked(packed), packed.message
    values = arrays["values/0"].reshape(3, 2, 30)
    assert np.allclose(values, np.moveaxis(table.values, 2, 1), atol=1e-6)
    assert np.allclose(arrays["errors/0"].reshape(3, 2, 30), np.moveaxis(table.std_error, 2, 1), atol=1e-6)
    assert np.allclose(arrays["data/0"], table.data, atol=1e-6)
    assert np.allclose(arrays["reached"] - arrays["base"] - arrays["gap"], values.sum(2), atol=1e-5)
    assert message["outputs"] == ["malignant", "benign"]
    assert message["inputs"][0]["features"][0] == "mean radius"
    assert message["inputs"][0]["unit"] == "feature"


def test_of_one_output_there_is_one(digits):
    model, pictures = digits
    found = explain.attribute(model, pictures[:2], target=3)
    packed = explanation_message(found)
    assert packed.message["outputs"] == ["output 3"]
    assert unpacked(packed)["gap"].shape == (2, 1)
    assert packed.message["notes"] == list(found.notes) != []


def test_pixels_have_the_sum_of_their_channels(digits):
    model, pictures = digits
    colored = nn.Sequential(nn.Conv2d(3, 1, 1), model)
    rows = pictures[:2].expand(-1, 3, -1, -1) * torch.tensor([1.0, 0.5, 0.2])[:, None, None]
    found = explain.attribute(colored, rows, target=1)
    packed = explanation_message(found)
    info, arrays = packed.message["inputs"][0], unpacked(packed)
    assert (info["unit"], info["height"], info["width"]) == ("pixel", 8, 8)
    assert np.allclose(arrays["values/0"], found.values.sum(1).reshape(2, 64), atol=1e-6)
    assert np.allclose(arrays["data/0"], rows.mean(1).reshape(2, 64), atol=1e-6)


@pytest.mark.parametrize("of_each_row", [False, True])
def test_groups_of_pixels_are_told_apart(digits, of_each_row):
    model, pictures = digits
    quarters = np.kron([[0, 1], [2, 3]], np.ones((4, 4), int))[None]
    groups = np.stack([quarters, quarters[:, ::-1]]) if of_each_row else quarters
    found = explain.shap(model, pictures[:2], pictures[50:55], groups=groups, target=0, progress=False)
    packed = explanation_message(found)
    arrays = unpacked(packed)
    assert packed.message["inputs"][0]["unit"] == "group"
    assert np.array_equal(arrays["cells/0"], groups.reshape(-1, 64))
    assert np.allclose(arrays["values/0"], found.values, atol=1e-6)


def test_several_inputs_are_sent_one_by_one():
    class Sum(nn.Module):
        def forward(self, a, b):
            return a.sum(1) + (2 * b).sum((1, 2))

    inputs = (torch.rand(2, 3), torch.rand(2, 4, 5))
    packed = explanation_message(explain.attribute(Sum(), inputs))
    first, second = packed.message["inputs"]
    assert (first["name"], first["unit"], second["name"], second["unit"]) == ("0", "feature", "1", "pixel")
    assert np.allclose(unpacked(packed)["values/1"], 2 * inputs[1].reshape(2, 20), atol=1e-5)


def test_words_keep_their_texts_in_each_row():
    values, texts = np.array([[0.5, -0.2], [0.1, 0.0]]), (("very", "good"), ("bad",))
    found = Attribution(
        values_by_input={"input_ids": values},
        data_by_input={"input_ids": np.array([[3.0, 4.0], [5.0, 0.0]])},
        base_values=np.zeros(2),
        outputs=values.sum(1),
        method="exact",
        target="output 0",
        background="masked words",
        groups=np.array([[0.0, 1.0], [0.0, -1.0]]),
        shown=texts,
    )
    assert explanation_message(found).message["inputs"][0]["shown"] == [["very", "good"], ["bad"]]


def test_what_is_too_much_is_left_out_and_said(table):
    packed = explanation_message(table, limit_bytes=1300)
    assert packed.message["rows"] == 2
    assert len(packed.payload) <= 1300 + 100
    assert "the first 2 of 3 rows and 2 of 2 outputs" in packed.message["notes"][-1]
    with pytest.raises(DeepseekError, match="join them by `groups`"):
        explanation_message(table, limit_bytes=200)


def looking(rows=2, tokens=5, **options):
    generator = torch.Generator().manual_seed(0)
    model = Looking(**options)
    return explain.attention(model, torch.randn(rows, tokens, model.layers[0].embed_dim, generator=generator))


def test_attention_weights_are_exact_to_a_step_of_their_scale():
    maps = looking()
    packed = explanation_message(maps)
    arrays, most = unpacked(packed), packed.message["most"]
    for place, each in enumerate(maps):
        sent = (arrays[f"weights/{place}"].reshape(each.weights.shape) / 255.0) ** 2 * most
        assert np.abs(sent - each.weights).max() <= 0.004 * most
    assert packed.message["maps"][1]["heads"] == [0, 1, 2]
    assert packed.message["sequences"] == []


def test_texts_of_tokens_are_sent_once():
    texts = [["a", "b", "c", "d", "e"], ["f", "g", "h", "i", "j"]]
    message = explanation_message(looking().labelled(texts)).message
    assert message["sequences"] == [{"texts": texts}]
    assert {(each["looking"], each["seen"]) for each in message["maps"]} == {(0, 0)}


def test_pictures_come_with_the_maps_of_their_patches(digits):
    class Patches(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.cut, self.look = nn.Conv2d(1, 8, 2, 2), nn.MultiheadAttention(8, 2, batch_first=True)
            self.first = nn.Parameter(torch.zeros(1, 1, 8))

        def forward(self, x):
            tokens = torch.cat([self.first.expand(len(x), -1, -1), self.cut(x).flatten(2).mT], 1)
            return self.look(tokens, tokens, tokens)[0][:, 0]

    packed = explanation_message(explain.attention(Patches(), digits[1][:2]))
    assert packed.message["maps"][0]["patches"] == {"rows": 4, "columns": 4}
    pixels = unpacked(packed)["pictures"]
    assert np.abs(pixels / 255 - digits[1][:2].reshape(2, 64).numpy()).max() < 0.01


def test_of_too_many_maps_the_first_rows_are_sent():
    maps = looking()
    row = sum(each.weights[0].size for each in maps)
    packed = explanation_message(maps, limit_bytes=row + 1)
    assert packed.message["rows"] == 1
    assert "the first 1 of 2 rows" in packed.message["notes"][-1]
    with pytest.raises(DeepseekError, match="select some"):
        explanation_message(maps, limit_bytes=row - 1)


def test_derived_maps_are_sent_with_how_faithful_they_are():
    maps = looking().labelled([["[CLS]", "b", "c", "d", "e"]] * 2, special=["[CLS]"])
    rollout = maps.rollout(orders=3)
    packed = explanation_message(maps.widget(scores=[rollout])._shown)
    arrays = unpacked(packed)
    assert packed.message["scores"] == [
        {"method": "attention rollout", "verdict": rollout.verdict, "tokens": 0, "patches": None}
    ]
    assert "in random order" in rollout.verdict
    assert np.allclose(arrays["scores/0"], rollout.values, atol=1e-6)
    assert np.allclose(arrays["largest/0"][:, 0], rollout.values[:, 1:].max(1), atol=1e-6)
    with pytest.raises(DeepseekError, match="`scores` must be of the rows"):
        maps.widget(scores=[looking(rows=1).rollout(orders=2)])


def test_only_explanations_can_be_shown():
    with pytest.raises(DeepseekError, match="Expected an Attribution or AttentionMaps, got int"):
        explanation_message(3)


def test_a_static_picture_says_how_far_to_trust_it_and_stays_small(table):
    text = static_html(table)
    assert "completeness gap at most" in text
    assert "standard error at most" in text
    assert "data:image/png;base64," in text
    assert len(text) < 150_000
    large = static_html(looking(layers=6, heads=6, tokens=30))
    assert "Looking looks, which is not why it decides" in large
    assert len(large) < 150_000


def test_names_stay_text(table):
    hostile = [SAMPLE[place % len(SAMPLE)] for place in range(30)]
    named = table.named(hostile, SAMPLE[:2])
    packed = explanation_message(named)
    assert tuple(packed.message["outputs"]) == tuple(SAMPLE[:2])
    text, maps = SAMPLE[0], looking()
    wild = replace(named, method=text, target=text, background=text, notes=(text,))
    tame = replace(table, notes=("a note",))
    assert re.findall(r"<\w+", static_html(wild)) == re.findall(r"<\w+", static_html(tame))
    wild = replace(maps, model=text, notes=(text,), maps=tuple(replace(each, name=text) for each in maps))
    tame = replace(maps, notes=("a note",))
    assert re.findall(r"<\w+", static_html(wild)) == re.findall(r"<\w+", static_html(tame))


def test_a_packet_is_json_when_it_stands_in_a_page(table):
    packed = explanation_message(table)
    assert json.loads(json.dumps(packed.as_text()))["message"]["type"] == "attribution"
    assert packing.LIMIT_BYTES * 4 / 3 < 5e6

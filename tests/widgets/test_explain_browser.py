"""Explanations in a real Chromium, opened from disk without a network."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from accessible import violations
from looking import Looking
from payloads import SAMPLE
from sklearn.datasets import load_digits, load_iris
from synthetic import SyntheticRecording
from torch import nn

from deepseek import explain
from deepseek.explain import Attribution
from deepseek.widgets.explaining.page import write_explanation
from deepseek.widgets.report import write_report

pytestmark = pytest.mark.browser

MINUS = "\N{MINUS SIGN}"


@pytest.fixture(scope="module")
def table():
    torch.manual_seed(0)
    rows = torch.tensor(load_iris().data).float()
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))
    found = explain.shap(model, rows[:3], rows[50:60], method="permutation", max_evals=200, progress=False)
    return found.named(load_iris().feature_names, list(map(str, load_iris().target_names)))


@pytest.fixture(scope="module")
def digits():
    """Attributions of four quarters, and of single pixels."""
    torch.manual_seed(0)
    pictures = torch.tensor(load_digits().images / 16).float()[:, None]
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10))
    quarters = explain.grid((1, 8, 8), 2, 2)
    return (
        explain.shap(model, pictures[:2], pictures[50:55], groups=quarters, target=0, progress=False),
        explain.attribute(model, pictures[:2], target=0),
    )


TEXTS = [["the", "cat", "sat", "on", "it"], ["a", "dog", "ran", "to", "me"]]


@pytest.fixture(scope="module")
def maps():
    return explain.attention(Looking(), torch.randn(2, 5, 12, generator=torch.Generator().manual_seed(0)))


@pytest.fixture(scope="module")
def texts():
    """Attributions of two texts, of which every word has a number of its own: its length, "not" turns them round."""
    sentences = (("not", "a", "wonderful", "film"), ("great",))
    values = np.array([[-4.0, -1.0, -9.0, 0.0], [5.0, 0.0, 0.0, 0.0]])
    return Attribution(
        values_by_input={"input_ids": values},
        data_by_input={"input_ids": np.zeros((2, 4))},
        base_values=np.zeros(2),
        outputs=values.sum(1),
        method="exact",
        target="output 0",
        background="masked words",
        groups=np.array([[0.0, 1, 2, 3], [0, -1, -1, -1]]),
        shown=sentences,
    )


@pytest.fixture
def open_explanation(open_page, tmp_path):
    """Return a function that opens the page of an explanation."""

    def open_it(explanation, scheme="light", **options):
        page = open_page(write_explanation(explanation, tmp_path / "explanation.html"), scheme, **options)
        page.wait_for_selector(".deepseek-ready", state="attached")
        return page

    return open_it


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_bars_and_how_far_to_trust_them_follow_row_and_output(open_explanation, table, scheme, artifacts):
    page = open_explanation(table, scheme)
    assert "Row 0: setosa" in page.inner_text("[data-testid=explain-verdict]")
    page.select_option("[data-testid=explain-row]", "2")
    page.select_option("[data-testid=explain-output]", "1")
    assert "Row 2: versicolor" in page.inner_text("[data-testid=explain-verdict]")
    order = abs(table.values[2, :, 1]).argsort()[::-1]
    labels = page.locator(".ds-bar-label").all_inner_texts()
    assert [label.partition(" = ")[0] for label in labels] == [table.feature_names[place] for place in order]
    numbers = page.locator(".ds-bar-line .ds-number").all_inner_texts()
    first = table.values[2, order[0], 1]
    assert float(numbers[0].partition(" ±")[0].replace(MINUS, "-")) == pytest.approx(first, rel=0.01)
    assert float(numbers[0].partition("± ")[2]) == pytest.approx(1.96 * table.std_error[2, order[0], 1], rel=0.1)
    trust = page.inner_text("[data-testid=explain-trust]")
    assert "Not accounted for" in trust
    assert f"{table.evaluations:,} evaluations" in trust
    page.screenshot(path=artifacts / f"explain-bars-{scheme}.png", full_page=True)


def test_notes_are_always_in_sight(open_explanation, digits):
    page = open_explanation(digits[1])
    assert "The baseline is zeros" in page.inner_text("[data-testid=explain-notes]")
    assert page.is_visible("[data-testid=explain-notes]")


def test_pixels_tell_their_attribution_by_keyboard(open_explanation, digits, artifacts):
    groups, pixels = digits
    page = open_explanation(groups)
    page.focus("[data-testid=explain-heat]")
    page.keyboard.press("End")
    told = page.inner_text("[data-testid=explain-pixel]")
    assert told.startswith("row 7, column 7: attribution of group 3 ")
    assert page.get_attribute("[data-testid=explain-heat]", "aria-valuetext") == told
    page.screenshot(path=artifacts / "explain-picture.png", full_page=True)
    page = open_explanation(pixels)
    page.focus("[data-testid=explain-heat]")
    for key in ("Home", "ArrowRight", "ArrowDown"):
        page.keyboard.press(key)
    value = float(pixels.values[0, 0, 1, 1])
    told = page.inner_text("[data-testid=explain-pixel]").replace(MINUS, "-")
    assert told.startswith("row 1, column 1: attribution ")
    assert float(told.split()[5].rstrip(",")) == pytest.approx(value, rel=0.01, abs=1e-9)


def test_every_number_stands_in_a_table(open_explanation, table):
    page = open_explanation(table)
    page.click("[data-testid=explain-table] summary")
    rows = page.locator("[data-testid=explain-table] tbody tr")
    rows.first.wait_for()
    assert rows.count() == 4
    assert page.locator("[data-testid=explain-table] thead th").all_inner_texts() == [
        "feature",
        "attribution",
        "± (95 %)",
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_in_the_order_of_the_text_coloured_by_what_they_did(open_explanation, texts, scheme, artifacts):
    page = open_explanation(texts, scheme)
    words = page.locator("[data-testid=explain-words] > span")
    assert words.all_inner_texts() == [f"not\n{MINUS}4", f"a\n{MINUS}1", f"wonderful\n{MINUS}9", "film\n0"]
    bars = page.locator(".ds-bar-label").all_inner_texts()
    assert bars == ["wonderful", "not", "a", "film"]
    left, right = (page.locator(f"[data-testid=explain-{name}]").bounding_box() for name in ("words", "bars"))
    assert left["x"] + left["width"] <= right["x"]
    assert abs(left["y"] - right["y"]) < 20
    colours = [each.evaluate("word => getComputedStyle(word).backgroundColor") for each in words.all()]
    assert len(set(colours)) == 4
    page.screenshot(path=artifacts / f"explain-words-{scheme}.png", full_page=True)
    page.select_option("[data-testid=explain-row]", "1")
    assert words.all_inner_texts() == ["great\n+5"]
    assert words.first.evaluate("word => getComputedStyle(word).backgroundColor") not in colours


def test_features_with_names_are_no_text(open_explanation, table):
    assert not open_explanation(table).is_visible("[data-testid=explain-words]")


def test_heads_are_chosen_by_keyboard_and_tell_their_weights(open_explanation, maps, artifacts):
    page = open_explanation(maps.labelled(TEXTS))
    assert page.inner_text("[data-testid=explain-head-title]") == "Head 0 of layers.1 (self)"
    page.focus("[data-testid=explain-head-1-0]")
    for key in ("ArrowUp", "ArrowRight", "ArrowRight", "ArrowRight"):
        page.keyboard.press(key)
    assert page.inner_text("[data-testid=explain-head-title]") == "Head 2 of layers.0 (self)"
    page.select_option("[data-testid=explain-row]", "1")
    page.focus("[data-testid=explain-head]")
    for key in ("Home", "ArrowDown", "ArrowDown", "ArrowRight"):
        page.keyboard.press(key)
    weight = maps[0].weights[1, 2, 2, 1]
    told = page.inner_text("[data-testid=explain-weight]")
    assert told.startswith("ran looks at dog: ")
    assert float(told.rpartition(" ")[2]) == pytest.approx(weight, abs=0.01)
    assert page.locator("[data-testid=explain-tokens] span").all_inner_texts() == TEXTS[1]
    page.screenshot(path=artifacts / "explain-attention.png", full_page=True)


def test_derived_maps_stand_in_the_report_with_how_faithful_they_are(open_page, maps, tmp_path, artifacts):
    shown = maps.labelled(TEXTS)
    rollout = shown.rollout(orders=3)
    path = shown.report(tmp_path / "attention.html", scores=[rollout])
    page = open_page(path)
    page.wait_for_selector(".deepseek-ready", state="attached")
    scores = page.locator("[data-testid=explain-scores]")
    assert "attention rollout" in scores.locator("h3").inner_text()
    assert rollout.verdict in scores.inner_text()
    page.select_option("[data-testid=explain-row]", "1")
    assert scores.locator(".ds-tokens span").all_inner_texts() == TEXTS[1]
    scores.locator("summary").click()
    first = scores.locator("tbody tr").first.inner_text().split("\t")
    assert first[0] == TEXTS[1][rollout.values[1].argmax()]
    assert float(first[1]) == pytest.approx(rollout.values[1].max(), rel=1e-3)
    page.screenshot(path=artifacts / "explain-attention-report.png", full_page=True)
    plain = open_page(path, java_script_enabled=False)
    assert rollout.verdict in plain.inner_text("#deepseek-summary")
    assert plain.is_visible("#deepseek-summary img")
    assert plain.locator("#deepseek-summary th", has_text="entropy_bits").is_visible()


def test_patches_are_laid_over_the_picture(open_explanation, artifacts):
    class Patches(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.cut, self.look = nn.Conv2d(1, 8, 2, 2), nn.MultiheadAttention(8, 2, batch_first=True)

        def forward(self, x):
            tokens = self.cut(4 * x).flatten(2).mT
            return self.look(4 * tokens, tokens, tokens)[0][:, 0]

    pictures = torch.tensor(load_digits().images[:2] / 16).float()[:, None]
    maps = explain.attention(Patches(), pictures)
    scores = maps.average(orders=3)
    page = open_explanation(replace(maps, scores=(scores,)))
    page.focus("[data-testid=explain-patches]")
    page.keyboard.press("End")
    told = page.get_attribute("[data-testid=explain-patches]", "aria-valuetext")
    assert told.startswith("patch 15: ")
    assert float(told.rpartition(" ")[2]) == pytest.approx(maps[0].weights[0, 0, 0, 15], abs=0.01)
    assert not page.is_visible("[data-testid=explain-tokens]")
    page.locator("[data-testid=explain-scores] summary").click()
    first = page.locator("[data-testid=explain-scores] tbody tr").first.inner_text().split("\t")
    assert first[0] == f"patch {scores.values[0].argmax()}"
    page.screenshot(path=artifacts / "explain-patches.png", full_page=True)


def test_twelve_layers_of_twelve_heads_and_128_tokens_stay_below_5_mb(open_page, tmp_path):
    shown = explain.attention(Looking(12, 12, 48), torch.randn(2, 128, 48))
    shown = shown.labelled([[f"token {place}" for place in range(128)]] * 2)
    written = shown.report(tmp_path / "large.html", scores=[shown.rollout(orders=2)])
    assert written.stat().st_size <= 5e6
    page = open_page(written)
    page.wait_for_selector(".deepseek-ready", state="attached")
    assert page.locator("[data-testid=explain-heads] button").count() == 144


def test_it_reads_without_scripts(open_page, table, tmp_path):
    page = open_page(write_explanation(table, tmp_path / "explanation.html"), java_script_enabled=False)
    assert "completeness gap at most" in page.inner_text("#deepseek-summary")
    assert page.is_visible("#deepseek-summary img")


def test_a_report_of_a_run_shows_explanations_below_it(open_page, table, maps, tmp_path, artifacts):
    recording = SyntheticRecording(blocks=1)
    recording.advance(20)
    recording.close()
    page = open_page(write_report(recording, tmp_path / "run.html", explanations=[table, maps]))
    page.wait_for_selector(".deepseek-ready", state="attached")
    assert page.text_content("[data-testid=header-step]") == "20"
    titles = page.locator("[data-testid=deepseek-explanation] h2").all_inner_texts()
    assert titles == ["What moved each output", "Where Looking looks"]
    page.screenshot(path=artifacts / "explain-report.png", full_page=True)


def test_hostile_names_do_nothing(open_explanation, table, maps):
    names = [SAMPLE[place % len(SAMPLE)] for place in range(4)]
    page = open_explanation(table.named(names, [SAMPLE[-1 - place] for place in range(3)]))
    page.click("[data-testid=explain-table] summary")
    heads = page.locator("[data-testid=explain-table] tbody th")
    heads.first.wait_for()
    assert names[0] in "".join(heads.all_inner_texts())
    assert page.evaluate("window.hacked") is None
    assert page.locator("#deepseek-live").locator("img, a, iframe, script").count() == 0
    page = open_explanation(maps.labelled([[*SAMPLE, *SAMPLE, *["x"] * 5][:5]] * 2))
    assert page.evaluate("window.hacked") is None
    assert page.locator("#deepseek-live").locator("img, a, iframe, script").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(open_explanation, table, digits, texts, maps, scheme):
    labelled = maps.labelled(TEXTS)
    for explanation in (table, digits[0], texts, replace(labelled, scores=(labelled.rollout(orders=2),))):
        page = open_explanation(explanation, scheme, bypass_csp=True)
        for summary in page.locator("#deepseek-live summary").all():
            summary.click()
        assert violations(page, page.locator("#deepseek-live")) == []

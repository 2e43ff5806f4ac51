"""The tab that compares two steps of a run, over a report in a real Chromium."""

import numpy as np
import pytest
from playwright.sync_api import expect
from synthetic import SyntheticRecording

from deepseek.kernels.summary.columns import COLUMNS
from deepseek.widgets.report import write_report

pytestmark = pytest.mark.browser

LAYER = "features.3.conv2d"
TIMES = 1000
MOVED = 80


def recorded(steps=120):
    """A run in which the gradients of one layer are a thousand times larger from step 80 on."""
    recording = SyntheticRecording()
    recording.advance(steps)
    recording.close()
    sites = [site.id for site in recording.sites if site.module == LAYER]
    for record in recording.stored[MOVED:]:
        rows = np.isin(record.frames["gradient"].site, sites)
        record.frames["gradient"].values[rows, COLUMNS.index("l2")] *= TIMES
    return recording


@pytest.fixture
def open_tab(open_page, tmp_path):
    """Return a function that opens the report of a recording at the tab."""

    def open_it(recording, scheme="light"):
        page = open_page(write_report(recording, tmp_path / "run.html"), scheme)
        page.click("[data-testid=tab-compare]")
        page.wait_for_selector("[data-testid=compare-plots][data-layers], [data-testid=compare-none]:visible")
        return page

    return open_it


def text(page, part):
    return page.text_content(f"[data-testid=compare-{part}]")


def choose(page, side, step):
    page.fill(f"[data-testid=compare-step-{side}]", str(step))
    page.keyboard.press("Tab")
    expect(page.locator("[data-testid=compare-most]")).to_contain_text(f"step {step}")


def column(page, number):
    return page.locator(f"[data-testid=compare-row] td:nth-child({number})").all_text_contents()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_names_the_layer_that_changed_most(open_tab, scheme, artifacts):
    page = open_tab(recorded(), scheme)
    assert text(page, "most").startswith(f"Changed most between step 0 and step 119: {LAYER} ")
    page.click("[data-testid=compare-table] summary")
    page.wait_for_selector("[data-testid=compare-row]")
    page.wait_for_timeout(300)
    page.screenshot(path=artifacts / f"compare-steps-{scheme}.png", full_page=True)


def test_the_first_layer_beyond_the_threshold_is_another_statement(open_tab):
    recording = recorded()
    page = open_tab(recording)
    choose(page, "a", 79)
    choose(page, "b", 80)
    assert LAYER in text(page, "most")
    assert text(page, "first").startswith("The one nearest the input that changed by more than a factor of 2: ")
    assert page.locator("[data-testid=compare-first] button").text_content() == first_beyond(recording, 79, 80)


def test_the_numbers_are_those_of_the_run(open_tab):
    recording = recorded()
    page = open_tab(recording)
    choose(page, "a", 10)
    choose(page, "b", 90)
    page.click("[data-testid=compare-table] summary")
    page.wait_for_selector("[data-testid=compare-row]")
    row = page.locator("[data-testid=compare-row]", has_text=LAYER)
    shown = [float(cell.replace("\N{MINUS SIGN}", "-")) for cell in row.locator("td.ds-number").all_text_contents()]
    a, b = (norm(recording, LAYER, step) for step in (10, 90))
    assert shown == pytest.approx([a, b, b / a], rel=1e-3)
    assert len(column(page, 1)) == 13


def norm(recording, layer, step):
    """L2 norm of a layer's gradients, computed by hand; 0 for a layer without parameters."""
    frame = recording.stored[step].frames["gradient"]
    sites = [site.id for site in recording.sites if site.module == layer]
    return float(np.linalg.norm(frame.values[np.isin(frame.site, sites), COLUMNS.index("l2")]))


def first_beyond(recording, a, b):
    for layer in dict.fromkeys(site.module for site in sorted(recording.sites, key=lambda site: site.order)):
        low, high = sorted(norm(recording, layer, step) for step in (a, b))
        if high > 2 * low:
            return layer
    return None


def test_a_step_that_was_not_recorded_gives_the_nearest_one(open_tab):
    page = open_tab(recorded())
    for side, asked, nearest in (("b", "7000", "119"), ("a", "-3", "0"), ("a", "41.4", "41")):
        page.fill(f"[data-testid=compare-step-{side}]", asked)
        page.keyboard.press("Enter")
        expect(page.locator(f"[data-testid=compare-step-{side}]")).to_have_value(nearest)


def test_the_keyboard_moves_a_step_and_the_same_step_twice_shows_no_change(open_tab):
    page = open_tab(recorded(3))
    page.focus("[data-testid=compare-slider-a]")
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("[data-testid=compare-slider-a][aria-valuetext='step 1']")
    page.keyboard.press("End")
    page.wait_for_selector("[data-testid=compare-slider-a][aria-valuetext='step 2']")
    assert text(page, "most").strip() == "No layer changed between step 2 and step 2."
    assert text(page, "first").strip() == "None changed by more than a factor of 2."


def test_a_click_chooses_the_layer(open_tab):
    page = open_tab(recorded())
    page.click("[data-testid=compare-most] button")
    page.wait_for_selector(f"[data-testid=layer-lines][data-layer='{LAYER}']")
    box = page.locator("[data-testid=compare-change]").bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.6, box["y"] + box["height"] * 0.8)
    page.wait_for_selector(f"[data-testid=layer-lines]:not([data-layer='{LAYER}'])")


def test_a_metric_on_a_linear_scale_is_compared_by_its_distance(open_tab):
    page = open_tab(recorded())
    page.select_option("[data-testid=compare-metric]", "activation_ratio")
    page.wait_for_selector("[data-testid=compare-linear]:visible")
    assert not page.is_visible("[data-testid=compare-log]")
    assert "more than 0.1: features.0.relu" in text(page, "first")
    page.click("[data-testid=tab-steps]")
    page.wait_for_selector("[data-testid=metric-activation_ratio]:checked", state="attached")


def test_one_step_is_nothing_to_compare(open_tab):
    page = open_tab(recorded(1))
    assert text(page, "none") == "gradient norm was recorded in one step so far: there is nothing to compare."
    assert not page.is_visible("[data-testid=compare-plots]")


def test_of_merged_steps_it_says_what_a_side_holds(open_tab):
    page = open_tab(recorded(1000))
    assert text(page, "most").startswith("Changed most between steps 0\N{EN DASH}1 and steps 998\N{EN DASH}999: ")
    assert "Each side holds the largest of its 2 steps." in page.text_content(".ds-compare")

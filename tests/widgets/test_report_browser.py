"""The report in a real Chromium, opened from disk without a network."""

import pytest
from payloads import SAMPLE
from synthetic import SyntheticRecording

from deepseek.widgets.report import write_report

pytestmark = pytest.mark.browser


@pytest.fixture
def open_report(open_page, tmp_path):
    """Return a function that opens the report of a recording."""

    def open_it(recording, scheme="light", **options):
        return open_page(write_report(recording, tmp_path / "run.html"), scheme, **options)

    return open_it


def recorded(steps=120, **options):
    recording = SyntheticRecording(**options)
    recording.advance(steps)
    recording.close()
    return recording


def columns(page):
    page.wait_for_selector(".deepseek-ready", state="attached")
    return int(page.get_attribute("[data-testid=heatmap]", "data-columns"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_draws_the_run(open_report, scheme, artifacts):
    page = open_report(recorded(), scheme)
    assert columns(page) == 120
    assert page.text_content("[data-testid=header-step]") == "120"
    assert page.get_attribute("[data-testid=deepseek-widget]", "data-theme") == scheme
    assert page.locator("[data-testid=finding]").count() == 1
    assert not page.is_visible("#deepseek-summary")
    page.wait_for_timeout(500)
    page.screenshot(path=artifacts / f"report-{scheme}.png", full_page=True)
    page.click("[data-testid=tab-flow]")
    page.wait_for_selector("[data-testid=flow-row]")
    assert page.locator("[data-testid=flow-row]").count() == 19


def test_a_click_on_a_layer_shows_its_lines(open_report):
    page = open_report(recorded())
    columns(page)
    box = page.locator("[data-testid=heatmap]").bounding_box()
    before = page.get_attribute("[data-testid=layer-lines]", "data-layer")
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_selector(f"[data-testid=layer-lines]:not([data-layer='{before}'])")
    assert page.get_attribute("[data-testid=layer-lines]", "data-layer").startswith("features.")
    assert page.locator(".ds-line[data-points='120']").count() >= 3


def test_the_keyboard_reaches_layers_and_metrics(open_report):
    page = open_report(recorded())
    columns(page)
    page.focus("[data-testid=metric-gradient_norm]")
    page.keyboard.press("ArrowRight")
    assert page.is_checked("[data-testid=metric-activation_ratio]")
    page.select_option("[data-testid=layer-select]", label="head")
    page.wait_for_selector("[data-testid=layer-lines][data-layer='head']")
    page.focus("[role=tab][aria-selected=true]")
    for tab in ("graph", "flow"):
        page.keyboard.press("ArrowRight")
        page.wait_for_selector(f"[data-testid=tab-{tab}][aria-selected=true]")
    page.wait_for_selector("[data-testid=flow-row]")
    page.focus("[data-testid=flow-row]:nth-child(2) button")
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-testid=layer-lines][data-layer='features.0.batchnorm2d']")


def test_hostile_names_do_nothing(open_report):
    names = iter(SAMPLE * 10)
    recording = recorded(45, rename=lambda name: f"{next(names)}.{name}", title=SAMPLE[0])
    page = open_report(recording)
    columns(page)
    for metric in ("activation_ratio", "update_ratio", "absmax"):
        page.check(f"[data-testid=metric-{metric}]", force=True)
    page.hover("[data-testid=heatmap]")
    page.wait_for_timeout(300)
    assert page.evaluate("window.hacked") is None
    assert page.locator("img, svg, a, iframe").locator("visible=true").count() == 0
    assert SAMPLE[0] in page.text_content("h2")


def test_it_reads_without_scripts(open_report):
    page = open_report(recorded(), java_script_enabled=False)
    assert page.is_visible("#deepseek-summary img")
    assert "Replace the sigmoids by ReLU" in page.text_content("#deepseek-summary")

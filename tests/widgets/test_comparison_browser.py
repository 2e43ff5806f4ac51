"""The report of a comparison in a real Chromium, opened from disk without a network."""

import pytest
from compared import comparison

pytestmark = pytest.mark.browser


@pytest.fixture
def open_report(open_page, tmp_path):
    """Return a function that opens the report of a comparison."""

    def open_it(found, scheme="light", **options):
        return open_page(found.report(tmp_path / "diff.html"), scheme, height=1700, **options)

    return open_it


COLOURS = """figure => {
  const label = [...Bokeh.documents].flatMap(document => [...document._all_models.values()])
    .find(model => model.type === 'LinearAxis');
  return [label.axis_label_text_color, getComputedStyle(document.documentElement).getPropertyValue('--soft').trim()];
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_draws_every_chart_in_the_place_of_the_picture(open_report, scheme, artifacts):
    page = open_report(comparison(60, start=20), scheme)
    page.wait_for_selector(".charts[data-drawn='4']")
    names = page.locator(".charts figure").evaluate_all("all => all.map(figure => figure.dataset.chart)")
    assert names == ["heatmap", "values", "difference", "scalar"]
    assert page.locator(".charts canvas").count() >= 4
    assert page.locator("#deepseek-summary img").count() == 0
    drawn, wanted = page.evaluate(COLOURS)
    assert drawn == wanted
    page.wait_for_timeout(300)
    page.screenshot(path=artifacts / f"comparison-{scheme}.png", full_page=True)


def test_every_chart_has_a_name_and_a_table_twin(open_report):
    page = open_report(comparison(10))
    page.wait_for_selector(".charts[data-drawn='4']")
    assert all(page.locator(".charts [role=img]").evaluate_all("all => all.map(e => e.ariaLabel)"))
    assert page.locator("#deepseek-summary tbody tr").count() == 2 + 19 + 1


def test_pointing_at_a_depth_names_the_site(open_report):
    page = open_report(comparison(10, blocks=1))
    page.wait_for_selector(".charts[data-drawn='4']")
    box = page.locator("[data-chart=difference] [role=img]").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + box["height"] / 2)
    page.locator(".bk-tooltip-row-value").first.wait_for(timeout=5_000)
    told = page.locator(".bk-tooltip-row-value").all_text_contents()
    assert [text.strip() for text in told] == ["features.0.batchnorm2d", "0.3333"]


def test_it_reads_without_scripts(open_report):
    page = open_report(comparison(10), java_script_enabled=False)
    assert page.is_visible("#deepseek-summary img")
    assert "A and B differ first at step 0" in page.text_content("#deepseek-summary")

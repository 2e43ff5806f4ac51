"""The first tutorial in a real JupyterLab and a real Chromium."""

import pytest
from lab_pages import RUN, close, interrupt, open_notebook, prompt, run_to_its_end

pytestmark = pytest.mark.browser

NOTEBOOK = "01_watch_a_training_run.ipynb"
SETUP, TRAIN_GOOD, TRAIN_SICK = 1, 3, 10

MOVED = """([updates, steps]) => {
  const cell = document.querySelector('.jp-CodeCell:has([data-testid=heatmap])');
  if (!cell?.querySelector('.jp-InputPrompt').textContent.includes('*')) return false;
  window.seen ??= [new Set(), new Set()];
  window.seen[0].add(cell.querySelector('[data-testid=heatmap]').dataset.updates);
  window.seen[1].add(cell.querySelector('[data-testid=header-step]')?.textContent);
  return window.seen[0].size >= updates && window.seen[1].size >= steps;
}"""
"""The heat map was drawn so many times, and so many steps were shown, while the cell ran."""


def test_the_figures_move_while_the_training_cell_runs(lab, watched, artifacts):
    page = watched.page
    open_notebook(lab, page, NOTEBOOK)
    run_to_its_end(page, SETUP)
    page.evaluate(RUN, TRAIN_GOOD)
    page.locator("[data-testid=deepseek-widget]").first.scroll_into_view_if_needed(timeout=60_000)
    page.wait_for_function(MOVED, arg=[3, 3], polling=20, timeout=60_000)
    click_on_a_layer(page)
    page.screenshot(path=artifacts / "lab-layer.png")
    interrupt(page)
    page.evaluate(RUN, TRAIN_SICK)
    look_at_the_finding(page, artifacts)
    interrupt(page)
    close(page)
    assert watched.errors == []


def look_at_the_finding(page, artifacts):
    """See the planted fault named while the cell still trains."""
    finding = page.locator("[data-testid=finding]").first
    finding.wait_for(timeout=60_000)
    assert "0.weight" in finding.inner_text()
    assert prompt(page, TRAIN_SICK) == "[*]:"
    widget = page.locator("[data-testid=deepseek-widget]:has([data-testid=finding])")
    widget.evaluate("element => element.scrollIntoView({ block: 'start' })")
    widget.locator("[data-testid=heatmap] canvas").first.wait_for(timeout=20_000)
    page.screenshot(path=artifacts / "lab-while-training.png")


def click_on_a_layer(page):
    """Click into the heat map and see that layer's lines."""
    heatmap = page.locator("[data-testid=heatmap]").first
    heatmap.scroll_into_view_if_needed()
    before = page.locator("[data-testid=layer-lines]").first.get_attribute("data-layer")
    box = heatmap.bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.25)
    page.wait_for_function(
        "before => document.querySelector('[data-testid=layer-lines]').dataset.layer !== before",
        arg=before,
        timeout=10_000,
    )

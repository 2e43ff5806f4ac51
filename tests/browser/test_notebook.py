"""The first tutorial in a real JupyterLab and a real Chromium."""

import pytest

pytestmark = pytest.mark.browser

NOTEBOOK = "01_watch_a_training_run.ipynb"
SETUP, TRAIN_GOOD, TRAIN_SICK = 1, 3, 10

READY = """() =>
  document.querySelector('.jp-Notebook-ExecutionIndicator')?.dataset.status === 'idle' &&
  window.jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel?.connectionStatus === 'connected'
"""

SAMPLER = """() => {
  window.samples = [];
  window.sampler = setInterval(() => {
    for (const cell of document.querySelectorAll('.jp-CodeCell')) {
      const map = cell.querySelector('[data-testid=heatmap]');
      if (!map) continue;
      const step = cell.querySelector('[data-testid=header-step]');
      const prompt = cell.querySelector('.jp-InputPrompt').textContent;
      window.samples.push([map.dataset.updates, step ? step.textContent : '', prompt.includes('*')]);
    }
  }, 20);
}"""


START = """index => {
  window.jupyterapp.shell.currentWidget.content.activeCellIndex = index;
  window.cellEnd = window.jupyterapp.commands.execute('notebook:run-cell');
}"""


def run_cell(page, index, meanwhile=lambda: None):
    """Run one cell of the notebook to its end; ``meanwhile`` is called while it runs."""
    page.evaluate(START, index)
    meanwhile()
    page.evaluate("async () => { await window.cellEnd; }")


@pytest.fixture
def notebook(lab, watched):
    page = watched.page
    page.goto(lab.address(NOTEBOOK))
    page.wait_for_selector(".jp-NotebookPanel .jp-CodeCell", timeout=60_000)
    page.wait_for_function(READY, timeout=60_000)
    page.evaluate("() => window.jupyterapp.shell.collapseLeft()")
    return watched


def test_the_figures_move_while_the_training_cell_runs(notebook, artifacts, lab):
    page = notebook.page
    run_cell(page, SETUP)
    page.evaluate(SAMPLER)
    run_cell(page, TRAIN_GOOD)
    running = [sample for sample in page.evaluate("() => window.samples") if sample[2]]
    assert len({updates for updates, _, _ in running}) >= 6, running[-5:]
    assert len({step for _, step, _ in running}) >= 5

    click_on_a_layer(page)
    page.screenshot(path=artifacts / "lab-layer.png")
    run_cell(page, TRAIN_SICK, meanwhile=lambda: look_at_the_finding(page, artifacts))
    assert notebook.errors == []


def look_at_the_finding(page, artifacts):
    """See the planted fault named while the cell still trains."""
    finding = page.locator("[data-testid=finding]").first
    finding.wait_for(timeout=60_000)
    assert "0.weight" in finding.inner_text()
    widget = page.locator("[data-testid=deepseek-widget]:has([data-testid=finding])")
    widget.evaluate("element => element.scrollIntoView({ block: 'start' })")
    page.wait_for_timeout(700)
    page.screenshot(path=artifacts / "lab-while-training.png")
    assert page.locator(".jp-CodeCell:has([data-testid=finding]) .jp-InputPrompt").inner_text() == "[*]:"


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

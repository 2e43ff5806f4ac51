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

    def look():
        page.wait_for_selector("[data-testid=heatmap]", timeout=30_000)
        page.screenshot(path=artifacts / "lab-while-training.png")

    run_cell(page, TRAIN_GOOD, meanwhile=look)
    running = [sample for sample in page.evaluate("() => window.samples") if sample[2]]
    assert len({updates for updates, _, _ in running}) >= 6, running[-5:]
    assert len({step for _, step, _ in running}) >= 5

    click_on_a_layer(page)
    page.screenshot(path=artifacts / "lab-layer.png")
    run_cell(page, TRAIN_SICK)
    page.wait_for_selector("[data-testid=finding]", timeout=60_000)
    finding = page.locator("[data-testid=finding]").first
    assert "0.weight" in finding.inner_text()
    finding.scroll_into_view_if_needed()
    page.screenshot(path=artifacts / "lab-finding.png")
    assert notebook.errors == []


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

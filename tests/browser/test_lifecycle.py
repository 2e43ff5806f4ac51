"""What befalls a page in daily use: reloads, restarts, other notebooks, two tabs, hidden tabs, lost connections."""

import re

import pytest
from kernels_apart import kernelspec
from lab_pages import (
    COUNT_MESSAGES,
    HIDE,
    PREPARED,
    QUIET,
    READY,
    RESTART,
    RUN,
    TRAIN,
    bring_to_front,
    close,
    heap_bytes,
    open_notebook,
    prompt,
    run_to_its_end,
    show_panel,
    step,
    wait_for_step,
    write_notebook,
)

pytestmark = pytest.mark.browser

HEAP_GROWTH = 5_000_000

FORGETTING_MS = 35_000
"""BokehJS looks every 30 seconds which models are still in use."""

DRAWN = "[data-testid=layer-lines] .ds-plot > *"
"""The charts, which come some time after the first figures."""

CHARTS = """() => {
  const key = Object.getOwnPropertySymbols(window).find((each) => each.description === 'deepseek-workbench.bokeh');
  const charts = [...window[key].values()].map(({ documents }) => documents.length).reduce((a, b) => a + b);
  if (window.charts !== charts) [window.charts, window.chartsSince] = [charts, performance.now()];
  return performance.now() - window.chartsSince > 1500 && charts;
}"""
"""How many charts there are, once no more of them come."""

BACK_MS = 10_000
"""On a quiet machine it takes less than two seconds; this bound holds beside other work too."""

CUTTABLE = """
  const Real = window.WebSocket;
  const sockets = new Set();
  let cut = false;
  window.WebSocket = class extends Real {
    constructor(url, protocols) {
      super(cut ? String(url).replace(/:\\d+/, ':9') : url, protocols);
      sockets.add(this);
    }
  };
  window.cutConnection = (on) => {
    cut = on;
    if (cut) for (const socket of sockets) socket.close();
  };
"""

BACK = """() => {
  const panel = document.querySelector('[data-testid=deepseek-panel]');
  const map = panel?.querySelector('[data-testid=heatmap]');
  if (window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.connectionStatus !== 'connected') return;
  window.connectedAt ??= performance.now();
  if (Number(map?.dataset.columns ?? 0) > 0) return performance.now() - window.connectedAt + 1;
}"""


@pytest.fixture(scope="module")
def shared(lab, shared):
    """The page of the file: its connection can be cut, and there are Jupyter kernels of other kinds."""
    kernelspec(lab.data, "rlang", language="R")
    kernelspec(lab.data, "old")
    shared.page.add_init_script(CUTTABLE)
    return shared


@pytest.fixture
def other(notebook):
    """Return a function that opens another notebook beside the panel."""
    opened = []
    notebook.errors.clear()

    def open_it(file):
        opened.append(file)
        bring_to_front(notebook.page, file)
        return show_panel(notebook.page)

    yield open_it
    close(notebook.page, *opened)


def test_a_reload_in_mid_training_brings_the_panel_back(training):
    page, panel = training.page, training.panel
    wait_for_step(page, panel, 60)
    before = step(panel)
    page.reload()
    back_ms = page.wait_for_function(BACK, timeout=60_000, polling=20).json_value()
    print(f"the panel is back {back_ms:.0f} ms after the connection")
    assert back_ms < BACK_MS
    assert int(panel.locator("[data-testid=heatmap]").get_attribute("data-columns")) >= min(before, 60)
    wait_for_step(page, panel, before)
    assert training.errors == []


def test_two_tabs_on_one_kernel_are_both_live_and_both_control(training, lab):
    page, first = training.page, training.panel
    other = page.context.new_page()
    other.goto(lab.address("training.ipynb").replace("&reset", "").replace("/lab/tree", "/lab/workspaces/second/tree"))
    other.wait_for_selector(".jp-NotebookPanel .jp-CodeCell", timeout=60_000)
    second = show_panel(other)
    second.locator("[data-testid=heatmap] canvas").first.wait_for(timeout=60_000)
    wait_for_step(other, second, step(first))
    wait_for_step(page, first, step(second))
    for clicked in (first, second):
        for state in ("paused", "running"):
            clicked.locator("[data-testid=control-pause]").click()
            for each in (first, second):
                each.locator(f"[data-testid=control] fieldset[data-state={state}]").wait_for(timeout=10_000)
    other.close()
    assert training.errors == []


def test_a_hidden_tab_is_sent_nothing_after_two_seconds(training):
    page, panel = training.page, training.panel
    page.evaluate(HIDE, True)
    page.evaluate(COUNT_MESSAGES)
    page.wait_for_function(QUIET, timeout=10_000)
    assert page.evaluate("() => window.quietSince - window.countedSince") < 2000
    before = step(panel)
    page.evaluate(HIDE, False)
    wait_for_step(page, panel, before + 50)
    assert training.errors == []


def test_a_lost_connection_is_told_and_comes_back_by_itself(training):
    page, panel = training.page, training.panel
    wait_for_step(page, panel, 5)
    page.evaluate("() => window.cutConnection(true)")
    notice = panel.locator("[data-testid=panel-notice]", has_text="Disconnected")
    notice.wait_for(timeout=10_000)
    lost_at = step(panel)
    page.evaluate("() => window.cutConnection(false)")
    notice.wait_for(state="hidden", timeout=60_000)
    wait_for_step(page, panel, lost_at + 20)
    assert [error for error in training.errors if "WebSocket" not in error] == []


def test_a_kernel_of_another_language_is_told_from_one_without_deepseek(lab, notebook, other):
    panel = other(write_notebook(lab, "other.ipynb", "1 + 1", kernel="rlang", language="R"))
    panel.locator("[data-testid=panel-empty]").get_by_text("does not speak Python").wait_for(timeout=20_000)
    assert notebook.errors == []


def test_a_kernel_without_subshells_is_followed_and_controlled_between_steps(lab, notebook, other):
    panel, page = other(write_notebook(lab, "old.ipynb", kernel="old")), notebook.page
    run_to_its_end(page, PREPARED)
    page.evaluate(RUN, TRAIN)
    panel.locator(".ds-title").wait_for(timeout=60_000)
    wait_for_step(page, panel, 20)
    pause = panel.locator("[data-testid=control-pause]")
    for state in ("paused", "running"):
        pause.click()
        panel.locator(f"[data-testid=control] fieldset[data-state={state}]").wait_for(timeout=10_000)
    assert prompt(page, TRAIN) == "[*]:"
    assert notebook.errors == []


def train_and_restart(page, panel):
    page.wait_for_function(READY, timeout=60_000)
    run_to_its_end(page, PREPARED)
    page.evaluate(RUN, TRAIN)
    panel.locator("[data-testid=header-state]", has_text="running").wait_for(timeout=60_000)
    wait_for_step(page, panel, 5)
    panel.locator(DRAWN).last.wait_for(timeout=60_000)
    page.evaluate(RESTART)
    panel.get_by_text(re.compile(r"restarted at \d\d:\d\d")).wait_for(timeout=60_000)


def settled_heap(page):
    page.wait_for_timeout(FORGETTING_MS)
    return heap_bytes(page)


def test_restarts_leave_no_error_and_no_charts_behind(notebook):
    page, charts = notebook.page, []
    notebook.errors.clear()
    bring_to_front(page, "training.ipynb")
    panel = show_panel(page)
    for _ in range(2):
        train_and_restart(page, panel)
        charts.append(page.wait_for_function(CHARTS, timeout=20_000).json_value())
    assert 0 < charts[1] < 2 * charts[0], "those of one view"
    assert notebook.errors == []


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_heap_does_not_grow_over_twenty_restarts(lab, watched):
    page = watched.page
    open_notebook(lab, page, write_notebook(lab, "many-restarts.ipynb"))
    panel = show_panel(page)
    train_and_restart(page, panel)
    heaps = [settled_heap(page)]
    for _ in range(4):
        for _ in range(5):
            train_and_restart(page, panel)
        heaps.append(settled_heap(page))
    print("heap after every fifth restart, MB:", [round(heap / 1e6, 1) for heap in heaps])
    assert heaps[-1] - heaps[0] < HEAP_GROWTH
    assert watched.errors == []
    close(page)

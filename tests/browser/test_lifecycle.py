"""What befalls a page in daily use: reloads, restarts, other notebooks, two tabs, hidden tabs, lost connections."""

import re

import pytest
from kernels_apart import kernelspec
from lab_pages import (
    COUNT_MESSAGES,
    HIDE,
    PREPARE,
    PREPARED,
    RESTART,
    RUN,
    TRAIN,
    heap_bytes,
    open_notebook,
    run_to_its_end,
    show_panel,
    shut_down,
    step,
    wait_for_step,
    write_notebook,
)

pytestmark = pytest.mark.browser

HEAP_GROWTH = 5_000_000

FORGETTING_MS = 35_000
"""BokehJS looks every 30 seconds which models are still in use."""

CHARTS = """() => {
  const key = Object.getOwnPropertySymbols(window).find((each) => each.description === 'deepseek-workbench.bokeh');
  return [...window[key].values()].map(({ documents }) => documents.length).reduce((a, b) => a + b);
}"""

BACK_MS = 10_000
"""On a quiet machine it takes less than two seconds; this bound holds beside other work too."""

FIRST_FRAME_MS = 20_000
"""On a quiet machine it takes less than one second; this bound holds beside other work too."""

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

FIRST_FRAME = """() => {
  const begun = performance.now();
  window.firstFrame = new Promise((resolve) => {
    const look = () => {
      const maps = [...document.querySelectorAll('[data-testid=heatmap]')];
      if (maps.some((map) => Number(map.dataset.columns) > 0)) resolve(performance.now() - begun);
      else requestAnimationFrame(look);
    };
    look();
  });
  window.jupyterapp.shell.currentWidget.content.activeCellIndex = 1;
  void window.jupyterapp.commands.execute('notebook:run-cell');
}"""

IDLE = """() => {
  const { kernel } = window.jupyterapp.shell.currentWidget.sessionContext.session;
  return kernel.connectionStatus === 'connected' && kernel.status === 'idle';
}"""

BACK = """() => {
  const panel = document.querySelector('[data-testid=deepseek-panel]');
  const map = panel?.querySelector('[data-testid=heatmap]');
  if (window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.connectionStatus !== 'connected') return;
  window.connectedAt ??= performance.now();
  if (Number(map?.dataset.columns ?? 0) > 0) return performance.now() - window.connectedAt + 1;
}"""


@pytest.fixture
def page(watched):
    yield watched.page
    shut_down(watched.page)


@pytest.fixture
def training(lab, watched, page):
    """A notebook whose cell trains for two minutes, and the panel beside it."""
    open_notebook(lab, page, write_notebook(lab, "alive.ipynb"))
    watched.panel = show_panel(page)
    run_to_its_end(page, PREPARED)
    page.evaluate(RUN, TRAIN)
    watched.panel.locator("[data-testid=heatmap] canvas").first.wait_for(timeout=30_000)
    return watched


@pytest.mark.parametrize("host", ["panel", "widget"])
def test_the_first_frame_comes_soon_after_the_cell_has_begun(lab, watched, page, host):
    shown = host == "widget"
    open_notebook(lab, page, write_notebook(lab, f"first-{host}.ipynb", PREPARE, f"train(60, shown={shown})"))
    if not shown:
        show_panel(page)
    run_to_its_end(page, PREPARED)
    page.evaluate(FIRST_FRAME)
    first_ms = page.evaluate("async () => await window.firstFrame")
    print(f"first frame of the {host} after {first_ms:.0f} ms")
    assert first_ms < FIRST_FRAME_MS
    assert watched.errors == []


def test_a_reload_in_mid_training_brings_the_panel_back(training, page):
    wait_for_step(page, training.panel, 60)
    before = step(training.panel)
    page.reload()
    back_ms = page.wait_for_function(BACK, timeout=60_000, polling=20).json_value()
    print(f"the panel is back {back_ms:.0f} ms after the connection")
    assert back_ms < BACK_MS
    assert int(training.panel.locator("[data-testid=heatmap]").get_attribute("data-columns")) >= min(before, 60)
    wait_for_step(page, training.panel, before)
    assert training.errors == []


def train_and_restart(page, panel):
    page.wait_for_function(IDLE, timeout=60_000)
    run_to_its_end(page, PREPARED)
    page.evaluate(RUN, TRAIN)
    panel.locator("[data-testid=header-state]", has_text="running").wait_for(timeout=60_000)
    wait_for_step(page, panel, 5)
    page.evaluate(RESTART)
    panel.get_by_text(re.compile(r"restarted at \d\d:\d\d")).wait_for(timeout=60_000)


def settled_heap(page):
    page.wait_for_timeout(FORGETTING_MS)
    return heap_bytes(page)


def test_restarts_leave_no_error_and_no_charts_behind(lab, watched, page):
    open_notebook(lab, page, write_notebook(lab, "restarts.ipynb"))
    panel = show_panel(page)
    charts = []
    for _ in range(3):
        train_and_restart(page, panel)
        charts.append(page.evaluate(CHARTS))
    assert charts[0] > 0
    assert len(set(charts)) == 1
    assert [error for error in watched.errors if "Comm not found" not in error] == []


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_heap_does_not_grow_over_twenty_restarts(lab, watched, page):
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
    assert [error for error in watched.errors if "Comm not found" not in error] == []


def test_two_tabs_on_one_kernel_are_both_live_and_both_control(training, page, lab):
    other = page.context.new_page()
    other.goto(lab.address("alive.ipynb").replace("&reset", "").replace("/lab/tree", "/lab/workspaces/second/tree"))
    other.wait_for_selector(".jp-NotebookPanel .jp-CodeCell", timeout=60_000)
    second = show_panel(other)
    second.locator("[data-testid=heatmap] canvas").first.wait_for(timeout=60_000)
    wait_for_step(other, second, step(training.panel))
    wait_for_step(page, training.panel, step(second))
    views = {page: training.panel, other: second}
    for mine, its in ((page, other), (other, page)):
        views[mine].locator("[data-testid=control-pause]").click()
        for each in (mine, its):
            views[each].locator("[data-testid=control] fieldset[data-state=paused]").wait_for(timeout=10_000)
        views[mine].locator("[data-testid=control-pause]").click()
        for each in (mine, its):
            views[each].locator("[data-testid=control] fieldset[data-state=running]").wait_for(timeout=10_000)
    other.close()
    assert training.errors == []


def test_a_hidden_tab_is_sent_nothing_after_two_seconds(training, page):
    page.evaluate(HIDE, True)
    page.wait_for_timeout(2000)
    page.evaluate(COUNT_MESSAGES)
    page.wait_for_timeout(2000)
    assert page.evaluate("() => window.messages") == 0
    before = step(training.panel)
    page.evaluate(HIDE, False)
    wait_for_step(page, training.panel, before + 50)
    assert training.errors == []


def test_a_lost_connection_is_told_and_comes_back_by_itself(lab, watched, page):
    page.add_init_script(CUTTABLE)
    open_notebook(lab, page, write_notebook(lab, "cut.ipynb"))
    panel = show_panel(page)
    run_to_its_end(page, PREPARED)
    page.evaluate(RUN, TRAIN)
    wait_for_step(page, panel, 5)
    page.evaluate("() => window.cutConnection(true)")
    panel.locator("[data-testid=panel-notice]", has_text="Disconnected").wait_for(timeout=10_000)
    lost_at = step(panel)
    page.wait_for_timeout(2000)
    page.evaluate("() => window.cutConnection(false)")
    panel.locator("[data-testid=panel-notice]").wait_for(state="hidden", timeout=60_000)
    wait_for_step(page, panel, lost_at + 20)
    assert [error for error in watched.errors if "WebSocket" not in error] == []


def test_a_kernel_of_another_language_is_told_from_one_without_deepseek(lab, watched, page):
    kernelspec(lab.data, "rlang", language="R")
    open_notebook(lab, page, write_notebook(lab, "other.ipynb", "1 + 1", kernel="rlang", language="R"))
    empty = show_panel(page).locator("[data-testid=panel-empty]")
    empty.get_by_text("does not speak Python").wait_for(timeout=20_000)
    assert watched.errors == []


def test_a_kernel_without_subshells_is_followed_and_controlled_between_steps(lab, watched, page):
    kernelspec(lab.data, "old")
    open_notebook(lab, page, write_notebook(lab, "old.ipynb", kernel="old"))
    panel = show_panel(page)
    run_to_its_end(page, PREPARED)
    page.evaluate(RUN, TRAIN)
    wait_for_step(page, panel, 20)
    pause = panel.locator("[data-testid=control-pause]")
    for state in ("paused", "running"):
        pause.click()
        panel.locator(f"[data-testid=control] fieldset[data-state={state}]").wait_for(timeout=10_000)
    assert page.locator(".jp-CodeCell .jp-InputPrompt").nth(TRAIN).inner_text() == "[*]:"
    assert watched.errors == []

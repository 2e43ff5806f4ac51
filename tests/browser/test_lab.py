"""What JupyterLab offers around the panel: a view in the main area, the list of what runs, settings, Inspect model…"""

import re

import pytest
from lab_pages import (
    PREPARE,
    PREPARED,
    RESTART,
    RUN,
    TRAIN,
    bring_to_front,
    close,
    execute,
    open_notebook,
    step,
    wait_for_step,
    write_notebook,
)

pytestmark = pytest.mark.browser

PANEL = "#deepseek-workbench-panel"
MAIN = "#deepseek-workbench-main"

SET = """async ([plugin, key, value]) => {
  const plugins = await window.jupyterapp.serviceManager.settings.list();
  const { raw } = plugins.values.find(({ id }) => id === plugin) ?? { raw: '{}' };
  const settings = { ...JSON.parse(raw || '{}'), [key]: value };
  await window.jupyterapp.serviceManager.settings.save(plugin, JSON.stringify(settings));
}"""

WATCH_STEPS = """selector => {
  window.drawnAt = [];
  new MutationObserver(() => window.drawnAt.push(performance.now())).observe(
    document.querySelector(selector), { childList: true, characterData: true, subtree: true });
}"""

DRAWN = "times => window.drawnAt.length >= times && window.drawnAt"

CELLS = "() => window.jupyterapp.shell.currentWidget.content.model.sharedModel.cells.map(cell => cell.getSource())"


@pytest.fixture
def training(training):
    """Leaves only the notebook in the main area."""
    yield training
    training.page.evaluate(
        "() => [...window.jupyterapp.shell.widgets('main')].filter(({ sessionContext }) => !sessionContext)"
        ".forEach((widget) => widget.close())"
    )


def views(page, host):
    return page.locator(f"{host} [data-testid=deepseek-widget]")


def test_the_main_area_shows_the_same_run_and_stays_when_the_panel_is_closed(training, artifacts):
    page = training.page
    page.locator(PANEL).get_by_role("button", name="Open in the main area").click()
    main = views(page, MAIN)
    main.locator("[data-testid=heatmap] canvas").first.wait_for(timeout=30_000)
    page.evaluate("() => window.jupyterapp.shell.collapseRight()")
    wait_for_step(page, main, step(main))
    page.screenshot(path=artifacts / "main-area.png")
    main.locator("[data-testid=control-pause]").click()
    main.locator("[data-testid=header-state]").get_by_text("paused").wait_for(timeout=10_000)
    execute(page, "deepseek-workbench:open-main")
    assert page.locator(MAIN).count() == 1
    assert training.errors == []


def test_the_report_of_the_training_is_one_click_away(training, artifacts):
    page, panel = training.page, training.panel
    wait_for_step(page, panel, 20)
    panel.get_by_role("button", name="Report", exact=True).click()
    page.locator("[data-testid=deepseek-page] iframe").wait_for(timeout=60_000)
    frame = page.locator("[data-testid=deepseek-page] iframe").element_handle().content_frame()
    frame.wait_for_selector(".deepseek-ready [data-testid=heatmap] canvas", timeout=60_000)
    assert int(re.sub(r"\D", "", frame.inner_text("[data-testid=header-step]"))) >= 20
    page.screenshot(path=artifacts / "panel-report.png")
    assert training.errors == []


def test_what_runs_is_listed_shown_and_stopped_after_a_question(training, artifacts):
    page = training.page
    page.evaluate("() => window.jupyterapp.shell.collapseRight()")
    execute(page, "running:show-panel")
    item = page.locator(".jp-RunningSessions-item[data-context=deepseek-inspection]")
    item.get_by_text(re.compile(r"step [\d,]+, running")).wait_for(timeout=30_000)
    assert item.locator(".jp-RunningSessions-itemLabel").inner_text() == "Sequential"
    page.screenshot(path=artifacts / "running.png")
    item.locator(".jp-RunningSessions-itemLabel").click()
    panel = views(page, PANEL)
    panel.locator("[data-testid=heatmap] canvas").first.wait_for(timeout=30_000)
    for answer in (".jp-mod-reject", ".jp-mod-warn"):
        item.hover()
        item.locator(".jp-RunningSessions-itemShutdown").click()
        dialog = page.locator(".jp-Dialog")
        dialog.get_by_text("Stop the training of Sequential?").wait_for(timeout=10_000)
        wait_for_step(page, panel, step(panel))
        assert panel.locator("[data-testid=header-state]").inner_text() == "running"
        dialog.locator(answer).click()
        dialog.wait_for(state="detached", timeout=10_000)
    item.wait_for(state="detached", timeout=20_000)
    panel.locator("[data-testid=header-state]").get_by_text("finished").wait_for(timeout=20_000)
    page.evaluate("() => window.jupyterapp.shell.collapseLeft()")
    assert training.errors == []


def test_the_button_on_the_notebook_pauses_and_resumes(training):
    page = training.page
    state = training.panel.locator("[data-testid=header-state]")
    page.locator(".jp-NotebookPanel-toolbar [data-command='deepseek-workbench:toggle-pause']").click()
    state.get_by_text("paused").wait_for(timeout=10_000)
    page.keyboard.press("ControlOrMeta+Shift+Alt+P")
    state.get_by_text("running").wait_for(timeout=10_000)
    assert training.errors == []


def test_a_restart_offers_the_saved_run(training):
    page, panel = training.page, training.panel
    wait_for_step(page, panel, 20)
    page.evaluate(RESTART)
    panel.get_by_role("button", name="Open the saved run").click(timeout=20_000)
    run = page.locator("[data-testid=deepseek-run]")
    run.locator("[data-testid=heatmap] canvas").first.wait_for(timeout=60_000)
    assert step(run) >= 20


def test_inspect_model_inserts_a_cell_above_the_active_one(notebook, artifacts):
    page = notebook.page
    notebook.errors.clear()
    bring_to_front(page, "training.ipynb")
    page.locator(".jp-CodeCell").nth(1).click()
    page.locator(".jp-NotebookPanel-toolbar [data-command='deepseek-workbench:inspect-model']").click()
    page.get_by_test_id("inspect-model").fill("net.encoder")
    page.get_by_test_id("inspect-optimizer").fill("")
    page.screenshot(path=artifacts / "inspect-model.png")
    page.keyboard.press("Enter")
    page.locator(".jp-Dialog").wait_for(state="detached")
    above = [PREPARE, "%load_ext deepseek\n%deepseek_inspect net.encoder", "train(120)"]
    assert page.evaluate(CELLS) == above
    page.evaluate("() => void window.jupyterapp.commands.execute('deepseek-workbench:inspect-model')")
    page.get_by_test_id("inspect-model").fill("__import__('os')")
    page.keyboard.press("Enter")
    page.get_by_text("Expected the name of a variable").wait_for(timeout=10_000)
    assert page.evaluate(CELLS) == above
    assert notebook.errors == []
    page.evaluate("() => window.jupyterapp.shell.currentWidget.content.model.sharedModel.deleteCell(1)")


def test_the_panel_opens_by_itself_where_that_is_set_and_draws_as_often_as_set(lab, watched):
    page = watched.page
    file = write_notebook(lab, "settings.ipynb")
    page.goto(f"{lab.url}/lab?token={lab.token}&reset")
    page.wait_for_selector(".jp-Launcher", timeout=60_000)
    for key, value in (("openPanel", True), ("updatesPerSecond", 1)):
        page.evaluate(SET, ["deepseek-workbench:panel", key, value])
    open_notebook(lab, page, file)
    page.evaluate("() => window.jupyterapp.shell.collapseRight()")
    page.evaluate(RUN, PREPARED)
    page.evaluate(RUN, TRAIN)
    views(page, PANEL).locator("[data-testid=heatmap] canvas").first.wait_for(timeout=30_000)
    page.evaluate(WATCH_STEPS, f"{PANEL} [data-testid=header-step]")
    drawn = page.wait_for_function(DRAWN, arg=4, timeout=20_000).json_value()
    assert (drawn[-1] - drawn[0]) / (len(drawn) - 1) > 800, "milliseconds from one drawing to the next"
    page.evaluate("() => window.jupyterapp.shell.collapseRight()")
    page.wait_for_timeout(2500)  # it looks once a second whether an inspection has begun
    assert not page.locator(PANEL).is_visible(), "closed by the user, it stays closed"
    for key, value in (("openPanel", False), ("updatesPerSecond", 4)):
        page.evaluate(SET, ["deepseek-workbench:panel", key, value])
    assert watched.errors == []
    close(page)

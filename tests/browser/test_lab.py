"""What JupyterLab offers around the panel: a view in the main area, the list of what runs, settings, Inspect model…"""

import re

import pytest
from lab_pages import (
    PREPARE,
    PREPARED,
    RESTART,
    RUN,
    TRAIN,
    execute,
    open_notebook,
    show_panel,
    shut_down,
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


@pytest.fixture
def training(lab, watched):
    """A notebook whose cell trains for two minutes, without the panel."""
    page = watched.page
    open_notebook(lab, page, write_notebook(lab, "around.ipynb"))
    page.evaluate(RUN, PREPARED)
    page.evaluate(RUN, TRAIN)
    yield watched
    shut_down(page)


def views(page, host):
    return page.locator(f"{host} [data-testid=deepseek-widget]")


def test_the_main_area_shows_the_same_run_and_stays_when_the_panel_is_closed(training, artifacts):
    page = training.page
    show_panel(page)
    views(page, PANEL).locator("[data-testid=heatmap] canvas").first.wait_for(timeout=30_000)
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
    page = training.page
    panel = show_panel(page)
    panel.locator("[data-testid=heatmap] canvas").first.wait_for(timeout=30_000)
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
    execute(page, "running:show-panel")
    item = page.locator(".jp-RunningSessions-item[data-context=deepseek-inspection]")
    item.get_by_text(re.compile(r"step [\d,]+, running")).wait_for(timeout=30_000)
    assert item.locator(".jp-RunningSessions-itemLabel").inner_text() == "Sequential"
    page.screenshot(path=artifacts / "running.png")
    item.locator(".jp-RunningSessions-itemLabel").click()
    panel = views(page, PANEL)
    panel.locator("[data-testid=heatmap] canvas").first.wait_for(timeout=30_000)
    for accepted in (False, True):
        item.hover()
        item.locator(".jp-RunningSessions-itemShutdown").click()
        dialog = page.locator(".jp-Dialog")
        dialog.get_by_text("Stop the training of Sequential?").wait_for(timeout=10_000)
        dialog.locator(".jp-mod-warn" if accepted else ".jp-mod-reject").click()
        page.wait_for_timeout(500)
        running = panel.locator("[data-testid=header-state]").inner_text() == "running"
        assert accepted or running
    item.wait_for(state="detached", timeout=20_000)
    panel.locator("[data-testid=header-state]").get_by_text("finished").wait_for(timeout=20_000)
    assert training.errors == []


def test_the_button_on_the_notebook_pauses_and_resumes(training):
    page = training.page
    panel = show_panel(page)
    state = panel.locator("[data-testid=header-state]")
    state.get_by_text("running").wait_for(timeout=30_000)
    button = page.locator(".jp-NotebookPanel-toolbar [data-command='deepseek-workbench:toggle-pause']")
    button.click()
    state.get_by_text("paused").wait_for(timeout=10_000)
    page.keyboard.press("ControlOrMeta+Shift+Alt+P")
    state.get_by_text("running").wait_for(timeout=10_000)
    assert training.errors == []


def test_the_panel_opens_by_itself_where_that_is_set_and_draws_as_often_as_set(lab, watched):
    page = watched.page
    open_notebook(lab, page, write_notebook(lab, "settings.ipynb"))
    for key, value in (("openPanel", True), ("updatesPerSecond", 1)):
        page.evaluate(SET, ["deepseek-workbench:panel", key, value])
    open_notebook(lab, page, "settings.ipynb")
    page.evaluate("() => window.jupyterapp.shell.collapseRight()")
    page.evaluate(RUN, PREPARED)
    page.evaluate(RUN, TRAIN)
    views(page, PANEL).locator("[data-testid=heatmap] canvas").first.wait_for(timeout=30_000)
    step_text = "#deepseek-workbench-panel [data-testid=header-step]"
    page.evaluate(
        """selector => {
          window.changes = 0;
          new MutationObserver(() => (window.changes += 1)).observe(
            document.querySelector(selector), { childList: true, characterData: true, subtree: true });
        }""",
        step_text,
    )
    page.wait_for_timeout(5000)
    assert 2 <= page.evaluate("() => window.changes") <= 6
    page.evaluate("() => window.jupyterapp.shell.collapseRight()")
    page.wait_for_timeout(3000)
    assert not page.locator(PANEL).is_visible(), "closed by the user, it stays closed"
    for key, value in (("openPanel", False), ("updatesPerSecond", 4)):
        page.evaluate(SET, ["deepseek-workbench:panel", key, value])
    assert watched.errors == []
    shut_down(page)


def test_inspect_model_inserts_a_cell_above_the_active_one(lab, watched, artifacts):
    page = watched.page
    open_notebook(lab, page, write_notebook(lab, "inspect.ipynb", PREPARE, "1 + 1"))
    page.locator(".jp-CodeCell").nth(1).click()
    page.locator(".jp-NotebookPanel-toolbar [data-command='deepseek-workbench:inspect-model']").click()
    page.get_by_test_id("inspect-model").fill("net.encoder")
    page.get_by_test_id("inspect-optimizer").fill("")
    page.screenshot(path=artifacts / "inspect-model.png")
    page.keyboard.press("Enter")
    page.locator(".jp-Dialog").wait_for(state="detached")
    cells = "() => window.jupyterapp.shell.currentWidget.content.model.sharedModel.cells.map(cell => cell.getSource())"
    assert page.evaluate(cells) == [PREPARE, "%load_ext deepseek\n%deepseek_inspect net.encoder", "1 + 1"], "above"
    execute_later = "() => void window.jupyterapp.commands.execute('deepseek-workbench:inspect-model')"
    page.evaluate(execute_later)
    page.get_by_test_id("inspect-model").fill("__import__('os')")
    page.keyboard.press("Enter")
    page.get_by_text("Expected the name of a variable").wait_for(timeout=10_000)
    assert len(page.evaluate(cells)) == 3
    assert watched.errors == []


def test_a_restart_offers_the_saved_run(training):
    page = training.page
    panel = show_panel(page)
    panel.locator("[data-testid=heatmap] canvas").first.wait_for(timeout=30_000)
    wait_for_step(page, panel, 20)
    page.evaluate(RESTART)
    panel.get_by_role("button", name="Open the saved run").click(timeout=20_000)
    run = page.locator("[data-testid=deepseek-run]")
    run.locator("[data-testid=heatmap] canvas").first.wait_for(timeout=60_000)
    assert step(run) >= 20

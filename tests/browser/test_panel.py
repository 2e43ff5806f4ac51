"""The panel in a real JupyterLab and a real Chromium: it follows the notebook in front while its cell trains."""

import re

import pytest
from lab_pages import (
    COUNT_MESSAGES,
    PREPARE,
    PREPARED,
    QUIET,
    READY,
    RESTART,
    RUN,
    TRAIN,
    bring_to_front,
    close,
    execute,
    prompt,
    set_theme,
    settled_step,
    show_panel,
    step,
    wait_for_step,
    write_notebook,
)

pytestmark = pytest.mark.browser

PANEL = "#deepseek-workbench-panel"


def absence(panel):
    return panel.locator("[data-testid=panel-empty]")


def test_the_panel_shows_the_training_while_the_cell_runs(training, artifacts):
    page, panel = training.page, training.panel
    wait_for_step(page, panel, step(panel))
    assert prompt(page, TRAIN) == "[*]:"
    assert panel.locator("[data-testid=header-state]").inner_text() == "running"
    progress = re.compile(r"step [\d,]+ · [\d.]+ steps/s · \d+ finding")
    page.locator("[data-testid=deepseek-status]", has_text=progress).wait_for(timeout=20_000)
    for theme in ("Dark", "Light"):
        set_theme(page, theme)
        page.screenshot(path=artifacts / f"panel-{theme.lower()}.png")
    assert training.errors == []


def test_a_hidden_panel_is_sent_nothing(training):
    page, panel = training.page, training.panel
    page.evaluate("() => window.jupyterapp.shell.collapseRight()")
    page.evaluate(COUNT_MESSAGES)
    page.wait_for_function(QUIET, timeout=10_000)
    before = step(panel)
    show_panel(page)
    wait_for_step(page, panel, before)
    assert training.errors == []


def test_the_panel_follows_the_notebook_in_front(lab, training):
    page, panel = training.page, training.panel
    first, other = "training.ipynb", "other.ipynb"
    titles = {first: "Sequential", other: "Other"}
    text = PREPARE.replace("torch.nn.Sequential", "Other")
    write_notebook(lab, other, f"import torch\nclass Other(torch.nn.Sequential): pass\n{text}", "train(120)")
    bring_to_front(page, other)
    page.evaluate(RUN, PREPARED)
    page.evaluate(RUN, TRAIN)
    seen = {}
    for file in (other, first, other, first):
        bring_to_front(page, file)
        panel.locator(".ds-title", has_text=titles[file]).wait_for(timeout=60_000)
        wait_for_step(page, panel, seen.get(file, 0))
        seen[file] = step(panel)
    close(page, other)
    assert training.errors == []


def test_a_restart_freezes_the_last_view_until_the_next_training(training, artifacts):
    page, panel = training.page, training.panel
    wait_for_step(page, panel, 0)
    page.evaluate(RESTART)
    notice = panel.locator("[data-testid=panel-notice]")
    notice.get_by_text(re.compile(r"restarted at \d\d:\d\d")).wait_for(timeout=20_000)
    assert "deepseek.open_run(" in notice.inner_text()
    frozen = step(panel)
    page.wait_for_function(READY, timeout=30_000)
    page.screenshot(path=artifacts / "panel-restarted.png")
    assert step(panel) == frozen > 0
    assert panel.locator("[data-testid=header-state]").inner_text() == "interrupted"
    assert panel.locator("[data-testid=control-pause]").is_disabled()
    page.evaluate(RUN, PREPARED)
    page.evaluate(RUN, TRAIN)
    notice.wait_for(state="hidden", timeout=90_000)
    wait_for_step(page, panel, 0)
    assert training.errors == []


def test_the_training_obeys_the_palette(training):
    page, panel = training.page, training.panel
    state = panel.locator("[data-testid=header-state]")
    execute(page, "deepseek-workbench:pause")
    state.get_by_text("paused").wait_for(timeout=10_000)
    held = settled_step(page, PANEL)
    execute(page, "deepseek-workbench:step-once")
    wait_for_step(page, panel, held)
    assert settled_step(page, PANEL) == held + 1
    execute(page, "deepseek-workbench:resume")
    wait_for_step(page, panel, held + 5)
    assert training.errors == []


def test_the_panel_says_why_there_is_nothing_to_show(lab, watched, artifacts):
    page = watched.page
    page.goto(f"{lab.url}/lab?token={lab.token}&reset")
    page.wait_for_selector(".jp-Launcher", timeout=60_000)
    panel = show_panel(page)
    absence(panel).get_by_text("No notebook is open").wait_for(timeout=10_000)
    assert absence(panel).get_by_role("button", name="New notebook").is_visible()
    page.screenshot(path=artifacts / "panel-no-notebook.png")

    bring_to_front(page, write_notebook(lab, "empty.ipynb", "1 + 1", "%load_ext deepseek"))
    absence(panel).get_by_text("%load_ext deepseek").wait_for(timeout=20_000)
    page.screenshot(path=artifacts / "panel-no-deepseek.png")
    page.evaluate(RUN, 1)
    absence(panel).get_by_text("%deepseek_inspect model --optimizer optimizer").wait_for(timeout=20_000)
    assert watched.errors == []
    close(page)

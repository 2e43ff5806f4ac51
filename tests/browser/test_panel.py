"""The panel in a real JupyterLab and a real Chromium: it follows the notebook in front while its cell trains."""

import re

import pytest
from lab_pages import (
    COUNT_MESSAGES,
    PREPARED,
    READY,
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

PREPARE = """
%load_ext deepseek
import time

import deepseek
import torch

torch.manual_seed(0)


class {name}(torch.nn.Sequential):
    pass


model = {name}(*[part for _ in range(5) for part in (torch.nn.Linear(32, 32), torch.nn.ReLU())])
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)


def train(seconds):
    end = time.monotonic() + seconds
    with deepseek.inspect(model, optimizer, every=1) as session:
        while time.monotonic() < end:
            loss = model(torch.randn(16, 32)).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            session.log(loss=loss)
            time.sleep(0.02)
"""


def write_training(lab, file, name, seconds=120):
    """Write a notebook that trains a model of that class for a while."""
    return write_notebook(lab, file, PREPARE.format(name=name).strip(), f"train({seconds})")


def absence(panel):
    return panel.locator("[data-testid=panel-empty]")


@pytest.fixture
def training(lab, watched):
    """A notebook whose cell trains for two minutes, and the panel beside it."""
    page = watched.page
    open_notebook(lab, page, write_training(lab, "training.ipynb", "Watched"))
    watched.panel = show_panel(page)
    page.evaluate(RUN, PREPARED)
    page.evaluate(RUN, TRAIN)
    watched.panel.locator("[data-testid=heatmap] canvas").first.wait_for(timeout=30_000)
    yield watched
    shut_down(page)


def test_the_panel_shows_the_training_while_the_cell_runs(training, artifacts):
    page, panel = training.page, training.panel
    wait_for_step(page, panel, step(panel))
    assert page.locator(".jp-CodeCell .jp-InputPrompt").nth(TRAIN).inner_text() == "[*]:"
    assert panel.locator("[data-testid=header-state]").inner_text() == "running"
    progress = re.compile(r"step [\d,]+ · [\d.]+ steps/s · \d+ finding")
    page.locator("[data-testid=deepseek-status]", has_text=progress).wait_for(timeout=20_000)
    for theme in ("Light", "Dark"):
        execute(page, "apputils:change-theme", theme=f"JupyterLab {theme}")
        page.wait_for_timeout(1500)
        page.screenshot(path=artifacts / f"panel-{theme.lower()}.png")
    assert training.errors == []


def test_a_hidden_panel_is_sent_nothing(training):
    page, panel = training.page, training.panel
    page.evaluate("() => window.jupyterapp.shell.collapseRight()")
    page.wait_for_timeout(1000)
    page.evaluate(COUNT_MESSAGES)
    page.wait_for_timeout(2000)
    assert page.evaluate("() => window.messages") == 0
    before = step(panel)
    show_panel(page)
    wait_for_step(page, panel, before)
    assert training.errors == []


def test_the_panel_follows_the_notebook_in_front(lab, watched):
    page = watched.page
    names = ("Left", "Right")
    for name in names:
        write_training(lab, f"{name}.ipynb", name)
    for name in names:
        open_notebook(lab, page, f"{name}.ipynb")
        page.evaluate(RUN, PREPARED)
        page.evaluate(RUN, TRAIN)
    execute(page, "docmanager:open", path="Left.ipynb")
    panel = show_panel(page)
    seen = {}
    for name in (*names, *names):
        execute(page, "docmanager:open", path=f"{name}.ipynb")
        panel.locator(".ds-title", has_text=name).wait_for(timeout=20_000)
        wait_for_step(page, panel, seen.get(name, 0))
        seen[name] = step(panel)
    assert watched.errors == []
    shut_down(page)


def test_a_restart_freezes_the_last_view_until_the_next_training(training, artifacts):
    page, panel = training.page, training.panel
    page.evaluate("async () => await window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
    notice = panel.locator("[data-testid=panel-notice]")
    notice.get_by_text(re.compile(r"restarted at \d\d:\d\d")).wait_for(timeout=20_000)
    assert "deepseek.open_run(" in notice.inner_text()
    frozen = step(panel)
    page.wait_for_function(READY, timeout=30_000)
    page.wait_for_timeout(1500)
    page.screenshot(path=artifacts / "panel-restarted.png")
    assert step(panel) == frozen > 0
    assert panel.locator("[data-testid=header-state]").inner_text() == "interrupted"
    assert panel.locator("[data-testid=control-pause]").is_disabled()
    page.evaluate(RUN, PREPARED)
    page.evaluate(RUN, TRAIN)
    notice.wait_for(state="hidden", timeout=30_000)
    wait_for_step(page, panel, 0)
    # A process that ends closes its comms, and JupyterLab has forgotten them by then.
    assert [error for error in training.errors if "Comm not found" not in error] == []


def test_the_panel_says_why_there_is_nothing_to_show(lab, watched, artifacts):
    page = watched.page
    page.goto(f"{lab.url}/lab?token={lab.token}&reset")
    page.wait_for_selector(".jp-Launcher", timeout=60_000)
    panel = show_panel(page)
    absence(panel).get_by_text("No notebook is open").wait_for(timeout=10_000)
    assert absence(panel).get_by_role("button", name="New notebook").is_visible()
    page.screenshot(path=artifacts / "panel-no-notebook.png")

    open_notebook(lab, page, write_notebook(lab, "empty.ipynb", "1 + 1", "%load_ext deepseek"))
    show_panel(page)
    absence(panel).get_by_text("%load_ext deepseek").wait_for(timeout=20_000)
    page.screenshot(path=artifacts / "panel-no-deepseek.png")
    page.evaluate(RUN, 1)
    absence(panel).get_by_text("%deepseek_inspect model --optimizer optimizer").wait_for(timeout=20_000)
    assert watched.errors == []
    shut_down(page)


def test_the_training_obeys_the_palette(training):
    page, panel = training.page, training.panel
    state = panel.locator("[data-testid=header-state]")
    execute(page, "deepseek-workbench:pause")
    state.get_by_text("paused").wait_for(timeout=5000)
    held = step(panel)
    execute(page, "deepseek-workbench:step-once")
    wait_for_step(page, panel, held)
    assert step(panel) == held + 1
    execute(page, "deepseek-workbench:resume")
    wait_for_step(page, panel, held + 5)
    assert training.errors == []

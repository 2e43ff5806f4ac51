"""Explanations in a real JupyterLab and a real Chromium: shown, computed anew between cells, and made in a pause."""

import re
import time

import pytest
from accessible import violations
from lab_pages import RUN, execute, open_notebook, run_to_its_end, show_panel, shut_down, write_notebook
from sklearn.datasets import load_iris

pytestmark = pytest.mark.browser

SETUP = """
import deepseek, torch
from torch import nn
from sklearn.datasets import load_iris
%load_ext deepseek
torch.manual_seed(0)
rows, kinds = torch.tensor(load_iris().data).float(), torch.tensor(load_iris().target)
net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
""".strip()

SHOW = "deepseek.explain.shap(net, rows[:3], rows[50:60], progress=False).widget()"

CHOOSE = "%deepseek_explain net rows --background rows[50:70]"

TRAIN = """
with deepseek.inspect(net, optimizer, run="explained.dsrun") as session:
    session.explain_with(rows[:4], rows[50:60])
    display(session)
    session.pause()
    for _ in range(3):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(rows), kinds).backward()
        optimizer.step()
""".strip()

SLOW = """
import time
class Slow(nn.Module):
    def forward(self, x):
        time.sleep(0.05)
        return (9 * x.sum(1, keepdim=True)).sin()
%deepseek_explain Slow() rows --background rows[50:150] --name slow
""".strip()

FIRST = "%deepseek_explain Slow() rows --background rows[50:150] --method permutation"

CELLS = (SETUP, SHOW, CHOOSE, TRAIN, SLOW, FIRST)

SAVE_WIDGETS = """async () => await window.jupyterapp.serviceManager.settings.save(
  '@jupyter-widgets/jupyterlab-manager:plugin', JSON.stringify({ saveState: true }))"""

THEMED = "([root, theme]) => root.dataset.theme === theme"


@pytest.fixture
def notebook(lab, watched):
    open_notebook(lab, watched.page, write_notebook(lab, "explain.ipynb", *CELLS))
    run_to_its_end(watched.page, 0)
    yield watched
    shut_down(watched.page)


def cell(page, index):
    return page.locator(".jp-CodeCell").nth(index)


def part(cell, name):
    return cell.locator(f"[data-testid=explain-{name}]")


def test_explanations_are_shown_chosen_and_made_in_a_pause(notebook, artifacts):
    page = notebook.page
    look_at_one_that_was_computed(page, artifacts)
    choose_another_sample(page, artifacts)
    cancel_in_the_middle(page, artifacts)
    cancel_while_the_cell_runs(page)
    explain_in_a_pause(page, artifacts)
    assert notebook.errors == []


@pytest.mark.slow
def test_a_saved_notebook_draws_its_widget_without_the_kernel_that_made_it(notebook, lab):
    page = notebook.page
    page.evaluate(SAVE_WIDGETS)
    open_notebook(lab, page, "explain.ipynb")
    for index in (0, 1):
        run_to_its_end(page, index)
    part(cell(page, 1), "bars").wait_for(timeout=30_000)
    execute(page, "docmanager:save")
    saved = lab.folder / "explain.ipynb"
    wait = time.monotonic() + 20
    while "widget-state" not in saved.read_text() and time.monotonic() < wait:
        time.sleep(0.2)
    shut_down(page)
    open_notebook(lab, page, "explain.ipynb")
    shown = cell(page, 1)
    part(shown, "bars").wait_for(timeout=30_000)
    part(shown, "row").select_option("1")
    assert "Row 1" in part(shown, "verdict").inner_text()
    assert notebook.errors == []


def look_at_one_that_was_computed(page, artifacts):
    run_to_its_end(page, 1)
    shown = cell(page, 1)
    part(shown, "bars").wait_for(timeout=30_000)
    assert not shown.locator("[data-deepseek-static]").is_visible()
    part(shown, "row").select_option("2")
    assert "Row 2: output 0" in part(shown, "verdict").inner_text()
    assert "exact" in part(shown, "trust").inner_text()
    shown.scroll_into_view_if_needed()
    page.screenshot(path=artifacts / "explain-lab.png")


def choose_another_sample(page, artifacts):
    """The Jupyter kernel explains the samples that are chosen, and says what it cannot do."""
    run_to_its_end(page, 2)
    shown = cell(page, 2)
    part(shown, "bars").wait_for(timeout=30_000)
    part(shown, "sample").fill("77")
    part(shown, "target").select_option("output 2")
    part(shown, "sample").press("Enter")
    part(shown, "said").get_by_text("Sample 77 by auto.").wait_for(timeout=30_000)
    assert "Row 77: output 2" in part(shown, "verdict").inner_text()
    labels = part(shown, "bars").locator(".ds-bar-label").all_inner_texts()
    assert sorted(re.findall(r"= ([\d.]+)", " ".join(labels))) == sorted(f"{x:g}" for x in load_iris().data[77])
    part(shown, "method").select_option("attention")
    part(shown, "begin").click()
    part(shown, "said").get_by_text("attention").filter(has_not_text="Sample").wait_for(timeout=30_000)
    assert part(shown, "said").get_attribute("data-state") == "failed"
    shown.scroll_into_view_if_needed()
    page.screenshot(path=artifacts / "explain-lab-chosen.png")
    check_access(page, shown)


def cancel_in_the_middle(page, artifacts):
    """What was known when *Cancel* is clicked is shown, and says that it is a part; what was shown stays else."""
    run_to_its_end(page, 4)
    shown = cell(page, 4)
    said, cancel = part(shown, "said"), part(shown, "cancel")
    said.get_by_text("Sample 0 by auto.").wait_for(timeout=60_000)
    assert cancel.is_disabled()
    part(shown, "method").select_option("permutation")
    part(shown, "sample").fill("70")
    part(shown, "begin").click()
    said.get_by_text(re.compile(r"^\d forward passes")).wait_for(timeout=60_000)
    cancel.click()
    said.get_by_text("Cancelled before anything was known").wait_for(timeout=20_000)
    assert "Row 0" in part(shown, "verdict").inner_text()
    part(shown, "begin").click()
    said.get_by_text(re.compile(r"^[4-9]\d forward passes")).wait_for(timeout=60_000)
    cancel.click()
    said.get_by_text("Sample 70 by permutation, as far as it had got: it was ended early.").wait_for(timeout=20_000)
    assert "It was interrupted" in part(shown, "notes").inner_text()
    assert "Row 70" in part(shown, "verdict").inner_text()
    assert part(shown, "bars").locator(".ds-bar-line").count() == 4
    assert cancel.is_disabled()
    shown.scroll_into_view_if_needed()
    page.screenshot(path=artifacts / "explain-lab-cancelled.png")


def cancel_while_the_cell_runs(page):
    """The first answer is computed by the cell itself, in which the Jupyter kernel hears nothing of its widgets."""
    page.evaluate(RUN, 5)
    shown = cell(page, 5)
    part(shown, "said").get_by_text(re.compile(r"^[4-9]\d forward passes")).wait_for(timeout=60_000)
    part(shown, "cancel").click()
    part(shown, "said").get_by_text("Sample 0 by permutation, as far as it had got").wait_for(timeout=20_000)
    page.evaluate("async () => { await window.cellEnd; }")
    assert "It was interrupted" in part(shown, "notes").inner_text()


def check_access(page, shown):
    """axe-core finds nothing in form and explanation, in both themes."""
    for theme in ("dark", "light"):
        execute(page, "apputils:change-theme", theme=f"JupyterLab {theme.title()}")
        for root in shown.locator(".deepseek-widget").all():
            page.wait_for_function(
                "([root, theme]) => root.dataset.theme === theme", arg=[root.element_handle(), theme]
            )
            page.wait_for_timeout(500)
            assert violations(page, root) == []


def explain_in_a_pause(page, artifacts):
    """The button in the panel of a paused training explains its weights: there, and below the cell that runs."""
    panel = show_panel(page)
    page.evaluate(RUN, 3)
    button = panel.locator("[data-testid=control-explain]")
    button.wait_for(timeout=60_000)
    button.click()
    explained, below = panel.locator("[data-testid=panel-explained]"), cell(page, 3)
    for shown in (explained, below):
        part(shown, "bars").wait_for(timeout=60_000)
        assert "These are the weights after step" in part(shown, "notes").inner_text()
        part(shown, "row").select_option("3")
        assert "Row 3" in part(shown, "verdict").inner_text()
    assert below.locator(".jp-InputPrompt").first.inner_text() == "[*]:"
    page.screenshot(path=artifacts / "explain-lab-paused.png")
    assert violations(page, explained) == []
    explained.locator("[data-testid=explained-close]").click()
    assert not explained.is_visible()
    button.click()
    part(explained, "bars").wait_for(timeout=60_000)
    panel.locator("[data-testid=control-pause]").click()
    page.evaluate("async () => { await window.cellEnd; }")

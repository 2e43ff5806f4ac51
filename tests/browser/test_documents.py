"""Run files in a real JupyterLab: opened from the file browser, compared, and reported in a sandbox."""

import sqlite3

import pytest
import torch
from lab_pages import close, execute, set_theme, step
from recorded_runs import records
from torch import nn

import deepseek
from deepseek.inspector.runfile import RunWriter

pytestmark = pytest.mark.browser

FRAME = "[data-testid=deepseek-page] iframe"

REACHES = """() => {
  const reached = [];
  const tries = {
    cookie: () => document.cookie,
    storage: () => localStorage.length,
    parent: () => parent.document.title,
    lab: () => parent.jupyterapp.version,
    top: () => top.location.href,
  };
  for (const [name, attempt] of Object.entries(tries)) {
    try { attempt(); reached.push(name); } catch { /* refused */ }
  }
  return { origin, reached };
}"""


def train(path, seed, steps=60, rate=0.05):
    """Record a small training."""
    torch.manual_seed(seed)
    model = nn.Sequential(*[part for _ in range(4) for part in (nn.Linear(16, 16), nn.ReLU())])
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    with deepseek.inspect(model, optimizer, every=1, run=path) as session:
        for _ in range(steps):
            loss = model(torch.randn(8, 16)).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            session.log(loss=loss)


@pytest.fixture(scope="module")
def runs(lab):
    """A folder of run files where the file browser shows it."""
    folder = lab.folder / "runs"
    folder.mkdir(exist_ok=True)
    for seed, name in enumerate(("one.dsrun", "two.dsrun")):
        train(folder / name, seed)
    return folder


@pytest.fixture(scope="module")
def files(lab, shared, runs):
    """JupyterLab with the file browser in the folder of runs, and the addresses that the page asks for."""
    page = shared.page
    page.goto(f"{lab.url}/lab?token={lab.token}&reset")
    page.wait_for_selector(".jp-Launcher", timeout=60_000)
    shared.asked = []
    page.on("request", lambda request: shared.asked.append(request.url))
    page.evaluate("() => window.jupyterapp.commands.execute('filebrowser:go-to-path', { path: 'runs' })")
    listed(page, "one.dsrun").wait_for(timeout=20_000)
    return shared


@pytest.fixture
def browsing(files):
    """Nothing is open and nothing was asked for."""
    files.errors.clear()
    files.asked.clear()
    yield files
    close(files.page)


def listed(page, name):
    return page.locator(".jp-DirListing-item", has=page.get_by_text(name, exact=True))


def show_in_list(page, name):
    """A file of the list, which is read anew."""
    execute(page, "filebrowser:refresh")
    listed(page, name).wait_for(timeout=20_000)
    return listed(page, name)


def open_run(page, name):
    """Double-click a run in the file browser; return its views."""
    show_in_list(page, name).dblclick()
    run = page.locator("[data-testid=deepseek-run]").last
    run.locator("[data-testid=heatmap] canvas").first.wait_for(timeout=60_000)
    return run


def report_frame(page):
    """The document in the sandbox, when its views are drawn."""
    page.locator(FRAME).wait_for(timeout=60_000)
    return page.locator(FRAME).element_handle().content_frame()


def test_a_double_click_shows_the_run_and_the_contents_interface_is_never_asked_for_it(browsing, artifacts):
    page = browsing.page
    run = open_run(page, "one.dsrun")
    assert step(run) == 60
    assert run.locator("[data-testid=header-state]").inner_text() == "finished"
    assert run.locator(".ds-title").inner_text() == "Sequential"
    assert page.locator(".lm-TabBar-tab.lm-mod-current svg[data-icon='deepseek-workbench:icon']").count() > 0
    for theme in ("Dark", "Light"):
        set_theme(page, theme)
        page.screenshot(path=artifacts / f"run-{theme.lower()}.png")
    assert [url for url in browsing.asked if "one.dsrun" in url and "content=1" in url] == []
    assert browsing.errors == []


def test_a_run_that_grows_is_followed(browsing, runs):
    page = browsing.page
    writer = RunWriter(runs / "growing.dsrun", {"model": "Net"})
    steps = records(40)
    writer.write(steps[:20])
    run = open_run(page, "growing.dsrun")
    run.locator("[data-testid=header-step]", has_text="20").wait_for(timeout=10_000)
    run.locator("[data-testid=header-state]").get_by_text("running").wait_for(timeout=10_000)
    writer.write(steps[20:])
    writer.close()
    run.locator("[data-testid=header-state]").get_by_text("finished").wait_for(timeout=60_000)
    assert step(run) == 40
    assert browsing.errors == []


def test_a_damaged_file_says_what_is_wrong(browsing, runs, artifacts):
    page = browsing.page
    train(runs / "damaged.dsrun", 3, steps=5)
    with sqlite3.connect(runs / "damaged.dsrun") as db:
        db.execute("CREATE VIEW extra AS SELECT 1")
    show_in_list(page, "damaged.dsrun").dblclick()
    notice = page.locator("[data-testid=run-notice]")
    notice.get_by_text("damaged.dsrun").wait_for(timeout=60_000)
    page.screenshot(path=artifacts / "run-damaged.png")
    assert str(runs) not in notice.inner_text()
    # The browser itself notes the refusal.
    assert [error for error in browsing.errors if "422" not in error] == []


def test_the_report_runs_its_scripts_in_a_sandbox_and_reaches_nothing_of_lab(browsing, artifacts):
    page = browsing.page
    open_run(page, "one.dsrun")
    browsing.asked.clear()
    page.get_by_role("button", name="Open report").click()
    frame = report_frame(page)
    frame.wait_for_selector(".deepseek-ready [data-testid=heatmap] canvas", timeout=60_000)
    page.screenshot(path=artifacts / "run-report.png")
    assert page.locator(FRAME).get_attribute("sandbox") == "allow-scripts"
    assert frame.evaluate(REACHES) == {"origin": "null", "reached": []}
    assert frame.evaluate("() => fetch('/api/contents').then(() => 'reached', () => 'refused')") == "refused"
    with page.expect_download() as download:
        page.locator("[data-testid=deepseek-page]").get_by_role("button", name="Download").click()
    assert download.value.suggested_filename == "Report-of-one.html"
    assert download.value.path().read_text().startswith("<!doctype html>")
    assert len([url for url in browsing.asked if "/deepseek-workbench/" in url]) == 1
    # The browser tells of the request that was refused above.
    assert [error for error in browsing.errors if "Content Security Policy" not in error] == []


def test_two_selected_runs_are_compared(browsing, artifacts):
    page = browsing.page
    listed(page, "one.dsrun").click()
    listed(page, "two.dsrun").click(modifiers=["ControlOrMeta"])
    listed(page, "two.dsrun").click(button="right")
    page.locator(".lm-Menu-item", has_text="Compare runs").click()
    frame = report_frame(page)
    frame.wait_for_selector(".deepseek-ready canvas, canvas", timeout=60_000)
    assert "one.dsrun" in frame.inner_text("body")
    assert "two.dsrun" in frame.inner_text("body")
    page.screenshot(path=artifacts / "run-comparison.png")
    assert browsing.errors == []


def test_a_run_is_compared_with_another_one_that_is_picked(browsing, artifacts):
    page = browsing.page
    open_run(page, "one.dsrun")
    page.get_by_role("button", name="Compare with…").click()
    dialog = page.locator(".jp-Dialog")
    dialog.locator(".jp-DirListing-item", has_text="two.dsrun").click(timeout=20_000)
    page.screenshot(path=artifacts / "run-compare-with.png")
    assert dialog.locator(".jp-DirListing-item", has_text="one.dsrun").count() == 0
    dialog.locator(".jp-mod-accept").click()
    frame = report_frame(page)
    frame.wait_for_selector("canvas", timeout=60_000)
    assert "two.dsrun" in frame.inner_text("body")
    assert browsing.errors == []


def keeps_the_layout(response):
    """Whether JupyterLab, which does it with a delay, has saved that the run is open."""
    request = response.request
    return request.method == "PUT" and "/api/workspaces/" in request.url and "two.dsrun" in (request.post_data or "")


def test_an_open_run_is_open_again_after_a_reload(browsing):
    page = browsing.page
    with page.expect_response(keeps_the_layout):
        open_run(page, "two.dsrun")
    page.goto(page.url.replace("&reset", "").replace("reset", ""))
    page.locator("[data-testid=deepseek-run] [data-testid=heatmap] canvas").first.wait_for(timeout=60_000)
    assert browsing.errors == []

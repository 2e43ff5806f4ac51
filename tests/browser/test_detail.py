"""A closer look at a layer in a real JupyterLab: while a cell trains, and while it is paused."""

import pytest
from lab_pages import RUN, open_notebook, run_to_its_end, write_notebook

from deepseek import open_run

pytestmark = pytest.mark.browser

SETUP = """
import time, torch, deepseek
from torch import nn
torch.manual_seed(0)
model = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.001)
x, y = torch.randn(16, 1, 8, 8), torch.randn(16, 1)
%load_ext deepseek
"""

TRAIN = """
with deepseek.inspect(model, optimizer, run="detail.dsrun") as session:
    display(session)
    while True:
        optimizer.zero_grad()
        nn.functional.mse_loss(model(x), y).backward()
        optimizer.step()
        time.sleep(0.05)
"""

STEP = "Number(document.querySelector('[data-testid=header-step]').textContent.replace(/,/g, ''))"
LOOKED_AT = "Number(document.querySelector('[data-testid=detail]').dataset.step)"


@pytest.fixture
def training(lab, watched):
    """Open a notebook whose cell trains; the widget of the page is connected to it."""
    page = watched.page
    open_notebook(lab, page, write_notebook(lab, "detail.ipynb", SETUP.strip(), TRAIN.strip()))
    run_to_its_end(page, 0)
    page.evaluate(RUN, 1)
    page.wait_for_selector("[data-testid=control] fieldset[data-state=running]:enabled", timeout=30_000)
    yield watched
    page.evaluate("() => window.jupyterapp.shell.currentWidget?.sessionContext.shutdown()")


def histograms(page):
    return [each.get_attribute("data-kind") for each in page.locator("[data-testid=histogram]").all()]


def test_a_layer_is_looked_at_while_its_cell_trains_and_while_it_is_paused(training, lab, artifacts):
    page = training.page
    page.select_option("[data-testid=layer-select]", label="0 Conv2d")
    assert not page.is_visible("[data-testid=detail]")
    asked_at = page.evaluate(STEP)
    page.click("[data-testid=layer-ask]")
    page.wait_for_selector("[data-testid=detail][data-step]", timeout=30_000)
    looked_at = page.evaluate(LOOKED_AT)
    assert histograms(page) == ["activation", "activation_gradient", "parameter", "parameter", "gradient", "gradient"]
    assert page.is_visible("[data-testid=picture]")
    page.locator("[data-testid=detail]").scroll_into_view_if_needed()
    page.screenshot(path=artifacts / "detail-while-training.png")

    page.click("[data-testid=layer-watch]")
    page.wait_for_function(f"() => {LOOKED_AT} > {looked_at} + 3", timeout=30_000)
    assert page.get_attribute("[data-testid=layer-watch]", "aria-pressed") == "true"
    page.click("[data-testid=layer-watch]")
    assert page.get_attribute("[data-testid=layer-watch]", "aria-pressed") == "false"

    page.click("[data-testid=control-pause]")
    page.wait_for_selector("[data-testid=control] fieldset[data-state=paused]:enabled", timeout=30_000)
    page.select_option(
        "[data-testid=layer-select]", index=page.locator("[data-testid=layer-select] option").count() - 1
    )
    page.click("[data-testid=layer-ask]")
    page.get_by_test_id("detail-note").get_by_text("paused").wait_for(timeout=30_000)
    assert histograms(page) == ["parameter", "parameter", "gradient", "gradient"]
    page.screenshot(path=artifacts / "detail-while-paused.png")
    page.click("[data-testid=control-step]")
    page.wait_for_selector("[data-testid=histogram][data-kind=activation]", timeout=30_000)
    page.click("[data-testid=control-stop]")
    page.click("[data-testid=control-stop]")
    page.evaluate("async () => { await window.cellEnd; }")
    page.wait_for_selector("[data-testid=layer-ask]:disabled", timeout=30_000)
    assert training.errors == []

    with open_run(lab.folder / "detail.dsrun") as run:
        assert {detail.site for detail in run.details()} == {"0", "3"}
        asked = [
            (record.step, event.data)
            for record in run.records()
            for event in record.events
            if event.data.get("verb") in ("ask_detail", "watch_closer")
        ]
    assert [(data["verb"], data["site"], data["who"]) for _, data in asked] == [
        ("ask_detail", "0", "browser"),
        ("watch_closer", "0", "browser"),
        ("watch_closer", "none", "browser"),
        ("ask_detail", "3", "browser"),
    ]
    # The page learns of steps some times a second, twenty of which pass in that time.
    assert asked_at - 1 <= looked_at <= asked_at + 60
    assert looked_at == asked[0][1]["steps"]

"""Gates and decisions on precision while a model trains in JupyterLab: in the cell and in the panel."""

import pytest
from accessible import violations
from lab_pages import VIEW, begin_training, bring_to_front, interrupt, open_notebook, set_theme, write_notebook

pytestmark = pytest.mark.browser

FILE = "gates.ipynb"

PREPARE = """
import time

import deepseek
import torch
from deepseek.kernels import AdaptivePrecision, SparseFeedForward

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(32, 32), SparseFeedForward(32, 64, blocks=4), torch.nn.Linear(32, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
""".strip()

TRAIN = """
end = time.monotonic() + 120
with deepseek.inspect(model, optimizer, every=1) as session:
    display(session)
    precision = AdaptivePrecision(model, optimizer, every_epochs=1, emulate=True)
    while time.monotonic() < end:
        for _ in range(40):
            loss = model(torch.randn(64, 32)).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            session.log(loss=loss)
            time.sleep(0.02)
        precision.end_epoch()
""".strip()

COLUMNS = "[data-testid=precision-map] thead th"


@pytest.fixture
def training(lab, shared):
    """The notebook trains, with the views in a cell and in the panel."""
    open_notebook(lab, shared.page, write_notebook(lab, FILE, PREPARE, TRAIN))
    shared.panel = begin_training(shared.page, FILE)
    shared.widget = shared.page.locator(f".jp-OutputArea {VIEW}")
    yield shared
    bring_to_front(shared.page, FILE)
    interrupt(shared.page)


def test_both_hosts_show_gates_and_decisions_as_they_are_made(training):
    for theme, view in (("Light", training.widget), ("Dark", training.panel)):
        set_theme(training.page, theme)
        view.locator("[data-testid=tab-precision]").click(timeout=30_000)
        revisions = view.locator(COLUMNS).count()
        view.locator(COLUMNS).nth(revisions).wait_for(timeout=20_000)
        assert violations(training.page, view) == []
        view.locator("[data-testid=tab-gates]").click()
        view.locator("[data-testid=gates-map] canvas").wait_for(timeout=20_000)
        view.locator(".ds-blocks span").nth(3).wait_for(timeout=30_000)
        assert "%" in view.locator("[data-testid=gate-row] td").first.inner_text()
        assert violations(training.page, view) == []
    set_theme(training.page, "Light")
    assert training.errors == []

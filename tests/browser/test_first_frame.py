"""How soon figures are there after a cell that trains has begun, and that the charts then come too."""

import json

import pytest
from lab_pages import open_notebook, run_to_its_end, show_panel, shut_down, write_notebook

pytestmark = pytest.mark.browser

PREPARE = """
%load_ext deepseek
import time

import torch

torch.manual_seed(0)
model = torch.nn.Sequential(*[part for _ in range(5) for part in (torch.nn.Linear(32, 32), torch.nn.ReLU())])
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
x = torch.randn(16, 32)


def train(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        loss = model(x).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        time.sleep(0.02)
""".strip()

CELLS = {
    "widget": "%deepseek_inspect model --optimizer optimizer --every 1\ntrain(60)",
    "panel": "import deepseek\nwith deepseek.inspect(model, optimizer, every=1):\n    train(60)",
}

BEGIN = """() => {
  const begun = performance.now();
  const since = () => Math.round(performance.now() - begun);
  const times = (window.times = {});
  const { kernel } = window.jupyterapp.shell.currentWidget.sessionContext.session;
  kernel.iopubMessage.connect((_, { header, content }) => {
    const type = header.msg_type + (content.execution_state ?? content.data?.type ?? '');
    times[type] ??= since();
  });
  const seen = (name, selector) => {
    const look = () => {
      if (document.querySelector(selector)) times[name] = since();
      else requestAnimationFrame(look);
    };
    look();
  };
  seen('view', '[data-testid=deepseek-widget]');
  seen('figures', '[data-testid=heatmap]:not([data-columns="0"])');
  seen('charts', '[data-testid=layer-lines] .ds-plot *');
  window.jupyterapp.shell.currentWidget.content.activeCellIndex = 1;
  void window.jupyterapp.commands.execute('notebook:run-cell');
}"""

BESIDE_OTHER_WORK_MS, QUIET_MS = 15_000, 1_000
"""The first bound holds on a machine that is busy otherwise, the second one on a quiet machine."""


@pytest.mark.parametrize("most_ms", [BESIDE_OTHER_WORK_MS, pytest.param(QUIET_MS, marks=pytest.mark.slow)])
@pytest.mark.parametrize("host", ["widget", "panel"])
def test_the_first_figures_come_soon_and_the_charts_after_them(lab, watched, host, most_ms):
    page = watched.page
    open_notebook(lab, page, write_notebook(lab, f"first-{host}.ipynb", PREPARE, CELLS[host]))
    if host == "panel":
        show_panel(page)
    run_to_its_end(page, 0)
    page.wait_for_timeout(1000)
    page.evaluate(BEGIN)
    page.wait_for_function("() => window.times.charts", timeout=60_000)
    times = page.evaluate("() => window.times")
    shut_down(page)
    print(json.dumps({"host": host} | times))
    assert times["figures"] < most_ms
    assert times["figures"] <= times["charts"]
    assert watched.errors == []

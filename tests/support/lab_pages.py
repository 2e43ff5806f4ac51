"""Notebooks in JupyterLab: written, opened, run, and what a page says of itself meanwhile."""

import re
import time

import nbformat

READY = """() =>
  document.querySelector('.jp-Notebook-ExecutionIndicator')?.dataset.status === 'idle' &&
  window.jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel?.connectionStatus === 'connected'
"""

RUN = """index => {
  window.jupyterapp.shell.currentWidget.content.activeCellIndex = index;
  window.cellEnd = window.jupyterapp.commands.execute('notebook:run-cell');
}"""

RESTART = "async () => await window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()"

COUNT_MESSAGES = """() => {
  window.messages = 0;
  const { kernel } = window.jupyterapp.shell.currentWidget.sessionContext.session;
  kernel.iopubMessage.connect((_, message) => {
    if (message.header.msg_type === 'comm_msg') window.messages += 1;
  });
}"""

HIDE = """hidden => {
  Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });
  Object.defineProperty(document, 'visibilityState', { value: hidden ? 'hidden' : 'visible', configurable: true });
  document.dispatchEvent(new Event('visibilitychange'));
}"""

PREPARE = """
import time

import deepseek
import torch

torch.manual_seed(0)
model = torch.nn.Sequential(*[part for _ in range(5) for part in (torch.nn.Linear(32, 32), torch.nn.ReLU())])
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)


def train(seconds, shown=False):
    end = time.monotonic() + seconds
    with deepseek.inspect(model, optimizer, every=1) as session:
        if shown:
            display(session)
        while time.monotonic() < end:
            loss = model(torch.randn(16, 32)).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            session.log(loss=loss)
            time.sleep(0.02)
""".strip()

PREPARED, TRAIN = 0, 1


def write_notebook(lab, file, *cells, kernel="python3", language="python"):
    """Write a notebook of these cells; by default it trains for two minutes."""
    texts = cells or (PREPARE, "train(120)")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in texts])
    notebook.metadata.kernelspec = {"name": kernel, "display_name": kernel, "language": language}
    nbformat.write(notebook, lab.folder / file)
    return file


def open_notebook(lab, page, file):
    """Load JupyterLab with this notebook in front and its Jupyter kernel ready."""
    page.goto(lab.address(file))
    page.wait_for_selector(".jp-NotebookPanel .jp-CodeCell", timeout=60_000)
    page.wait_for_function(READY, timeout=60_000)
    page.evaluate("() => window.jupyterapp.shell.collapseLeft()")


def run_to_its_end(page, index):
    page.evaluate(RUN, index)
    page.evaluate("async () => { await window.cellEnd; }")


def show_panel(page):
    """Show the panel and return it."""
    execute(page, "deepseek-workbench:show")
    panel = page.locator("[data-testid=deepseek-panel]")
    panel.wait_for(timeout=10_000)
    return panel


def execute(page, command, **arguments):
    page.evaluate("([id, args]) => window.jupyterapp.commands.execute(id, args)", [command, arguments])


def shut_down(page):
    """End the Jupyter kernels, so that no training outlives its test."""
    page.evaluate("async () => await window.jupyterapp.serviceManager.sessions.shutdownAll()")


def step(view):
    """The step that a view shows; -1 for none."""
    shown = view.locator("[data-testid=header-step]")
    return int(re.sub(r"\D", "", shown.first.inner_text() if shown.count() else "") or -1)


def wait_for_step(page, view, more_than, seconds=60):
    deadline = time.monotonic() + seconds
    while step(view) <= more_than:
        assert time.monotonic() < deadline, f"still at step {step(view)}"
        page.wait_for_timeout(50)


def heap_bytes(page):
    """What the page's JavaScript holds after garbage was collected."""
    tools = page.context.new_cdp_session(page)
    for _ in range(3):
        tools.send("HeapProfiler.collectGarbage")
    used = tools.send("Runtime.getHeapUsage")["usedSize"]
    tools.detach()
    return used

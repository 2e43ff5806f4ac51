"""Notebooks in JupyterLab: written, opened, run, and what a page says of itself meanwhile."""

import re
import time

import nbformat

READY = """() => {
  const kernel = window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel;
  return kernel?.connectionStatus === 'connected' && kernel.status === 'idle';
}"""
"""The Jupyter kernel of the document in front waits for a cell."""

RUN = """index => {
  window.jupyterapp.shell.currentWidget.content.activeCellIndex = index;
  window.cellEnd = window.jupyterapp.commands.execute('notebook:run-cell');
}"""

RESTART = "async () => await window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()"

INTERRUPT = """async () => {
  const { kernel } = window.jupyterapp.shell.currentWidget.sessionContext.session;
  while (!['idle', 'busy'].includes(kernel.status)) await new Promise(done => setTimeout(done, 50));
  await kernel.interrupt();
  let reply;
  do reply = await kernel.requestExecute({ code: '', silent: true }).done;
  while (reply.content.status !== 'ok');
}"""
"""A Jupyter kernel that still starts would die of it. What waits behind a cell that was interrupted is refused: the
cell has ended when something is done again."""

PROMPT = """index => window.jupyterapp.shell.currentWidget.content.widgets[index]
  .node.querySelector('.jp-InputPrompt').textContent"""

OPEN = """async path => {
  const opened = await window.jupyterapp.commands.execute('docmanager:open', { path });
  await opened.context.ready;
  window.jupyterapp.shell.activateById(opened.id);
}"""

IN_FRONT = """path => {
  const { currentWidget } = window.jupyterapp.shell;
  if (currentWidget?.context?.path !== path) return false;
  const { sessionContext } = currentWidget;
  return !sessionContext || sessionContext.session?.kernel?.connectionStatus === 'connected';
}"""

CLOSE = """async paths => {
  for (const widget of [...window.jupyterapp.shell.widgets('main')]) {
    if (paths.length > 0 && !paths.includes(widget.context?.path)) continue;
    await widget.sessionContext?.shutdown();
    if (widget.context?.model.dirty) widget.context.model.dirty = false;
    widget.close();
  }
}"""

COUNT_MESSAGES = """() => {
  window.messages = 0;
  window.countedSince = window.quietSince = performance.now();
  const { kernel } = window.jupyterapp.shell.currentWidget.sessionContext.session;
  kernel.iopubMessage.connect((_, message) => {
    if (message.header.msg_type !== 'comm_msg') return;
    window.messages += 1;
    window.quietSince = performance.now();
  });
}"""

QUIET = "() => performance.now() - window.quietSince > 1500"
"""No message came for a time in which an open view gets several; `COUNT_MESSAGES` began to listen."""

HIDE = """hidden => {
  Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });
  Object.defineProperty(document, 'visibilityState', { value: hidden ? 'hidden' : 'visible', configurable: true });
  document.dispatchEvent(new Event('visibilitychange'));
}"""

THEMED = """theme => document.body.dataset.jpThemeName === `JupyterLab ${theme}`
  && [...document.querySelectorAll('[data-testid=deepseek-widget]')]
    .every((view) => view.dataset.theme === theme.toLowerCase())"""

SETTLED = """host => {
  const text = (name) => document.querySelector(`${host} [data-testid=${name}]`).textContent;
  const step = text('header-step');
  const held = text('control-note') === `Paused after step ${step}.` ? step : null;
  if (window.held !== held) [window.held, window.heldSince] = [held, performance.now()];
  return held !== null && performance.now() - window.heldSince > 600 && held;
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

VIEW = "[data-testid=deepseek-widget]"


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


def bring_to_front(page, file):
    """Open a document, or show it again, in JupyterLab that is loaded already; its Jupyter kernel can be reached."""
    page.evaluate(OPEN, file)
    page.wait_for_function(IN_FRONT, arg=file, timeout=60_000)


def close(page, *files):
    """Close these documents and end their Jupyter kernels; without names all that are open."""
    page.evaluate(CLOSE, list(files))


def run_to_its_end(page, index):
    page.evaluate(RUN, index)
    page.evaluate("async () => { await window.cellEnd; }")


def interrupt(page):
    """End the cell that runs in the notebook in front, if one does."""
    page.evaluate(INTERRUPT)


def begin_training(page, file, cell=TRAIN):
    """Run the first cell of a notebook, then one that trains; return the panel when it draws this training."""
    bring_to_front(page, file)
    panel = show_panel(page)
    run_to_its_end(page, PREPARED)
    page.locator(VIEW).evaluate_all("views => views.forEach((view) => (view.dataset.old = 'true'))")
    page.evaluate(RUN, cell)
    new = panel.locator(f"{VIEW}:not([data-old])")
    new.locator("[data-testid=header-state]").get_by_text("running").wait_for(timeout=60_000)
    new.locator("[data-testid=heatmap] canvas").first.wait_for(timeout=60_000)
    return panel


def show_panel(page):
    """Show the panel and return it."""
    execute(page, "deepseek-workbench:show")
    panel = page.locator("[data-testid=deepseek-panel]")
    panel.wait_for(timeout=10_000)
    return panel


def execute(page, command, **arguments):
    page.evaluate("([id, args]) => window.jupyterapp.commands.execute(id, args)", [command, arguments])


def set_theme(page, theme):
    """Choose the light or the dark theme; JupyterLab and every view have it then."""
    execute(page, "apputils:change-theme", theme=f"JupyterLab {theme}")
    page.wait_for_function(THEMED, arg=theme, timeout=20_000)


def prompt(page, index):
    """What stands beside a cell of the notebook in front: ``[*]:`` while it runs."""
    return page.evaluate(PROMPT, index)


def shut_down(page):
    """End the Jupyter kernels, so that no training outlives its test."""
    page.evaluate("async () => await window.jupyterapp?.serviceManager.sessions.shutdownAll()")


def step(view):
    """The step that a view shows; -1 for none."""
    shown = view.locator("[data-testid=header-step]")
    return int(re.sub(r"\D", "", shown.first.inner_text() if shown.count() else "") or -1)


def settled_step(page, host=""):
    """The step at which the training is held, once all news of it has come: bar and header learn of it apart."""
    return int(page.wait_for_function(SETTLED, arg=host, timeout=20_000).json_value().replace(",", ""))


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

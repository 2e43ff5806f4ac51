"""One JupyterLab server for all browser tests, and pages of it: one for each test, or one for those of a file."""

import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from lab_pages import begin_training, bring_to_front, interrupt, open_notebook, shut_down, write_notebook

ROOT = Path(__file__).parents[2]
TRAINING = "training.ipynb"

CLOSED_TOO_SOON = "Could not restore the debugger state: Canceled future"
"""What JupyterLab's debugger says when a notebook is closed while it still asks the Jupyter kernel."""


@dataclass
class Lab:
    """A running JupyterLab server."""

    url: str
    token: str
    folder: Path
    data: Path

    def address(self, notebook: str) -> str:
        return f"{self.url}/lab/tree/{notebook}?token={self.token}&reset"


@dataclass
class Watched:
    """A page and everything that went wrong on it."""

    page: object
    errors: list[str] = field(default_factory=list)


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    """Start a real JupyterLab on a copy of the notebooks."""
    folder, home = tmp_path_factory.mktemp("lab"), tmp_path_factory.mktemp("home")
    for notebook in (ROOT / "notebooks").glob("*.ipynb"):
        shutil.copy(notebook, folder)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token = secrets.token_hex(16)
    settings = home / "settings" / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    settings.parent.mkdir(parents=True)
    settings.write_text('{"fetchNews": "false"}')
    command = [sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root", f"--port={port}"]
    command += [f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={folder}", "--ip=127.0.0.1"]
    command += ["--LabApp.expose_app_in_browser=True"]
    environment = os.environ | {
        "JUPYTER_CONFIG_DIR": str(home),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "IPYTHONDIR": str(home / "ipython"),
        "JUPYTER_PATH": str(home / "data"),
    }
    with (
        (folder / "server.log").open("wb") as log,
        subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, env=environment) as server,
    ):
        url = f"http://127.0.0.1:{port}"
        _wait_for(f"{url}/api/status?token={token}", server)
        yield Lab(url, token, folder, home / "data")
        server.terminate()


@contextmanager
def watching(browser):
    """Open an empty page that keeps a list of its console errors."""
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    page = context.new_page()
    result = Watched(page)

    def note(text):
        if not text.startswith(CLOSED_TOO_SOON):
            result.errors.append(text)

    page.on("pageerror", lambda error: note(str(error)))
    page.on("console", lambda message: note(message.text) if message.type == "error" else None)
    yield result
    context.close()


@pytest.fixture
def watched(browser):
    """Open an empty page for one test."""
    with watching(browser) as result:
        yield result


@pytest.fixture(scope="module")
def shared(browser):
    """Open an empty page for all tests of a file: JupyterLab is loaded and deepseek imported once.

    Who uses it gives each test a page without errors, and its Jupyter kernel back at rest.
    """
    with watching(browser) as result:
        yield result
        shut_down(result.page)


@pytest.fixture(scope="module")
def notebook(lab, shared):
    """A notebook that can train, open in the page of the file."""
    open_notebook(lab, shared.page, write_notebook(lab, TRAINING))
    return shared


@pytest.fixture
def training(notebook):
    """The notebook's second cell trains for two minutes, beside the panel; begun anew for each test."""
    notebook.errors.clear()
    notebook.panel = begin_training(notebook.page, TRAINING)
    yield notebook
    bring_to_front(notebook.page, TRAINING)
    interrupt(notebook.page)


def _wait_for(url: str, server: subprocess.Popen, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert server.poll() is None, "JupyterLab ended before it answered"
        try:
            urllib.request.urlopen(url, timeout=2).close()
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise AssertionError("JupyterLab did not answer")

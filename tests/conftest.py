"""One Chromium for all tests that need a browser, and pages that are opened from disk with it; Ctrl-C."""

import os
import shutil
import signal
from pathlib import Path

import pytest
import torch
from torch.overrides import _get_current_function_mode_stack

if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")  # read when Triton is loaded: its kernels then take CPU tensors

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def pytest_collection_modifyitems(items):
    """The longest files begin, JupyterLab and the notebooks: no worker is left alone with them at the end."""
    items.sort(key=lambda item: (item.path.parent.name != "browser", item.path.suffix != ".ipynb"))


@pytest.fixture(scope="session")
def browser():
    """Start a real Chromium."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield running
        running.close()


@pytest.fixture
def open_page(browser):
    """Return a function that opens a file offline; checks at the end that nothing went wrong or was requested."""
    contexts, troubles = [], []

    def open_it(path, scheme="light", height=1500, **options):
        context = browser.new_context(
            offline=True, color_scheme=scheme, viewport={"width": 1200, "height": height}, **options
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda m: troubles.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("request", lambda r: None if r.url.startswith(("file:", "data:", "blob:")) else troubles.append(r.url))
        page.goto(path.as_uri())
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert troubles == []


@pytest.fixture(scope="session")
def artifacts():
    """Return the folder in which screenshots are kept."""
    folder = Path(__file__).parent / "artifacts"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture
def ctrl_c():
    """Ctrl-C raises KeyboardInterrupt, even where pytest was started in the background and ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def one_thread():
    """Small models are computed on one thread: several would wait for each other more than they compute."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def nothing_left_on_torch_s_stack():
    """Functions are watched no longer, whatever the test has interrupted or closed."""
    yield
    assert _get_current_function_mode_stack() == []

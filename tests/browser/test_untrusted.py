"""A notebook and a report from a stranger, opened in a real JupyterLab."""

import hostile
import nbformat
import pytest
from lab_pages import bring_to_front
from payloads import PAYLOADS
from synthetic import SyntheticRecording

from deepseek.widgets.report import write_report
from deepseek.widgets.static_picture import mimebundle

pytestmark = pytest.mark.browser

SANITISED = """cell => {
  const shape = node => node.nodeType === 3 ? node.data
    : [node.localName, ...['class', 'src', 'alt'].map(key => node.getAttribute(key)),
       ...[...node.childNodes].map(shape)];
  const text = cell.model.outputs.get(0).toJSON().data['text/html'];
  const source = new DOMParser().parseFromString(Array.isArray(text) ? text.join('') : text, 'text/html').body;
  const shown = cell.node.querySelector('.jp-RenderedHTMLCommon');
  return [[...source.childNodes].map(shape), [...shown.childNodes].map(shape)];
}"""

CELLS = "window.jupyterapp.shell.currentWidget.content.widgets"


def recordings():
    """What the cells of the notebook show: a plain run, a very deep model, hostile names of every kind."""
    for blocks in (6, 500):
        recording = SyntheticRecording(blocks=blocks)
        recording.advance(60)
        yield recording
    size = hostile.SERIES
    yield from (hostile.recording(PAYLOADS[start : start + size]) for start in range(0, len(PAYLOADS), size))


@pytest.fixture(scope="module")
def notebook(lab):
    """A notebook with saved outputs that nobody has signed."""
    with pytest.MonkeyPatch.context() as patch:
        outputs = []
        for recording in recordings():
            outputs.append(nbformat.v4.new_output("display_data", mimebundle(recording)))
            if len(outputs) == 2:
                patch.setattr("deepseek.widgets.picture.png", lambda history: b"")
    cells = [nbformat.v4.new_code_cell("", outputs=[output]) for output in outputs]
    metadata = {"kernelspec": {"name": "python3", "display_name": "python3"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=metadata), lab.folder / "untrusted.ipynb")
    return "untrusted.ipynb"


@pytest.fixture(scope="module")
def stranger(lab, shared):
    """JupyterLab, with a note of everything that the page asked for, and of dialogs."""
    page = shared.page
    shared.asked = []
    page.on("request", lambda request: shared.asked.append(request.url))
    page.on("dialog", lambda dialog: shared.errors.append(dialog.message))
    page.goto(f"{lab.url}/lab?token={lab.token}&reset")
    page.wait_for_selector(".jp-Launcher", timeout=60_000)
    return shared


def test_the_sanitiser_of_jupyterlab_leaves_the_saved_outputs_as_they_are(lab, stranger, notebook):
    page = stranger.page
    bring_to_front(page, notebook)
    page.wait_for_selector(".jp-NotebookPanel .jp-RenderedHTMLCommon", timeout=60_000)
    assert not page.evaluate(f"{CELLS}[0].model.trusted")
    count = page.evaluate(f"{CELLS}.length")
    assert count > 30
    for index in range(count):
        page.evaluate(f"window.jupyterapp.shell.currentWidget.content.scrollToItem({index}, 'center')")
        page.wait_for_function(f"{CELLS}[{index}].node.querySelector('.jp-RenderedHTMLCommon')", timeout=20_000)
        source, shown = page.evaluate(f"({SANITISED})({CELLS}[{index}])")
        assert shown == source
    assert page.evaluate("window.hacked ?? null") is None
    assert [url for url in stranger.asked if not url.startswith((lab.url, "data:", "blob:"))] == []
    assert stranger.errors == []


def test_a_strangers_report_does_nothing_in_the_viewer_of_jupyterlab(lab, stranger):
    write_report(hostile.recording(PAYLOADS), lab.folder / "stranger.html")
    page = stranger.page
    bring_to_front(page, "stranger.html")
    page.wait_for_selector(".jp-HTMLViewer iframe", timeout=60_000)
    frame = page.frame_locator(".jp-HTMLViewer iframe")
    frame.locator("#deepseek-summary table").first.wait_for(timeout=20_000)
    assert page.get_attribute(".jp-HTMLViewer iframe", "sandbox") is not None
    page.wait_for_timeout(500)
    assert page.evaluate("window.hacked ?? null") is None
    assert [url for url in stranger.asked if not url.startswith((lab.url, "data:", "blob:"))] == []
    assert [error for error in stranger.errors if "allow-scripts" not in error] == []

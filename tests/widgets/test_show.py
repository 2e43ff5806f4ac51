"""What a recording looks like in executed notebooks and plain scripts."""

from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from nbclient import NotebookClient
from synthetic import SyntheticRecording

from deepseek.widgets.show import show

SUPPORT = Path(__file__).parents[1] / "support"


@pytest.fixture(scope="module")
def executed():
    """A notebook that nbclient ran: shows a recording, trains in two cells, closes it."""
    cells = [
        f"import sys; sys.path.insert(0, {str(SUPPORT)!r})\n"
        "from synthetic import SyntheticRecording\n"
        "from deepseek.widgets.show import show\n"
        "recording = SyntheticRecording(blocks=3)\nshow(recording)",
        "recording.advance(50)",
        "recording.advance(25); recording.close()",
        "len(get_ipython().events.callbacks['post_run_cell'])",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    return notebook


def test_the_static_picture_shows_the_end_of_the_run(executed):
    (output,) = executed.cells[0].outputs
    assert "finished · step 75" in output.data["text/html"]
    assert "data:image/png" in output.data["text/html"]
    assert "finished · step 75" in output.data["text/plain"]


def test_the_executed_notebook_stays_small(executed):
    assert len(nbformat.writes(executed)) < 150_000
    assert "widgets" not in executed.metadata


def test_nothing_follows_the_cells_after_the_end(executed):
    assert executed.cells[3].outputs[0].data["text/plain"] == "0"


class Shell:
    """A stand-in for the interactive shell of a Jupyter kernel whose cell came from a browser."""

    def __init__(self):
        self.kernel = SimpleNamespace(get_parent=lambda: {"metadata": {"cellId": "a"}})
        self.events = SimpleNamespace(register=self.register, unregister=self.unregister)
        self.callbacks = []

    def register(self, _event, callback):
        self.callbacks.append(callback)

    def unregister(self, _event, callback):
        self.callbacks.remove(callback)


class Output:
    """One output of a cell."""

    def __init__(self, bundle):
        self.bundle = bundle

    def update(self, bundle, **_):
        self.bundle = bundle


def test_a_browser_gets_the_widget_and_below_it_the_picture_that_it_hides(monkeypatch):
    shell, outputs = Shell(), []
    monkeypatch.setattr("deepseek.widgets.show.notebook_shell", lambda: shell)
    monkeypatch.setattr(
        "deepseek.widgets.show.display_bundle", lambda bundle, **_: outputs.append(Output(bundle)) or outputs[-1]
    )
    recording = SyntheticRecording(blocks=2)
    widget = show(recording)
    recording.advance(30)
    recording.close()
    (after_cell,) = shell.callbacks
    after_cell(None)
    live, static = (output.bundle for output in outputs)
    assert live["application/vnd.jupyter.widget-view+json"]["model_id"] == widget.model_id
    assert f'data-deepseek-static="{widget.key}"' in static["text/html"]
    assert "finished · step 30" in static["text/html"]
    assert "run the cell again" in static["text/html"]
    assert shell.callbacks == []


def test_a_plain_script_gets_one_line(capsys):
    assert show(SyntheticRecording(blocks=1)) is None
    assert capsys.readouterr().out == "DigitsCNN · running · step 0 · 0 steps dropped\n"


def test_a_broken_picture_is_reported_once_and_leaves_the_cells_alone(monkeypatch, caplog):
    shell = Shell()
    monkeypatch.setattr("deepseek.widgets.show.notebook_shell", lambda: shell)
    monkeypatch.setattr("deepseek.widgets.show.display_bundle", lambda bundle, **_: Output(bundle))
    recording = SyntheticRecording(blocks=1)
    show(recording)
    recording.advance(3)

    def broken(*_):
        raise RuntimeError("no fonts")

    monkeypatch.setattr("deepseek.widgets.show.static_html", broken)
    (after_cell,) = shell.callbacks
    after_cell(None)
    assert shell.callbacks == []
    assert ["no fonts" in record.getMessage() for record in caplog.records] == [True]

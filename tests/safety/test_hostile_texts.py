"""Names that try to become code, in every place where text comes out without a browser."""

import csv
import io
import json
import re
import unicodedata
import warnings
from html.parser import HTMLParser

import hostile
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jupyter_client.session import json_packer
from payloads import PAYLOADS
from synthetic import SyntheticRecording

import deepseek
from deepseek.cli import main
from deepseek.inspector.runfile import RunWriter
from deepseek.text import printable, well_formed
from deepseek.widgets import static_picture
from deepseek.widgets.history import History
from deepseek.widgets.live import LiveWidget
from deepseek.widgets.picture import png
from deepseek.widgets.report import report_html
from deepseek.widgets.static_picture import static_html, static_text

BATCHES = [PAYLOADS[start : start + hostile.SERIES] for start in range(0, len(PAYLOADS), hostile.SERIES)]
BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"

texts = st.text(st.characters(codec=None), max_size=60) | st.sampled_from(PAYLOADS)


def control_codes(text):
    """What a terminal would obey in a text that may have several lines."""
    return {
        letter
        for letter in text
        if letter in BIDI or (letter not in "\n\t" and unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp"))
    }


class Elements(HTMLParser):
    """The elements of a text, each with the names of its attributes."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, *(name for name, _ in attributes)))

    def handle_comment(self, _):
        self.found.append("comment")

    handle_decl = handle_pi = unknown_decl = handle_comment


def elements(text):
    return Elements(text).found


@pytest.fixture
def no_picture(monkeypatch):
    """Leave the picture out: it holds no text that a browser reads, and takes the most time."""
    monkeypatch.setattr("deepseek.widgets.picture.png", lambda history: b"")


@pytest.mark.usefixtures("no_picture")
def test_no_name_adds_an_element_to_the_saved_output_or_a_control_code():
    for batch in BATCHES:
        wild, tame = hostile.recording(batch), hostile.tame(batch)
        html = static_html(wild)
        assert elements(html) == elements(static_html(tame)), batch
        assert not control_codes(html), batch
        assert not control_codes(static_text(wild)), batch
        assert static_text(wild).count("\n") == static_text(tame).count("\n"), batch


def test_every_name_can_be_drawn_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for start in range(0, len(PAYLOADS), 24):
            history = History()
            history.add(hostile.recording(PAYLOADS[start : start + 24]).records())
            assert png(history).startswith(b"\x89PNG")


@pytest.mark.usefixtures("no_picture")
def test_no_name_leaves_the_data_of_the_report():
    wild = report_html(hostile.recording(PAYLOADS))
    tame = report_html(hostile.tame(PAYLOADS))
    data = json.loads(re.search(r'id="deepseek-data">(.*?)</script>', wild, re.DOTALL)[1])
    names = [layer["type"] for layer in data["messages"][0]["message"]["layers"]]
    assert names == [well_formed(text if len(text) <= 400 else text[:399] + "…") for text in PAYLOADS]
    wild, tame = (re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL) for text in (wild, tame))
    assert elements(wild) == elements(tame)


@pytest.mark.filterwarnings("error")
def test_every_name_can_travel_to_the_browser():
    widget = LiveWidget(hostile.recording(PAYLOADS))
    for part in (widget.setup, widget.snapshot["message"], widget.mimebundle()):
        assert json.loads(json_packer(part)) == json.loads(json.dumps(part, allow_nan=False))


@pytest.fixture(scope="module")
def run_files(tmp_path_factory):
    """Saved runs that hold every hostile text: in the names of sites, in findings, as titles."""
    folder = tmp_path_factory.mktemp("runs")
    for place, batch in enumerate(BATCHES):
        recording = hostile.recording(batch)
        writer = RunWriter(folder / f"{place}.dsrun", {**dict(recording.meta), "model": recording.title})
        writer.write(recording.stored)
        writer.close()
    return sorted(folder.iterdir())


def test_the_command_line_prints_no_control_code_and_no_forged_line(run_files, capsys):
    for path in run_files:
        assert main(["summary", str(path)]) == 0
        out = capsys.readouterr().out
        assert not control_codes(out), path
        assert not re.search("^(error: forged|Fix: forged)", out, re.MULTILINE)


def test_the_command_line_prints_to_a_terminal_that_knows_few_letters(run_files, monkeypatch):
    for encoding in ("ascii", "cp1252"):
        out = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        monkeypatch.setattr("sys.stdout", out)
        assert all(main(["summary", str(path)]) == 0 for path in run_files[::8])


def test_tables_and_representations_hold_no_control_code(run_files):
    for path in run_files:
        with deepseek.open_run(path) as run:
            tables = [run.summary(), *(run.frame(kind) for kind in ("activation", "gradient", "scalar", "finding"))]
            shown = [repr(run), *(part for table in tables for part in (table.to_string(), table.to_csv()))]
            assert not any(control_codes(text) for text in shown), path


def test_tables_come_back_from_csv_with_as_many_cells(run_files):
    for path in run_files:
        with deepseek.open_run(path) as run:
            table = run.frame("activation")
        rows = list(csv.reader(io.StringIO(table.to_csv(index=False))))
        assert {len(row) for row in rows} == {len(table.columns)}
        assert len(rows) == len(table) + 1


def test_errors_about_hostile_names_leave_the_terminal_alone(tmp_path):
    for text in PAYLOADS:
        with pytest.raises(deepseek.DeepseekError) as caught:
            deepseek.open_run(tmp_path / f"{text[:50]}.dsrun")
        assert not control_codes(str(caught.value)), text


@given(st.text(st.characters(codec=None)))
def test_printable_text_holds_no_control_code_and_can_be_encoded(text):
    shown = printable(text)
    assert not control_codes(shown)
    assert printable(shown) == shown
    shown.encode()


@settings(max_examples=60, deadline=None)
@given(st.lists(texts, min_size=1, max_size=4))
def test_whatever_the_texts_are_the_elements_stay(names):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("deepseek.widgets.picture.png", lambda history: b"")
        wild = hostile.recording(names)
        expected = elements(static_html(hostile.recording([f"x{names.index(name)}" for name in names])))
        assert elements(static_html(wild)) == expected
        json_packer(static_picture.read(wild).snapshot(wild.status).message)


LETTERS = {"quotes": '"', "ampersands": "&", "astral": "\U0001f600", "backslashes": "\\", "controls": "\x01"}


@pytest.mark.parametrize("letter", LETTERS.values(), ids=LETTERS)
def test_a_saved_cell_output_stays_below_150_kb_for_1500_modules_whatever_they_are_called(letter):
    names = [letter * 3000 + str(place) for place in range(1500)]
    recording = hostile.recording(names)
    bundle = {"text/html": static_html(recording), "text/plain": static_text(recording)}
    assert len(json.dumps(bundle, ensure_ascii=False).encode()) < 150_000


def test_a_saved_cell_output_stays_below_150_kb_for_a_model_of_1500_modules():
    recording = SyntheticRecording(blocks=500)
    recording.advance(60)
    bundle = {"text/html": static_html(recording), "text/plain": static_text(recording)}
    assert len(json.dumps(bundle, ensure_ascii=False).encode()) < 150_000

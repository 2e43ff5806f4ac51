"""Messages follow one schema, from which the code of both languages is made."""

import json
import re
import runpy
from hashlib import sha256
from pathlib import Path

import fastjsonschema
import numpy as np
import pytest
from synthetic import SyntheticRecording, make_finding

from deepseek.inspector.recording import Overhead, Status
from deepseek.widgets.history import History
from deepseek.widgets.messages import SCHEMA, finding_info, header, packet, validated
from deepseek.widgets.setup_message import setup_message

WIDGETS = Path(__file__).parents[2] / "widgets"
GENERATED = WIDGETS / "frontend" / "src" / "generated"


def test_the_python_types_are_current():
    generator = runpy.run_path(str(WIDGETS / "frontend" / "scripts" / "python_types.py"))
    assert (WIDGETS / "message_types.py").read_text() == generator["module"](SCHEMA.read_text())


@pytest.mark.parametrize("name", ["messages.ts", "validate.js", "validate.d.ts"])
def test_the_generated_browser_code_is_current(name):
    digest = sha256(SCHEMA.read_bytes()).hexdigest()
    assert f"schema sha256: {digest}" in (GENERATED / name).read_text()


def test_every_message_follows_the_schema_as_another_validator_reads_it():
    jsonschema = pytest.importorskip("jsonschema")
    recording = SyntheticRecording(blocks=2)
    recording.advance(50)
    history = History()
    history.add(recording.records())
    messages = [setup_message(recording), history.snapshot(recording.status).message]
    recording.advance(3)
    history.add(recording.records(50))
    messages.append(history.increment(recording.status).message)
    for message in messages:
        jsonschema.validate(json.loads(json.dumps(message, allow_nan=False)), json.loads(SCHEMA.read_text()))


def test_a_message_with_an_unknown_part_is_refused():
    message = setup_message(SyntheticRecording(blocks=1))
    with pytest.raises(fastjsonschema.JsonSchemaException):
        validated({**message, "script": "alert(1)"})


def test_arrays_travel_little_endian_in_their_order():
    recording = SyntheticRecording(blocks=1)
    message = History().snapshot(recording.status).message
    arrays = {"steps": np.array([1, 2], ">i4").astype(np.int32), "flow": np.array([[0.5]], np.float32)}
    result = packet(message, arrays)
    assert result.payload == np.array([1, 2], "<i4").tobytes() + np.array([0.5], "<f4").tobytes()
    assert [info["shape"] for info in result.message["arrays"]] == [[2], [1, 1]]


def test_numbers_that_are_not_finite_never_reach_json():
    overhead = Overhead(float("nan"), float("-inf"), float("inf"), "self-timed")
    status = Status("running", 1, float("nan"), overhead, 0)
    text = json.dumps(header(status, 0, ("loss", float("nan"))), allow_nan=False)
    assert json.loads(text)["scalar"]["value"] == "nan"
    assert json.loads(text)["overhead"]["share"] is None


def test_long_texts_are_cut():
    finding = finding_info(make_finding(3, "x" * 10_000))
    assert len(finding["site"]) == 400
    assert finding["message"].endswith("…")


def test_the_bundles_hold_no_eval_and_no_address():
    for name in ("widget.js", "report.js"):
        text = (WIDGETS / "static" / name).read_text()
        assert not re.search(r"\beval\(|new Function|https?://(?!json-schema\.org|www\.w3\.org/2000/svg)", text)

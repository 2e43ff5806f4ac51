"""Decisions on precision and what gates open, as the views are told of them."""

import dataclasses

import numpy as np
import pytest
from decided import train_decided
from synthetic import SyntheticRecording

from deepseek.inspector.record import Event, Site, StepRecord, UnitCounts
from deepseek.kernels.precision import PLAN_COLUMNS
from deepseek.widgets.history import History
from deepseek.widgets.static_picture import static_html

TEXTS = ("dtype", "reason", "underflow_in", "subnormal_in", "overflow_in", "noise_in")
NUMBERS = ("numel", "gradient_norm", "underflow_frac", "subnormal_frac", "overflow_frac", "noise_frac")
"""What the browser takes the rows of the arrays for."""


@pytest.fixture(scope="module", params=["exponent", "half"])
def session(request, tmp_path_factory):
    with train_decided(tmp_path_factory.mktemp("decided") / "a.dsrun", request.param) as session:
        yield session


@pytest.fixture(scope="module")
def healthy(tmp_path_factory):
    with train_decided(tmp_path_factory.mktemp("healthy") / "a.dsrun") as session:
        yield session


def told(recording):
    history = History()
    history.add(recording.records())
    return history, history.snapshot(recording.status)


def arrays(packet):
    found, offset = {}, 0
    for info in packet.message["arrays"]:
        dtype = np.dtype(info["dtype"]).newbyteorder("<")
        found[info["name"]] = np.frombuffer(packet.payload, dtype, int(np.prod(info["shape"])), offset)
        found[info["name"]] = found[info["name"]].reshape(info["shape"])
        offset += found[info["name"]].nbytes
    return found


def test_every_decision_is_told_with_its_evidence(session):
    table = session.frame("precision")
    _, packet = told(session)
    info, parts = packet.message["precision"], arrays(packet)
    revision, layer, _, *texts = parts["decisions"]
    assert [info["revisions"][place]["step"] for place in revision] == table["step"].tolist()
    assert [info["layers"][place] for place in layer] == table["layer"].tolist()
    for name, places in zip(TEXTS, texts, strict=True):
        assert [info["texts"][place] for place in places] == table[name].tolist()
    for name, values in zip(NUMBERS, parts["evidence"], strict=True):
        np.testing.assert_allclose(values, table[name], rtol=1e-6)
    first = table.drop_duplicates("step")
    for name in ("epoch", "policy", "half", "loss_scale"):
        assert [each[name] for each in info["revisions"]] == first[name].tolist()


def test_layers_that_half_precision_harms_are_marked(session):
    table = session.frame("precision")
    _, packet = told(session)
    harmful = arrays(packet)["decisions"][2].astype(bool)
    half = table["dtype"] != "float32"
    lost = (table["overflow_frac"] > 0) | (table["underflow_frac"] > 0.01) | (table["noise_frac"] > 1e-3)
    assert harmful.tolist() == (half & lost).tolist()
    assert harmful.any() == (table["policy"][0] == "half")


def test_skipped_steps_count_for_the_decisions_in_force(session):
    events = session.frame("event")
    skipped = events.loc[events["kind"] == "step_skipped", "step"].to_numpy()
    _, packet = told(session)
    info = packet.message["precision"]
    steps = [each["step"] for each in info["revisions"]]
    # A step that is skipped and decides as well was computed under the decision before.
    found = np.bincount(np.searchsorted(steps, skipped, side="left"), minlength=len(steps) + 1)
    assert [info["skipped_before"], *(each["skipped"] for each in info["revisions"])] == found.tolist()
    assert (len(skipped) > 0) == (info["revisions"][0]["policy"] == "half")


def test_gates_are_told_with_the_share_of_samples_that_opened_each_block(healthy):
    history, packet = told(healthy)
    gates = {history.layers[gate["layer"]]["name"]: gate for gate in packet.message["gates"]}
    assert list(gates) == ["mlp.gate", "stuck.gate"]
    assert gates["stuck.gate"]["open"] == [1, 0, 1, 0]
    assert gates["stuck.gate"]["constant"]
    assert not gates["mlp.gate"]["constant"]
    assert len(gates["mlp.gate"]["open"]) == gates["mlp.gate"]["blocks"] == 8
    assert gates["mlp.gate"]["samples"] >= 256
    layers, values = history.matrix("activation_ratio")
    newest = values[list(layers).index(gates["mlp.gate"]["layer"]), -1]
    assert newest == pytest.approx(healthy.frame("gate").query("site == 'mlp.gate'")["active_frac"].iloc[-1])


def test_a_new_decision_is_told_at_once():
    recording = SyntheticRecording(blocks=1)
    recording.advance(1)
    history, _ = told(recording)
    recording.advance(1)
    history.add(recording.records(1))
    assert history.increment(recording.status) is not None
    history.add([StepRecord(2, 0.0, 1.0, 0.1, False, events=(decision(),))])
    assert history.increment(recording.status) is None


def decision(**change):
    numbers = dict.fromkeys((*NUMBERS, "epoch", "loss_scale"), 1.0)
    return Event("precision", dict.fromkeys(PLAN_COLUMNS, "float32") | numbers | change)


def test_a_layer_that_drowns_in_noise_is_marked():
    history = History()
    shares = {"underflow_frac": 0.0, "subnormal_frac": 0.0, "overflow_frac": 0.0, "noise_frac": 0.9}
    history.add([StepRecord(0, 0.0, 1.0, 0.1, False, events=(decision(dtype="float16", noise_in="output", **shares),))])
    packet = history.snapshot(SyntheticRecording().status)
    _, _, harmful, *texts = arrays(packet)["decisions"][:, 0]
    assert harmful
    assert packet.message["precision"]["texts"][texts[TEXTS.index("noise_in")]] == "output"


def test_long_runs_of_deep_models_stay_small_and_say_what_is_left_out():
    history = History()
    for step in range(50):
        events = [decision(layer=f"blocks.{i}.{'x' * 60}", reason=f"{i + step} " + "y" * 90) for i in range(150)]
        history.add([StepRecord(step, 0.0, 1.0, 0.1, False, events=tuple(events))])
    packet = history.snapshot(SyntheticRecording().status)
    assert packet.nbytes < 200_000
    info = packet.message["precision"]
    assert info["earlier"] + len(info["revisions"]) == 50
    assert info["revisions"][-1]["step"] == 49


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"layer": 3.0, "dtype": 4.0, "numel": "many", "epoch": "x", "reason": "z" * 9000},
        dict.fromkeys(PLAN_COLUMNS, float("nan")),
        dict.fromkeys(PLAN_COLUMNS, float("-inf")),
        dict.fromkeys(PLAN_COLUMNS, 1e300),
        dict.fromkeys(PLAN_COLUMNS, "\ud800<b>"),
    ],
)
def test_whatever_a_file_holds_can_be_told(data):
    recording = SyntheticRecording(blocks=1)
    recording.advance(1)
    recording.stored[0] = dataclasses.replace(recording.stored[0], events=(Event("precision", data),))
    history, packet = told(recording)
    assert len(packet.message["precision"]["revisions"]) == 1
    assert "<b>" not in static_html(recording, history).replace("<p><b>", "")


def test_without_gates_and_decisions_nothing_is_told():
    recording = SyntheticRecording(blocks=1)
    recording.advance(1)
    _, packet = told(recording)
    assert not {"gates", "precision"} & packet.message.keys()


def test_a_gate_with_more_blocks_than_a_message_holds_tells_their_number():
    site = Site(0, "gate", "module", "SparseGate", "gate", 0)
    counts = UnitCounts(0, 300, np.full(100, 150, np.uint32), np.zeros(100, np.uint32))
    history = History()
    history.add([StepRecord(0, 0.0, 1.0, 0.1, True, sites=(site,), units=(counts,))])
    (gate,) = history.snapshot(SyntheticRecording().status).message["gates"]
    assert gate == {"layer": 0, "samples": 300, "blocks": 100, "open": [0.5] * 64, "constant": False}


def test_the_static_picture_lists_them(healthy):
    text = static_html(healthy)
    assert "<td>stuck.gate</td><td>50%</td><td>yes</td>" in text
    newest = healthy.frame("precision").iloc[-4]
    assert f"<td>camera</td><td>{newest['dtype']}</td><td>{newest['reason']}</td>" in text

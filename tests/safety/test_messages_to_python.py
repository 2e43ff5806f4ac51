"""Messages from the browser that are wrong in every way: nothing changes, nothing is raised, nothing is repeated."""

import copy
import logging
import random
import time

import pytest
from synthetic import SyntheticRecording

from deepseek.widgets.live import LiveWidget

ODD = [
    None,
    True,
    -1,
    1e300,
    float("nan"),
    float("inf"),
    2**70,
    "",
    "__proto__",
    "__class__",
    "\ud800",
    "x" * 10_000,
    [],
    {},
    [None],
    {"__proto__": {"polluted": True}},
    {"__class__": "os.system"},
    {"message": {}, "payload": b""},
    [0] * 5_000,
    b"",
    b"\0" * 1_000,
]
NAMES = [
    *("_esm", "_css", "key", "charts", "setup", "snapshot", "failure", "layout", "tabbable", "tooltip", "comm"),
    *("_view_name", "_model_module", "_dom_classes", "_recording", "history", "lock", "__class__", "__dict__", "nope"),
]
METHODS = ["update", "request_state", "custom", "echo_update", "", "__init__", "send", "close", None, 7, [], "update\0"]


def deep(levels):
    value = []
    for _ in range(levels):
        value = {"a": value}
    return value


def message(chance):
    """One message as the comm hands it over: sometimes nearly right, sometimes nothing like it."""
    odd = [*ODD, deep(300)]
    data = {
        "method": chance.choice(METHODS),
        "state": {chance.choice(NAMES): chance.choice(odd) for _ in range(chance.randrange(4))},
        "content": chance.choice(odd),
        "buffer_paths": chance.choice([[], [[]], [["snapshot", "payload"]], [["setup", 0]], "x", None, [[deep(5)]]]),
    }
    for name in chance.sample(sorted(data), chance.randrange(3)):
        data[name] = chance.choice(odd)
    for name in chance.sample(sorted(data), chance.choice((0, 0, 0, 1, 2))):
        del data[name]
    content = {"comm_id": "x", "data": chance.choice((data, data, data, data, chance.choice(odd)))}
    buffers = chance.choice(([], [b"x"], [memoryview(b"abc")], [b""] * 100, None))
    return {"content": content, "buffers": buffers, "header": {}, "parent_header": {}, "metadata": {}}


@pytest.fixture
def widget():
    recording = SyntheticRecording(blocks=2)
    recording.advance(5)
    return LiveWidget(recording)


def state_of(widget):
    own = {name: copy.deepcopy(getattr(widget, name)) for name in ("key", "setup", "snapshot", "failure", "charts")}
    return own | {"_esm": widget._esm, "_css": widget._css, "steps": widget.history.next_step}


def test_ten_thousand_wrong_messages_change_nothing_and_are_counted(widget, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    chance = random.Random(11)
    before = state_of(widget)
    sent = []
    widget.send = lambda *_, **__: sent.append("custom")
    for _ in range(10_000):
        widget._handle_msg(message(chance))
    assert state_of(widget) == before
    assert widget.refused > 5_000
    assert sent == []
    assert len(caplog.records) <= 1
    assert capfd.readouterr() == ("", "")


def test_a_browser_that_asks_for_the_state_again_and_again_is_answered_once_a_second(widget, monkeypatch):
    answers = []
    monkeypatch.setattr(type(widget), "send_state", lambda self, key=None: answers.append(key))
    for _ in range(1_000):
        widget._handle_msg({"content": {"data": {"method": "request_state"}}, "buffers": []})
    assert len(answers) == 1
    assert widget.refused == 999


def test_the_widget_goes_on_after_them(widget):
    chance = random.Random(5)
    for _ in range(200):
        widget._handle_msg(message(chance))
    widget._recording.sent = 0.0
    widget._recording.advance(3)
    widget._recording.close()
    deadline = time.monotonic() + 10
    while widget.snapshot["message"]["header"]["step"] < 8 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert widget.snapshot["message"]["header"]["step"] == 8
    assert widget.failure == ""

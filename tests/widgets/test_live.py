"""The live widget: what it sends, when, and that it never disturbs the recording."""

import json
import threading
import time

import pytest
from synthetic import SyntheticRecording

from deepseek.widgets.live import LiveWidget, bokeh_js


@pytest.fixture
def recording():
    return SyntheticRecording(blocks=2)


@pytest.fixture
def sent(monkeypatch):
    """Collect the custom messages of every widget."""
    messages = []
    monkeypatch.setattr(LiveWidget, "send", lambda self, content, buffers=None: messages.append((content, buffers)))
    return messages


def quiet(widget):
    """Put the next snapshot far away."""
    widget._feed._snapshot_due = time.monotonic() + 1000


def test_a_batch_of_steps_becomes_one_increment(recording, sent):
    recording.advance(5)
    widget = LiveWidget(recording)
    quiet(widget)
    for batch in (1, 30, 7):
        recording.sent = time.monotonic()
        recording.advance(batch)
        recording.flush()
    assert [message["type"] for message, _ in sent] == ["increment"] * 3
    assert [message["header"]["step"] for message, _ in sent] == [6, 36, 43]
    sequence = widget.snapshot["message"]["sequence"]
    assert [message["sequence"] for message, _ in sent] == [sequence + 1, sequence + 2, sequence + 3]


def test_what_an_increment_cannot_tell_comes_as_a_snapshot(recording, sent):
    widget = LiveWidget(recording)
    quiet(widget)
    recording.advance(1)
    assert sent == []
    assert [layer["name"] for layer in widget.snapshot["message"]["layers"]][-1] == "head"


def test_the_end_is_told_with_everything(recording, sent):
    widget = LiveWidget(recording)
    recording.advance(3)
    quiet(widget)
    recording.close()
    assert widget.snapshot["message"]["header"]["state"] == "closed"
    assert widget.snapshot["message"]["header"]["step"] == 3


def test_snapshots_come_less_often_the_larger_they_are(recording, sent):
    recording.advance(400)
    widget = LiveWidget(recording)
    size = len(widget.snapshot["payload"])
    assert widget._feed._snapshot_due - time.monotonic() == pytest.approx(size / 20_000, abs=0.2)


def test_steps_between_reading_and_following_are_not_lost(recording, sent):
    original = recording.records

    def slow_records(start=0):
        stored = list(original(start))
        recording.sent = 0.0
        recording.advance(2)
        return iter(stored)

    recording.advance(3)
    recording.records = slow_records
    widget = LiveWidget(recording)
    assert widget.history.next_step == 5


def test_a_failing_view_stops_itself_and_says_so(recording, sent, monkeypatch):
    widget = LiveWidget(recording)
    quiet(widget)

    def broken(records):
        raise ValueError("cannot draw this")

    monkeypatch.setattr(widget.history, "add", broken)
    recording.advance(1)
    assert "ValueError: cannot draw this" in widget.failure
    assert "Training goes on" in widget.failure
    assert recording.listeners == []


def test_an_opened_run_is_shown_without_following(recording, sent):
    recording.advance(3)
    recording.close()
    widget = LiveWidget(recording)
    assert recording.listeners == []
    assert widget.snapshot["message"]["header"]["step"] == 3


def test_reading_and_feeding_at_once_do_not_block_each_other(recording, sent):
    widget = LiveWidget(recording)
    done = threading.Event()

    def feed():
        for _ in range(50):
            recording.sent = 0.0
            recording.advance(1)
        done.set()

    threading.Thread(target=feed, daemon=True).start()
    for _ in range(10):
        widget.settle()
    assert done.wait(20)


def test_bokeh_comes_from_the_installed_package():
    import bokeh

    assert f'"{bokeh.__version__}"'.encode() in bokeh_js() or bokeh.__version__.encode() in bokeh_js()


def test_the_setup_is_small(recording):
    assert len(json.dumps(LiveWidget(recording).setup)) < 80_000

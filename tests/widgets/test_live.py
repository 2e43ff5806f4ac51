"""The live widget: what it sends, when, and that it never disturbs the recording."""

import json
import threading
import time

import pytest
from controlled import until
from synthetic import SyntheticRecording

from deepseek.widgets.charts_message import bokeh_js
from deepseek.widgets.feed import Feed
from deepseek.widgets.live import LiveWidget
from deepseek.widgets.messages import prepare
from deepseek.widgets.teller import BYTES_PER_SECOND, CPU_SHARE, MESSAGES_PER_SECOND

PAGE, OTHER = "page", "other page"


@pytest.fixture
def recording():
    """A recording that ends with the test, and with it the thread that tells of it."""
    made = SyntheticRecording(blocks=2)
    yield made
    made.close()


@pytest.fixture
def sent(monkeypatch):
    """Collect the custom messages of every widget."""
    messages = []
    monkeypatch.setattr(LiveWidget, "send", lambda self, content, buffers=None: messages.append((content, buffers)))
    return messages


def quiet(widget):
    """Put the next snapshot far away."""
    widget._feed._snapshot_due = time.monotonic() + 1000


def tell(recording, steps):
    """Record some steps and tell the listeners at once."""
    recording.sent = time.monotonic()
    recording.advance(steps)
    recording.flush()


def step(widget):
    """The step of the widget's snapshot."""
    return widget.snapshot["message"]["header"]["step"]


def test_batches_of_steps_become_increments_without_a_gap(recording, sent):
    recording.advance(5)
    widget = LiveWidget(recording)
    quiet(widget)
    for batch in (1, 30, 7):
        told = len(sent)
        tell(recording, batch)
        until(lambda told=told: len(sent) > told)
    assert [message["type"] for message, _ in sent] == ["increment"] * 3
    assert [message["header"]["step"] for message, _ in sent] == [6, 36, 43]
    sequence = widget.snapshot["message"]["sequence"]
    assert [message["sequence"] for message, _ in sent] == [sequence + 1, sequence + 2, sequence + 3]


def test_what_an_increment_cannot_tell_comes_as_a_snapshot(recording, sent):
    widget = LiveWidget(recording)
    quiet(widget)
    recording.advance(1)
    until(lambda: step(widget) == 1)
    assert sent == []
    assert [layer["name"] for layer in widget.snapshot["message"]["layers"]][-1] == "head"


def test_the_end_is_told_with_everything(recording, sent):
    widget = LiveWidget(recording)
    recording.advance(3)
    quiet(widget)
    recording.close()
    until(lambda: widget.snapshot["message"]["header"]["state"] == "closed")
    assert step(widget) == 3


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


def test_charts_follow_the_first_figures(recording, sent):
    widget = LiveWidget(recording)
    time.sleep(0.5)
    assert widget.charts is None
    tell(recording, 1)
    until(lambda: widget.charts is not None)
    assert step(widget) == 1
    assert len(widget.charts["payload"]) > 500_000


def test_a_failing_view_stops_itself_and_says_so(recording, sent, monkeypatch):
    widget = LiveWidget(recording)
    quiet(widget)

    def broken(records):
        raise ValueError("cannot draw this")

    monkeypatch.setattr(widget.history, "add", broken)
    recording.advance(1)
    until(lambda: widget.failure)
    assert "ValueError: cannot draw this" in widget.failure
    assert "Training goes on" in widget.failure
    assert recording.listeners == []


def test_an_opened_run_is_shown_without_following(recording, sent):
    recording.advance(3)
    recording.close()
    widget = LiveWidget(recording)
    assert recording.listeners == []
    assert step(widget) == 3
    assert next(iter(widget.charts["message"]["documents"]))["name"] == "loss"


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


def test_what_no_page_sees_is_told_when_one_sees_it_again(recording, sent):
    widget = LiveWidget(recording)
    tell(recording, 1)
    until(lambda: widget.charts is not None)
    for page in (PAGE, OTHER):
        widget._audience.hear(page, False)
    before, told = step(widget), len(sent)
    for _ in range(5):
        tell(recording, 1)
        time.sleep(0.1)
    until(lambda: widget.history.next_step == 6)
    assert (step(widget), len(sent)) == (before, told)
    widget._audience.hear(OTHER, True)
    until(lambda: step(widget) == 6)


def test_one_page_that_sees_it_is_enough(recording, sent):
    widget = LiveWidget(recording)
    tell(recording, 1)
    until(lambda: step(widget) == 1)
    widget._audience.hear(PAGE, True)
    widget._audience.hear(OTHER, False)
    tell(recording, 1)
    until(lambda: step(widget) == 2 or sent)


def test_the_end_is_told_to_those_who_do_not_see_it(recording, sent):
    widget = LiveWidget(recording)
    widget._audience.hear(PAGE, False)
    recording.advance(2)
    recording.close()
    until(lambda: widget.snapshot["message"]["header"]["state"] == "closed")


def flood(recording, meanwhile, seconds):
    """Record and tell steps faster than they can be shown."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        meanwhile()
        tell(recording, 1)
        time.sleep(0.02)


def busiest_second(sizes):
    """The most that was sent in one second."""
    return max(sum(size for at, size in sizes if start <= at < start + 1) for start, _ in sizes)


def test_a_flood_keeps_to_the_limits_of_the_connection(sent):
    prepare()
    recording = SyntheticRecording(blocks=33)
    recording.advance(100)
    widget = LiveWidget(recording)
    widget._teller._charts_told = True
    sizes = []
    carry = widget._teller._send
    widget._teller._send = lambda packet: (sizes.append((time.monotonic(), packet.nbytes)), carry(packet))
    flood(recording, widget._feed.ask_whole, seconds=3)
    until(lambda: len(sizes) > 2)
    assert busiest_second([(at, 1) for at, _ in sizes]) <= MESSAGES_PER_SECOND + 1
    assert busiest_second(sizes) <= BYTES_PER_SECOND
    recording.close()


def test_a_view_takes_little_of_a_processor_whatever_a_message_costs(recording, sent, monkeypatch):
    prepare()
    used = []
    follow, news = LiveWidget._follow, Feed.news

    def costly(feed):
        end = time.thread_time() + 0.02
        while time.thread_time() < end:
            pass
        return news(feed)

    monkeypatch.setattr(LiveWidget, "_follow", lambda widget: (follow(widget), used.append(time.thread_time())))
    monkeypatch.setattr(Feed, "news", costly)
    widget = LiveWidget(recording)
    widget._teller._charts_told = True
    begun = time.monotonic()
    flood(recording, lambda: None, seconds=4)
    recording.close()
    until(lambda: used)
    assert used[0] / (time.monotonic() - begun) < 2 * CPU_SHARE


def test_bokeh_comes_from_the_installed_package():
    import bokeh

    assert f'"{bokeh.__version__}"'.encode() in bokeh_js() or bokeh.__version__.encode() in bokeh_js()


def test_the_setup_is_small(recording):
    assert len(json.dumps(LiveWidget(recording).setup)) < 4_000

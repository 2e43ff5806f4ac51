"""The way from a browser to a session: what may be asked, what is refused, what comes back."""

import copy
import json
import math
import random
import runpy
import threading
import time
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace

import jsonschema
import pytest
import torch
from comm.base_comm import BaseComm, CommManager
from controlled import until
from torch import nn

import deepseek
from deepseek.widgets import control_comm
from deepseek.widgets.audience import Audience
from deepseek.widgets.control_comm import SCHEMA, STREAM, TARGET, ControlServer, register
from deepseek.widgets.explaining.cancelling import let_cancel
from deepseek.widgets.explaining.packing import SCHEMA as EXPLANATIONS
from deepseek.widgets.messages import SCHEMA as MESSAGES

WIDGETS = Path(control_comm.__file__).parent


class RecordedComm(BaseComm):
    """A comm whose messages are kept."""

    def publish_msg(self, msg_type, data=None, metadata=None, buffers=None, **keys):
        self.__dict__.setdefault("published", []).append((msg_type, data, buffers or []))


@pytest.fixture
def comms(monkeypatch):
    manager = CommManager()
    monkeypatch.setattr("comm.get_comm_manager", lambda: manager)
    monkeypatch.setattr("comm.create_comm", RecordedComm)
    monkeypatch.setattr(control_comm, "create_comm", RecordedComm)
    return manager


@pytest.fixture
def server(comms):
    return ControlServer(comms, requests_per_second=1e9)


@pytest.fixture
def page(comms, server):
    """A comm that a browser has opened."""
    comm = RecordedComm(comm_id="page", primary=False, target_name=TARGET)
    comms.register_comm(comm)
    server.open(comm, {})
    comm.published = []
    return comm


@pytest.fixture
def training(tmp_path):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    session = deepseek.inspect(model, optimizer, every=1, run=tmp_path / "run.dsrun")

    def steps(count=1):
        for _ in range(count):
            optimizer.zero_grad()
            model(torch.ones(2, 4)).sum().backward()
            optimizer.step()

    yield SimpleNamespace(session=session, optimizer=optimizer, steps=steps)
    session.close()
    for thread in threading.enumerate():
        if thread.name == "deepseek-stream":
            thread.join(10)


def ask(page, **request):
    """Send a request as the browser does and return the reply, or None."""
    before = len(page.published)
    page.handle_msg({"content": {"data": json.loads(json.dumps({"id": 7, **request}))}})
    replies = page.published[before:]
    return replies[0][1] if replies else None


def command(page, session, **fields):
    return ask(page, type="command", session=session.key, command=fields)


def published(comm, until, seconds=10):
    """Wait for a message that fits and return all messages up to then."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        messages = list(getattr(comm, "published", []))
        if any(until(message) for message in messages):
            return messages
        time.sleep(0.02)
    raise AssertionError(f"it did not come; there are {[m[:1] for m in messages]}")


def told(kind):
    return lambda message: message[1]["type"] == kind


def step_told(step):
    return lambda message: (message[1] or {}).get("header", {}).get("step", -1) >= step


def test_the_sessions_of_the_process_are_told(page, training):
    training.steps(3)
    reply = ask(page, type="sessions")
    (info,) = [each for each in reply["sessions"] if each["key"] == training.session.key]
    assert (info["title"], info["state"], info["step"]) == ("Sequential", "running", 3)
    assert info["path"] == str(training.session.path.absolute())
    assert reply["id"] == 7
    jsonschema.validate(reply, json.loads(SCHEMA.read_text()))


def test_a_command_is_only_queued_and_applied_at_the_end_of_a_step(page, training):
    training.steps(1)
    group = training.optimizer.param_groups[0]
    reply = []
    other = threading.Thread(target=lambda: reply.append(command(page, training.session, verb="set_lr", factor=0.5)))
    other.start()
    other.join()
    assert reply[0] == {"type": "answer", "id": 7, "error": None}
    assert group["lr"] == 0.1
    training.steps(1)
    assert group["lr"] == 0.05


def test_what_cannot_be_obeyed_is_answered_with_a_sentence(page, server, training):
    assert "session" in ask(page, type="command", session="nobody", command={"verb": "pause"})["error"]
    assert command(page, training.session, verb="break_on", condition="__import__('os')")["error"]
    assert server.refused == 2


@pytest.mark.parametrize(
    "fields",
    [
        {"verb": "snapshot", "path": "/tmp/stolen"},
        {"verb": "clear_breaks"},
        {"verb": "pause", "reason": "x"},
        {"verb": "set_lr", "value": 1, "factor": 2},
        {"verb": "set_lr", "value": -1},
        {"verb": "set_lr", "value": float("nan")},
        {"verb": "set_lr", "value": True},
        {"verb": "break_on", "condition": "x" * 501},
        {"verb": "break_on", "condition": "x" * 1_000_000},
    ],
)
def test_only_the_verbs_of_the_schema_reach_the_session(page, server, training, fields):
    reply = command(page, training.session, **fields)
    assert reply is None or reply["error"]
    assert server.refused == 1
    training.steps(2)
    assert not commands_of(training.session)


def commands_of(session):
    return [event for record in session.records() for event in record.events if event.kind == "command"]


ODD = [None, True, -1, 0.5, 1e300, 2**60, "", "__class__", "x" * 5000, "\ud800", [], {}, [[[[]]]], float("nan")]
VALID = [
    {"type": "sessions", "id": 1},
    {"type": "command", "id": 1, "session": "KEY", "command": {"verb": "pause"}},
    {"type": "command", "id": 1, "session": "KEY", "command": {"verb": "set_lr", "factor": 0.5}},
    {"type": "command", "id": 1, "session": "KEY", "command": {"verb": "set_clip", "max_norm": 1.0}},
    {"type": "command", "id": 1, "session": "KEY", "command": {"verb": "break_on", "condition": "loss > 10"}},
    {"type": "command", "id": 1, "session": "KEY", "command": {"verb": "ask_detail", "site": "0"}},
    {"type": "command", "id": 1, "session": "KEY", "command": {"verb": "watch_closer", "site": "0"}},
    {"type": "follow", "id": 1, "session": "KEY", "stream": "s"},
    {"type": "unfollow", "id": 1, "stream": "s"},
    {"type": "seen", "id": 1, "view": "v", "sees": False},
    {"type": "cancel", "id": 1, "view": "v"},
]


def malformed(choose, key):
    """A request with one thing wrong: a part replaced, taken away or added."""
    request = copy.deepcopy(choose.choice(VALID))
    if "session" in request:
        request["session"] = key
    place = request["command"] if "command" in request and choose.random() < 0.5 else request
    name = choose.choice(sorted(place))
    match choose.randrange(4):
        case 0:
            place[name] = choose.choice([odd for odd in ODD if odd != place[name]])
        case 1:
            del place[name]
        case 2:
            place[choose.choice(["__proto__", "html", "path", "who", "eval"])] = choose.choice(ODD)
        case 3:
            return choose.choice(ODD)
    return request


def test_ten_thousand_malformed_messages_change_nothing_and_are_counted(page, server, training):
    training.steps(2)
    choose = random.Random(0)
    schema = json.loads(SCHEMA.read_text())
    checker = jsonschema.Draft7Validator(schema)
    sent = 0
    while sent < 10_000:
        message = malformed(choose, training.session.key)
        if checker.is_valid(message):
            continue
        page.handle_msg({"content": {"data": message}})
        sent += 1
    for envelope in ODD:
        page.handle_msg(envelope)
    assert server.refused == 10_000 + len(ODD)
    assert page.published == []
    training.steps(1)
    assert training.optimizer.param_groups[0]["lr"] == 0.1
    assert training.session.status.state == "running"
    assert commands_of(training.session) == []


def test_a_flood_is_cut_off(comms, training):
    server = ControlServer(comms, requests_per_second=20)
    page = RecordedComm(comm_id="page", primary=False)
    server.open(page, {})
    for _ in range(500):
        page.handle_msg({"content": {"data": {"type": "sessions", "id": 1}}})
    assert 20 <= len(page.published) <= 40
    assert server.refused == 500 - len(page.published)


def test_a_message_does_not_pretend_to_the_shell_that_a_cell_runs(page, monkeypatch):
    triggered = []
    shell = SimpleNamespace(events=SimpleNamespace(trigger=triggered.append))
    monkeypatch.setattr("IPython.get_ipython", lambda: shell)
    assert ask(page, type="sessions") is not None
    assert triggered == []


def test_a_follower_gets_the_messages_of_the_widget(page, comms, training):
    training.steps(5)
    assert ask(page, type="follow", session=training.session.key, stream="stream-1")["error"] is None
    comm = comms.comms["stream-1"]
    assert comm.target_name == STREAM
    published(comm, step_told(5))
    training.steps(3)
    training.session.flush()
    messages = published(comm, step_told(8))
    assert [kind for kind, _, _ in messages] == ["comm_msg"] * len(messages), "nothing is announced to other pages"
    assert [data["type"] for _, data, _ in messages[:2]] == ["setup", "snapshot"]
    assert messages[0][1]["session"] == training.session.key
    for _, data, _ in messages:
        jsonschema.validate(data, json.loads(MESSAGES.read_text()))
    training.session.close()
    messages = published(comm, told("end"))
    assert [kind for kind, _, _ in messages] == ["comm_msg"] * len(messages), "a closed comm alarms other pages"
    last = [data for _, data, _ in messages if data["type"] == "snapshot"][-1]
    assert last["header"] | {"state": "closed", "step": 8} == last["header"]
    assert messages[-1][1] == {"type": "end", "reason": "The training has ended."}
    for thread in threading.enumerate():
        if thread.name == "deepseek-stream":
            thread.join(10)
    assert "stream-1" not in comms.comms


def test_bokeh_comes_only_when_it_is_asked_for(page, comms, training):
    for stream, bokeh in (("with", True), ("without", False)):
        ask(page, type="follow", session=training.session.key, stream=stream, bokeh=bokeh)
    training.steps(3)
    with_bokeh, without = (
        next(filter(told("charts"), published(comms.comms[name], told("charts")))) for name in ("with", "without")
    )
    assert len(with_bokeh[2][0]) > 500_000
    assert without[2] == [b""]
    assert without[1] == with_bokeh[1]


def test_charts_wait_until_there_is_something_to_draw(page, comms, training):
    ask(page, type="follow", session=training.session.key, stream="s")
    published(comms.comms["s"], told("snapshot"))
    time.sleep(0.5)
    assert [data["type"] for _, data, _ in comms.comms["s"].published][:2] == ["setup", "snapshot"]
    assert not any(told("charts")(message) for message in comms.comms["s"].published)
    training.steps(2)
    types = [data["type"] for _, data, _ in published(comms.comms["s"], told("charts"))]
    assert "snapshot" in types[2:-1], "the first figures come before the charts"


def test_a_follower_that_leaves_gets_nothing_more(page, comms, training):
    ask(page, type="follow", session=training.session.key, stream="s")
    comm = comms.comms["s"]
    published(comm, told("snapshot"))
    assert ask(page, type="unfollow", stream="s")["error"] is None
    published(comm, told("end"))
    count = len(comm.published)
    training.steps(3)
    training.session.flush()
    time.sleep(0.3)
    assert len(comm.published) == count


def test_a_page_that_is_gone_is_followed_by_nobody(page, comms, training):
    ask(page, type="follow", session=training.session.key, stream="s")
    comm = comms.comms["s"]
    page.handle_close({})
    published(comm, told("end"))


def test_a_page_that_is_silent_for_long_is_no_longer_sent_to(page, comms, training, monkeypatch):
    monkeypatch.setattr("deepseek.widgets.stream.LEASE_S", 0.5)
    ask(page, type="follow", session=training.session.key, stream="s")
    comm = comms.comms["s"]
    for _ in range(8):
        time.sleep(0.15)
        ask(page, type="sessions")
    assert not told("end")(comm.published[-1])
    published(comm, told("end"), seconds=3)


def test_a_stream_cannot_take_the_id_of_another_comm(page, comms, training):
    widget = RecordedComm(comm_id="widget", primary=False)
    comms.register_comm(widget)
    assert "taken" in ask(page, type="follow", session=training.session.key, stream="widget")["error"]
    assert comms.comms["widget"] is widget


def test_a_page_tells_whether_it_sees_a_view_until_it_is_gone(page, comms):
    audience = Audience("view-1", lambda: None)
    assert ask(page, type="seen", view="view-1", sees=False)["error"] is None
    assert audience.absent
    page.handle_close({})
    assert not audience.absent
    assert "ended" in ask(page, type="seen", view="view-2", sees=False)["error"]


def test_the_number_of_streams_is_bounded(page, training):
    errors = [ask(page, type="follow", session=training.session.key, stream=f"s{i}")["error"] for i in range(9)]
    assert errors[:8] == [None] * 8
    assert "close one of them" in errors[8]


def test_a_pause_is_told_to_a_follower_without_a_step(page, comms, training):
    ask(page, type="follow", session=training.session.key, stream="s")
    comm = comms.comms["s"]
    published(comm, told("snapshot"))
    training.session._control.paused = True
    published(comm, lambda message: (message[1] or {}).get("header", {}).get("state") == "paused", seconds=2)
    training.session._control.paused = False


def test_streams_share_ten_messages_and_250_kB_a_second(page, comms, training):
    for name in ("a", "b", "c"):
        ask(page, type="follow", session=training.session.key, stream=name)
    streams = [comms.comms[name] for name in ("a", "b", "c")]
    for comm in streams:
        published(comm, told("snapshot"))
    before = sum(len(comm.published) for comm in streams)
    started = time.monotonic()
    while time.monotonic() < started + 2:
        training.steps(1)
        training.session.flush()
    took = time.monotonic() - started
    assert sum(len(comm.published) for comm in streams) - before <= 10 * took + 3
    training.session.flush()
    for comm in streams:
        published(comm, step_told(training.session.status.step))


def test_the_target_is_registered_once_and_only_in_a_jupyter_kernel(comms):
    register(None)
    register(SimpleNamespace())
    shell = SimpleNamespace(kernel=SimpleNamespace(comm_manager=comms))
    register(shell)
    first = comms.targets[TARGET]
    register(shell)
    assert comms.targets == {TARGET: first}


def test_the_types_of_the_requests_are_current():
    generator = runpy.run_path(str(WIDGETS / "frontend" / "scripts" / "python_types.py"))
    assert (WIDGETS / "request_types.py").read_text() == generator["module"](SCHEMA.read_text())
    digest = sha256(SCHEMA.read_bytes()).hexdigest()
    for name in ("requests.ts", "validate.js", "validate.d.ts"):
        assert f"schema sha256: {digest}" in (WIDGETS / "frontend" / "src" / "generated" / name).read_text()


def test_whoever_follows_a_paused_training_gets_its_newest_explanation(comms, server, page, training):
    training.steps(2)
    rows = torch.rand(6, 4, generator=torch.Generator().manual_seed(0))
    training.session.explain_with(rows[:2], rows[2:])
    training.session.pause()
    ended = threading.Thread(target=training.steps)
    ended.start()
    until(lambda: training.session.status.state == "paused")
    ask(page, type="follow", session=training.session.key, stream="early")
    published(comms.comms["early"], told("snapshot"))
    training.session.explain()
    for name in ("early", "late"):
        if name == "late":
            ask(page, type="follow", session=training.session.key, stream=name)
        (message,) = [
            each for each in published(comms.comms[name], told("attribution"), 60) if told("attribution")(each)
        ]
        assert "These are the weights after step 3." in message[1]["notes"]
        jsonschema.validate(message[1], json.loads(EXPLANATIONS.read_text()))
        assert len(message[2][0]) == sum(4 * math.prod(each["shape"]) for each in message[1]["arrays"])
    training.session.resume()
    ended.join(10)


def test_what_is_computed_for_an_explanation_is_ended_while_a_cell_runs(page):
    class Computation:
        ended = False

        def cancel(self):
            self.ended = True

    computation = Computation()
    let_cancel("view-3", computation)
    assert ask(page, type="cancel", view="view-3")["error"] is None
    assert computation.ended
    assert "run its cell again" in ask(page, type="cancel", view="view-4")["error"]

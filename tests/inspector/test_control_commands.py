"""Commands from outside: a closed set, checked before anything is done."""

import copy
import math
import random

import pytest
from ordinary import make, same, state, watch

from deepseek.errors import DeepseekError
from deepseek.inspector.control import (
    AskDetail,
    BreakOn,
    Pause,
    Resume,
    SetClip,
    SetLearningRate,
    SetWeightDecay,
    StepOnce,
    Stop,
    WatchCloser,
    parse,
)

GOOD = [
    ({"verb": "pause"}, Pause()),
    ({"verb": "resume"}, Resume()),
    ({"verb": "step_once"}, StepOnce()),
    ({"verb": "stop"}, Stop()),
    ({"verb": "set_lr", "value": 1e-3}, SetLearningRate(value=1e-3)),
    ({"verb": "set_lr", "value": 0}, SetLearningRate(value=0.0)),
    ({"verb": "set_lr", "factor": 0.5}, SetLearningRate(factor=0.5)),
    ({"verb": "set_lr", "factor": 2, "value": None}, SetLearningRate(factor=2.0)),
    ({"verb": "set_weight_decay", "factor": 2}, SetWeightDecay(factor=2.0)),
    ({"verb": "set_clip", "max_norm": 1}, SetClip(1.0)),
    ({"verb": "set_clip", "max_norm": None}, SetClip(None)),
    ({"verb": "break_on", "condition": "loss > 10"}, BreakOn("loss > 10")),
    ({"verb": "watch_closer", "site": "encoder.*"}, WatchCloser("encoder.*")),
    ({"verb": "watch_closer", "site": None}, WatchCloser(None)),
    ({"verb": "ask_detail", "site": "fc1"}, AskDetail("fc1")),
]

BAD = [
    None,
    "pause",
    ["pause"],
    {},
    {"verb": None},
    {"verb": ["pause"]},
    {"verb": "Pause"},
    {"verb": "snapshot", "path": "x.pt"},
    {"verb": "clear_breaks"},
    {"verb": "pause", "reason": "because"},
    {"verb": "pause", 1: 2},
    {"verb": "set_lr"},
    {"verb": "set_lr", "value": 1.0, "factor": 1.0},
    {"verb": "set_lr", "value": -1e-9},
    {"verb": "set_lr", "value": math.nan},
    {"verb": "set_lr", "value": math.inf},
    {"verb": "set_lr", "value": 10**400},
    {"verb": "set_lr", "value": True},
    {"verb": "set_lr", "value": "0.1"},
    {"verb": "set_lr", "factor": 0},
    {"verb": "set_weight_decay", "factor": [1]},
    {"verb": "set_clip"},
    {"verb": "set_clip", "max_norm": 0},
    {"verb": "set_clip", "max_norm": -1.0},
    {"verb": "break_on"},
    {"verb": "break_on", "condition": ""},
    {"verb": "break_on", "condition": "x" * 501},
    {"verb": "break_on", "condition": 5},
    {"verb": "watch_closer"},
    {"verb": "watch_closer", "site": ""},
    {"verb": "watch_closer", "site": ["fc1"]},
    {"verb": "ask_detail", "site": None},
    {"verb": "ask_detail", "site": "x" * 1001},
    {"verb": "ask_detail", "site": "fc1", "picture": True},
]


@pytest.mark.parametrize(("data", "command"), GOOD, ids=str)
def test_a_command_is_read(data, command):
    assert parse(data) == command


@pytest.mark.parametrize("data", BAD, ids=lambda data: repr(data)[:50])
def test_anything_else_is_refused_with_a_sentence(data):
    with pytest.raises(DeepseekError) as error:
        parse(data)
    assert 20 < len(str(error.value)) < 300


PIECES = [
    *(
        None,
        True,
        False,
        0,
        1,
        -1,
        2**70,
        10**5000,
        0.5,
        math.nan,
        -math.inf,
        "",
        "pause",
        "value",
        "\ud800",
        "\x1b[31m",
    ),
    *("x" * 10_000, "__proto__", "constructor", "loss > 1", b"pause", (), [], {}, {"verb": "stop"}, [[[[]]]], object()),
]
KEYS = [
    "verb",
    "value",
    "factor",
    "max_norm",
    "condition",
    "site",
    "reason",
    "path",
    "",
    0,
    None,
    ("verb",),
    "__class__",
]
VERBS = [*{good["verb"] for good, _ in GOOD}, "snapshot", "clear_breaks", "eval", "__init__"]


def mangled(chance):
    """A good command with something changed, or anything at all."""
    if chance.random() < 0.2:
        return chance.choice(PIECES)
    data = copy.deepcopy(chance.choice(GOOD)[0]) if chance.random() < 0.6 else {"verb": chance.choice(VERBS)}
    for _ in range(chance.randint(1, 3)):
        if data and chance.random() < 0.3:
            del data[chance.choice(list(data))]
        else:
            data[chance.choice(KEYS)] = chance.choice(PIECES)
    return data


def test_ten_thousand_mangled_commands_raise_nothing_else_and_change_nothing(tmp_path):
    model, optimizer = make()
    chance = random.Random(0)
    with watch(model, optimizer, tmp_path) as session:
        before, groups = state(model), copy.deepcopy(optimizer.param_groups[0]["lr"])
        refused = 0
        for _ in range(10_000):
            data = mangled(chance)
            try:
                command = parse(data)
            except DeepseekError:
                refused += 1
            else:
                assert type(command) in {type(good) for _, good in GOOD}
        assert refused > 6_500
        assert same(state(model), before)
        assert optimizer.param_groups[0]["lr"] == groups
        assert session.status.state == "running"
        assert session.breakpoints == []


def test_a_message_names_no_long_or_nested_value_and_no_control_codes():
    with pytest.raises(DeepseekError) as error:
        parse({"verb": "\x1b[31mred\u202e" + "x" * 10_000})
    assert "\x1b" not in str(error.value)
    assert "\u202e" not in str(error.value)
    assert len(str(error.value)) < 300

"""Breakpoints: the small language of their conditions, and that training pauses on them."""

import math

import numpy as np
import pytest
import torch
from controlled import Background, commands, paused, until
from hypothesis import given, settings
from hypothesis import strategies as st
from ordinary import make, step, watch

from deepseek.errors import DeepseekError
from deepseek.inspector.control.breakpoints import MAX_BREAKPOINTS, Breakpoints
from deepseek.inspector.control.condition import read_condition
from deepseek.inspector.record import Finding, Frame, Site, StepRecord
from deepseek.kernels.summary import COLUMNS

SITES = [Site(0, "fc1", "module", "Linear", "fc1", 0), Site(1, "fc2", "module", "Linear", "fc2", 1, ("tied",))]


def frame(**columns):
    """Two rows: of the first and of the second site."""
    values = np.zeros((2, len(COLUMNS)))
    for name, column in columns.items():
        values[:, COLUMNS.index(name)] = column
    return Frame(np.array([0, 1], np.uint32), np.zeros(2, np.uint32), np.zeros(2, np.uint32), values)


def record(step=5, **options):
    return StepRecord(step, 0.0, 2.0, 0.1, observed=True, **options)


RECORD = record(
    scalars={"loss": 3.0, "train/acc": 0.5, "bad": math.nan},
    frames={"activation": frame(absmax=[1.0, 100.0], mean=[-2.0, 2.0])},
    gradient_norm=0.25,
)


def ids(name):
    return [site.id for site in SITES if name == site.name or name in site.aliases]


def truth(text, of=RECORD, rules=()):
    return read_condition(text, rules).test(of, ids)


TRUE = [
    "loss > 1",
    "loss>=3",
    "3 == loss",
    "loss != 4",
    "1 < loss",
    "step > 4 and step < 6",
    "gradient_norm < 1",
    "wall_ms == 2.",
    "activation.absmax > 50",
    "activation.mean < -1.5",
    "activation.mean < -1.5e0 and activation.mean > +1.5",
    'activation["fc2"].absmax > 50',
    "activation [ 'tied' ] . absmax > 50",
    "scalar['train/acc'] == .5",
    "not loss > 5",
    "not not loss > 1",
    "loss > 5 or loss > 1",
    "loss > 1 or loss > 5 and loss > 6",
    "(loss > 1 or loss > 5) and (step == 5)",
    "not (loss > 5 or step == 7)",
    "missing > 1 or loss > 1",
    "activation.absmax > loss",
    "  loss\t>\n1 ",
]
FALSE = [
    "loss > 3",
    "not loss > 1",
    'activation["fc1"].absmax > 50',
    "bad > 1",
    "bad < 1",
    "missing > 1 and loss > 5",
    "loss > 5 and loss > 6 or loss > 7",
    "loss > 1 and (loss > 5 or loss > 6)",
]
UNKNOWN = [
    "missing > 1",
    "not missing > 1",
    "missing > 1 or loss > 5",
    "missing > 1 and loss > 1",
    "gradient.l2 > 0",
    "activation['fc3'].absmax > 0",
]


@pytest.mark.parametrize(
    ("text", "expected"), [*((t, True) for t in TRUE), *((t, False) for t in FALSE), *((t, None) for t in UNKNOWN)]
)
def test_a_condition_is_evaluated(text, expected):
    assert truth(text) is expected


WRONG = [
    ("loss >", 7, "expected a number, a logged value, or a column such as `activation.absmax`, found the end"),
    ("loss > 1 2", 10, "expected `and`, `or` or the end, found `2`"),
    ("loss", 1, "`loss` alone is no condition; compare it, as in `loss > 10`"),
    ("activation > 1", 12, "expected `.`, found `>`"),
    ("activations.absmax > 1", 1, "there is no kind `activations`; did you mean `activation`?"),
    ("activation.absmaxx > 1", 12, "there is no column `absmaxx`; did you mean `absmax`?"),
    ("loss > 1 & step > 2", 10, "`&` has no meaning here"),
    ("__import__('os')", 11, "expected a comparison"),
    ("loss.__class__ > 1", 1, "there is no kind `loss`"),
    ("1 < loss < 3", 10, "expected `and`, `or` or the end, found `<`"),
    ("(loss > 1", 10, "expected `)`, found the end"),
    ("loss > 1)", 9, "expected `and`, `or` or the end, found `)`"),
    ("loss > 1e999", 8, "this number is too large"),
    ("loss > - x", 10, "expected a number, found `x`"),
    ("activation.l2 > gradient.l2", 15, "columns are compared with a number or one value"),
    ("activation[fc1].l2 > 1", 12, "expected a name in quotes, found `fc1`"),
    ("and > 1", 1, "expected a number"),
    ("(" * 30 + "loss > 1" + ")" * 30, 21, "nested deeper than 20 levels"),
    ("not " * 30 + "loss > 1", 81, "nested deeper than 20 levels"),
]


@pytest.mark.parametrize(("text", "character", "why"), WRONG)
def test_a_condition_that_cannot_be_read_says_where_and_why(text, character, why):
    with pytest.raises(DeepseekError) as error:
        read_condition(text)
    assert f"cannot be read at character {character}: " in str(error.value)
    assert why in str(error.value)


TOKENS = ["and", "or", "not", "(", ")", "[", "]", ".", "-", "+", "<", ">=", "==", "1", "2.5e-3", "loss", "activation"]
TOKENS += ["absmax", "step", "scalar", '"fc1"', "'", '"', "=", "!", "lambda", "é", "\x00", "\u2028", "1_0", "0x1"]


@settings(max_examples=1000, deadline=None)
@given(st.one_of(st.text(max_size=600), st.lists(st.sampled_from(TOKENS), max_size=200).map(" ".join)))
def test_any_text_is_read_or_refused_and_never_anything_else(text):
    try:
        condition = read_condition(text, ["dead_units"])
    except DeepseekError:
        return
    assert condition.test(RECORD, ids) in (True, False, None)


def expressions():
    """Expressions of the language, each with the same in Python: of steps in which everything is known."""
    number = st.one_of(st.integers(-9, 9), st.floats(-9, 9).map(lambda x: round(x, 3))).map(lambda x: (f"{x}", f"{x}"))
    value = st.sampled_from([("loss", "3.0"), ("step", "5"), ("scalar['train/acc']", "0.5"), ("gradient_norm", "0.25")])
    compare = st.sampled_from(["<", "<=", ">", ">=", "==", "!="])
    side = st.one_of(number, value)

    def joined(parts):
        left, word, right = parts
        return tuple(f"{one} {word} {other}" for one, other in zip(left, right, strict=True))

    def grow(inner):
        parentheses = inner.map(lambda pair: tuple(f"({text})" for text in pair))
        negated = parentheses.map(lambda pair: tuple(f"not {text}" for text in pair))
        return st.one_of(st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(joined), parentheses, negated)

    leaf = st.tuples(side, compare, side).map(joined)
    return st.recursive(leaf, grow, max_leaves=8)


@settings(max_examples=500, deadline=None)
@given(expressions())
def test_an_expression_means_what_it_means_in_python(pair):
    ours, python = pair
    if len(ours) <= 500 and ours.count("(") <= 20:
        assert truth(ours) is eval(python)


def finding(rule):
    return Finding(rule, "warning", "fc1", 5, "", {}, "", "")


def test_findings_rules_and_nonfinite_values_are_conditions():
    dead = record(findings=(finding("dead_units"),))
    assert truth("finding", dead) is True
    assert truth("finding") is False
    assert truth("dead_units", dead, ["dead_units"]) is True
    assert truth("dead_units", rules=["dead_units"]) is False
    for bad in (
        record(gradient_norm=math.inf),
        record(scalars={"loss": math.nan}),
        record(frames={"gradient": frame(nonfinite_count=[0, 1])}),
        record(findings=(finding("nonfinite"),)),
    ):
        assert truth("nonfinite", bad) is True
    assert truth("nonfinite", record(frames={"gradient": frame()}, gradient_norm=1.0)) is False


def test_a_condition_pauses_when_it_becomes_true_and_not_while_it_stays_true():
    breaks = Breakpoints([], lambda: SITES)
    breaks.add("loss > 10")
    losses = [1, 11, 12, None, 13, 9, 14]
    hits = [breaks.hit(record(scalars={} if loss is None else {"loss": float(loss)})) for loss in losses]
    assert hits == [None, "loss > 10", None, None, None, None, "loss > 10"]
    breaks.add("finding")
    assert [breaks.hit(record(findings=(finding("x"),))) for _ in range(2)] == ["finding", "finding"]


def test_breakpoints_are_listed_bounded_and_cleared(tmp_path):
    model, optimizer = make()
    with watch(model, optimizer, tmp_path) as session:
        for number in range(MAX_BREAKPOINTS):
            session.break_on(f"loss > {number}")
        session.break_on("loss > 0")
        assert len(session.breakpoints) == MAX_BREAKPOINTS
        assert session.breakpoints[0] == "loss > 0"
        with pytest.raises(DeepseekError, match="20 breakpoints already"):
            session.break_on("nonfinite")
        session.clear_breaks()
        assert session.breakpoints == []


def test_a_site_that_does_not_exist_is_refused_with_its_neighbour(tmp_path):
    model, optimizer = make()
    with watch(model, optimizer, tmp_path) as session:
        session.break_on('gradient["0.weight"].l2 > 1e9')
        with pytest.raises(DeepseekError, match=r"character 10: there is no site `0.wieght`; did you mean `0.weight`"):
            session.break_on('gradient["0.wieght"].l2 > 1')
        with pytest.raises(DeepseekError, match="dead_units"):
            session.break_on("dead_unit")
        assert len(session.breakpoints) == 1


@pytest.mark.parametrize(
    ("condition", "at"),
    [("loss > 10", 30), ("nonfinite", 40), ("update['0.weight'].l2 > 1e3 and step > 2", 40), ("finding", 40)],
)
def test_training_pauses_on_a_condition_and_says_why(condition, at, tmp_path, caplog):
    model, optimizer = make()

    def loop():
        for number in range(100_000):
            inputs = torch.ones(2, 4)
            if number == 40:
                optimizer.param_groups[0]["lr"] = 1e6
                inputs *= math.inf if condition in ("nonfinite", "finding") else 1
            step(model, optimizer, inputs)
            session.log(loss=11.0 if number == 30 else 1.0)

    session = watch(model, optimizer, tmp_path, rules="standard")
    session.break_on(condition)
    thread = Background(loop)
    until(paused(session))
    pause = next(command for command in commands_while_paused(session) if command["verb"] == "pause")
    assert pause["who"] == "breakpoint"
    found, _, number = pause["reason"].rpartition(" at step ")
    assert found == f"`{condition}`"
    assert int(number) == at
    assert "training is paused after step" in caplog.text
    assert pause["reason"] in caplog.text
    session.stop()
    thread.join(20)
    session.close()


def commands_while_paused(session):
    """The events are stored with the step that follows: let one pass."""
    before = session.status.step
    session.step_once()
    until(lambda: session.status.step > before and session.status.state == "paused")
    return commands(session)

"""Conditions of breakpoints: a small language of comparisons over what a step has recorded.

::

    condition  = conjunction { "or" conjunction }
    conjunction = negation { "and" negation }
    negation   = "not" negation | "(" condition ")" | comparison
    comparison = operand ( "<" | "<=" | ">" | ">=" | "==" | "!=" ) operand
    operand    = [ "-" | "+" ] number | quantity
    quantity   = "step" | "wall_ms" | "gradient_norm" | name | "scalar" "[" string "]"
               | kind [ "[" string "]" ] "." column

A ``name`` is that of a logged value. ``activation.absmax > 1e4`` holds when it does for any row of the step;
``["fc1"]`` narrows it to one site. What a step did not record makes a comparison neither true nor false, and never
pauses.
"""

import math
import operator
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from deepseek.errors import DeepseekError
from deepseek.inspector.control.commands import MAX_CONDITION
from deepseek.inspector.record import TENSOR_KINDS, StepRecord, TensorKind
from deepseek.inspector.rules.nonfinite import has_nonfinite_signal
from deepseek.kernels.summary import COLUMNS

MAX_DEPTH = 20
"""How deep parentheses and ``not`` may be nested."""

NONFINITE = "nonfinite"
FINDING = "finding"

SiteIds = Callable[[str], Collection[int]]
"""The ids of the sites that have a name; none when there is no such site (yet)."""

Truth = bool | None
"""None where a step did not record what would be needed to tell."""

Test = Callable[[StepRecord, SiteIds], Truth]

_Values = Callable[[StepRecord, SiteIds], NDArray[np.float64]]

_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}

_OF_STEP: dict[str, Callable[[StepRecord], float]] = {
    "step": lambda record: float(record.step),
    "wall_ms": lambda record: record.wall_ms,
    "gradient_norm": lambda record: record.gradient_norm,
}

_RESERVED = ("and", "or", "not")

_TOKEN = re.compile(
    r"""(?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
    |(?P<word>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<string>"[^"]*"|'[^']*')
    |(?P<sign><=|>=|==|!=|[<>()\[\].+-])""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition that has been read.

    Attributes:
        text: As the user wrote it.
        test: Tells whether it holds for a step.
        lasting: Whether it may hold for many steps in a row; findings are news each time.
        sites: Names of the sites that it speaks of, each with its position in the text.
    """

    text: str
    test: Test
    lasting: bool
    sites: tuple[tuple[str, int], ...] = ()


def read_condition(text: str, rules: Collection[str] = ()) -> Condition:
    """Read the condition of a breakpoint.

    Args:
        text: ``"nonfinite"``, ``"finding"`` for any, the name of a rule, or comparisons such as
            ``gradient.l2 < 1e-8 and step > 100``.
        rules: The names of the rules there are.

    Raises:
        DeepseekError: It cannot be read; the sentence says where and why.
    """
    if len(text) > MAX_CONDITION:
        raise DeepseekError(f"A condition has at most {MAX_CONDITION} characters, not {len(text)}.")
    word = text.strip()
    if word == NONFINITE:
        return Condition(text, _is_nonfinite, lasting=True)
    if word == FINDING:
        return Condition(text, lambda record, _: bool(record.findings), lasting=False)
    if word in rules:
        return Condition(text, lambda record, _: any(found.rule == word for found in record.findings), lasting=False)
    parser = _Parser(text, rules)
    return Condition(text, parser.whole(), lasting=True, sites=tuple(parser.sites))


def refuse(text: str, position: int, why: str) -> NoReturn:
    """Raise the error that points at a position, counted from 0."""
    raise DeepseekError(f"The condition `{text}` cannot be read at character {position + 1}: {why}.")


class _Token(NamedTuple):
    kind: str
    text: str
    position: int


class _Parser:
    """Recursive descent, one method for each line of the grammar.

    Attributes:
        sites: The sites that were named so far, with their positions.
    """

    def __init__(self, text: str, rules: Collection[str]) -> None:
        self.sites: list[tuple[str, int]] = []
        self._text = text
        self._rules = rules
        self._tokens = [*_tokens(text), _Token("end", "", len(text))]
        self._next = 0
        self._depth = 0

    def whole(self) -> Test:
        """Read the whole text."""
        test = self._condition()
        if self._token.kind != "end":
            self._expected("`and`, `or` or the end")
        return test

    def _condition(self) -> Test:
        test = self._conjunction()
        while self._accept("or"):
            test = _either(test, self._conjunction())
        return test

    def _conjunction(self) -> Test:
        test = self._negation()
        while self._accept("and"):
            test = _both(test, self._negation())
        return test

    def _negation(self) -> Test:
        if self._token.text not in ("not", "("):
            return self._comparison()
        self._depth += 1
        if self._depth > MAX_DEPTH:
            refuse(self._text, self._token.position, f"it is nested deeper than {MAX_DEPTH} levels")
        if self._accept("not"):
            test = _not(self._negation())
        else:
            self._accept("(")
            test = self._condition()
            self._need(")")
        self._depth -= 1
        return test

    def _comparison(self) -> Test:
        left, left_is_rows = self._operand()
        token = self._token
        if token.text not in _COMPARE:
            self._expected(f"a comparison ({' '.join(_COMPARE)})")
        self._next += 1
        right, right_is_rows = self._operand()
        if left_is_rows and right_is_rows:
            refuse(self._text, token.position, "columns are compared with a number or one value, not with each other")
        return _compared(_COMPARE[token.text], left, right)

    def _operand(self) -> tuple[_Values, bool]:
        """Read one side of a comparison; return it and whether it stands for the rows of a frame."""
        sign = self._accept("-", "+")
        if self._token.kind == "number":
            return _constant(self._number(negative=sign == "-")), False
        if sign or self._token.kind != "word" or self._token.text in _RESERVED:
            self._expected("a number" if sign else "a number, a logged value, or a column such as `activation.absmax`")
        return self._quantity()

    def _number(self, *, negative: bool) -> float:
        token = self._take()
        value = float(token.text)
        if not math.isfinite(value):
            refuse(self._text, token.position, "this number is too large")
        return -value if negative else value

    def _quantity(self) -> tuple[_Values, bool]:
        token = self._take()
        name, follows = token.text, self._token.text
        if name in TENSOR_KINDS:
            return self._column(name), True
        if name == "scalar" and follows == "[":
            return _scalar(self._subscript()[0]), False
        if follows in (".", "["):
            self._unknown("kind", token, TENSOR_KINDS)
        if name in _OF_STEP:
            return _of_step(_OF_STEP[name]), False
        if self._token.kind == "end" and self._next == 1:
            known = (NONFINITE, FINDING, *(rule for rule in self._rules if rule != NONFINITE))
            refuse(
                self._text,
                token.position,
                f"`{name}` alone is no condition; compare it, as in `{name} > 10`, or use one of {', '.join(known)}",
            )
        return _scalar(name), False

    def _column(self, kind: TensorKind) -> _Values:
        site = None
        if self._token.text == "[":
            site, position = self._subscript()
            self.sites.append((site, position))
        self._need(".")
        token = self._token
        if token.kind != "word":
            self._expected("the name of a column")
        if token.text not in COLUMNS:
            self._unknown("column", token, COLUMNS)
        self._next += 1
        return _rows(kind, site, COLUMNS.index(token.text))

    def _subscript(self) -> tuple[str, int]:
        self._need("[")
        token = self._token
        if token.kind != "string":
            self._expected("a name in quotes")
        self._next += 1
        self._need("]")
        return token.text[1:-1], token.position

    @property
    def _token(self) -> _Token:
        return self._tokens[self._next]

    def _take(self) -> _Token:
        self._next += 1
        return self._tokens[self._next - 1]

    def _accept(self, *texts: str) -> str:
        """Go past the next token if it is one of these, and return it."""
        if self._token.kind in ("word", "sign") and self._token.text in texts:
            return self._take().text
        return ""

    def _need(self, text: str) -> None:
        if not self._accept(text):
            self._expected(f"`{text}`")

    def _expected(self, what: str) -> NoReturn:
        token = self._token
        found = "the end" if token.kind == "end" else f"`{token.text}`"
        refuse(self._text, token.position, f"expected {what}, found {found}")

    def _unknown(self, what: str, token: _Token, known: Collection[str]) -> NoReturn:
        close = get_close_matches(token.text, known, n=1)
        hint = f"did you mean `{close[0]}`?" if close else f"known are {', '.join(known)}"
        refuse(self._text, token.position, f"there is no {what} `{token.text}`; {hint}")


def _tokens(text: str) -> Iterator[_Token]:
    position = 0
    while position < len(text):
        if text[position] in " \t\r\n":
            position += 1
            continue
        match = _TOKEN.match(text, position)
        if match is None:
            refuse(text, position, f"`{text[position]}` has no meaning here")
        yield _Token(str(match.lastgroup), match.group(), position)
        position = match.end()


def _is_nonfinite(record: StepRecord, _: SiteIds) -> bool:
    position = COLUMNS.index("nonfinite_count")
    in_frames = any((frame.values[:, position] > 0).any() for frame in record.frames.values())
    return in_frames or has_nonfinite_signal(record) or any(found.rule == NONFINITE for found in record.findings)


def _either(left: Test, right: Test) -> Test:
    def test(record: StepRecord, ids: SiteIds) -> Truth:
        one, other = left(record, ids), right(record, ids)
        return True if one or other else None if one is None or other is None else False

    return test


def _both(left: Test, right: Test) -> Test:
    def test(record: StepRecord, ids: SiteIds) -> Truth:
        one, other = left(record, ids), right(record, ids)
        return False if one is False or other is False else None if one is None or other is None else True

    return test


def _not(inner: Test) -> Test:
    def test(record: StepRecord, ids: SiteIds) -> Truth:
        truth = inner(record, ids)
        return None if truth is None else not truth

    return test


def _compared(compare: Callable[[Any, Any], Any], left: _Values, right: _Values) -> Test:
    def test(record: StepRecord, ids: SiteIds) -> Truth:
        one, other = left(record, ids), right(record, ids)
        return bool(np.any(compare(one, other))) if one.size and other.size else None

    return test


def _constant(value: float) -> _Values:
    values = np.array([value])
    return lambda _record, _ids: values


def _scalar(name: str) -> _Values:
    return lambda record, _: np.array([record.scalars[name]] if name in record.scalars else [], np.float64)


def _of_step(value: Callable[[StepRecord], float]) -> _Values:
    def values(record: StepRecord, _: SiteIds) -> NDArray[np.float64]:
        found = value(record)
        return np.array([] if math.isnan(found) else [found], np.float64)

    return values


def _rows(kind: TensorKind, site: str | None, column: int) -> _Values:
    def values(record: StepRecord, ids: SiteIds) -> NDArray[np.float64]:
        frame = record.frames.get(kind)
        if frame is None:
            return np.empty(0)
        chosen = frame.values[:, column]
        return chosen if site is None else chosen[np.isin(frame.site, list(ids(site)))]

    return values

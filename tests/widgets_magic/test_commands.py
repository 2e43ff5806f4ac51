"""The parser that the command line and the magics share."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepseek.text import printable
from deepseek.widgets.commands import CommandError, CommandParser


@pytest.fixture
def parser() -> CommandParser:
    root = CommandParser(prog="tool")
    root.add_argument("--verbose", action="store_true")
    report = root.add_subparsers(required=True, dest="name", metavar="COMMAND").add_parser("report")
    report.add_argument("run")
    report.add_argument("--output")
    return root


def test_words_become_arguments(parser: CommandParser):
    arguments = parser.parse(["report", "x.dsrun", "--output", "y.html"])
    assert arguments is not None
    assert (arguments.name, arguments.run, arguments.output) == ("report", "x.dsrun", "y.html")


@pytest.mark.parametrize(
    ("words", "nearest"),
    [
        (["reprot", "x"], "report"),
        (["report", "x", "--ouput", "y"], "--output"),
        (["--vebrose", "report", "x"], "--verbose"),
    ],
)
def test_a_misspelt_word_gets_its_nearest_match_and_the_usage(parser: CommandParser, words: list[str], nearest: str):
    with pytest.raises(CommandError, match=f"Did you mean '{nearest}'\\?\nusage: tool"):
        parser.parse(words)


@pytest.mark.parametrize("words", [[], ["report"], ["report", "x", "--output"], ["report", "x", "qqqqqq"]])
def test_other_mistakes_get_the_usage_and_no_guess(parser: CommandParser, words: list[str]):
    with pytest.raises(CommandError, match=r"\.\nusage: tool"):
        parser.parse(words)


def test_help_is_printed_and_nothing_is_left_to_do(parser: CommandParser, capsys: pytest.CaptureFixture[str]):
    assert parser.parse(["report", "--help"]) is None
    assert "usage: tool report" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;owned\x07title", "title"),
        ("a\rb\x08c\x7f\x9b31m", "abc31m"),
        ("abc\u202edef\u2066", "abcdef"),
        (
            "keeps\ttabs\nlines and \u0433\u0440\u0430\u0434\u0438\u0435\u043d\u0442 \u3000",
            "keeps\ttabs\nlines and \u0433\u0440\u0430\u0434\u0438\u0435\u043d\u0442 \u3000",
        ),
    ],
)
def test_terminal_text_holds_no_control_codes(text: str, clean: str):
    assert printable(text) == clean


@given(st.text())
def test_printable_text_never_moves_the_cursor(text: str):
    assert not {chr(code) for code in (*range(9), *range(11, 32), *range(127, 160))} & set(printable(text))

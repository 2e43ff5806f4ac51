"""What the magics have in common: their words, the values that these stand for, and their errors."""

import difflib
import re
import shlex
from typing import Any, TypeVar

from IPython.core.interactiveshell import InteractiveShell
from torch import nn
from torch.optim import Optimizer

from deepseek.errors import DeepseekError

T = TypeVar("T")

_KINDS = {nn.Module: "torch.nn.Module", Optimizer: "torch.optim.Optimizer"}


class MagicError(DeepseekError):
    """What went wrong in a magic; IPython shows the sentence without a traceback and stops the cell."""

    def _render_traceback_(self) -> list[str]:
        return str(self).splitlines()


def split_words(line: str) -> list[str]:
    """Split ``line`` like a shell does, but leave the quotes inside expressions such as ``nets["a"]``.

    Raises:
        DeepseekError: A quotation mark is missing.
    """
    try:
        words = shlex.split(line, posix=False)
    except ValueError as error:
        raise DeepseekError(f"The line {line!r} cannot be read: {error}. Close the quotation mark.") from None
    return [re.sub(r"""^(['"])(.*)\1$""", r"\2", word) for word in words]


def evaluated(shell: InteractiveShell, text: str, word: str, expected: type = object) -> Any:
    """Return the value of an expression that the user wrote in a cell.

    Args:
        shell: Where its names are known.
        text: The expression.
        word: What it stands for.
        expected: Of which class it should be; names of such values are suggested.

    Raises:
        DeepseekError: It cannot be evaluated.
    """
    try:
        return shell.ev(text)
    except Exception as error:
        what = f"{text!r} cannot be evaluated ({type(error).__name__}: {error})"
        raise DeepseekError(f"The {word} {what}.{_suggestion(shell, text, expected)}") from error


def typed(shell: InteractiveShell, text: str | None, expected: type[T], word: str) -> T:
    """Return the value of an expression, which is of a class.

    Raises:
        DeepseekError: There is no expression, it cannot be evaluated, or the value is of another class.
    """
    if text is None:
        raise DeepseekError(f"Expected the name of a {word}, got none.{_suggestion(shell, '', expected)}")
    value = evaluated(shell, text, word, expected)
    if not isinstance(value, expected):
        raise DeepseekError(
            f"Expected the {word} to be a {_KINDS[expected]}, got {text!r}, a {type(value).__name__}."
            f"{_suggestion(shell, text, expected)}"
        )
    return value


def _suggestion(shell: InteractiveShell, text: str, expected: type) -> str:
    known = {name: value for name, value in shell.user_ns.items() if not name.startswith("_")}
    names = [name for name, value in known.items() if isinstance(value, expected)]
    nearest = difflib.get_close_matches(text, names, n=3) or (names[:5] if expected is not object else [])
    return f" Did you mean {' or '.join(nearest)}?" if nearest else " Define it in an earlier cell first."

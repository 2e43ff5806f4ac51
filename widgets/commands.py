"""The parser that the command line and the magics share."""

import argparse
import difflib
import re
from collections.abc import Iterable, Sequence
from typing import NoReturn

from deepseek.errors import DeepseekError


class CommandError(DeepseekError):
    """A command was written wrongly; the message holds the usage and, if there is one, the nearest match."""


class CommandParser(argparse.ArgumentParser):
    """An argument parser that explains mistakes with a ``CommandError`` and never ends the process."""

    def parse(self, words: Sequence[str]) -> argparse.Namespace | None:
        """Parse ``words``; return None when they asked for help, which has then been printed.

        Raises:
            CommandError: The words do not follow the usage.
        """
        try:
            arguments, unknown = self.parse_known_args(words)
        except SystemExit:
            return None
        if unknown:
            self.error(f"unknown argument {unknown[0]!r}")
        return arguments

    def error(self, message: str) -> NoReturn:
        """Raise ``message`` with the nearest match and the usage."""
        usage = self.format_usage().strip()
        raise CommandError(f"{self.prog}: {message}.{self._suggestion(message)}\n{usage}")

    def _suggestion(self, message: str) -> str:
        known = sorted(_vocabulary(self))
        unknown = [word for word in re.findall(r"[-\w]+", message.partition("(")[0]) if word not in known]
        nearest = (difflib.get_close_matches(word, known, n=1, cutoff=0.7) for word in reversed(unknown))
        return next((f" Did you mean {match[0]!r}?" for match in nearest if match), "")


def _vocabulary(parser: argparse.ArgumentParser) -> Iterable[str]:
    for action in parser._actions:
        yield from action.option_strings
        if isinstance(action.choices, dict):
            for name, subparser in action.choices.items():
                yield name
                yield from _vocabulary(subparser)

"""The errors that DeepSeek Workbench raises on purpose."""

from deepseek.text import printable


class DeepseekError(Exception):
    """Something was asked that cannot be done; it says what was expected, what arrived, what to do."""

    def __str__(self) -> str:
        # The sentence may quote a name out of a stranger's file, and tracebacks go to the terminal as they are.
        return printable(super().__str__())


class RunFileError(DeepseekError):
    """A run file is missing, foreign, damaged or written by another version."""

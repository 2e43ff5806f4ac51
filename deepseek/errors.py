"""The errors that DeepSeek Workbench raises on purpose."""

from deepseek.text import printable


class DeepseekError(Exception):
    """Something was asked that cannot be done; it says what was expected, what arrived, what to do."""

    def __str__(self) -> str:
        # The sentence may quote a name out of a stranger's file, and tracebacks go to the terminal as they are.
        return printable(super().__str__())


class RunFileError(DeepseekError):
    """A run file is missing, foreign, damaged or written by another version."""


class TrainingStopped(KeyboardInterrupt):
    """The training loop was asked to end, by ``session.stop()`` or a Stop button; raised between two steps.

    Like Ctrl-C it passes through ``except Exception``. The ``with`` block of its session ends it quietly.

    Attributes:
        key: The key of the session.
    """

    def __init__(self, key: str, steps: int) -> None:
        super().__init__(f"Training was stopped after {steps} steps, as asked for.")
        self.key = key

    def _render_traceback_(self) -> list[str]:
        """What IPython shows: no traceback, because nothing went wrong."""
        return [str(self)]

"""Training in a thread of its own, and commands from another: for the tests of control."""

import json
import threading
import time
from collections.abc import Callable
from typing import Any

from deepseek.inspector import Session


class Background(threading.Thread):
    """Runs a function at once; ``result`` waits for what it returns, or raises what it raised."""

    def __init__(self, function: Callable[..., Any], *args: Any) -> None:
        super().__init__(daemon=True)
        self._function = function
        self._args = args
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self._value = self._function(*self._args)
        except BaseException as error:  # noqa: BLE001 - result() raises it
            self.error = error

    def result(self, timeout: float = 60.0) -> Any:
        self.join(timeout)
        assert not self.is_alive(), "the thread is still running"
        if self.error is not None:
            raise self.error
        return self._value


def until(holds: Callable[[], Any], timeout: float = 20.0) -> None:
    """Wait until something holds."""
    end = time.monotonic() + timeout
    while not holds():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.002)


def paused(session: Session) -> Callable[[], bool]:
    return lambda: session.status.state == "paused"


def commands(recording: Any) -> list[dict[str, Any]]:
    """The data of the events that commands left, in order, with the number of the step that holds each."""
    events = recording.frame("event")
    events = events[events["kind"] == "command"]
    return [{"at": int(at), **json.loads(data)} for at, data in zip(events["step"], events["data"], strict=True)]

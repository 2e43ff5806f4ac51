"""Reads run files in a process of its own: a hostile one can neither hang nor grow the Jupyter server."""

import asyncio
import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

START_S = 120.0
"""A process that has not loaded its libraries by then never will."""

DEADLINE_S = 30.0
"""A run that takes longer to read is given up."""

MOST_WAITING = 16

TOO_LONG = "Reading this run took too long and was given up. Open it in a notebook: deepseek.open_run(path)."
TOO_MANY = "Too many runs are being opened at once: try again in a moment."


@dataclass(frozen=True, slots=True)
class Reply:
    """What the process made, or why not.

    Attributes:
        status: As in HTTP.
        body: What was asked for; with a status from 400 on, a sentence.
    """

    status: int
    body: bytes


class Reader:
    """Has things read one after the other; the process is started when it is first needed.

    Args:
        deadline_s: How long one request may take.
    """

    def __init__(self, deadline_s: float = DEADLINE_S) -> None:
        self._deadline_s = deadline_s
        self._thread = ThreadPoolExecutor(1, "deepseek-reader")
        self._process: subprocess.Popen[bytes] | None = None
        self._waiting = 0

    async def ask(self, **request: Any) -> Reply:
        """Return the reply to a request; see ``reading`` for what can be asked."""
        if self._waiting >= MOST_WAITING:
            return Reply(503, TOO_MANY.encode())
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._ask, request)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """End the process and the thread."""
        self._thread.submit(self._end)
        self._thread.shutdown()

    def _ask(self, request: dict[str, Any]) -> Reply:
        try:
            process = self._started()
            return self._exchange(process, json.dumps(request), self._deadline_s)
        except (OSError, ValueError):
            self._end()
            return Reply(504, TOO_LONG.encode())

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self._end()
            command = [sys.executable, "-I", "-m", "deepseek.widgets.server.reading"]
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603
            self._exchange(self._process, "{}", START_S)
        return self._process

    def _exchange(self, process: subprocess.Popen[bytes], line: str, seconds: float) -> Reply:
        """Write a line and read the reply; a process that is late is killed, which ends the reading."""
        assert process.stdin is not None  # noqa: S101  both are pipes
        assert process.stdout is not None  # noqa: S101
        timer = threading.Timer(seconds, process.kill)
        timer.start()
        try:
            process.stdin.write(line.encode() + b"\n")
            process.stdin.flush()
            status, size = map(int, process.stdout.readline().split())
            body = process.stdout.read(size)
        finally:
            timer.cancel()
        if len(body) != size:
            raise OSError("the process has ended")
        return Reply(status, body)

    def _end(self) -> None:
        if self._process is None:
            return
        self._process.kill()
        self._process.communicate()
        self._process = None

"""Two processes that train together; they are started once and run every cell they are asked for."""

import multiprocessing
import os
import tempfile
import traceback
from contextlib import suppress
from datetime import timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Self

import torch.distributed as dist

COLLECTIVE_TIMEOUT_S = 60
ANSWER_TIMEOUT_S = 100


class Ranks:
    """A group of processes, each with a pipe to this one. Use as a context manager."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._members: list[tuple[Any, Connection]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def first_difference(self, model: str, mode: str, watch: str) -> str | None:
        """Compare a cell on every rank; say what differs first on which rank, None when nothing does."""
        self._start()
        for _, pipe in self._members:
            with suppress(ConnectionError):  # a dead process is named below
                pipe.send((model, mode, watch))
        answers = [self._answer(rank) for rank in range(self._size)]
        if any(broken for _, broken in answers):
            self._stop()
        return next((f"rank {rank}: {said}" for rank, (said, _) in enumerate(answers) if said), None)

    def _answer(self, rank: int) -> tuple[str | None, bool]:
        pipe = self._members[rank][1]
        try:
            return pipe.recv() if pipe.poll(ANSWER_TIMEOUT_S) else ("no answer in time", True)
        except (EOFError, ConnectionError):
            return "the process died", True

    def _start(self) -> None:
        if self._members:
            return
        context = multiprocessing.get_context("spawn")
        self._folder = tempfile.TemporaryDirectory(prefix="certify-")
        meeting = Path(self._folder.name, "meeting")
        for rank in range(self._size):
            pipe, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(rank, self._size, meeting, theirs), daemon=True)
            process.start()
            theirs.close()  # so that the death of the process ends the pipe
            self._members.append((process, pipe))

    def _stop(self) -> None:
        for process, pipe in self._members:
            pipe.close()
            process.join(10)
            process.kill()
            process.join()
        if self._members:
            self._folder.cleanup()
        self._members.clear()


def _serve(rank: int, size: int, meeting: Path, pipe: Connection) -> None:
    from certify.matrix import compare

    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    dist.init_process_group(
        "gloo", f"file://{meeting}", rank=rank, world_size=size, timeout=timedelta(seconds=COLLECTIVE_TIMEOUT_S)
    )
    try:
        while True:
            pipe.send(_attempt(compare, pipe.recv()))
    except (EOFError, OSError):
        dist.destroy_process_group()


def _attempt(compare: Any, cell: tuple[str, str, str]) -> tuple[str | None, bool]:
    """Return what differs, and whether an error may have left the ranks out of step."""
    try:
        return compare(*cell), False
    except Exception:  # noqa: BLE001 - the test that asked shows it
        return traceback.format_exc(), True

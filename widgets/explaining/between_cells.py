"""Work between the cells of a notebook: a cell may train the model that is computed with, so there is never both."""

from collections.abc import Callable
from threading import Event, RLock, Thread
from typing import Any

Work = Callable[[Event], None]
"""Is given an event that is set when it shall end; must not raise."""


class BetweenCells:
    """Does one piece of work at a time, in a thread of its own, while no cell runs.

    A cell that begins has the work end, and waits for that. What is asked for while a cell runs begins when it ends;
    of several pieces that wait, the newest.

    Args:
        shell: The interactive shell, in which a cell runs at this moment; None where there are no cells.
    """

    def __init__(self, shell: Any) -> None:
        self._lock = RLock()
        self._cells = 0 if shell is None else 1
        self._waiting: Work | None = None
        self._thread: Thread | None = None
        self._stop = Event()
        if shell is not None:
            shell.events.register("pre_run_cell", self._cell_begins)
            shell.events.register("post_run_cell", self._cell_ends)
        self._shell = shell

    @property
    def cell_runs(self) -> bool:
        """Whether work has to wait for the end of a cell."""
        return self._cells > 0

    def submit(self, work: Work) -> None:
        """Have some work done as soon as no cell runs; what is being done is ended first."""
        with self._lock:
            self._waiting = work
            self._stop.set()
            self._begin()

    def cancel(self) -> None:
        """End what is being done, and forget what waits."""
        with self._lock:
            self._waiting = None
            self._stop.set()

    def close(self) -> None:
        """End all work, and follow no cells any longer."""
        self.cancel()
        if self._shell is not None:
            self._shell.events.unregister("pre_run_cell", self._cell_begins)
            self._shell.events.unregister("post_run_cell", self._cell_ends)
            self._shell = None

    def _begin(self) -> None:
        """Start the thread if there is something to do and it may be done."""
        if self._waiting is not None and self._cells == 0 and self._thread is None:
            self._thread = Thread(target=self._run, name="deepseek-explaining", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while True:
            with self._lock:
                work, self._waiting = self._waiting, None
                if work is None or self._cells > 0:
                    self._waiting, self._thread = work, None
                    return
                self._stop = stop = Event()
            work(stop)

    def _cell_begins(self, _info: Any) -> None:
        with self._lock:
            self._cells += 1
            self._stop.set()
            thread = self._thread
        if thread is not None:
            thread.join()

    def _cell_ends(self, _result: Any) -> None:
        with self._lock:
            self._cells = max(0, self._cells - 1)
            self._begin()

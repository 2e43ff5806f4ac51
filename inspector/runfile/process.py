"""Telling whether the process that writes a run file still lives."""

import os
import socket
from pathlib import Path
from typing import NamedTuple


class Process(NamedTuple):
    """A process, told apart from a later one with the same number."""

    host: str
    pid: int
    born: str

    @classmethod
    def current(cls) -> "Process":
        """Name this process."""
        return cls(socket.gethostname(), os.getpid(), _born(os.getpid()))

    def lives(self) -> bool | None:
        """Tell whether the process runs; None where this cannot be seen from here (another machine, Windows)."""
        if self.host != socket.gethostname() or os.name != "posix" or self.pid <= 0:
            return None
        try:
            os.kill(self.pid, 0)
        except PermissionError:
            pass
        except (OSError, OverflowError):
            return False
        return self.born == _born(self.pid)


def _born(pid: int) -> str:
    """Give the kernel's start time of a process in clock ticks since boot, or nothing where there is no /proc."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""

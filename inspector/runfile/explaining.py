"""What went wrong with a run file, in a sentence that says what to do."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from deepseek.errors import RunFileError

_ROLLBACK_NEEDED = 776
"""SQLITE_READONLY_ROLLBACK, which the standard library has no name for in every version."""


def damaged(path: Path, fact: str) -> RunFileError:
    """Make the error for a file that does not hold what was written into it."""
    return RunFileError(f"{path} is damaged: {fact}; copy it again from where the run wrote it, or from a backup")


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn the errors of SQLite and of the file system into ``RunFileError``."""
    try:
        yield
    except FileNotFoundError as error:
        raise RunFileError(f"{path} does not exist; check the path, runs are in ./runs by default") from error
    except (OSError, MemoryError) as error:
        raise RunFileError(f"{path} cannot be read ({error}); check that you may read it") from error
    except sqlite3.Error as error:
        raise _explain(path, error) from error
    except (ValueError, OverflowError) as error:
        raise damaged(path, f"it cannot be decoded ({error})") from error


def _explain(path: Path, error: sqlite3.Error) -> RunFileError:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
    if code == _ROLLBACK_NEEDED:
        return RunFileError(
            f"{path} was cut off in the middle of a write; if you trust its folder, run "
            f"`sqlite3 {path.name} 'PRAGMA quick_check'` there once, which undoes that write"
        )
    match code & 0xFF:
        case sqlite3.SQLITE_NOTADB:
            return RunFileError(f"{path} is not a run file, or its beginning is damaged; choose a .dsrun file")
        case sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_READONLY:
            return RunFileError(
                f"{path} cannot be opened; check that you may read it, and copy it with any {path.name}-wal beside it "
                "into a folder where you may write"
            )
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return RunFileError(f"{path} is locked by another program; try again when that has finished")
        case sqlite3.SQLITE_INTERRUPT:
            return RunFileError(f"{path} answered too slowly; copy it to a local disk, or suspect that it is damaged")
    return damaged(path, str(error))

"""Which run files a Jupyter server may open: those that its file browser can show."""

from pathlib import Path
from typing import Any

from jupyter_core.paths import is_hidden
from jupyter_server.utils import ApiPath, ensure_async, to_os_path
from tornado.web import HTTPError

SUFFIX = ".dsrun"


async def run_file(contents: Any, path: str) -> Path:
    """Return the run file of a path of the file browser.

    Args:
        contents: The contents manager of the server.
        path: Relative to the manager's root, with slashes.

    Raises:
        HTTPError: 404, with the same sentence whether the file is missing, hidden or outside the manager's root.
    """
    root = _root(contents)
    try:
        hidden = not contents.allow_hidden and await ensure_async(contents.is_hidden(path))
        file = Path(to_os_path(ApiPath(path), str(root))).resolve()
        if hidden or not path.endswith(SUFFIX) or not _may_open(contents, file, root):
            raise _missing(path)
    except (HTTPError, OSError, ValueError, RuntimeError) as error:
        raise _missing(path) from error
    return file


def browser_path(contents: Any, file: str) -> str:
    """Return the path in the file browser of a run file that is named as the Jupyter kernel names it.

    Raises:
        HTTPError: 404, if the file browser cannot show it.
    """
    root = _root(contents)
    try:
        found = Path(file).resolve()
        if found.suffix != SUFFIX or not Path(file).is_absolute() or not _may_open(contents, found, root):
            raise _missing(file)
    except (OSError, ValueError, RuntimeError) as error:
        raise _missing(file) from error
    return found.relative_to(root).as_posix()


def _root(contents: Any) -> Path:
    root = getattr(contents, "root_dir", None)
    if not root:
        raise HTTPError(404, "Expected the server's files on its own disk: runs elsewhere cannot be opened from here.")
    return Path(root).resolve()


def _may_open(contents: Any, file: Path, root: Path) -> bool:
    """Whether the file, all links followed, is a regular one in the root and in no hidden folder."""
    if not file.is_relative_to(root) or not file.is_file():
        return False
    return bool(contents.allow_hidden) or not is_hidden(str(file), str(root))


def _missing(path: str) -> HTTPError:
    # The name is an argument, not part of the format: tornado would look for placeholders in it.
    return HTTPError(404, "Expected a run file in the folders that the file browser shows, got %r.", path[:500])

"""Where run files lie: names, permissions, and the kind of disk."""

import errno
import os
import re
import secrets
import sys
import time
from pathlib import Path

_LOCAL = frozenset(
    {
        "ext2",
        "ext3",
        "ext4",
        "xfs",
        "btrfs",
        "zfs",
        "f2fs",
        "bcachefs",
        "jfs",
        "reiserfs",
        "tmpfs",
        "ramfs",
        "overlay",
    }
)
_MOUNTS = Path("/proc/mounts")
_MOST_FOLDERS = 200
"""Far below the depth at which making them would exhaust Python's stack."""


def run_path(directory: str | Path, model_name: str) -> Path:
    """Name a new run file: ``<time>-<model>-<random>.dsrun``, the model's name reduced to letters, digits and dashes.

    The random part keeps apart the processes of one distributed run, which start in the same second.
    """
    slug = re.sub(r"[^A-Za-z0-9]+", "-", model_name[:200]).strip("-")[:40].strip("-") or "model"
    return Path(directory) / f"{time.strftime('%Y%m%d-%H%M%S')}-{slug}-{secrets.token_hex(2)}.dsrun"


def create_privately(path: Path) -> None:
    """Create an empty file that only its owner may read, in a folder that is made private when it is new.

    Raises:
        OSError: The file exists already, or the folder cannot be written.
    """
    if len(path.parts) > _MOST_FOLDERS:
        raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def on_network_filesystem(path: str | Path) -> bool:
    """Tell whether a path may lie on a file system that other machines share.

    Judged by the mount table on Linux. Only file systems known to be local count as such, and where there is no mount
    table nothing does: the journal of network file systems is slower but right everywhere.
    """
    if not sys.platform.startswith("linux"):
        return True
    place = Path(path).resolve()
    try:
        mounts = [line.split(" ")[1:3] for line in _MOUNTS.read_text(errors="surrogateescape").splitlines()]
    except OSError:
        return True
    over = [(_unescaped(point), kind) for point, kind in mounts if place.is_relative_to(_unescaped(point))]
    # Of equally deep mounts the last one hides the others.
    _, kind = max(enumerate(over), key=lambda item: (len(Path(item[1][0]).parts), item[0]), default=(0, ("/", "")))[1]
    return kind not in _LOCAL


def _unescaped(mount_point: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), mount_point)

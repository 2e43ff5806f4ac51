"""The Jupyter kernel that the code runs in, if any, and its outputs."""

import sys
from typing import Any


def notebook_shell() -> Any:
    """Return the interactive shell of a Jupyter kernel, or None in scripts and terminals; imports nothing."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell if hasattr(shell, "kernel") else None


def has_front_end(shell: Any) -> bool:
    """Whether a browser asked for this cell: it names the cell, while nbclient and papermill send nothing along.

    Without a browser a widget would only swell the executed notebook by its state.
    """
    parent = shell.kernel.get_parent()
    return bool(parent and parent.get("metadata"))


def display_bundle(bundle: dict[str, Any], **options: Any) -> Any:
    """Make an output of data by MIME type; return what updates it, where ``display_id`` asks for that."""
    from IPython.display import display

    return display(bundle, raw=True, **options)

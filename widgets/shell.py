"""The Jupyter kernel that the code runs in, if any."""

import sys
from typing import Any


def notebook_shell() -> Any:
    """Return the interactive shell of a Jupyter kernel, or None in scripts and terminals; imports nothing."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell if hasattr(shell, "kernel") else None

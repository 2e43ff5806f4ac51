"""What the Jupyter server needs to show run files: authenticated routes, and a process that reads."""

from deepseek.widgets.server.extension import _jupyter_server_extension_points, _load_jupyter_server_extension

__all__ = ["_jupyter_server_extension_points", "_load_jupyter_server_extension"]

"""The extension of the Jupyter server; JupyterLab's part of the workbench asks it for run files."""

from typing import Any

from jupyter_server.utils import url_path_join

from deepseek.widgets.server.handlers import ROUTES
from deepseek.widgets.server.reader import Reader


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "deepseek.widgets.server"}]


def _load_jupyter_server_extension(server: Any) -> None:
    """Add the routes to a Jupyter server; nothing is started before the first run is asked for."""
    web = server.web_app
    reader = Reader()
    base = url_path_join(web.settings["base_url"], "deepseek-workbench")
    routes = [(url_path_join(base, name), handler, {"reader": reader}) for name, handler in ROUTES.items()]
    web.add_handlers(".*$", routes)

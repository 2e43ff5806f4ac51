"""The routes under ``/deepseek-workbench/``: all of them only read, and only what the user may read anyway."""

import json
from http.client import responses
from pathlib import Path
from typing import Any

from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from tornado import web

from deepseek.widgets.server.paths import browser_path, run_file
from deepseek.widgets.server.reader import Reader

PAGE_POLICY = "; ".join(
    (
        "sandbox allow-scripts",
        "default-src 'none'",
        "script-src 'unsafe-inline'",  # the page itself allows two scripts, by their hashes
        "style-src 'unsafe-inline'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'self'",
    )
)
"""A page made of a stranger's file runs in an origin of its own, wherever it is opened."""


class Handler(APIHandler):
    """What the routes have in common."""

    auth_resource = "contents"
    SUPPORTED_METHODS = ("GET", "OPTIONS")

    def initialize(self, reader: Reader) -> None:
        """Keep the reader that all routes share."""
        self.reader = reader

    def set_default_headers(self) -> None:
        """Keep the replies from other sites, from caches, and from being taken for something else."""
        super().set_default_headers()
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Cross-Origin-Resource-Policy", "same-origin")
        self.set_header("Cache-Control", "no-store")

    async def prepare(self) -> None:  # type: ignore[override]  # as in APIHandler
        """Refuse what another site asks for on behalf of a browser that is logged in.

        Raises:
            HTTPError: 403.
        """
        await super().prepare()
        if self.request.headers.get("Sec-Fetch-Site", "none") not in ("same-origin", "none"):
            raise web.HTTPError(403, "Expected a request of this server's own pages.")

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Send the sentence of an error as ``message``."""
        error = kwargs.get("exc_info", (None, None))[1]
        told = isinstance(error, web.HTTPError) and error.log_message
        message = error.log_message % error.args if told else responses.get(status_code, "Unknown")
        self.finish(json.dumps({"message": message}))

    def compute_etag(self) -> None:
        """Replies are not stored, so they need no tag."""

    async def made(self, what: str, *files: Path) -> bytes:
        """Return what the reader makes of files.

        Raises:
            HTTPError: With the sentence that says why it could not.
        """
        reply = await self.reader.ask(what=what, files=[str(file) for file in files])
        if reply.status >= 400:
            raise web.HTTPError(reply.status, "%s", reply.body.decode())
        return reply.body

    async def file(self, argument: str) -> Path:
        """Return the run file whose path in the file browser an argument of the address holds."""
        return await run_file(self.contents_manager, self.text(argument))

    def text(self, argument: str) -> str:
        """Return an argument of the address as it was sent."""
        return str(self.get_query_argument(argument, strip=False))


class RunHandler(Handler):
    """A run as the views take it: ``version``, ``setup`` and ``messages``; nothing where it is known already."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Give the run at ``path``, unless its version is still the one that ``known`` tells."""
        file = await self.file("path")
        version = _version(file)
        if self.get_query_argument("known", "") == version:
            self.set_status(204)
            await self.finish()
            return
        data = await self.made("run", file)
        await self.finish(b'{"version": %s, %s' % (json.dumps(version).encode(), data.lstrip(b"{")))


class PageHandler(Handler):
    """Pages that may run scripts but reach nothing of the server."""

    @property
    def content_security_policy(self) -> str:
        """The policy of the page."""
        return PAGE_POLICY

    async def show(self, page: bytes) -> None:
        """Send a page."""
        await self.finish(page, set_content_type="text/html; charset=utf-8")


class ReportHandler(PageHandler):
    """The report of a run."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Give the report of the run at ``path``."""
        await self.show(await self.made("report", await self.file("path")))


class ComparisonHandler(PageHandler):
    """The report that compares two runs."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Compare the run at ``a`` with the one at ``b``."""
        await self.show(await self.made("comparison", await self.file("a"), await self.file("b")))


class PlaceHandler(Handler):
    """Where the file browser shows a run file that the Jupyter kernel has named."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Give the ``path`` of a ``file``."""
        await self.finish(json.dumps({"path": browser_path(self.contents_manager, self.text("file"))}))


class BokehHandler(Handler):
    """BokehJS of the Python package that makes the charts."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Give the program."""
        await self.finish(await self.made("bokeh"), set_content_type="text/javascript; charset=utf-8")


ROUTES: dict[str, type[Handler]] = {
    "run": RunHandler,
    "report": ReportHandler,
    "comparison": ComparisonHandler,
    "place": PlaceHandler,
    "bokeh": BokehHandler,
}


def _version(file: Path) -> str:
    """Changes whenever the run has grown: what is new lies in the write-ahead log first."""
    log = file.with_name(f"{file.name}-wal")
    stats = [one.stat() for one in (file, log) if one.exists()]
    return " ".join(f"{stat.st_mtime_ns}-{stat.st_size}" for stat in stats)

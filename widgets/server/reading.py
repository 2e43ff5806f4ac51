"""The process that reads run files: requests are lines of JSON; a reply is a line with status and size, then bytes."""

import json
import os
import sys
import threading
from pathlib import Path
from typing import Any, BinaryIO

from deepseek.errors import DeepseekError
from deepseek.inspector.comparison import compare
from deepseek.inspector.run import open_run
from deepseek.widgets.charts_message import bokeh_js
from deepseek.widgets.comparison import comparison_html
from deepseek.widgets.history import History
from deepseek.widgets.report import REPORT_CELLS, report_html, run_data

IDLE_S = 900.0
"""A process that nobody asks for so long ends: it holds a few hundred megabytes."""


def main() -> None:
    """Answer until the Jupyter server has gone or has asked for nothing for a while."""
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print must not come between the replies
    timer = _ending_soon()
    for line in sys.stdin.buffer:
        timer.cancel()
        _reply(replies, json.loads(line))
        timer = _ending_soon()
    os._exit(0)


def make(request: dict[str, Any]) -> bytes:
    """Return what a request asks for; ``what`` is ``run``, ``report``, ``comparison`` or ``bokeh``.

    Raises:
        DeepseekError: A file of ``files`` cannot be read, or the two cannot be compared.
    """
    files = [Path(file) for file in request.get("files", ())]
    match request.get("what"):
        case "run":
            return _run(*files)
        case "report":
            with open_run(*files) as run:
                return report_html(run).encode()
        case "comparison":
            with open_run(files[0]) as one, open_run(files[1]) as other:
                return comparison_html(compare(one, other)).encode()
        case "bokeh":
            return bokeh_js()
        case _:
            return b""


def _run(file: Path) -> bytes:
    with open_run(file) as run:
        history = History(REPORT_CELLS)
        history.add(run.records())
        return json.dumps(run_data(run, history), allow_nan=False).encode()


def _reply(replies: BinaryIO, request: dict[str, Any]) -> None:
    try:
        status, body = 200, make(request)
    except DeepseekError as error:
        status, body = 422, _told(str(error), request["files"]).encode()
    except Exception as error:  # noqa: BLE001  the next request may be a good one
        status, body = 500, f"The run could not be read: {type(error).__name__}.".encode()
    replies.write(b"%d %d\n" % (status, len(body)) + body)
    replies.flush()


def _told(sentence: str, files: list[str]) -> str:
    """The sentence without the folders of the server."""
    for file in files:
        sentence = sentence.replace(file, Path(file).name)
    return sentence


def _ending_soon() -> threading.Timer:
    timer = threading.Timer(IDLE_S, os._exit, (0,))
    timer.daemon = True
    timer.start()
    return timer


if __name__ == "__main__":
    main()

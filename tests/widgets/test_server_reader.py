"""The process that reads for a Jupyter server: it is late, it dies, it is asked too much."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from deepseek.widgets.server.reader import MOST_WAITING, TOO_LONG, TOO_MANY, Reader


@pytest.fixture
def reader():
    made = Reader()
    yield made
    made.close()


def finished(work):
    """Run a coroutine in a thread: in this one, the browser of other tests may have a loop."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


def test_a_run_that_takes_too_long_is_given_up(tmp_path):
    reader = Reader(deadline_s=0.0)
    try:
        reply = finished(reader.ask(what="bokeh"))
    finally:
        reader.close()
    assert (reply.status, reply.body.decode()) == (504, TOO_LONG)


def test_after_its_process_has_died_the_next_one_answers(reader):
    assert finished(reader.ask(what="bokeh")).status == 200
    reader._process.kill()
    reader._process.wait()
    assert finished(reader.ask(what="bokeh")).status == 200


def test_too_many_at_once_are_told_to_wait(reader):
    async def crowd():
        return await asyncio.gather(*(reader.ask(what="bokeh") for _ in range(MOST_WAITING + 1)))

    replies = finished(crowd())
    assert [reply.status for reply in replies] == [200] * MOST_WAITING + [503]
    assert replies[-1].body.decode() == TOO_MANY


def test_nothing_heavy_is_loaded_into_the_server():
    import subprocess
    import sys

    code = (
        "import sys, deepseek.widgets.server; "
        "print(*({'torch', 'bokeh', 'matplotlib', 'pandas', 'numpy', 'anywidget'} & set(sys.modules)))"
    )
    told = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == ""

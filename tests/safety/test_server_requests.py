"""Requests to our routes of a Jupyter server: who may not gets nothing; what is wrong is said in a sentence."""

import http.client
import json
import os
import secrets
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import urlencode

import pytest
import torch
from recorded_runs import records, with_graph
from torch import nn

import deepseek
from deepseek.inspector.runfile import RunWriter

TOKEN = secrets.token_hex(16)

ROUTES = {
    "run": {"path": "good.dsrun"},
    "report": {"path": "good.dsrun"},
    "comparison": {"a": "good.dsrun", "b": "good.dsrun"},
    "place": {"file": "/good.dsrun"},
    "bokeh": {},
}

OUTSIDE = "outside.dsrun"

NAMES = (
    "",
    ".",
    "..",
    "...",
    "/",
    "//",
    f"../{OUTSIDE}",
    f"../../{OUTSIDE}",
    f"./../{OUTSIDE}",
    f"folder/../../{OUTSIDE}",
    f"/../{OUTSIDE}",
    f"//../{OUTSIDE}",
    f"..//{OUTSIDE}",
    f"..\\{OUTSIDE}",
    f"folder\\..\\..\\{OUTSIDE}",
    f"%2e%2e/{OUTSIDE}",
    f"..%2f{OUTSIDE}",
    f"%252e%252e%252f{OUTSIDE}",
    f"..%c0%af{OUTSIDE}",
    f"..\N{FULLWIDTH SOLIDUS}{OUTSIDE}",
    f"..\N{FRACTION SLASH}{OUTSIDE}",
    f"..;/{OUTSIDE}",
    f"....//{OUTSIDE}",
    f"file:///../{OUTSIDE}",
    f"file:../{OUTSIDE}?mode=ro",
    "good.dsrun/..",
    "good.dsrun/",
    "good.dsrun/x.dsrun",
    "good.dsrun\x00",
    "good.dsrun\x00.txt",
    "good.dsrun%00",
    "good.dsrun?mode=memory",
    "good.dsrun#fragment",
    "good.dsrun-wal",
    "good.dsrun\n",
    " good.dsrun",
    "good.dsrun ",
    "GOOD.DSRUN",
    ".hidden.dsrun",
    ".folder/good.dsrun",
    "folder/.hidden.dsrun",
    "folder/./.hidden.dsrun",
    "link-out.dsrun",
    "link-out/outside.dsrun",
    "link-hidden.dsrun",
    "link-loop.dsrun",
    "link-nowhere.dsrun",
    "folder.dsrun",
    "pipe.dsrun",
    "missing.dsrun",
    "secret.txt",
    "/etc/passwd",
    "~/good.dsrun",
    "~root/x.dsrun",
    "$HOME/x.dsrun",
    "`id`.dsrun",
    "$(id).dsrun",
    "| id .dsrun",
    "C:\\x.dsrun",
    "C:x.dsrun",
    "\\\\host\\share\\x.dsrun",
    "%s%s%s%n.dsrun",
    "{0}.dsrun",
    "CON.dsrun",
    "\u202enursd.dsrun",
    "<img src=x onerror=window.hacked=1>.dsrun",
    "a" * 300 + ".dsrun",
    "a/" * 3000 + "x.dsrun",
    ":memory:",
    "memory.dsrun:x",
)


@dataclass
class Server:
    """A running Jupyter server."""

    port: int
    root: Path
    log: Path

    def ask(self, route, arguments=None, *, method="GET", token=TOKEN, cookie=False, headers=None, timeout=60):
        """Send a request, with a token or with the cookie of a browser; return status, headers and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        sent = {"Authorization": f"token {token}"} if token else {}
        sent = {"Cookie": self.cookie} if cookie else sent
        query = urlencode(ROUTES[route] if arguments is None else arguments)
        connection.request(method, f"/deepseek-workbench/{route}?{query}", headers=sent | (headers or {}))
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, answer.headers, body

    @cached_property
    def cookie(self):
        """What a browser keeps that has come with the token once."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("GET", f"/api/status?token={TOKEN}")
        answer = connection.getresponse()
        answer.read()
        return "; ".join(text.partition(";")[0] for text in answer.headers.get_all("Set-Cookie"))

    def refused(self, route, arguments):
        """Send a request that must be refused and return the sentence that says why."""
        status, _, body = self.ask(route, arguments)
        assert 400 <= status < 500, (status, body)
        return status, json.loads(body)["message"]


def write(path, count=6):
    writer = RunWriter(path, {"model": "Net"})
    writer.write(with_graph(records(count)))
    writer.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A Jupyter server that demands authentication of every route, over a folder with good and bad files."""
    home = tmp_path_factory.mktemp("server")
    root = home / "root"
    (root / "folder").mkdir(parents=True)
    (root / ".folder").mkdir()
    (root / "folder.dsrun").mkdir()
    hidden = (".hidden.dsrun", ".folder/good.dsrun", "folder/.hidden.dsrun", f"../{OUTSIDE}")
    for name in ("good.dsrun", "other.dsrun", "folder/50% done & more.dsrun", *hidden):
        write(root / name)
    (root / "secret.txt").write_text("secret")
    for name, target in {
        "link-out.dsrun": home / OUTSIDE,
        "link-out": home,
        "link-hidden.dsrun": ".hidden.dsrun",
        "link-loop.dsrun": "link-loop.dsrun",
        "link-nowhere.dsrun": "nowhere",
        "link-in.dsrun": "good.dsrun",
    }.items():
        (root / name).symlink_to(target)
    os.mkfifo(root / "pipe.dsrun")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "jupyter", "server", "--no-browser", "--allow-root", f"--port={port}"]
    command += [f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={root}", "--ip=127.0.0.1"]
    environment = os.environ | {
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "JUPYTER_SERVER_ALLOW_UNAUTHENTICATED_ACCESS": "0",
    }
    log = home / "log"
    with (
        log.open("wb") as output,
        subprocess.Popen(command, cwd=home, stdout=output, stderr=output, env=environment) as process,
    ):
        running = Server(port, root, log)
        _wait_until_it_answers(running, process)
        yield running
        process.terminate()


def _wait_until_it_answers(server, process):
    end = time.monotonic() + 60
    while time.monotonic() < end:
        assert process.poll() is None, server.log.read_text()
        try:
            assert server.ask("bokeh", timeout=60)[0] == 200
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise AssertionError("the server did not answer")


def test_a_run_is_given_as_the_views_take_it(server):
    for path in ("good.dsrun", "folder/50% done & more.dsrun", "link-in.dsrun"):
        status, headers, body = server.ask("run", {"path": path})
        data = json.loads(body)
        assert status == 200
        assert headers["Content-Type"] == "application/json"
        assert data["setup"]["title"] == "Net"
        assert [one["message"]["type"] for one in data["messages"]][:2] == ["snapshot", "graph"]
        assert server.ask("run", {"path": path, "known": data["version"]})[0] == 204


@pytest.mark.parametrize("route", ["report", "comparison"])
def test_a_page_runs_in_an_origin_of_its_own_and_reaches_nothing(server, route):
    arguments = {"comparison": {"a": "good.dsrun", "b": "other.dsrun"}}.get(route)
    status, headers, body = server.ask(route, arguments)
    policy = dict(part.strip().partition(" ")[::2] for part in headers["Content-Security-Policy"].split(";"))
    assert status == 200, body
    assert body.startswith(b"<!doctype html>")
    assert policy["sandbox"] == "allow-scripts"
    assert policy["default-src"] == "'none'"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"


def test_only_the_pages_are_html(server):
    for route in ROUTES.keys() - {"report", "comparison"}:
        arguments = {"file": str(server.root / "good.dsrun")} if route == "place" else None
        status, headers, _ = server.ask(route, arguments)
        assert status == 200
        assert headers.get_content_type() in ("application/json", "text/javascript")
        assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("route", sorted(ROUTES.keys() - {"place"}))
def test_a_browser_that_is_logged_in_is_served(server, route):
    assert server.ask(route, cookie=True, headers={"Sec-Fetch-Site": "same-origin"})[0] == 200


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    "changes",
    [
        {"token": ""},
        {"token": "wrong"},
        {"cookie": True, "headers": {"Origin": "https://evil.invalid"}},
        {"cookie": True, "headers": {"Origin": "null"}},
        {"cookie": True, "headers": {"Sec-Fetch-Site": "cross-site"}},
        {"cookie": True, "headers": {"Sec-Fetch-Site": "same-site"}},
        {"cookie": True, "headers": {"Host": "evil.invalid"}},
        {"headers": {"Host": "evil.invalid"}},
        {"cookie": True, "method": "POST"},
        {"token": "", "headers": {"Cookie": "username-127=forged"}},
        {"method": "POST"},
        {"method": "POST", "token": ""},
        {"method": "PUT"},
        {"method": "PATCH"},
        {"method": "DELETE"},
        {"method": "HEAD"},
    ],
    ids=str,
)
def test_who_may_not_gets_nothing(server, route, changes):
    status, headers, body = server.ask(route, **changes)
    assert status in (403, 404, 405)
    assert len(body) < 500
    assert b"Net" not in body
    assert "Access-Control-Allow-Origin" not in headers


@pytest.mark.parametrize("name", NAMES)
def test_what_the_file_browser_does_not_show_is_not_there(server, name):
    for route, arguments in (
        ("run", {"path": name}),
        ("report", {"path": name}),
        ("comparison", {"a": "good.dsrun", "b": name}),
    ):
        status, sentence = server.refused(route, arguments)
        assert status == 404
        assert sentence.startswith("Expected a run file in the folders that the file browser shows"), sentence
        assert repr(name)[1:9] in sentence or not name.isprintable()
        assert str(server.root) not in sentence


def test_a_file_of_the_jupyter_kernel_is_found_only_where_the_file_browser_shows_it(server):
    good = server.root / "folder" / "50% done & more.dsrun"
    assert json.loads(server.ask("place", {"file": str(good)})[2]) == {"path": "folder/50% done & more.dsrun"}
    outside = [server.root.parent / OUTSIDE, server.root / "link-out.dsrun", server.root / ".hidden.dsrun"]
    for name in [*map(str, outside), str(server.root / "secret.txt"), *NAMES]:
        assert server.refused("place", {"file": name})[0] == 404


def test_a_missing_argument_is_refused(server):
    for route in ROUTES.keys() - {"bokeh"}:
        assert server.refused(route, {})[0] == 400


HOSTILE = {
    "an endless view": lambda db: db.executescript(
        "DROP TABLE event; CREATE VIEW event AS WITH RECURSIVE n(i) AS "
        "(SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"
    ),
    "a trigger": lambda db: db.execute("CREATE TRIGGER t AFTER INSERT ON step BEGIN DELETE FROM step; END"),
    "a newer version": lambda db: db.execute("PRAGMA user_version = 2000000000"),
    "a wrong checksum": lambda db: db.execute("UPDATE scalar SET crc = crc + 1"),
    "a frame of 40 MB": lambda db: db.execute("UPDATE frame SET data = ?", (bytes(40_000_000),)),
}


def test_a_hostile_file_is_refused_in_a_sentence_and_the_next_one_is_read(server):
    path = server.root / "hostile.dsrun"
    for attack in HOSTILE.values():
        path.unlink(missing_ok=True)
        write(path)
        db = sqlite3.connect(path)
        attack(db)
        db.commit()
        db.close()
        for route, arguments in (
            ("run", {"path": path.name}),
            ("report", {"path": path.name}),
            ("comparison", {"a": "good.dsrun", "b": path.name}),
        ):
            status, sentence = server.refused(route, arguments)
            assert status == 422
            assert path.name in sentence
            assert str(server.root) not in sentence
    assert server.ask("run")[0] == 200


def test_what_is_no_run_file_is_refused(server):
    with (server.root / "huge.dsrun").open("wb") as file:
        file.truncate(1 << 42)
    (server.root / "empty.dsrun").touch()
    (server.root / "text.dsrun").write_text("<script>window.hacked=1</script>")
    for name in ("huge.dsrun", "empty.dsrun", "text.dsrun"):
        assert server.refused("run", {"path": name})[0] == 422


def test_a_run_that_is_being_written_is_given_as_far_as_it_is(server):
    model = nn.Linear(4, 4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    path = server.root / "live.dsrun"
    steps, version = [], ""
    with deepseek.inspect(model, optimizer, every=1, run=path):
        for _ in range(2):
            for _ in range(20):
                model(torch.randn(2, 4)).sum().backward()
                optimizer.step()
            time.sleep(1)  # the writer hands over four times a second
            status, _, body = server.ask("run", {"path": path.name, "known": version})
            assert status == 200
            data = json.loads(body)
            version = data["version"]
            header = data["messages"][0]["message"]["header"]
            assert header["state"] == "running"
            steps.append(header["step"])
    assert 0 < steps[0] < steps[1] <= 40


def test_the_server_stays_awake_while_a_run_is_read(server):
    write(server.root / "long.dsrun", 3000)
    reading = threading.Thread(target=server.ask, args=("report", {"path": "long.dsrun"}))
    reading.start()
    slowest = 0.0
    while reading.is_alive():
        began = time.monotonic()
        assert server.refused("run", {"path": "missing.dsrun"})[0] == 404
        slowest = max(slowest, time.monotonic() - began)
    assert slowest < 2


def test_a_server_that_demands_authentication_finds_nothing_to_report(server):
    told = server.log.read_text()
    assert "deepseek.widgets.server | extension was successfully loaded" in told
    assert "without authentication" not in told

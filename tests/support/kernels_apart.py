"""Jupyter kernels for tests: the ordinary one, and one without subshells as ipykernel 6 is."""

import json
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from queue import Empty

from ipykernel.kernelapp import IPKernelApp
from jupyter_client.manager import KernelManager


class WithoutSubshells(IPKernelApp):
    """A Jupyter kernel whose messages all wait for the cell to end."""

    def init_control(self, context):
        super().init_control(context)
        self.shell_channel_thread = None


def kernelspec(folder: Path, name: str, **facts) -> Path:
    """Write the description of a kernel without subshells, under which a server or a manager finds it."""
    folder = folder / "kernels" / name
    folder.mkdir(parents=True)
    argv = [sys.executable, __file__, "-f", "{connection_file}"]
    (folder / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": name, "language": "python"} | facts))
    return folder


class Cell:
    """A Jupyter kernel and a client that runs cells and sends what a browser would send meanwhile."""

    def __init__(self, client):
        self.client = client
        self.heard = []

    def send(self, kind, **content):
        """Send a message on the shell channel."""
        self.client.shell_channel.send(self.client.session.msg(kind, content))

    def until(self, fits, seconds=30.0):
        """Wait for a published message that fits."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                message = self.client.get_iopub_msg(timeout=0.2)
            except Empty:
                continue
            self.heard.append(message)
            if fits(message):
                return message
        raise AssertionError([(m["msg_type"], m["content"]) for m in self.heard[-10:]])

    def run(self, code, seconds=60.0):
        """Run a cell to its end and return what it printed."""
        cell = self.client.execute(code)
        before = len(self.heard)
        self.until(lambda m: is_idle(m, cell), seconds)
        return "".join(m["content"]["text"] for m in self.heard[before:] if m["msg_type"] == "stream")


def is_idle(message, cell):
    return message["msg_type"] == "status" and message["content"]["execution_state"] == "idle" and of(message, cell)


def of(message, cell):
    return message["parent_header"].get("msg_id") == cell


@contextmanager
def started(command=None, **options):
    """Start a Jupyter kernel: the ordinary one, or that of a command."""
    manager = KernelManager(**options)
    if command is not None:
        manager.kernel_spec.argv[:] = command
    manager.start_kernel()
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        yield Cell(client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


WITHOUT_SUBSHELLS = [sys.executable, __file__, "-f", "{connection_file}"]

if __name__ == "__main__":
    WithoutSubshells.launch_instance()

"""A whole training with or without a session, in a process of its own: ``python -I audited.py FOLDER watched|bare``.

Writes what the process looked like afterwards to ``facts.json``, and what it did meanwhile.
"""

import json
import logging
import os
import random
import signal
import sys
import threading
import warnings
from pathlib import Path

# What the package uses is loaded first in either case: how those libraries start is not what is looked at.
import anywidget  # noqa: F401
import bokeh.embed
import bokeh.plotting
import bokeh.resources  # noqa: F401
import matplotlib.figure
import matplotlib.font_manager
import matplotlib.style
import numpy as np
import pandas as pd  # noqa: F401
import torch
import torch.nn.functional as F
from torch import nn

CANARY = 0.6180339
"""Stands inside every batch many times, and is neither its smallest nor its largest value."""

SECRET = "canary-1b9f3c70-in-the-data-set"


class Watch(list):
    """Sees what the interpreter is asked for; keeps what matters."""

    KEPT = ("socket.", "subprocess.", "os.fork", "os.exec", "os.spawn", "os.posix_spawn", "os.system", "pickle.")
    HARMLESS = ("socket.gethostname",)

    def __call__(self, event, arguments):
        if event.startswith(self.KEPT) and event not in self.HARMLESS:
            self.append([event, repr(arguments)[:200]])
        elif event == "open" and (arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            self.append(["write", str(arguments[0])])
        elif event == "sqlite3.connect":
            self.append(["database", str(arguments[0])])


class Data(torch.utils.data.Dataset):
    note = SECRET

    def __len__(self):
        return 64

    def __getitem__(self, index):
        x = torch.full((8,), CANARY)
        x[0], x[1] = float(index), -float(index)
        return x, torch.tensor([CANARY])


def main(folder, watched):
    watch = Watch()
    sys.addaudithook(watch)
    model, losses = train(folder, watched)
    for thread in set(threading.enumerate()) - {threading.main_thread()}:
        thread.join(20)  # a view tells its page the end
    for name, value in facts(model, losses).items():
        watch_free = json.dumps(value, default=str)
        (folder / f"{name}.fact").write_text(watch_free)
    (folder / "events.json").write_text(json.dumps([event for event in watch if ".fact" not in event[1]]))


def train(folder, watched):
    random.seed(1), np.random.seed(1), torch.manual_seed(1)  # noqa: NPY002
    model = nn.Sequential(nn.Identity(), nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    messages, session = [], None
    if watched:
        import deepseek

        session = deepseek.inspect(model, optimizer, every=1, run=folder / "run.dsrun")
        widget = session.widget()
        widget.send = lambda message, buffers=None: messages.append(repr(message).encode() + b"".join(buffers or ()))
    losses = []
    for _ in range(3):
        for x, y in torch.utils.data.DataLoader(Data(), batch_size=16, shuffle=True):
            loss = F.mse_loss(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            if session is not None:
                session.log(loss=loss, epoch=1)
    if session is not None:
        look(deepseek, session, widget, messages, folder)
    return model, losses


def look(deepseek, session, widget, messages, folder):
    """Do all that a user can ask of a session."""
    from deepseek.widgets.static_picture import mimebundle

    assert session.findings is not None
    shown = [repr(session), repr(session.summary()), repr(session.frame("gradient")), repr(session.overhead)]
    shown += [str(value) for value in mimebundle(session).values()]
    session.report(folder / "report.html")
    session.close()
    with deepseek.open_run(folder / "run.dsrun") as run:
        shown += [repr(run), repr(run.findings), repr(list(run.records()))]
        run.report(folder / "again.html")
    messages += [repr(widget.setup).encode(), repr(widget.snapshot["message"]).encode(), widget.snapshot["payload"]]
    (folder / "messages.bin").write_bytes(b"\n".join([*messages, *(text.encode() for text in shown)]))


def facts(model, losses):
    numpy_state = np.random.get_state()  # noqa: NPY002
    return {
        "losses": losses,
        "parameters": [parameter.tolist() for parameter in model.parameters()],
        "torch_random": torch.get_rng_state().tolist(),
        "numpy_random": [str(numpy_state[0]), numpy_state[1].tolist(), *numpy_state[2:]],
        "random": random.getstate(),
        "environment": dict(os.environ),
        "folder": str(Path.cwd()),
        "umask": [os.umask(0o022), os.umask(0o022)],
        "warnings": [str(entry) for entry in warnings.filters],
        "signals": [str(signal.getsignal(number)) for number in sorted(signal.valid_signals())],
        "logging": logging_facts(),
        "hooks": [str(sys.excepthook), str(threading.excepthook), str(sys.displayhook), str(sys.unraisablehook)],
        "streams": [type(stream).__name__ for stream in (sys.stdin, sys.stdout, sys.stderr)],
        "tracing": [str(sys.gettrace()), str(sys.getprofile()), sys.getswitchinterval(), sys.getrecursionlimit()],
        "threads": sorted(thread.name for thread in threading.enumerate()),
        "torch": torch_facts(),
        "matplotlib": {key: str(value) for key, value in matplotlib.rcParams.items()},
        "numpy": [np.geterr(), str(np.get_printoptions())],
    }


def logging_facts():
    known = {name: logging.getLogger(name) for name in ("", "deepseek", "torch", "bokeh", "matplotlib")}
    loggers = {name: (logger.level, logger.propagate, len(logger.handlers)) for name, logger in known.items()}
    return [loggers, logging.raiseExceptions, logging.root.manager.disable, str(logging.getLoggerClass())]


def torch_facts():
    return {
        "threads": (torch.get_num_threads(), torch.get_num_interop_threads()),
        "gradients": (torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.is_anomaly_enabled()),
        "dtype": str(torch.get_default_dtype()),
        "device": str(torch.get_default_device()),
        "deterministic": (torch.are_deterministic_algorithms_enabled(), torch.get_float32_matmul_precision()),
        "autocast": (torch.is_autocast_enabled("cpu"), str(torch.get_autocast_dtype("cpu"))),
        "modes": torch._C._len_torch_function_stack() + torch._C._len_torch_dispatch_stack(),
        "scaler": (torch.amp.GradScaler.step.__qualname__, torch.amp.GradScaler.scale.__qualname__),
        "module_hooks": len(nn.modules.module._global_forward_hooks) + len(nn.modules.module._global_forward_pre_hooks),
        "printing": str(torch._tensor_str.PRINT_OPTS),
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2] == "watched")

"""The magics: ``%load_ext deepseek``, then ``%deepseek_inspect model`` or ``%%deepseek_inspect model``.

``%deepseek_explain`` has a file of its own.
"""

import weakref
from argparse import Namespace
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, line_cell_magic, magics_class
from torch import nn
from torch.optim import Optimizer

from deepseek.errors import DeepseekError
from deepseek.inspector import Session, inspect
from deepseek.text import printable
from deepseek.widgets import control_comm
from deepseek.widgets.commands import CommandParser
from deepseek.widgets.explaining.magic import ExplainMagics
from deepseek.widgets.feed import GROWING
from deepseek.widgets.magic_words import MagicError, split_words, typed
from deepseek.widgets.messages import prepare
from deepseek.widgets.viewer import Viewer


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Add the magics to ``shell`` and let its browsers reach the sessions: what ``%load_ext deepseek`` calls."""
    control_comm.register(shell)
    if hasattr(shell, "kernel"):
        # What live views need is loaded now, beside torch, and not when somebody waits for the first one.
        import_module("deepseek.widgets.show")
        import_module("deepseek.widgets.stream")
        prepare()
    shell.register_magics(DeepseekMagics(shell), ExplainMagics(shell))


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Close the sessions of ``shell`` and take the magics away: what ``%unload_ext deepseek`` calls."""
    manager = shell.magics_manager
    for known in (DeepseekMagics, ExplainMagics):
        magics = manager.registry.pop(known.__name__, None)
        if isinstance(magics, DeepseekMagics | ExplainMagics):
            magics.stop()
    for kind in ("line", "cell"):
        for name in ("deepseek_inspect", "deepseek_explain"):
            manager.magics[kind].pop(name, None)


def parser() -> CommandParser:
    """Return the parser of ``%deepseek_inspect``."""
    words = CommandParser(
        prog="%deepseek_inspect",
        description="Watch a PyTorch model while it trains. As a line, the session stays until --stop; "
        "above a cell (%%deepseek_inspect), it lasts as long as the cell.",
    )
    words.add_argument("model", nargs="?", metavar="MODEL", help="the model: a name or a quoted expression")
    words.add_argument("--optimizer", metavar="OPT", help="its optimizer, whose step() ends a training step")
    words.add_argument("--budget", type=float, default=0.05, help="largest share of step time (default: 0.05)")
    words.add_argument("--every", type=int, metavar="N", help="observe each N-th step, whatever it costs")
    words.add_argument("--sites", metavar="GLOB", help="watch only modules whose names match")
    words.add_argument("--run", type=Path, metavar="PATH", help="the run file to write")
    words.add_argument("--report", type=Path, metavar="HTML", help="write a report when the session closes")
    words.add_argument("--name", default="session", help="variable for the session (default: session)")
    words.add_argument("--status", action="store_true", help="list the running sessions")
    words.add_argument("--stop", action="store_true", help="close the running sessions")
    return words


@dataclass(frozen=True, slots=True)
class _Watch:
    session: Session
    model: weakref.ref[nn.Module]
    report: Path | None

    @property
    def running(self) -> bool:
        return self.session.status.state in GROWING

    def stop(self) -> str:
        """Close the session, write the report that was asked for, and return what was done."""
        self.session.close()
        return "closed" if self.report is None else f"closed, report in {self.session.report(self.report)}"

    def describe(self) -> str:
        """Return the state of the session in one line."""
        status = self.session.status
        cost = "not measured yet" if status.overhead is None else f"{status.overhead.share:.1%}"
        findings = len(self.session.findings)
        return f"{self.session.title}, step {status.step}, overhead {cost}, findings {findings}"


@magics_class
class DeepseekMagics(Magics):
    """The magics of one shell, and the sessions that they started."""

    shell: InteractiveShell

    def __init__(self, shell: InteractiveShell) -> None:
        super().__init__(shell)
        self._watches: dict[str, _Watch] = {}

    @line_cell_magic
    def deepseek_inspect(self, line: str, cell: str | None = None) -> None:  # noqa: D102 - the parser writes it
        try:
            self._obey(line, cell)
        except DeepseekError as error:
            raise MagicError(printable(error)) from None

    deepseek_inspect.__doc__ = parser().format_help()

    def stop(self) -> list[str]:
        """Close every running session and return one line for each."""
        return [self._stop(name) for name in self._running()]

    def _obey(self, line: str, cell: str | None) -> None:
        arguments = parser().parse(split_words(line))
        if arguments is None:
            return
        if arguments.stop:
            print("\n".join(self.stop()) or "No session is running.")
        elif arguments.status:
            lines = [f"{name}: {watch.describe()}" for name, watch in self._running().items()]
            print(printable("\n".join(lines)) or "No session is running.")
        else:
            self._start(arguments)
            if cell is not None:
                self._run_cell(arguments.name, cell)

    def _start(self, arguments: Namespace) -> None:
        if not arguments.name.isidentifier():
            raise DeepseekError(f"--name must be the name of a variable, got {arguments.name!r}.")
        model = typed(self.shell, arguments.model, nn.Module, "model")
        optimizer = arguments.optimizer and typed(self.shell, arguments.optimizer, Optimizer, "optimizer")
        self._make_room(arguments.name, model)
        options = {key: getattr(arguments, key) for key in ("budget", "every", "sites", "run")}
        session = inspect(model, optimizer, **options, viewer=Viewer())
        self._watches[arguments.name] = _Watch(session, weakref.ref(model), arguments.report)
        self.shell.user_ns[arguments.name] = session
        Viewer().show(session)

    def _make_room(self, name: str, model: nn.Module) -> None:
        for old, watch in self._running().items():
            if old == name or watch.model() is model:
                print(f"{self._stop(old)}; a new session takes its place.")

    def _run_cell(self, name: str, cell: str) -> None:
        failure = None
        try:
            failure = self.shell.run_cell(cell).error_in_exec
        finally:
            outcome = self._stop(name) if name in self._watches else f"{name}: closed"
        if failure is not None:
            raise DeepseekError(f"The inspected cell stopped with {type(failure).__name__} ({outcome}).")
        print(outcome)

    def _running(self) -> dict[str, _Watch]:
        self._watches = {name: watch for name, watch in self._watches.items() if watch.running}
        return dict(self._watches)

    def _stop(self, name: str) -> str:
        return printable(f"{name}: {self._watches.pop(name).stop()}")

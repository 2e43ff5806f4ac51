"""A live session: a model under inspection."""

import atexit
import secrets
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import nn

from deepseek.errors import DeepseekError, RunFileError, TrainingStopped
from deepseek.inspector.accounts import Accounts
from deepseek.inspector.control.breakpoints import Breakpoints
from deepseek.inspector.control.commands import Command
from deepseek.inspector.control.control import Control
from deepseek.inspector.control.verbs import Verbs
from deepseek.inspector.detail import Detail
from deepseek.inspector.detail.closer import Closer
from deepseek.inspector.governor import Governor
from deepseek.inspector.graph import ModuleGraph
from deepseek.inspector.passes import Passes
from deepseek.inspector.probes import Attachment
from deepseek.inspector.record import TENSOR_KINDS, Finding, Layout, Site, StepRecord
from deepseek.inspector.recorder import Recorder, log
from deepseek.inspector.recording import Overhead, Status
from deepseek.inspector.rules import Judge, Rule
from deepseek.inspector.run import Run, Viewable, Viewer
from deepseek.inspector.runfile import RunWriter, run_path
from deepseek.inspector.sites import SiteFilter, SiteTable
from deepseek.inspector.steps import Steps
from deepseek.inspector.tables import check_kind
from deepseek.inspector.worker import Listener, Worker
from deepseek.kernels.summary import HostCopy, implementation
from deepseek.text import printable

if TYPE_CHECKING:
    import pandas as pd

WATCHED_KINDS = (*TENSOR_KINDS, "unit")
"""What a session can record of tensors; ``unit`` stands for counts of active and saturated units."""

_IDLE_S = 0.25
_living: "list[Session]" = []
"""The sessions of this process that are not closed."""


class Session(Verbs, Viewable):
    """Watches a model while it trains. Made by ``deepseek.inspect``; see there for the arguments.

    The session can be used as a context manager. Outside of one, ``close()`` ends it; so does the end of the process.

    ``pause``, ``resume``, ``step_once``, ``stop``, ``set_lr``, ``set_weight_decay``, ``set_clip``, ``snapshot``,
    ``break_on``, ``watch_closer`` and ``ask_detail`` may be called from any thread. They are applied by the thread that
    trains, at the end of the step in progress; called by that thread itself between two steps they take effect at once
    (but ``pause`` at the end of the next step). Each becomes an event of the run; one that cannot be applied says why
    there and in the log.

    Attributes:
        path: The run file.
        key: An opaque random name of this session.
        explanations: What ``explain`` has found so far; ``report`` takes them along when asked to.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizers: Sequence[torch.optim.Optimizer],
        *,
        budget: float,
        every: int | None,
        sites: SiteFilter,
        kinds: Sequence[str],
        rules: str | Sequence[Rule],
        run: str | Path | None,
        viewer: Viewer | None,
    ) -> None:
        if implementation() == "torch":
            _say_that_summaries_are_slow()
        self._viewer = viewer
        self.key = secrets.token_hex(8)
        self._meta = describe(model, optimizers)
        self._recorder = Recorder(SiteTable())
        judge = Judge(rules)
        attachment = Attachment(model, self._recorder, kinds, sites)
        self._graph = attachment.graph
        self._governor = Governor(budget, every, attachment.groups)
        breakpoints = Breakpoints(judge.names, lambda: self._recorder.sites.sites)
        self._control = Control(self.key, self._recorder, breakpoints, self._publish)
        self.path, writer = _open_writer(run, self._meta)
        self._worker = Worker(writer, judge, self._recorder, self._release_idle, self._control.observe)
        passes = Passes(self._recorder, attachment, budget, every)
        accounts = Accounts(self._recorder, self._governor, self._worker.emit, lambda: self._worker.cpu_ns)
        closer = Closer(self._recorder, self._worker.emit_detail)
        self._steps = Steps(self._recorder, attachment, self._governor, passes, accounts, self._control, closer)
        self._run: Run | None = None
        self.explanations: list[Any] = []
        self._closed = False
        self._steps.attach(model, optimizers)
        if viewer is not None:
            self._recorder.guard("letting browsers in", lambda: self._control.hear(viewer.let_in()))
        atexit.register(self.close)
        _living.append(self)

    def __repr__(self) -> str:
        status = self.status
        return printable(
            f"<Session {self.title}: {status.step} steps, {status.state}, {len(self.findings)} findings, {self.path}>"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _type: object, error: BaseException | None, _traceback: object) -> bool:
        self.close()
        return isinstance(error, TrainingStopped) and error.key == self.key

    @property
    def title(self) -> str:
        """Class name of the model."""
        return self._meta["model"]

    @property
    def meta(self) -> Mapping[str, str]:
        """Facts about the run, by name."""
        return dict(self._meta)

    @property
    def sites(self) -> Sequence[Site]:
        """All sites so far; a site's id is its position."""
        return self._recorder.sites.sites

    @property
    def layouts(self) -> Sequence[Layout]:
        """All layouts stored so far; a layout's id is its position."""
        return self._stored().layouts

    @property
    def findings(self) -> list[Finding]:
        """All findings so far, in the order of their steps."""
        self.flush()
        return list(self._worker.findings)

    @property
    def overhead(self) -> Overhead | None:
        """The measured share of step time that the inspector costs; None during the first steps."""
        return self._governor.overhead

    @property
    def watching(self) -> bool:
        """Whether anything is recorded. Set it to False to take every probe off; steps are only counted then."""
        return self._steps.watching

    @watching.setter
    def watching(self, watching: bool) -> None:
        self._steps.watching = watching

    @property
    def status(self) -> Status:
        """Where the session stands."""
        return Status(
            state="closed" if self._closed else "paused" if self._control.paused else "running",
            step=self._steps.count,
            steps_per_second=self._governor.steps_per_second,
            overhead=self.overhead,
            dropped=self._worker.dropped,
        )

    def log(self, /, **scalars: float | torch.Tensor) -> None:
        """Record named values, such as the loss, with the step in progress or the one that has just ended.

        Args:
            scalars: Numbers or one-element tensors. Tensors on an accelerator are read later, without waiting.

        Raises:
            DeepseekError: A value is not a number.
        """
        values = {name: _scalar(name, value) for name, value in scalars.items()}
        self._recorder.guard("logging values", lambda: self._steps.log(_on_their_way(values)))

    def submit(self, command: Command, who: str) -> None:
        """Have a command applied between steps; every verb does so.

        Args:
            command: See ``deepseek.inspector.control``.
            who: Who asked, for the run file.

        Raises:
            DeepseekError: It can be seen already that the command makes no sense, or the session is closed.
            TrainingStopped: The thread that trains asked itself to stop.
        """
        self._control.submit(command, who)

    @property
    def breakpoints(self) -> list[str]:
        """The conditions on which training pauses."""
        return self._control.breakpoints.texts

    def explain_with(self, inputs: Any, background: Any = None, *, method: str = "auto", target: Any = None) -> None:
        """Say what ``explain`` explains while training is paused, also from the panel: such as a held-out batch.

        What it finds is shown in the panel and below the cell that trains, and kept in ``explanations``.

        Args:
            inputs: What to explain; see ``deepseek.explain.shap``.
            background: Rows that stand for absent features; a baseline where the method takes one.
            method: One of ``deepseek.explain.shap`` or ``deepseek.explain.attribute``, or ``attention``.
            target: Which outputs.

        Raises:
            DeepseekError: There is no such method.
        """
        explain = self._the_viewer().explaining(inputs, background, method, target)
        self._control.explain = lambda model: self.explanations.append(explain(model))

    def watches(self, model: nn.Module) -> bool:
        """Whether this is the model that the session is of."""
        return self._steps.model() is model

    def set_apart(self) -> AbstractContextManager[None]:
        """Have what the model computes meanwhile belong to no step, and be seen by no probe; not beside training."""
        return self._steps.set_apart()

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` with each new batch of steps, from the worker thread; return what ends it."""
        return self._worker.subscribe(listener)

    def flush(self) -> None:
        """Wait until every finished step is stored."""
        self._recorder.guard("releasing a step", self._steps.release)
        self._recorder.guard("waiting for the worker", self._worker.flush)

    def records(self, start: int = 0) -> Iterator[StepRecord]:
        """Yield every stored step from number ``start`` on, in order."""
        return self._stored().records(start)

    def frame(self, kind: str) -> "pd.DataFrame":
        """Return all rows of one kind as a table; see ``Run.frame``."""
        check_kind(kind)
        return self._stored().frame(kind)

    def summary(self) -> "pd.DataFrame":
        """Return the newest numbers of every observed module and parameter, one row each."""
        return self._stored().summary()

    def graph(self) -> ModuleGraph:
        """Return the modules of the model, what one observed forward called, and the tensors between them.

        Before such a forward, and where it could not be followed (compiled code, forwards that raise), these are the
        modules alone; ``complete`` is False then and ``note`` says why. ``print`` shows the graph as a tree.
        """
        return self._graph()

    def detail(self, site: str) -> Detail | None:
        """Return the newest closer look at a layer: see ``ask_detail`` and ``watch_closer``; None without any."""
        return self._stored().detail(site)

    def details(self) -> list[Detail]:
        """Return the newest closer look at every layer that has one, in the order of their steps."""
        return self._stored().details()

    def close(self) -> None:
        """Remove every hook, finish the run file and end the worker; reading stays possible."""
        if self._closed:
            return
        self._closed = True
        atexit.unregister(self.close)
        with suppress(ValueError):
            _living.remove(self)
        self._recorder.guard("ending a pause", self._control.close)
        self._recorder.guard("counting steps", self._steps.close)
        if self._run is not None:
            self._run.close()
            self._run = None
        self._recorder.guard("closing the run file", lambda: self._worker.close("closed", self._recorder.events))

    def _stored(self) -> Run:
        self.flush()
        if self._run is None:
            self._run = Run(self.path, self._viewer)
        return self._run

    def _publish(self) -> None:
        """Have all that is known stored and shown, without waiting for it."""
        self._recorder.guard("releasing a step", self._steps.release)
        self._worker.hurry()

    def _release_idle(self) -> None:
        self._steps.release_if_idle(_IDLE_S)


def living_sessions() -> list[Session]:
    """Return the sessions of this process that are not closed, the oldest first."""
    return list(_living)


def inspect(
    model: nn.Module,
    optimizer: torch.optim.Optimizer | Sequence[torch.optim.Optimizer] | None = None,
    *,
    budget: float = 0.05,
    every: int | None = None,
    sites: SiteFilter = None,
    kinds: Sequence[str] | None = None,
    rules: str | Sequence[Rule] = "standard",
    run: str | Path | None = None,
    viewer: Viewer | None = None,
) -> Session:
    """Watch ``model`` while it trains; training itself stays the same to the last bit.

    A step ends at ``optimizer.step()``, with several optimizers when each has stepped; without one, at the next forward
    of the whole model. With an optimizer, forwards of the whole model without gradients are kept apart, as
    ``eval_activation`` and, where they continue a sequence, ``generate_activation``.

    Args:
        model: The model to watch.
        optimizer: The optimizer that trains it, or several.
        budget: Largest share of step time that watching may cost over any 50 steps, measured by the session itself,
            which then observes as much as fits. The first step is always observed.
        every: Observe each ``every``-th step instead, whatever it costs.
        sites: None for the outputs of all leaf modules and all parameters; a glob over module names, such as
            ``"encoder.*"``; or a callable ``(name, module) -> bool``.
        kinds: Which kinds of tensors to record, None for all: ``activation``, ``activation_gradient``, ``gradient``,
            ``applied_gradient``, ``parameter``, ``update``, ``unit``, ``eval_activation``, ``generate_activation``.
            ``update`` keeps one more copy of the parameters.
        rules: ``"standard"``, or the rules to apply.
        run: Path of the run file; by default ``./runs/<time>-<model>.dsrun``.
        viewer: Supplies the views.

    Raises:
        DeepseekError: An argument does not make sense; nothing has been attached then.
    """
    kinds = WATCHED_KINDS if kinds is None else kinds
    _check(model, optimizer)
    check_options(budget, every, kinds)
    return Session(
        model,
        _as_optimizers(optimizer),
        budget=budget,
        every=every,
        sites=sites,
        kinds=kinds,
        rules=rules,
        run=run,
        viewer=viewer,
    )


def describe(model: nn.Module, optimizers: Sequence[torch.optim.Optimizer]) -> dict[str, str]:
    """Facts about a model worth keeping with its run."""
    parameters = list(model.parameters())
    return {
        "model": type(model).__name__,
        "parameters": str(sum(p.numel() for p in parameters if not nn.parameter.is_lazy(p))),
        "device": str(parameters[0].device) if parameters else "none",
        "optimizer": ", ".join(type(optimizer).__name__ for optimizer in optimizers) or "none",
        "torch": torch.__version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _as_optimizers(optimizer: Any) -> tuple[Any, ...]:
    if optimizer is None:
        return ()
    return tuple(map(_unwrapped, optimizer if isinstance(optimizer, (list, tuple)) else (optimizer,)))


def _unwrapped(optimizer: Any) -> Any:
    """The optimizer inside a wrapper such as Accelerate's, which takes no hooks of its own."""
    while isinstance(inner := getattr(optimizer, "optimizer", None), torch.optim.Optimizer):
        optimizer = inner
    return optimizer


def check_options(budget: Any, every: Any, kinds: Sequence[str] | None) -> None:
    """Raise DeepseekError unless these arguments of ``inspect`` make sense."""
    if not isinstance(budget, (int, float)) or not 0 < budget <= 1:
        raise DeepseekError(f"`budget` is a share of step time above 0 and up to 1 (0.05 = 5 %), not {budget!r}.")
    if every is not None and (not isinstance(every, int) or every < 1):
        raise DeepseekError(f"`every` must be a whole number of steps from 1, not {every!r}.")
    if unknown := [kind for kind in kinds or () if kind not in WATCHED_KINDS]:
        raise DeepseekError(f"Unknown kind {unknown[0]!r} in `kinds`. Known are: {', '.join(WATCHED_KINDS)}.")


def _check(model: Any, optimizer: Any) -> None:
    if not isinstance(model, nn.Module):
        raise DeepseekError(f"`model` must be a torch.nn.Module, not {type(model).__name__}.")
    for each in _as_optimizers(optimizer):
        if not isinstance(each, torch.optim.Optimizer):
            raise DeepseekError(
                f"`optimizer` must be a torch.optim.Optimizer or a list of them, not {type(each).__name__}."
            )


@cache
def _say_that_summaries_are_slow() -> None:
    log.warning(
        "deepseek: the native part is not installed (it needs a C compiler at installation), so summaries are computed "
        "by torch: right, but many times slower. `deepseek doctor` tells how to get it."
    )


def _scalar(name: str, value: Any) -> float | torch.Tensor:
    if isinstance(value, torch.Tensor) and value.numel() == 1:
        detached = value.detach()
        return float(detached) if detached.device.type == "cpu" else detached
    with suppress(TypeError, ValueError):
        return float(value)
    shape = f" of shape {tuple(value.shape)}" if isinstance(value, torch.Tensor) else ""
    raise DeepseekError(f"`log({name}=...)` takes a number or a one-element tensor, not {type(value).__name__}{shape}.")


def _on_their_way(values: Mapping[str, float | torch.Tensor]) -> dict[str, float | HostCopy]:
    return {name: HostCopy.start(one) if isinstance(one, torch.Tensor) else one for name, one in values.items()}


def _open_writer(run: str | Path | None, meta: Mapping[str, str]) -> tuple[Path, RunWriter]:
    if run is not None:
        return Path(run), RunWriter(Path(run), meta)
    path = run_path(Path("runs"), meta["model"])
    try:
        return path, RunWriter(path, meta)
    except (RunFileError, OSError):
        path = run_path(Path(tempfile.mkdtemp(prefix="deepseek-runs-")), meta["model"])
        return path, RunWriter(path, meta)

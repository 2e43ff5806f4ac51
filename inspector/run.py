"""A run file, opened: the same read-only surface as the live session that wrote it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self, cast

from torch import nn

from deepseek.errors import DeepseekError
from deepseek.inspector.detail import Detail
from deepseek.inspector.graph import ModuleGraph
from deepseek.inspector.overhead import MEASURED_STEPS, Timing, measure_overhead, steps_per_second
from deepseek.inspector.record import Finding, Frame, Layout, Site, StepRecord, TensorKind
from deepseek.inspector.recording import Recording, Status
from deepseek.inspector.runfile import RunReader
from deepseek.inspector.tables import (
    GATED_KINDS,
    check_kind,
    event_table,
    finding_table,
    gate_table,
    histogram_table,
    memory_table,
    precision_table,
    scalar_table,
    summary_table,
    tensor_table,
    timing_table,
    unit_table,
    with_update_ratio,
)
from deepseek.text import printable

if TYPE_CHECKING:
    import pandas as pd

    from deepseek.inspector.comparison import Comparison, Source


class Viewer(Protocol):
    """Shows recordings; the front door supplies it, so that this room needs to know nothing of widgets."""

    def let_in(self) -> Callable[[], None] | None:
        """Let browsers reach the sessions; return what is to be called between steps where they are not heard else."""

    def widget(self, recording: Recording) -> Any:
        """Return the interactive view."""

    def show(self, recording: Recording) -> Any:
        """Display the interactive view, or what the front end can show of it."""

    def report(self, recording: Recording, path: str | Path, explanations: Sequence[Any] = ()) -> Path:
        """Write the self-contained report, with attributions and attention maps below the run."""

    def explaining(self, inputs: Any, background: Any, method: str, target: Any) -> Callable[[nn.Module], Any]:
        """Return what explains a model on some inputs, shows that, and returns it."""

    def compared_bundle(self, comparison: "Comparison") -> dict[str, Any]:
        """Return the static picture of a comparison by MIME type, as a notebook's output holds it."""

    def compared_report(self, comparison: "Comparison", path: str | Path) -> Path:
        """Write the self-contained report of a comparison."""


class Viewable:
    """The views of a recording."""

    _viewer: Viewer | None

    def widget(self) -> Any:
        """Return the interactive view as a widget."""
        return self._the_viewer().widget(cast("Recording", self))

    def report(self, path: str | Path, *, explanations: Sequence[Any] = ()) -> Path:
        """Write one self-contained HTML file with the same views; it opens offline.

        Args:
            path: Where to write.
            explanations: Attributions and attention maps that the report shows below the run, such as
                ``[deepseek.explain.shap(...)]``; for the report of an older run, saved ones can be loaded.

        Returns:
            The path of the file.

        Raises:
            DeepseekError: The file cannot be written, or an explanation cannot be shown.
        """
        return self._the_viewer().report(cast("Recording", self), path, explanations)

    def compare(self, other: "Source", **options: Any) -> "Comparison":
        """Compare with another recording, or two steps of this one; see ``deepseek.compare`` for the options.

        Args:
            other: A session, an opened run, or the path of a run file.
            options: ``kind``, ``column``, ``tolerance`` and ``steps``.

        Raises:
            DeepseekError: An argument does not fit, or nothing of that kind was recorded.
        """
        from deepseek.inspector.comparison import compare

        return compare(cast("Recording", self), other, viewer=self._viewer, **options)

    def _ipython_display_(self) -> None:
        self._the_viewer().show(cast("Recording", self))

    def _the_viewer(self) -> Viewer:
        if self._viewer is None:
            raise DeepseekError("This recording has no views. Open it through deepseek.open_run or deepseek.inspect.")
        return self._viewer


class Run(Viewable):
    """A run file opened for reading; the writer may still be at work.

    Args:
        path: The ``.dsrun`` file.
        viewer: Supplies ``widget``, ``report`` and the display in notebooks.

    Raises:
        RunFileError: The file is missing, foreign, damaged or from a newer version.
    """

    def __init__(self, path: str | Path, viewer: Viewer | None = None) -> None:
        self.path = Path(path)
        self._reader = RunReader(self.path)
        self._viewer = viewer

    def __repr__(self) -> str:
        status = self.status
        return printable(
            f"<Run {self.title}: {status.step} steps, {status.state}, {len(self.findings)} findings, {self.path}>"
        )

    @cached_property
    def meta(self) -> Mapping[str, str]:
        """Facts about the run, by name."""
        return self._reader.meta

    @property
    def title(self) -> str:
        """Class name of the model."""
        return self.meta.get("model", self.path.stem)

    @property
    def sites(self) -> Sequence[Site]:
        """All sites; a site's id is its position."""
        return self._reader.sites()

    @property
    def layouts(self) -> Sequence[Layout]:
        """All layouts; a layout's id is its position."""
        return self._reader.layouts()

    @property
    def findings(self) -> list[Finding]:
        """All findings, in the order of their steps."""
        return self._reader.findings()

    @property
    def status(self) -> Status:
        """Where the recording stands."""
        newest = self._reader.steps(newest=MEASURED_STEPS)
        timings = [Timing(step.wall_ms, step.inspector_ms, step.observed) for step in newest]
        stored, removed = self._reader.counts()
        return Status(
            state=self._reader.state,
            step=stored + removed,
            steps_per_second=steps_per_second(timings),
            overhead=measure_overhead(timings),
            dropped=max(newest[-1].step + 1 - stored - removed, 0) if newest else 0,
        )

    def records(self, start: int = 0) -> Iterator[StepRecord]:
        """Yield every stored step from number ``start`` on, in order."""
        return self._reader.records(start)

    def frame(self, kind: str) -> "pd.DataFrame":
        """Return all rows of one kind as a table.

        Args:
            kind: A kind of ``TENSOR_KINDS``, such as ``activation`` or ``gradient`` (one row per observed tensor:
                ``step, site, call, numel, shape, dtype`` and the summary columns); ``gate`` (one row per forward of a
                sparse gate: the share of its blocks that were active, over all rows); ``precision`` (one row per
                decision of an ``AdaptivePrecision`` on a layer: its type, the reason, and what half precision would
                lose of it); ``unit`` (one row per site and
                window of steps: ``step, site, units, samples`` and how many were dead or saturated), ``scalar``,
                ``timing`` (one row per step), ``event`` or ``finding``. Of the newest closer look at each layer (see
                ``Session.ask_detail``): ``histogram`` (one row per tensor: how many values it has, the bins, and the
                shares that a narrower format would lose) and ``memory`` (one row per layer: bytes and milliseconds).

        Raises:
            DeepseekError: There is no such kind.
        """
        check_kind(kind)
        if kind == "scalar":
            return scalar_table(self._reader.scalars())
        if kind == "timing":
            return timing_table(self._reader.steps())
        if kind == "gate":
            return gate_table({own: self._tensors(own) for own in GATED_KINDS}, self.sites)
        if kind == "unit":
            return unit_table(self._reader.units(), self.sites)
        if kind == "precision":
            return precision_table(self._reader.events())
        if kind == "event":
            return event_table(self._reader.events())
        if kind == "finding":
            return finding_table(self.findings)
        if kind == "histogram":
            return histogram_table(self.details())
        if kind == "memory":
            return memory_table(self.details())
        table = self._tensors(cast("TensorKind", kind))
        return with_update_ratio(table, self._tensors("parameter")) if kind == "update" else table

    def summary(self) -> "pd.DataFrame":
        """Return the newest numbers of every observed module and parameter, one row each."""
        return summary_table(self._newest(), self.sites, self.layouts)

    def graph(self) -> ModuleGraph:
        """Return the newest module graph of the run; see ``Session.graph``."""
        nothing = ModuleGraph((), (), complete=False, note="no step had been observed when this was read")
        return self._reader.graph() or nothing

    def detail(self, site: str) -> Detail | None:
        """Return the newest closer look at a layer; None without any. See ``Session.ask_detail``."""
        return next((detail for detail in self.details() if detail.site == site), None)

    def details(self) -> list[Detail]:
        """Return the newest closer look at every layer that has one, in the order of their steps."""
        return self._reader.details()

    def close(self) -> None:
        """Release the file."""
        self._reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _newest(self) -> dict[TensorKind, Frame]:
        return {kind: frame for kind, (_, frame) in self._reader.newest_frames().items()}

    def _tensors(self, kind: TensorKind) -> "pd.DataFrame":
        frames = list(self._reader.frames(kind))
        return tensor_table(frames, self.sites, self.layouts)


def open_run(path: str | Path, *, viewer: Viewer | None = None) -> Run:
    """Open a run file for reading.

    Args:
        path: The ``.dsrun`` file; it may come from a stranger, and may still be growing.
        viewer: Supplies the views.

    Raises:
        RunFileError: The file is missing, foreign, damaged or from a newer version.
    """
    return Run(path, viewer)

"""Collects the summary rows of the step in progress."""

import logging
from time import perf_counter_ns

import torch

from deepseek.inspector.record import TENSOR_KINDS, Layout, TensorKind
from deepseek.inspector.sites import SiteTable
from deepseek.kernels.summary import summarize_row

log = logging.getLogger("deepseek")

MAX_STEP_ROWS = 20_000
"""Rows of one kind that a step may have; what comes after them is left out."""

Payload = bytes | torch.Tensor
Row = tuple[int, int, int, Payload]
"""Site id, call, layout id and the summary: packed on the host, or still on its way from the accelerator."""


class Recorder:
    """Where probes leave what they saw. Probes may run in several threads at once.

    Attributes:
        active: Whether rows are wanted now; probes return at once when not.
        spent_ns: Time spent inside the inspector during the step in progress.
        rows: The rows of the step in progress, by kind.
    """

    def __init__(self, sites: SiteTable) -> None:
        self.sites = sites
        self.active = False
        self.spent_ns = 0
        self.rows: dict[TensorKind, list[Row]] = {kind: [] for kind in TENSOR_KINDS}
        self.calls: dict[tuple[str, int], int] = {}
        self._layouts: dict[tuple[torch.dtype, torch.Size], Layout] = {}
        self._new_layouts: list[Layout] = []
        self._said: set[str] = set()

    def add(self, kind: TensorKind, site: int, call: int, tensor: torch.Tensor) -> None:
        """Summarise ``tensor`` and keep the row, unless the step has too many of this kind already."""
        if self.has_room(kind):
            self.add_row(kind, site, call, tensor, summarize_row(tensor))

    def add_row(self, kind: TensorKind, site: int, call: int, tensor: torch.Tensor, payload: Payload) -> None:
        """Keep a row that was summarised already; ``tensor`` gives its layout."""
        layout = self._layouts.get((tensor.dtype, tensor.shape)) or self._add_layout(tensor)
        self.rows[kind].append((site, call, layout.id, payload))

    def has_room(self, kind: TensorKind) -> bool:
        """Whether the step in progress may take one more row of this kind; says once when it may not."""
        if len(self.rows[kind]) < MAX_STEP_ROWS:
            return True
        self._warn_once(
            "room",
            f"one step has more than {MAX_STEP_ROWS:,} tensors of one kind (many forwards without optimizer.step()?); "
            "the others are not recorded",
        )
        return False

    def next_call(self, kind: str, site: int) -> int:
        """Count a use of the site within this step, from 0."""
        key = (kind, site)
        call = self.calls.get(key, 0)
        self.calls[key] = call + 1
        return call

    def take_rows(self) -> dict[TensorKind, list[Row]]:
        """Hand over the rows of the step in progress and start afresh."""
        rows = {kind: found for kind, found in self.rows.items() if found}
        self.rows = {kind: [] for kind in TENSOR_KINDS}
        self.calls = {}
        return rows

    def take_layouts(self) -> tuple[Layout, ...]:
        """Return the layouts that were first seen since the last call."""
        new, self._new_layouts = tuple(self._new_layouts), []
        return new

    def take_spent_ns(self) -> int:
        """Return the time spent inside the inspector since the last call."""
        spent, self.spent_ns = self.spent_ns, 0
        return spent

    def failed(self, part: str, error: BaseException) -> None:
        """Say once that a part of the inspector failed and is off from now on; training goes on."""
        self._warn_once(part, f"{part} failed and is switched off ({type(error).__name__}: {error})")

    def _warn_once(self, key: str, fact: str) -> None:
        if key not in self._said:
            self._said.add(key)
            log.warning("deepseek: %s. Your training is not affected.", fact)

    def _add_layout(self, tensor: torch.Tensor) -> Layout:
        shape = tuple(int(size) for size in tensor.shape)
        layout = Layout(len(self._layouts), str(tensor.dtype).removeprefix("torch."), shape, tensor.itemsize)
        self._layouts[tensor.dtype, tensor.shape] = layout
        self._new_layouts.append(layout)
        return layout


class Clock:
    """Adds the time spent in its block to the recorder's account."""

    __slots__ = ("_recorder", "_start")

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def __enter__(self) -> None:
        self._start = perf_counter_ns()

    def __exit__(self, *_: object) -> None:
        self._recorder.spent_ns += perf_counter_ns() - self._start

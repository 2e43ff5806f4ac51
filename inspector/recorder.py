"""Collects what the probes see during the step in progress."""

import logging
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from time import perf_counter_ns
from typing import Literal

import torch

from deepseek.inspector.record import Event, Layout, TensorKind
from deepseek.inspector.sites import SiteTable
from deepseek.inspector.tensors import local
from deepseek.kernels.summary import HostCopy, summarize_row
from deepseek.kernels.summary import Row as Payload
from deepseek.text import printable

log = logging.getLogger("deepseek")

MAX_STEP_ROWS = 20_000
"""Rows of one kind that a step may have; what comes after them is left out."""

MAX_LAYOUTS = 100_000
"""Different shapes and dtypes that a run may have; tensors of further ones are not recorded."""

Row = tuple[int, int, int, Payload]
"""Site id, call, layout id and the summary: packed on the host, or still on its way from the accelerator."""

Group = Literal["boundary", "norm", "gradient", "activation", "parameter", "unit", "function", "detail"]
"""Probes that are switched on and off together, and whose cost is accounted for together.

``detail`` is what was asked for of single layers: it is measured, but counts for no budget.
"""

Units = tuple[int, int, HostCopy, HostCopy]
"""Site id, samples, and per unit the samples in which it was active and saturated, ``[U] int32``."""


class Recorder:
    """Where probes leave what they saw. Probes may run in several threads at once.

    Attributes:
        kinds: The kinds that the user wants.
        active: Whether rows are wanted now; probes return at once when not.
        output_kind: The kind under which outputs of modules are recorded now; None when they are not wanted.
        output_gradients: Whether gradients of outputs are wanted.
        units: Whether units are counted now.
        in_forward: Whether a forward of the whole model is running.
        saw_outputs: Whether any hook on a module has been called so far; within compiled code none ever is.
        inverse_scale: What the gradients now arriving must be multiplied with, because a loss scaler scaled the loss.
        spent_ns: Time spent inside the inspector during the step in progress, by group.
        total_ns: Time spent inside the inspector so far, and in pauses that it was asked for.
        on_backward: Called with every gradient that arrives.
        rows: The rows of the step in progress, by kind.
    """

    def __init__(self, sites: SiteTable) -> None:
        self.sites = sites
        self.kinds: frozenset[str] = frozenset()
        self.active = False
        self.output_kind: TensorKind | None = None
        self.output_gradients = False
        self.units = False
        self.in_forward = False
        self.saw_outputs = False
        self.inverse_scale: torch.Tensor | float | None = None
        self.spent_ns: dict[Group, int] = {}
        self.total_ns = 0
        self.on_backward: Callable[[], None] = lambda: None
        self._said: set[str] = set()
        self._layouts: dict[tuple[torch.dtype, torch.Size], Layout] = {}
        self._new_layouts: list[Layout] = []
        self.discard()

    def discard(self) -> None:
        """Start the step in progress afresh."""
        self.rows: defaultdict[TensorKind, list[Row]] = defaultdict(list)
        self.full_units: list[Units] = []
        self.events: list[Event] = []
        self.calls: dict[tuple[str, int], int] = {}

    def add(self, kind: TensorKind, site: int, call: int, tensor: torch.Tensor) -> Payload | None:
        """Summarise ``tensor``, keep the row and return it, unless the step has too many of this kind already."""
        if not self.has_room(kind):
            return None
        tensor = local(tensor)
        payload = summarize_row(tensor)
        self.add_row(kind, site, call, tensor, payload)
        return payload

    def add_row(self, kind: TensorKind, site: int, call: int, tensor: torch.Tensor, payload: Payload) -> None:
        """Keep a row that was summarised already; ``tensor`` gives its layout."""
        layout = self._layouts.get((tensor.dtype, tensor.shape)) or self._add_layout(tensor)
        if layout is not None:
            self.rows[kind].append((site, call, layout.id, payload))

    def add_gradient(self, kind: TensorKind, site: int, call: int, gradient: torch.Tensor) -> Payload | None:
        """Summarise a gradient as it would be without a loss scale, as ``add`` does."""
        self.on_backward()
        gradient = local(gradient)
        if self.inverse_scale is not None:
            with torch.no_grad():
                gradient = gradient.detach() * self.inverse_scale
        return self.add(kind, site, call, gradient)

    def add_units(self, site: int, samples: int, active: torch.Tensor, saturated: torch.Tensor) -> None:
        """Keep how many of the samples of a full window each unit was active and saturated in."""
        self.full_units.append((site, samples, HostCopy.start(active), HostCopy.start(saturated)))

    def has_room(self, kind: TensorKind) -> bool:
        """Whether the step in progress takes one more row of this kind; says once when there are too many."""
        if kind not in self.kinds:
            return False
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

    def take_layouts(self) -> tuple[Layout, ...]:
        """Return the layouts that were first seen since the last call."""
        new, self._new_layouts = tuple(self._new_layouts), []
        return new

    def take_spent_ms(self) -> dict[Group, float]:
        """Return the time spent inside the inspector since the last call, by group."""
        spent, self.spent_ns = self.spent_ns, {}
        return {group: nanoseconds / 1e6 for group, nanoseconds in spent.items()}

    def spend(self, group: Group, since_ns: int) -> None:
        """Charge a group with the time since ``since_ns`` of ``perf_counter_ns``."""
        self.charge(group, perf_counter_ns() - since_ns)

    def charge(self, group: Group, nanoseconds: int) -> None:
        """Charge a group with so much time."""
        self.total_ns += nanoseconds
        self.spent_ns[group] = self.spent_ns.get(group, 0) + nanoseconds

    def set_apart(self, nanoseconds: int) -> None:
        """Charge nobody with so much time, which went by while a hook was running."""
        self.total_ns += nanoseconds

    def guard(self, part: str, action: Callable[[], object]) -> None:
        """Run a part of the inspector; what it raises is reported once and goes no further."""
        try:
            action()
        except Exception as error:  # noqa: BLE001 - whatever fails inside us must not reach training
            self.failed(part, error)

    def failed(self, part: str, error: BaseException) -> None:
        """Say once that a part of the inspector failed and is off from now on; training goes on."""
        self._warn_once(part, f"{part} failed and is switched off ({type(error).__name__}: {error})")

    def _warn_once(self, key: str, fact: str) -> None:
        if key not in self._said:
            self._said.add(key)
            with suppress(Exception):  # a handler of the user's may fail as well
                log.warning("deepseek: %s. Your training is not affected.", printable(fact))

    def _add_layout(self, tensor: torch.Tensor) -> Layout | None:
        if len(self._layouts) >= MAX_LAYOUTS:
            self._warn_once(
                "layouts", f"there are more than {MAX_LAYOUTS:,} different shapes; tensors of new ones are not recorded"
            )
            return None
        shape = tuple(int(size) for size in tensor.shape)
        layout = Layout(len(self._layouts), str(tensor.dtype).removeprefix("torch."), shape, tensor.itemsize)
        self._layouts[tensor.dtype, tensor.shape] = layout
        self._new_layouts.append(layout)
        return layout

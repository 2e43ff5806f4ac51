"""A made-up recording that implements the protocol: a convolutional stack whose gradients fade."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from deepseek.inspector.detail import Detail
from deepseek.inspector.graph.module_graph import Edge, ModuleGraph, Node
from deepseek.inspector.record import Finding, Frame, Layout, Site, StepRecord
from deepseek.inspector.recording import Overhead, Status
from deepseek.kernels.summary.columns import COLUMNS

TYPES = ("Conv2d", "BatchNorm2d", "ReLU")


def make_finding(step: int, site: str) -> Finding:
    return Finding(
        rule="vanishing_gradient",
        severity="error",
        site=site,
        step=step,
        message=f"Gradients of {site} are 310 times smaller than those of the last layer.",
        evidence={"ratio": 0.0032, "threshold": 0.01, "window": "20 steps"},
        cause="Ten sigmoid layers in a row shrink the gradient by at least a factor of four each.",
        fix="Replace the sigmoids by ReLU and add normalisation, or add skip connections.",
    )


def values(count: int, **columns: float | np.ndarray) -> np.ndarray:
    out = np.zeros((count, len(COLUMNS)))
    for name, column in columns.items():
        out[:, COLUMNS.index(name)] = column
    return out


@dataclass
class SyntheticRecording:
    """A recording of ``blocks`` blocks (three layers each) and a head, made step by step by ``advance``."""

    blocks: int = 6
    every: int = 1
    title: str = "DigitsCNN"
    rename: Callable[[str], str] = str
    seed: int = 0
    finding_at: int = 40
    meta: Mapping[str, str] = field(
        default_factory=lambda: {"model": "DigitsCNN", "device": "cpu", "optimizer": "AdamW"}
    )

    def __post_init__(self) -> None:
        self.random = np.random.default_rng(self.seed)
        self.stored: list[StepRecord] = []
        self.sites: list[Site] = []
        self.layouts: list[Layout] = []
        self.listeners: list[Callable[[Sequence[StepRecord]], None]] = []
        self.lock = threading.Lock()
        self.state = "running"
        self.pending: list[StepRecord] = []
        self.sent = 0.0
        names = [(f"features.{b}.{kind.lower()}", kind) for b in range(self.blocks) for kind in TYPES]
        names.append(("head", "Linear"))
        for order, (name, kind) in enumerate(names):
            name = self.rename(name)
            self._site(name, "module", kind, name, order)
            if kind != "ReLU":
                for suffix in ("weight", "bias"):
                    self._site(f"{name}.{suffix}", "parameter", kind, name, order)
        self.layouts = [
            Layout(0, "float32", (32, 16, 28, 28), 4),
            Layout(1, "float32", (16, 16, 3, 3), 4),
            Layout(2, "float32", (32, 10), 4),
        ]

    def _site(self, name: str, role: str, kind: str, module: str, order: int) -> None:
        self.sites.append(Site(len(self.sites), name, role, kind, module, order))

    @property
    def findings(self) -> list[Finding]:
        return [finding for record in self.stored for finding in record.findings]

    @property
    def status(self) -> Status:
        overhead = Overhead(0.031, 0.024, 0.039, "interleaved") if self.stored else None
        speed = 18.4 if len(self.stored) > 1 else float("nan")
        return Status(self.state, len(self.stored), speed, overhead, 0)

    def records(self, start: int = 0) -> Iterator[StepRecord]:
        with self.lock:
            stored = list(self.stored)
        yield from (record for record in stored if record.step >= start)

    def frame(self, kind: str) -> pd.DataFrame:
        raise NotImplementedError

    def summary(self) -> pd.DataFrame:
        raise NotImplementedError

    def details(self) -> list[Detail]:
        return []

    def graph(self) -> ModuleGraph:
        """One call of each module after the other, between an input and an output."""
        modules = [site for site in self.sites if site.role == "module"]
        nodes = [Node(0, "", self.title, "module", None, None, 0, None, "", 0)]
        nodes += [Node(i, s.name, s.type, "module", 0, None, 0, None, "", 0) for i, s in enumerate(modules, 1)]
        tensor = ((32, 10), "float32", 1280)
        nodes.append(Node(len(nodes), "input.0", "Tensor", "input", 0, None, 0, *tensor))
        for i, site in enumerate(modules, 1):
            nodes.append(Node(len(nodes), site.name, site.type, "call", i, None, 0, *tensor))
        nodes.append(Node(len(nodes), "output.0", "Tensor", "output", 0, None, 0, *tensor))
        first = len(modules) + 1
        edges = tuple(Edge(source, source + 1, *tensor) for source in range(first, len(nodes) - 1))
        return ModuleGraph(tuple(nodes), edges, complete=True)

    def subscribe(self, listener: Callable[[Sequence[StepRecord]], None]) -> Callable[[], None]:
        self.listeners.append(listener)
        return lambda: self.listeners.remove(listener)

    def advance(self, steps: int = 1) -> None:
        """Record some steps and tell the listeners, at most ten times a second."""
        for _ in range(steps):
            record = self._record(len(self.stored))
            with self.lock:
                self.stored.append(record)
            self.pending.append(record)
        if time.monotonic() - self.sent >= 0.1:
            self.flush()

    def flush(self) -> None:
        batch, self.pending, self.sent = self.pending, [], time.monotonic()
        for listener in list(self.listeners):
            listener(batch)

    def close(self) -> None:
        self.state = "closed"
        if self.pending:
            self.flush()
        for listener in list(self.listeners):
            listener([])

    def _record(self, step: int) -> StepRecord:
        noise = self.random.lognormal(0, 0.15)
        loss = 2.3 * np.exp(-step / 150) * noise + 0.05
        record = StepRecord(step, 1.7e9 + step * 0.05, 54.0, 1.6, step % self.every == 0, {"loss": float(loss)})
        if step == 0:
            record = replace(record, sites=tuple(self.sites), layouts=tuple(self.layouts))
        if step == self.finding_at:
            record = replace(record, findings=(make_finding(step, self.sites[0].name),))
        return replace(record, frames=self._frames(step)) if record.observed else record

    def _frames(self, step: int) -> dict[str, Frame]:
        modules = np.array([s.id for s in self.sites if s.role == "module"], np.uint32)
        parameters = np.array([s.id for s in self.sites if s.role == "parameter"], np.uint32)
        return {
            "activation": self._activation(modules, step),
            "gradient": self._frame(parameters, 1, l2=self._fading(parameters, step)),
            "parameter": self._frame(parameters, 1, l2=3 + 0.01 * step),
            "update": self._frame(parameters, 1, l2=3e-3 * self._fading(parameters, step) ** 0.3),
        }

    def _fading(self, ids: np.ndarray, step: int) -> np.ndarray:
        depth = np.array([self.sites[i].order for i in ids]) / len(self.sites)
        return 10 ** (-4 * (1 - 2 * depth)) * np.exp(-step / 400) * self.random.lognormal(0, 0.3, len(ids))

    def _activation(self, ids: np.ndarray, step: int) -> Frame:
        dying = np.array([1 - np.exp(-step / 300) if "relu" in self.sites[i].name.lower() else 0 for i in ids])
        zero = np.where(dying > 0, 0.45 + 0.5 * dying * self.random.uniform(0.5, 1, len(ids)), 0.002)
        peak = self.random.lognormal(1, 0.2, len(ids)) * (1 + step / 200)
        std = peak / 4
        frame = self._frame(ids, 0, mean=std / 9, std=std, min=-peak, max=peak, absmax=peak, zero_frac=zero)
        frame.layout[-1] = 2
        return frame

    def _frame(self, ids: np.ndarray, layout: int, **columns: float | np.ndarray) -> Frame:
        count = len(ids)
        return Frame(ids, np.zeros(count, np.uint32), np.full(count, layout, np.uint32), values(count, **columns))

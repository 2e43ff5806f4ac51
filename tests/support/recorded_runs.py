"""Runs to store: small ones written by hand, and any at all by hypothesis."""

import math
from dataclasses import replace

import numpy as np
import torch
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from deepseek.inspector.detail import Detail, Histogram, Picture, UnitActivity
from deepseek.inspector.detail.histogram import histogram
from deepseek.inspector.graph import Edge, ModuleGraph, Node
from deepseek.inspector.record import TENSOR_KINDS, Event, Finding, Frame, Layout, Site, StepRecord, UnitCounts
from deepseek.kernels.summary.columns import COLUMNS


def frame(rows: int, *, sites: int | None = None, seed: int = 0) -> Frame:
    values = np.random.default_rng(seed).standard_normal((rows, len(COLUMNS)))
    site = np.arange(rows, dtype=np.uint32) % (sites or max(rows, 1))
    return Frame(site, np.zeros(rows, np.uint32), np.zeros(rows, np.uint32), values)


def units(site: int, count: int, samples: int, *, seed: int = 0) -> UnitCounts:
    active, saturated = np.random.default_rng(seed).integers(0, samples, (2, count), dtype=np.uint32, endpoint=True)
    return UnitCounts(site, samples, active, saturated)


def record(step: int, *, rows: int = 3) -> StepRecord:
    first = step == 0
    sites = tuple(Site(i, f"layers.{i}", "module", "Linear", f"layers.{i}", i, ("tied",)) for i in range(rows))
    finding = Finding("dead_units", "warning", "layers.1", step, "Half are dead.", {"share": 0.5, "at": "1"}, "c", "f")
    return StepRecord(
        step=step,
        time=1e9 + step,
        wall_ms=float("nan") if first else 10.0,
        inspector_ms=0.5,
        observed=True,
        scalars={"loss": 1.0 / (step + 1)},
        frames={"activation": frame(rows, seed=step), "gradient": frame(rows, seed=step + 1)},
        sites=sites if first else (),
        layouts=(Layout(0, "float32", (8, 16), 4),) if first else (),
        findings=(finding,) if step % 3 == 2 else (),
        units=(units(rows - 1, 5, 64, seed=step), units(0, 0, 0)) if step % 2 else (),
        events=(Event("step_skipped", {"scale": 65536.0 / (step + 1), "why": "overflow"}),) if step % 3 == 1 else (),
        gradient_norm=float(step) if step else float("nan"),
    )


def with_graph(run: list[StepRecord]) -> list[StepRecord]:
    """The same run; its second step brought a module graph, a module with one call and a function of it."""
    tensor = ((8, 16), "float32", 512)
    nodes = (
        Node(0, "Net", "Net", "module", None, None, 0, None, "", 0),
        Node(1, "fc", "Linear", "module", 0, None, 0, None, "", 0),
        Node(2, "input.0", "Tensor", "input", 0, None, 0, *tensor),
        Node(3, "Net", "Net", "call", 0, None, 0, *tensor),
        Node(4, "fc", "Linear", "call", 1, 3, 0, *tensor),
        Node(5, "Net:add", "add", "function", 0, 3, 0, *tensor),
        Node(6, "output", "Tensor", "output", 0, None, 0, *tensor),
    )
    edges = (Edge(2, 4, *tensor), Edge(4, 5, *tensor), Edge(2, 5, *tensor), Edge(5, 6, *tensor))
    graph = ModuleGraph(nodes, edges, complete=True)
    return [replace(one, graph=graph) if one.step == 1 else one for one in run]


def detail(site: str = "layers.0", step: int = 1) -> Detail:
    """A closer look at a layer, with everything that there may be."""
    weight = torch.linspace(-1, 1, 12).reshape(3, 4)
    return Detail(
        site=site,
        type="Linear",
        step=step,
        watched=False,
        calls=2,
        histograms=(histogram("activation", "", weight * 1e-6), histogram("parameter", "weight", weight)),
        units=UnitActivity("activation", 9, np.array([0, 9], np.uint32), np.array([3, 0], np.uint32)),
        picture=Picture("matrix", "weight", "3 outputs", weight.numpy()),
        forward_ms=0.25,
        backward_ms=math.nan,
        output_bytes=48,
        parameter_bytes=96,
        gradient_bytes=0,
        note="a note",
    )


def bare(step: int) -> StepRecord:
    """A step that was not observed."""
    return StepRecord(step, 1e9 + step, 3.0, 0.01, False, {"loss": 1.0 / (step + 1)}, gradient_norm=2.0)


def records(steps: int, *, rows: int = 3) -> list[StepRecord]:
    return [record(step, rows=rows) for step in range(steps)]


def exact(item: object) -> object:
    """Turn a record into something that compares equal exactly when every bit is equal, NaN included."""
    match item:
        case np.ndarray():
            return (item.dtype.str, item.shape, item.tobytes())
        case float():
            return "nan" if item != item else np.float64(item).tobytes()
        case dict():
            return {key: exact(value) for key, value in item.items()}
        case list() | tuple():
            return [exact(value) for value in item]
        case Frame() | Layout() | Site() | Finding() | StepRecord() | UnitCounts() | Event():
            return [type(item).__name__, *(exact(getattr(item, name)) for name in item.__slots__)]
        case Detail() | Histogram() | UnitActivity() | Picture():
            return [type(item).__name__, *(exact(getattr(item, name)) for name in item.__slots__)]
    return item


_texts = st.text(max_size=20)
_numbers = st.floats()
_pairs = st.dictionaries(_texts, _numbers | _texts, max_size=4)


@st.composite
def _frames(draw: st.DrawFn, sites: int, layouts: int) -> Frame:
    rows = draw(st.integers(0, 5))
    site = draw(hnp.arrays(np.uint32, rows, elements=st.integers(0, sites - 1)))
    layout = draw(hnp.arrays(np.uint32, rows, elements=st.integers(0, layouts - 1)))
    call = draw(hnp.arrays(np.uint32, rows))
    bits = draw(hnp.arrays(np.uint64, (rows, len(COLUMNS))))
    return Frame(site, call, layout, bits.view(np.float64))


@st.composite
def _units(draw: st.DrawFn, sites: int) -> UnitCounts:
    samples = draw(st.integers(0, 2**32 - 1))
    counts = st.lists(st.integers(0, samples), max_size=4)
    active = np.array(draw(counts), np.uint32)
    saturated = draw(hnp.arrays(np.uint32, len(active), elements=st.integers(0, samples)))
    return UnitCounts(draw(st.integers(0, sites - 1)), samples, active, saturated)


@st.composite
def any_run(draw: st.DrawFn) -> list[StepRecord]:
    sites = layouts = 0
    run = []
    for step in sorted(draw(st.sets(st.integers(0, 2**40), max_size=4))):
        new_sites = tuple(
            Site(
                sites + i,
                draw(_texts),
                draw(st.sampled_from(("module", "parameter"))),
                draw(_texts),
                draw(_texts),
                draw(st.integers(0, 10**6)),
                tuple(draw(st.lists(_texts, max_size=2))),
            )
            for i in range(draw(st.integers(0, 3)))
        )
        new_layouts = tuple(
            Layout(layouts + i, draw(_texts), tuple(draw(st.lists(st.integers(0, 99), max_size=5))), 4)
            for i in range(draw(st.integers(0, 2)))
        )
        sites, layouts = sites + len(new_sites), layouts + len(new_layouts)
        kinds = draw(st.sets(st.sampled_from(TENSOR_KINDS))) if sites and layouts else set()
        run.append(
            StepRecord(
                step,
                draw(_numbers),
                draw(_numbers),
                draw(_numbers),
                draw(st.booleans()),
                draw(st.dictionaries(_texts, _numbers, max_size=3)),
                {kind: draw(_frames(sites, layouts)) for kind in kinds},
                new_sites,
                new_layouts,
                tuple(
                    Finding(
                        draw(_texts),
                        draw(st.sampled_from(("info", "warning", "error"))),
                        *(draw(_texts), draw(st.integers(0, 2**40)), draw(_texts)),
                        draw(_pairs),
                        *(draw(_texts), draw(_texts)),
                    )
                    for _ in range(draw(st.integers(0, 2)))
                ),
                tuple(draw(_units(sites)) for _ in range(draw(st.integers(0, 2)) if sites else 0)),
                tuple(Event(draw(_texts), draw(_pairs)) for _ in range(draw(st.integers(0, 2)))),
                draw(st.just(math.nan) | st.floats(0)),
            )
        )
    return run

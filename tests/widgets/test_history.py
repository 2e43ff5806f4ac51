"""The bounded history against a brute-force computation that keeps every step."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from synthetic import SyntheticRecording

from deepseek.inspector.record import Frame, Layout, Site, StepRecord
from deepseek.kernels.summary.columns import COLUMNS
from deepseek.widgets.columns import MAX_COLUMNS, Columns, Series
from deepseek.widgets.history import History
from deepseek.widgets.metrics import METRICS

MERGE = {"max": np.fmax, "min": np.fmin}


def brute_force(steps, values, stride, worst):
    """Worst value of each aligned bucket of steps."""
    buckets = {}
    for step, value in zip(steps, values, strict=True):
        start = step // stride * stride
        buckets[start] = value if start not in buckets else MERGE[worst](buckets[start], value)
    return np.array(list(buckets)), np.array(list(buckets.values())).T


@settings(deadline=None, max_examples=60)
@given(
    count=st.integers(1, 400),
    widest=st.integers(1, 9),
    worst=st.sampled_from(["max", "min"]),
    seed=st.integers(0, 99),
)
@example(count=300, widest=5, worst="max", seed=0)
def test_columns_keep_the_worst_of_aligned_buckets(count, widest, worst, seed):
    steps = np.cumsum(np.random.default_rng(seed).integers(1, widest, count, endpoint=True))
    values = np.random.default_rng(seed).normal(size=(len(steps), 3)).astype(np.float32)
    values[np.random.default_rng(seed).random(values.shape) < 0.2] = np.nan
    columns = Columns({"m": worst}, cells=0)
    columns.resize(3, np.zeros(0, np.intp))
    for step, value in zip(steps, values, strict=True):
        columns.add(int(step), {"m": value.astype(float)})
    starts, expected = brute_force(steps, values, columns.stride, worst)
    np.testing.assert_array_equal(columns.starts, starts)
    np.testing.assert_array_equal(columns.values("m"), expected)
    assert columns.count <= 64


def test_columns_use_the_smallest_stride_that_fits():
    columns = Columns({"m": "max"}, cells=10**9)
    columns.resize(1, np.zeros(0, np.intp))
    for step in range(MAX_COLUMNS + 1):
        columns.add(step, {"m": np.ones(1)})
    assert columns.stride == 2
    assert columns.count == MAX_COLUMNS // 2 + 1


def test_infinite_values_survive_merging():
    columns = Columns({"m": "max"}, cells=0)
    columns.resize(1, np.zeros(0, np.intp))
    for step in range(200):
        columns.add(step, {"m": np.array([np.inf if step == 3 else 1.0])})
    assert np.isinf(columns.values("m")[0]).tolist() == [True] + [False] * (columns.count - 1)


def test_series_keep_mean_low_and_high():
    series = Series(capacity=8)
    values = np.random.default_rng(0).normal(size=100)
    for step, value in enumerate(values):
        series.add(step, value)
    step, mean, low, high = series.points
    buckets = [values[int(start) : int(start) + series.stride] for start in step]
    np.testing.assert_allclose(mean, [bucket.mean() for bucket in buckets], rtol=1e-5)
    np.testing.assert_allclose(low, [bucket.min() for bucket in buckets], rtol=1e-6)
    np.testing.assert_allclose(high, [bucket.max() for bucket in buckets], rtol=1e-6)


def test_a_loss_that_is_not_finite_leaves_a_gap():
    series = Series()
    for step, value in enumerate([1.0, float("inf"), float("nan"), 2.0]):
        series.add(step, value)
    assert np.isnan(series.points[1]).tolist() == [False, True, True, False]


def frame(rows):
    values = np.zeros((len(rows), len(COLUMNS)))
    for row, (_, columns) in zip(values, rows, strict=True):
        for name, value in columns.items():
            row[COLUMNS.index(name)] = value
    count = len(rows)
    sites = np.array([site for site, _ in rows], np.uint32)
    return Frame(sites, np.zeros(count, np.uint32), np.zeros(count, np.uint32), values)


@pytest.fixture
def one_step():
    """Two layers: one with two parameters, seen twice; one without parameters whose output overflowed."""
    sites = (
        Site(0, "act", "module", "ReLU", "act", 2),
        Site(1, "fc", "module", "Linear", "fc", 1),
        Site(2, "fc.weight", "parameter", "Linear", "fc", 1),
        Site(3, "fc.bias", "parameter", "Linear", "fc", 1),
    )
    frames = {
        "activation": frame(
            [
                (1, {"absmax": 2.0, "zero_frac": 0.0}),
                (1, {"absmax": 5.0, "zero_frac": 0.5}),
                (0, {"absmax": 1.0, "zero_frac": 0.75, "nonfinite_count": 1}),
            ]
        ),
        "gradient": frame([(2, {"l2": 99.0}), (2, {"l2": 3.0}), (3, {"l2": 4.0})]),
        "parameter": frame([(2, {"l2": 6.0}), (3, {"l2": 8.0})]),
        "update": frame([(2, {"l2": 0.3}), (3, {"l2": 0.4})]),
    }
    layouts = (Layout(0, "float32", (4,), 4),)
    return StepRecord(0, 0.0, 1.0, 0.1, True, {}, frames, sites, layouts)


@pytest.mark.parametrize(
    ("metric", "layers", "values"),
    [
        ("gradient_norm", ["fc"], [5.0]),
        ("update_ratio", ["fc"], [0.05]),
        ("activation_ratio", ["fc", "act"], [0.75, 0.25]),
        ("absmax", ["fc", "act"], [5.0, np.inf]),
    ],
)
def test_metrics_of_layers(one_step, metric, layers, values):
    history = History()
    history.add([one_step])
    rows, matrix = history.matrix(metric)
    assert [history.layers[row]["name"] for row in rows] == layers
    np.testing.assert_allclose(matrix[:, 0], values, rtol=1e-6)


def test_rows_move_when_a_layer_in_between_appears_later(one_step):
    history = History()
    history.add([one_step])
    late = Site(4, "norm", "module", "LayerNorm", "norm", 0)
    frames = {"activation": frame([(4, {"absmax": 7.0})])}
    history.add([StepRecord(1, 0.0, 1.0, 0.1, True, {}, frames, (late,))])
    assert [layer["name"] for layer in history.layers] == ["norm", "fc", "act"]
    np.testing.assert_array_equal(history.columns.values("absmax"), [[np.nan, 7], [5, np.nan], [np.inf, np.nan]])


def test_steps_are_taken_once():
    recording = SyntheticRecording(blocks=2)
    recording.advance(20)
    history = History()
    history.add(recording.records())
    history.add(recording.records(5))
    assert history.observed == 20
    assert history.next_step == 20


def decode(packet):
    """Arrays of a packet by name, as the browser takes them."""
    arrays, offset = {}, 0
    for info in packet.message["arrays"]:
        count = int(np.prod(info["shape"]))
        array = np.frombuffer(packet.payload, np.dtype(info["dtype"]).newbyteorder("<"), count, offset)
        arrays[info["name"]] = array.reshape(info["shape"])
        offset += array.nbytes
    assert offset == len(packet.payload)
    return arrays


def test_a_snapshot_and_its_increments_add_up_to_the_next_snapshot():
    recording = SyntheticRecording(blocks=2, every=3)
    history = History(cells=0)
    recording.advance(1)
    history.add(recording.records())
    state = decode(history.snapshot(recording.status))
    for _ in range(60):
        recording.advance(7)
        history.add(recording.records(history.next_step))
        packet = history.increment(recording.status)
        if packet is None:
            state = decode(history.snapshot(recording.status))
            continue
        apply(state, decode(packet))
    final = decode(history.snapshot(recording.status))
    assert state.keys() == final.keys()
    for name, array in final.items():
        np.testing.assert_array_equal(state[name], array)


def apply(state, news):
    if "steps" in news:
        keep = np.searchsorted(state["steps"], news["steps"][0])
        for name in [name for name in news if name.startswith("metric/")]:
            state[name] = np.hstack([state[name][:, :keep], news[name]])
        state["steps"] = np.append(state["steps"][:keep], news["steps"])
    for name in [name for name in news if name.startswith("scalar/")]:
        keep = np.searchsorted(state[name][0], news[name][0, 0])
        state[name] = np.hstack([state[name][:, :keep], news[name]])
    for name in {"flow", "flow_layouts"} & news.keys():
        state[name] = news[name]


def test_a_live_snapshot_stays_small_and_an_increment_tiny():
    recording = SyntheticRecording(blocks=20)
    recording.advance(2000)
    history = History()
    history.add(recording.records())
    assert len(history.snapshot(recording.status).payload) < 250_000
    recording.advance(2)
    history.add(recording.records(2000))
    assert len(history.increment(recording.status).payload) < 10_000


def test_more_than_eight_scalars_are_cut_not_refused():
    history = History()
    history.add([StepRecord(0, 0.0, 1.0, 0.1, False, {f"s{i}": float(i) for i in range(12)})])
    assert len(history.snapshot(SyntheticRecording().status).message["series"]) == 8


def test_every_metric_is_described():
    assert all(metric.description and metric.title for metric in METRICS)

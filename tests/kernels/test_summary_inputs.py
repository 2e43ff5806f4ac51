"""What the summary op makes of unusual tensors, and what it must leave alone."""

import math
import struct
import threading
import time
import warnings

import pytest
import torch
from torch import Tensor
from torch.nn import Parameter
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from deepseek.errors import DeepseekError
from deepseek.kernels import COLUMNS, Summary, summarize
from deepseek.kernels import summary as op
from deepseek.kernels.summary import native

needs_native = pytest.mark.skipif(native.native is None, reason="the native part was not built")


def counts(length: int) -> Tensor:
    return torch.zeros(length, dtype=torch.int32)


def all_nan(summary: Summary) -> bool:
    return all(math.isnan(value) for value in summary[3:])


def quantised() -> Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.quint8)


def nested(layout: torch.layout) -> Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.nested.nested_tensor([torch.ones(2), torch.ones(3)], layout=layout)


def fake() -> Tensor:
    from torch._subclasses import FakeTensorMode

    with FakeTensorMode():
        return torch.ones(3)


def released() -> Tensor:
    tensor = torch.ones(4)
    tensor.untyped_storage().resize_(0)
    return tensor


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.ones(3, dtype=torch.complex64),
        lambda: torch.ones(3, device="meta"),
        quantised,
        lambda: nested(torch.strided),
        lambda: nested(torch.jagged),
        fake,
        released,
        lambda: torch.eye(3).to_mkldnn(),
    ],
    ids=["complex", "meta", "quantised", "nested", "jagged", "fake", "released", "mkldnn"],
)
def test_nothing_to_summarise_gives_nan(implementation: str, make) -> None:
    tensor = make()
    row = op.summarize_row(tensor)
    assert isinstance(row, bytes)
    assert all(math.isnan(value) for value in struct.unpack("12d", row))
    assert all(isinstance(row, bytes) for row in op.summarize_update_row(tensor, tensor))


def test_inside_a_function_transform_gives_nan(implementation: str) -> None:
    seen: list[bytes | Tensor] = []

    def f(x: Tensor) -> Tensor:
        seen.append(op.summarize_row(x))
        return x.sum()

    torch.func.grad(f)(torch.ones(3))
    torch.vmap(f)(torch.ones(3, 2))
    torch.func.functionalize(f)(torch.ones(3))
    assert [math.isnan(struct.unpack("12d", row)[0]) for row in seen] == [True] * 3


@pytest.mark.parametrize("layout", ["coo", "csr", "csc", "bsr", "full", "none"])
@pytest.mark.filterwarnings("ignore:Sparse")
def test_sparse_tensors_count_their_implicit_zeros(implementation: str, layout: str) -> None:
    generator = torch.Generator().manual_seed(0)
    dense = torch.randn(6, 8, generator=generator) * (torch.rand(6, 8, generator=generator) < 0.3) + 0.0
    dense[0, 0] = math.nan
    dense = {"full": dense + 1, "none": torch.zeros(6, 8)}.get(layout, dense)
    sparse = {
        "csr": dense.to_sparse_csr,
        "csc": dense.to_sparse_csc,
        "bsr": lambda: dense.to_sparse_bsr((2, 2)),
    }.get(layout, dense.to_sparse)()
    assert summarize(sparse)[3:] == pytest.approx(summarize(dense)[3:], rel=1e-6, nan_ok=True)


def test_duplicate_entries_of_a_sparse_tensor_are_added_up(implementation: str) -> None:
    indices, values = torch.tensor([[1, 1, 3]]), torch.tensor([2.0, -2.0, 5.0])
    sparse = torch.sparse_coo_tensor(indices, values, (4,), check_invariants=True)
    assert summarize(sparse).max == 5.0
    assert summarize(sparse).zero_frac == 0.75


@pytest.mark.parametrize(
    "make", [lambda: torch._neg_view(torch.tensor([1.0, 2.0])), lambda: torch.tensor([1 - 2j]).conj().imag]
)
def test_negative_views_keep_their_sign(implementation: str, make) -> None:
    tensor = make()
    assert tensor.is_neg()
    assert summarize(tensor).min == min(tensor.tolist())


def test_a_subclass_without_behaviour_of_its_own_is_summarised(implementation: str) -> None:
    class Named(Tensor):
        pass

    assert summarize(torch.tensor([1.0, 3.0]).as_subclass(Named)).mean == 2.0
    assert summarize(Parameter(torch.tensor([1.0, 3.0]))).mean == 2.0


def test_a_dense_tensor_is_read_without_a_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> Tensor:
        raise AssertionError("copied")

    x = torch.randn(2, 3, 4, 5)
    layouts = [x, x.to(memory_format=torch.channels_last), x.transpose(0, 2), x.permute(3, 0, 1, 2)]
    if native.native is None:
        pytest.skip("the native part was not built")
    monkeypatch.setattr(Tensor, "contiguous", refuse)
    assert all(isinstance(op.summarize_row(tensor), bytes) for tensor in layouts)


def test_autograd_and_random_state_are_left_alone(implementation: str) -> None:
    x = torch.randn(4, 6, requires_grad=True)
    y = (x * 2).t()
    version, function, state = y._version, y.grad_fn, torch.get_rng_state()
    for tensor in (x, y, y[:, ::2], x.long()):
        row = op.summarize_row(tensor)
        assert isinstance(row, bytes) or not row.requires_grad
        op.summarize_update_row(tensor, tensor.detach().clone())
        op.square_sums([tensor])
    op.count_live_rows(counts(4), x)
    op.count_units(counts(6), counts(6), x, 1, (0.0, 0.0, -1.0, 1.0))
    assert (y._version, y.grad_fn) == (version, function)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.is_grad_enabled()
    y.sum().backward()
    assert torch.equal(x.grad, torch.full((4, 6), 2.0))


def test_the_modes_of_the_user_see_nothing(implementation: str) -> None:
    seen: list[object] = []

    class Functions(TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            seen.append(func)
            return func(*args, **(kwargs or {}))

    class Dispatches(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            seen.append(func)
            return func(*args, **(kwargs or {}))

    x, rows = torch.randn(4, 6), counts(4)
    strided, integers, six, three = x[:, ::2], x.long(), counts(6), counts(3)
    with Functions(), Dispatches():
        for tensor, units in ((x, six), (strided, three), (integers, six)):
            row = op.summarize_row(tensor)
            op.summarize_update_row(tensor, tensor)
            op.count_live_rows(rows, tensor)
            op.square_sums([tensor])
            op.count_units(units, units, tensor, 1, (0.0, 0.0, -1.0, 1.0))
            op.start_transfer([row]).wait()
    assert seen == []


def test_the_default_device_does_not_matter(implementation: str) -> None:
    x = torch.arange(4.0)
    with torch.device("meta"):
        rows = op.start_transfer([op.summarize_row(x), op.summarize_row(x.long().cpu())]).wait()
    assert rows[:, 0].tolist() == [1.5, 1.5]


def test_differences_of_unlike_tensors_are_refused() -> None:
    with pytest.raises(DeepseekError, match=r"same shape, dtype and device, got \(2,\).*\(3,\)"):
        op.summarize_update_row(torch.ones(2), torch.ones(3))
    with pytest.raises(DeepseekError, match="float64"):
        op.summarize_update_row(torch.ones(2), torch.ones(2, dtype=torch.float64))


def test_summarize_tells_shape_and_dtype(implementation: str) -> None:
    summary = summarize(torch.tensor([[0.0, -3.0], [4.0, math.inf]], dtype=torch.bfloat16))
    assert summary[:3] == (4, (2, 2), "bfloat16")
    assert Summary._fields[3:] == COLUMNS
    assert (summary.l2, summary.min, summary.max, summary.absmax) == (5.0, -3.0, 4.0, 4.0)
    assert (summary.zero_frac, summary.positive_frac, summary.nonfinite_count) == (0.25, 0.25, 1)


def test_summarize_refuses_what_is_not_a_tensor() -> None:
    with pytest.raises(DeepseekError, match=r"Expected a torch.Tensor, got list; convert it with torch.as_tensor"):
        summarize([1.0])


def test_the_implementation_in_use_has_a_name(implementation: str) -> None:
    assert op.implementation() == implementation


@needs_native
def test_the_native_code_refuses_what_it_cannot_read() -> None:
    with pytest.raises(ValueError, match="instruction_sets"):
        native.native.use("mmx")
    with pytest.raises(RuntimeError, match="no memory"):
        native.native.summarize(0, 1, 0)
    with pytest.raises(ValueError, match="dtype code"):
        native.native.summarize(1, 1, 9)
    with pytest.raises(TypeError, match="3 arguments"):
        native.native.summarize(1, 1)


@needs_native
def test_other_threads_run_during_a_long_summary() -> None:
    tensor = torch.zeros(1000).expand(1, 1000).repeat(20_000, 1)
    ticks: list[float] = []
    done = threading.Event()

    def tick() -> None:
        while not done.is_set():
            ticks.append(time.perf_counter())

    thread = threading.Thread(target=tick)
    thread.start()
    native.native.use("scalar" if "scalar" in native.native.instruction_sets() else native.native.instruction_set())
    spans = []
    for _ in range(10):  # a busy machine may leave the other thread out of one
        start = time.perf_counter()
        op.summarize_row(tensor)
        spans.append((start, time.perf_counter()))
    native.native.use(native.native.instruction_sets()[0])
    done.set()
    thread.join()
    middles = [(start + 0.2 * (end - start), start + 0.8 * (end - start)) for start, end in spans]
    assert any(start < moment < end for start, end in middles for moment in ticks)

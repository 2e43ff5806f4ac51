"""Rows that Triton's kernels give equal those of plain torch: on a GPU where there is one, else in the interpreter."""

import math

import pytest
import torch
from compiling import without_interpreter
from torch import Tensor

from deepseek.kernels.summary import COLUMNS, cuda, reference_row, start_transfer, summarize_row, summarize_update_row

pytest.importorskip("triton", reason="Triton is published for Linux only")

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
FLOATS = [torch.float32, torch.float64, torch.float16, torch.bfloat16]
SIZES = [1, 7, 1023, 1025, 4096, 4097, 30_000]
EXACT = [COLUMNS.index(name) for name in COLUMNS if name.endswith("count") or name in ("min", "max", "absmax")]


@pytest.fixture(autouse=True)
def few_programs(monkeypatch):
    """Several programs for short tensors: the interpreter runs them one after the other."""
    monkeypatch.setattr(cuda, "_working", True)
    monkeypatch.setattr(cuda, "_MOST_PROGRAMS", 4 if DEVICE == "cpu" else 512)


def content(kind: str, size: int) -> Tensor:
    x = torch.randn(size, dtype=torch.float64, generator=torch.Generator().manual_seed(size))
    special = torch.tensor([math.nan, math.inf, -math.inf, -0.0, 0.0, 65519.0, 65520.0, -65520.0, 2.0**-14, 2.0**-15])
    return {
        "normal": lambda: x,
        "shifted": lambda: x * 0.01 + 100,
        "relu": lambda: x.relu(),
        "outliers": lambda: torch.where(x.abs() > 2, x * 1e4, x * 1e-4),
        "constant": lambda: torch.full_like(x, 0.1),
        "ramp": lambda: torch.logspace(-20, 20, size, dtype=torch.float64) * x.sign(),
        "special": lambda: special.double()[(x.abs() * 1e4).long() % len(special)],
        "nan": lambda: torch.full_like(x, math.nan),
        "nan, then not": lambda: torch.where(torch.arange(size) < size // 2, math.nan, x + 100),
    }[kind]()


CONTENTS = ["normal", "shifted", "relu", "outliers", "constant", "ramp", "special", "nan", "nan, then not"]


def check(found: Tensor, x: Tensor) -> None:
    expected = reference_row(x)
    torch.testing.assert_close(found[EXACT], expected[EXACT], rtol=0, atol=0, equal_nan=True)
    scale = float(x.double().nan_to_num(0, 0, 0).abs().max())
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-7 * scale, equal_nan=True)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("kind", CONTENTS)
@pytest.mark.parametrize("size", SIZES)
def test_rows(size, kind, dtype):
    x = content(kind, size).to(DEVICE, dtype)
    check(cuda.launch(x, None)[0], x)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("size", SIZES)
def test_updates(size, dtype):
    new, old = content("normal", size).to(DEVICE, dtype), content("special", size).to(DEVICE, dtype)
    difference = new.double() - old.double() if dtype == torch.float64 else new.float() - old.float()
    rows = cuda.launch(new, old)
    check(rows[0], new)
    check(rows[1], difference)
    assert torch.equal(old, new)


def test_a_spread_far_below_the_mean_is_not_lost():
    x = torch.randn(20_000, dtype=torch.float64, device=DEVICE) + 1e6
    assert cuda.launch(x, None)[0, 1].item() == pytest.approx(x.std(correction=0).item(), rel=1e-9)


COMPILE = """
from compiling import compiles
from deepseek.kernels.summary.cuda_kernels import gather, merge

for capability, dtype, index in ((75, "fp16", "i32"), (90, "bf16", "i64"), (90, "fp32", "i32"), (80, "fp64", "i64")):
    types = {"values": "*" + dtype, "old": "*" + dtype, "parts": "*fp64", "rows": "*fp64", "numel": index}
    print(compiles(gather, capability, types, {"tile": 1024}, num_warps=8, enable_fp_fusion=True))
    print(compiles(merge, capability, types, {"most": 512}, enable_fp_fusion=True))
"""


def test_the_compiler_for_gpus_takes_the_kernels(tmp_path):
    done = without_interpreter(COMPILE, tmp_path)
    assert done.stdout.split() == ["True"] * 8, done.stderr[-2000:]


@pytest.mark.skipif(DEVICE == "cpu", reason="needs a GPU")
class TestOnTheGpu:
    """What is asked of a tensor before the kernels read it."""

    @pytest.mark.parametrize("dtype", [*FLOATS, torch.int64, torch.bool, torch.float8_e4m3fn])
    def test_every_dtype_and_layout(self, dtype):
        matrix = torch.randn(200, 96, device="cuda").to(dtype)
        for x in (matrix, matrix.t(), matrix[:, ::2], matrix[:3], matrix[0, 0], matrix[:1].expand(4, 96)):
            check(summarize_row(x), x)
        assert isinstance(summarize_row(matrix[:0]), bytes)

    def test_layouts_of_updates(self):
        for x in (
            torch.randn(64, 32, 3, 3, device="cuda").to(memory_format=torch.channels_last),
            torch.randn(5, 4).cuda().t(),
        ):
            old = torch.randn_like(x)
            difference = x - old
            row, update = summarize_update_row(x, old)
            check(row, x)
            check(update, difference)
            assert torch.equal(old, x)
            check(summarize_update_row(x, torch.zeros(x.shape, device="cuda"))[1], x)

    def test_large_tensors_give_the_same_bits_each_time(self):
        x = torch.randn(30_000_001, device="cuda")
        check(summarize_row(x), x)
        assert (cuda.launch(x, None)[0] == cuda.launch(x, None)[0]).all()

    def test_without_triton_torch_computes_and_it_is_said_once(self, monkeypatch, caplog):
        def broken(values, old):
            raise RuntimeError("no compiler")

        monkeypatch.setattr(cuda, "launch", broken)
        x = torch.randn(100, device="cuda")
        for _ in range(2):
            check(summarize_row(x), x)
        assert [record.getMessage().count("no compiler") for record in caplog.records] == [1]

    def test_rows_of_a_graph_that_is_captured(self):
        x = torch.randn(5000, device="cuda")
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            row = summarize_row(x)
        x.copy_(torch.randn(5000))
        graph.replay()
        check(row, x)

    def test_rows_from_another_stream_arrive(self):
        stream = torch.cuda.Stream()
        with torch.cuda.stream(stream):
            x = torch.randn(4000, 4000, device="cuda")
            for _ in range(20):
                x = (x @ x).clamp(-1, 1)
            rows = start_transfer([summarize_row(x)])
        assert rows.wait()[0, 5] == pytest.approx(x.max().item())

    @pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
    def test_rows_from_a_device_that_is_not_the_current_one_arrive(self):
        x = torch.randn(4000, 4000, device="cuda:1")
        for _ in range(20):
            x = (x @ x).clamp(-1, 1)
        rows = start_transfer([summarize_row(x)])
        assert rows.wait()[0, 5] == pytest.approx(x.max().item())

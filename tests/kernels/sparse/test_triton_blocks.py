"""The Triton kernels equal the masked dense computation: on a GPU where there is one, else in Triton's interpreter."""

import copy
import sys

import pytest
import torch
from compiling import without_interpreter
from torch import Tensor

from deepseek.errors import DeepseekError
from deepseek.kernels import SparseFeedForward, calibrate_gates
from deepseek.kernels.sparse.feed_forward import ACTIVATIONS

pytest.importorskip("triton", reason="Triton is published for Linux only")

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
HALVES = [torch.float16, torch.bfloat16] if DEVICE == "cuda" else [torch.float16]
"""The interpreter multiplies the bits of bfloat16 as if they were integers; that its code compiles is tested below."""

TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5}
WIDTH, HIDDEN, BLOCKS = 20, 36, 3


def layer(dtype: torch.dtype = torch.float32, share: float = 0.5, activation: str = "gelu") -> SparseFeedForward:
    torch.manual_seed(0)
    made = SparseFeedForward(WIDTH, HIDDEN, blocks=BLOCKS, activation=activation, d_out=18).to(DEVICE, dtype).eval()
    if share == 1:
        made.gate.open_all()
    elif share == 0:
        made.gate.threshold.fill_(1)
    else:
        calibrate_gates(made, [batch(500, dtype=dtype)], target=share)
    return made


def batch(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(*shape, WIDTH, dtype=dtype, device=DEVICE, generator=torch.Generator(DEVICE).manual_seed(1))


def computed(made: SparseFeedForward, executor: str, x: Tensor) -> tuple[Tensor, ...]:
    """The output, and the gradients of inputs and weights."""
    made.executor = executor
    leaf = x.detach().clone(memory_format=torch.preserve_format).requires_grad_()
    output = made(leaf)
    assert made.executed == executor
    wanted = [leaf, made.up_weight, made.up_bias, made.down_weight, made.down_bias]
    return output.detach(), *torch.autograd.grad((output * output.detach().cos()).sum(), wanted)


def check(made: SparseFeedForward, x: Tensor) -> None:
    tolerance = TOLERANCE[x.dtype]
    for found, expected in zip(computed(made, "triton", x), computed(made, "masked", x), strict=True):
        torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("share", [0, 0.3, 0.7, 1])
@pytest.mark.parametrize("shape", [(1,), (7,), (70,), (3, 5), ()])
def test_kernels_equal_the_oracle(dtype, share, shape):
    check(layer(dtype, share), batch(*shape, dtype=dtype))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations(activation):
    check(layer(torch.float64, activation=activation), batch(9, dtype=torch.float64))


@pytest.mark.parametrize("at_a_time", [40, 8192])
def test_sizes_larger_than_a_tile(at_a_time, monkeypatch):
    from deepseek.kernels.sparse import triton_blocks

    monkeypatch.setattr(triton_blocks, "ROWS_AT_A_TIME", at_a_time)
    torch.manual_seed(0)
    made = SparseFeedForward(70, 4 * 70, blocks=4, d_out=70).to(DEVICE, torch.float64).eval()
    check(made, torch.randn(90, 70, dtype=torch.float64, device=DEVICE))


@pytest.mark.parametrize("shape", [(0,), (2, 0)])
def test_an_empty_batch(shape):
    made = layer()
    made.executor = "triton"
    assert made(batch(*shape)).shape == (*shape, 18)


def test_inputs_that_are_not_contiguous():
    check(layer(), torch.randn(WIDTH, 10, device=DEVICE).t())
    check(layer(), torch.randn(8, 2 * WIDTH, device=DEVICE)[::2, ::2])


@pytest.mark.parametrize("dtype", HALVES)
def test_half_precision(dtype):
    made, x = layer(dtype), batch(40, dtype=dtype)
    made.executor = "triton"
    found = made(x)
    assert found.dtype == dtype
    made.executor = "masked"
    torch.testing.assert_close(found, made(x), rtol=2e-2, atol=2e-2)


@pytest.mark.parametrize("dtype", HALVES)
def test_autocast(dtype):
    made, x = layer(), batch(9)
    with torch.autocast(DEVICE, dtype):
        found, expected = computed(made, "triton", x), computed(made, "masked", x)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=5e-2, atol=5e-2)  # and of one dtype


def test_autocast_leaves_float64_alone():
    with torch.autocast(DEVICE, HALVES[0]):
        check(layer(torch.float64), batch(9, dtype=torch.float64))


def test_an_input_of_another_dtype_is_named():
    made = layer()
    made.executor = "triton"
    with pytest.raises(DeepseekError, match=r"weights' dtype, torch.float32, got torch.float64"):
        made(batch(3, dtype=torch.float64))


def test_tracing_and_training_take_the_oracle():
    made, x = layer(torch.float64), batch(4, 9, dtype=torch.float64)
    expected = computed(made, "masked", x)[0]
    made.executor = "triton"
    torch.testing.assert_close(torch.func.vmap(made)(x), expected, rtol=1e-12, atol=1e-12)
    compiled = torch.compile(made, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(copy.deepcopy(made).train()(x), expected, rtol=1e-12, atol=1e-12)


def test_the_same_input_gives_the_same_bits():
    made, x = layer(), batch(40)
    made.executor = "triton"
    assert torch.equal(made(x), made(x))


def test_what_a_closed_block_would_overflow_to_is_not_seen():
    made = layer(share=0)
    made.executor = "triton"
    with torch.no_grad():
        made.up_weight.fill_(torch.inf)
        assert torch.equal(made(batch(4)), made.down_bias.expand(4, -1))


def test_nan_is_not_hidden():
    made = layer(activation="relu")
    made.executor = "triton"
    assert made(torch.full((3, WIDTH), torch.nan, device=DEVICE)).isnan().all()


@pytest.mark.skipif(DEVICE == "cpu", reason="needs a GPU")
def test_the_host_waits_for_nothing():
    made, x = layer(), batch(40)
    made.executor = "triton"
    with torch.no_grad():
        made(x)
        torch.cuda.set_sync_debug_mode("error")
        try:
            made(x)
        finally:
            torch.cuda.set_sync_debug_mode("default")


@pytest.mark.skipif(DEVICE == "cuda", reason="stands in for a GPU")
def test_the_host_looks_at_no_value(monkeypatch):
    made, x = layer(), batch(40)
    made.executor = "triton"
    for name in ("item", "tolist", "nonzero", "__bool__", "__int__", "__float__", "__index__"):
        monkeypatch.setattr(Tensor, name, forbidden(name, getattr(Tensor, name)))
    with torch.no_grad():
        made(x)


def forbidden(name, original):
    def refuse(self, *arguments, **options):
        assert "/triton/" in sys._getframe(1).f_code.co_filename, f"{name} waits for the device"
        return original(self, *arguments, **options)

    return refuse


COMPILE = """
from compiling import compiles
from deepseek.kernels.sparse import triton_blocks as ours
from deepseek.kernels.sparse.triton_kernels import add, choose, down, up

cases = (
    (80, "fp32", "gelu", ours.EXACT, ["unit_step"]),
    (80, "fp32", "silu", ours.TF32, ["step"]),
    (90, "bf16", "gelu_tanh", ours.HALF, ["step"]),
    (80, "fp64", "silu", ours.EXACT, ["unit_step"]),
    (80, "fp64", "silu", ours.FEW, ["step", "count"]),
)
for capability, dtype, activation, tiles, ones in cases:
    options = tiles.options("tf32" if tiles is ours.TF32 else "ieee") | {"activation": activation}
    built = {name: options.pop(name) for name in ("num_warps", "num_stages", "enable_fp_fusion")}
    types = dict.fromkeys(("rows", "weight", "bias", "hidden", "mask", "output"), "*" + dtype)
    types |= dict.fromkeys(("order", "slots", "wanting"), "*i32") | {"parts": "*fp64" if dtype == "fp64" else "*fp32"}
    for kernel in (choose, up, down, add):
        print(compiles(kernel, capability, types, options | dict.fromkeys(ones, 1), **built))  # 1 is compiled in
"""


def test_the_compiler_for_gpus_takes_the_kernels(tmp_path):
    done = without_interpreter(COMPILE, tmp_path)
    assert done.stdout.split() == ["True"] * 20, done.stderr[-2000:]
    assert "Warning" not in done.stderr


ELSEWHERE = """
import torch
from deepseek.errors import DeepseekError
from deepseek.kernels import SparseFeedForward
try:
    SparseFeedForward(4, 8, executor="triton").eval()(torch.ones(1, 4))
except DeepseekError as error:
    print(error)
"""


def test_tensors_elsewhere_are_refused(tmp_path):
    assert "'triton' computes on CUDA devices, got cpu" in without_interpreter(ELSEWHERE, tmp_path).stdout


def test_without_triton_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "deepseek.kernels.sparse.triton_blocks", None)
    made = layer()
    made.executor = "triton"
    with pytest.raises(DeepseekError, match="needs Triton: pip install triton"):
        made(batch(2))

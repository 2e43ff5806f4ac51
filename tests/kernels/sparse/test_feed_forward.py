"""Every way to compute a gated feed-forward layer equals the masked dense one, in values and gradients."""

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.utils.flop_counter import FlopCounterMode

from deepseek.errors import DeepseekError
from deepseek.kernels import SparseFeedForward, calibrate_gates
from deepseek.kernels.sparse import native_rows
from deepseek.kernels.sparse.block_paths import cheapest

PATHS = ("runs", "gathered", "auto")
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5}
WIDTH, HIDDEN, BLOCKS = 12, 40, 5


def layer(dtype: torch.dtype = torch.float64, share: float = 0.5, activation: str = "gelu") -> SparseFeedForward:
    torch.manual_seed(0)
    made = SparseFeedForward(WIDTH, HIDDEN, blocks=BLOCKS, activation=activation).to(dtype).eval()
    if share == 1:
        made.gate.open_all()
    elif share == 0:
        made.gate.threshold.fill_(1)
    else:
        calibrate_gates(made, [torch.randn(500, WIDTH, dtype=dtype)], target=share)
    return made


def computed(made: SparseFeedForward, executor: str, x: Tensor) -> tuple[Tensor, ...]:
    """The output, and the gradients of inputs and weights."""
    made.executor = executor
    leaf = x.detach().clone(memory_format=torch.preserve_format).requires_grad_()
    output = made(leaf)
    wanted = [leaf, made.up_weight, made.up_bias, made.down_weight, made.down_bias]
    weights = torch.randn(output.shape, dtype=output.dtype, generator=torch.Generator().manual_seed(1))
    gradients = torch.autograd.grad((output * weights).sum(), wanted, allow_unused=True, materialize_grads=True)
    return (output.detach(), *gradients)


def check(made: SparseFeedForward, executor: str, x: Tensor, tolerance: float | None = None) -> None:
    tolerance = tolerance or TOLERANCE[x.dtype]
    for found, expected in zip(computed(made, executor, x), computed(made, "masked", x), strict=True):
        torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("executor", PATHS)
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("share", [0, 0.3, 0.7, 1])
@pytest.mark.parametrize("shape", [(1,), (7,), (64,), (3, 5), ()])
def test_paths_equal_the_oracle(executor, dtype, share, shape):
    check(layer(dtype, share), executor, torch.randn(*shape, WIDTH, dtype=dtype))


@pytest.mark.parametrize("executor", PATHS)
@pytest.mark.parametrize("activation", ["gelu", "gelu_tanh", "relu", "silu", "tanh"])
def test_activations(executor, activation):
    check(layer(activation=activation), executor, torch.randn(9, WIDTH, dtype=torch.float64))


@pytest.mark.parametrize("executor", [*PATHS, "masked"])
@pytest.mark.parametrize("shape", [(0,), (2, 0)])
def test_an_empty_batch(executor, shape):
    made = layer()
    made.executor = executor
    assert made(torch.randn(*shape, WIDTH, dtype=torch.float64)).shape == (*shape, WIDTH)


@pytest.mark.parametrize("executor", PATHS)
def test_inputs_that_are_not_contiguous(executor):
    x = torch.randn(WIDTH, 10, dtype=torch.float64).t()
    check(layer(), executor, x)
    check(layer(), executor, torch.randn(8, 2 * WIDTH, dtype=torch.float64)[::2, ::2])


@pytest.mark.parametrize("executor", PATHS)
@pytest.mark.parametrize("share", [0, 0.5, 1])
def test_autocast(executor, share):
    made, x = layer(torch.float32, share), torch.randn(9, WIDTH)
    with torch.autocast("cpu", torch.bfloat16):
        made.executor = executor
        found = made(x)
        made.executor = "masked"
        expected = made(x)
    assert found.dtype == expected.dtype == torch.bfloat16
    torch.testing.assert_close(found, expected, rtol=2e-2, atol=2e-2)


def test_decisions_do_not_depend_on_autocast():
    made, x = layer(torch.float32), torch.randn(200, WIDTH)
    with torch.autocast("cpu", torch.bfloat16):
        found = made.gate(x)
    assert torch.equal(found, made.gate(x))


@pytest.mark.parametrize("training", [False, True])
def test_compiled(training):
    made, x = layer().train(training), torch.randn(9, WIDTH, dtype=torch.float64)
    compiled = torch.compile(made, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), made(x), rtol=1e-12, atol=1e-12)


def test_exported():
    made, x = layer(), torch.randn(9, WIDTH, dtype=torch.float64)
    exported = torch.export.export(made, (x,)).module()
    torch.testing.assert_close(exported(x), made(x), rtol=1e-12, atol=1e-12)


def test_vmap_and_per_sample_gradients():
    made, x = layer(), torch.randn(4, 9, WIDTH, dtype=torch.float64)
    torch.testing.assert_close(torch.func.vmap(made)(x), made(x), rtol=1e-12, atol=1e-12)
    gradient = torch.func.vmap(torch.func.grad(lambda row: made(row).sum()))(x[0])
    leaf = x[0].clone().requires_grad_()
    made(leaf).sum().backward()
    torch.testing.assert_close(gradient, leaf.grad, rtol=1e-12, atol=1e-12)


def test_with_all_blocks_open_it_is_the_dense_layer():
    made, x = layer(share=1), torch.randn(9, WIDTH, dtype=torch.float64)
    up, down = nn.Linear(WIDTH, HIDDEN).double(), nn.Linear(HIDDEN, WIDTH).double()
    up.load_state_dict({"weight": made.up_weight, "bias": made.up_bias})
    down.load_state_dict({"weight": made.down_weight.t(), "bias": made.down_bias})
    torch.testing.assert_close(made(x), down(nn.functional.gelu(up(x))), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("executor", PATHS)
def test_training_computes_what_evaluation_does_and_teaches_every_gate(executor):
    made, x = layer(share=0), torch.randn(30, WIDTH, dtype=torch.float64)
    made.executor = executor
    torch.testing.assert_close(copy.deepcopy(made).train()(x), made(x), rtol=1e-12, atol=1e-12)
    made.train()(x).square().sum().backward()
    assert made.gate.weight.grad.abs().min() > 0


@pytest.mark.parametrize("executor", PATHS)
def test_what_a_closed_block_would_overflow_to_is_not_seen(executor):
    made, x = layer(share=0), torch.randn(4, WIDTH, dtype=torch.float64)
    with torch.no_grad():
        made.up_weight.fill_(torch.inf)
    for name in (executor, "masked"):
        made.executor = name
        assert torch.equal(made(x), made.down_bias.expand(4, -1))


@pytest.mark.parametrize(("rows", "executor"), [(1, "runs"), (300, "gathered")])
def test_the_cost_is_the_sum_of_what_is_active(rows, executor):
    torch.manual_seed(0)
    made = SparseFeedForward(64, 512, executor=executor).eval()
    x = torch.randn(rows, 64)
    with FlopCounterMode(display=False) as counter:
        made(x)
    active = float(made.gate.last.active.float().mean())
    dense, gate = 2 * rows * 64 * 512 * 2, 2 * rows * 64 * 8
    assert 0.2 < active < 0.8
    assert counter.get_total_flops() == pytest.approx(gate + active * dense)


@pytest.mark.parametrize(
    ("rows", "share", "executor"), [(1, 0.5, "runs"), (512, 0.3, "gathered"), (512, 1, "masked"), (1, 1, "masked")]
)
def test_the_fastest_path_is_taken_and_named(rows, share, executor):
    torch.manual_seed(0)
    made = SparseFeedForward(512, 2048).eval()
    if share == 1:
        made.gate.open_all()
    else:
        calibrate_gates(made, [torch.randn(2000, 512)], target=share)
    made(torch.randn(rows, 512))
    assert made.executed == executor
    assert f"executed='{executor}'" in repr(made)


native_code = pytest.mark.skipif(native_rows.native is None, reason="there was no compiler")


@native_code
@pytest.mark.parametrize("share", [0, 0.3, 0.7, 1])
@pytest.mark.parametrize("rows", [1, 2, 3, 7, 64, 1100])
@pytest.mark.parametrize(
    ("width", "hidden", "blocks", "outputs"), [(12, 40, 5, 12), (67, 256, 4, 35), (300, 512, 8, 17)]
)
def test_native_rows_equal_the_oracle(share, rows, width, hidden, blocks, outputs):
    torch.manual_seed(0)
    made = SparseFeedForward(width, hidden, blocks=blocks, d_out=outputs).eval()
    calibrate_gates(made, [torch.randn(500, width)], target=share)
    made.executor = "native"
    with torch.no_grad():
        x = torch.randn(2 * rows, width)[::2]
        found = made(x)
        made.executor = "masked"
        torch.testing.assert_close(found, made(x), rtol=1e-5, atol=1e-5)


@native_code
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_share_the_work_of_native_rows(threads):
    torch.manual_seed(0)
    made, x = SparseFeedForward(768, 3072, executor="native").eval(), torch.randn(5, 768)
    before = torch.get_num_threads()
    with torch.no_grad():
        expected = made.forward_masked(x, made.gate(x))
        torch.set_num_threads(threads)
        try:
            torch.testing.assert_close(made(x), expected, rtol=1e-5, atol=1e-5)
        finally:
            torch.set_num_threads(before)


@native_code
def test_natively_what_a_closed_block_would_overflow_to_is_not_seen_and_nan_is():
    made, x = layer(torch.float32, share=0), torch.randn(4, WIDTH)
    made.executor = "native"
    with torch.no_grad():
        made.up_weight.fill_(torch.inf)
        assert torch.equal(made(x), made.down_bias.expand(4, -1))
        x[1, 3] = torch.nan
        assert made(x).isnan().any(1).tolist() == [False, True, False, False]


@native_code
def test_native_code_is_taken_only_where_nobody_needs_the_operations():
    made, x = SparseFeedForward(256, 1024).eval(), torch.randn(2, 256)

    def executed(x: Tensor) -> str:
        made(x)
        return made.executed

    assert executed(x) != "native"
    with torch.no_grad():
        assert executed(x) == "native"
        with FlopCounterMode(display=False):
            assert executed(x) != "native"
        with torch.autocast("cpu", torch.bfloat16):
            assert executed(x) != "native"
        with forward_ad.dual_level():
            assert executed(x) != "native"
    made.executor = "native"
    with pytest.raises(DeepseekError, match="without gradients or autocast"):
        made(x)


@native_code
def test_narrow_layers_of_many_rows_are_not_computed_natively():
    with torch.no_grad():
        for width, natively in ((48, False), (512, True)):
            made = SparseFeedForward(width, 8 * width).eval()
            made(torch.randn(1000, width))
            assert (made.executed == "native") is natively


@native_code
def test_where_the_native_code_has_no_wide_vectors_it_computes_a_few_rows_only(monkeypatch):
    made = SparseFeedForward(64, 256).eval()
    monkeypatch.setattr(native_rows.native, "has_wide_vectors", lambda: False)
    with torch.no_grad():
        for rows, natively in ((8, True), (9, False)):
            made(torch.randn(rows, 64))
            assert (made.executed == "native") is natively


def test_without_native_code_torch_computes(monkeypatch):
    made, x = layer(torch.float32, share=0.5), torch.randn(2, WIDTH)
    monkeypatch.setattr(native_rows, "native", None)
    with torch.no_grad():
        torch.testing.assert_close(made(x), made.forward_masked(x, made.gate(x)), rtol=1e-5, atol=1e-5)
    assert made.executed != "native"


@pytest.mark.parametrize(
    ("action", "sentence"),
    [
        (lambda: SparseFeedForward(4, 10, blocks=4), "multiple of blocks, got 10 units in 4 blocks"),
        (lambda: SparseFeedForward(4, 8, activation="gelo"), "no activation 'gelo'; take one of gelu"),
        (lambda: SparseFeedForward(4, 8, executor="widths"), "no executor 'widths' for this layer; take one of auto"),
        (lambda: SparseFeedForward(4, 8)(torch.ones(2, 5)), r"shape \[..., 4\], got \[2, 5\]"),
    ],
)
def test_what_does_not_fit_is_named(action, sentence):
    with pytest.raises(DeepseekError, match=sentence):
        action()


@pytest.mark.parametrize(
    ("width", "hidden", "way"),
    [(768, 3072, "native"), (256, 1024, "native"), (128, 1024, "gathered"), (48, 1024, "gathered")],
)
def test_wide_layers_are_computed_natively_and_narrow_ones_by_matrix_products(width, hidden, way):
    layer = SparseFeedForward(width, hidden)._layer()
    assert cheapest(layer, 4000, [2000] * 8, native=True) == way
    assert cheapest(layer, 4000, [4000] * 8, native=False) == "masked"

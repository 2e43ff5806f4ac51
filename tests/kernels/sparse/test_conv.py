"""Gated convolutions in widths equal the masked dense ones, in values and gradients."""

import copy
import pickle

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from deepseek.errors import DeepseekError
from deepseek.kernels import SparseConv2d, active_frac, dsa_resnet18, dsa_resnet50, forced_share
from deepseek.kernels.sparse.widths import Chain

TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5}
KINDS = {"basic": ((3, 3), 6), "bottleneck": ((1, 3, 1), 10)}


def block(kind: str = "basic", dtype: torch.dtype = torch.float64, stride: int = 1) -> SparseConv2d:
    """A block with statistics of its own, whose gate chooses every width on random pictures."""
    torch.manual_seed(0)
    kernel_sizes, outputs = KINDS[kind]
    made = SparseConv2d(6, 8, outputs, kernel_sizes=kernel_sizes, stride=stride).to(dtype)
    for norm in made.norms:
        nn.init.uniform_(norm.weight, 0.5, 2)
        nn.init.normal_(norm.bias)
    for _ in range(3):
        made(torch.randn(16, 6, 9, 9, dtype=dtype))
    with torch.no_grad():
        made.gate.weight *= 30
    return made.eval()


def computed(made: SparseConv2d, executor: str, x: Tensor) -> tuple[Tensor, ...]:
    made.executor = executor
    leaf = x.detach().clone(memory_format=torch.preserve_format).requires_grad_()
    output = made(leaf)
    weights = torch.randn(output.shape, dtype=output.dtype, generator=torch.Generator().manual_seed(1))
    wanted = [leaf, *made.convs.parameters(), *made.norms.parameters()]
    gradients = torch.autograd.grad((output * weights).sum(), wanted, allow_unused=True, materialize_grads=True)
    with torch.no_grad():
        return (made(x), output.detach(), *gradients)


def check(made: SparseConv2d, x: Tensor) -> None:
    for found, expected in zip(computed(made, "widths", x), computed(made, "masked", x), strict=True):
        scale = max(1.0, float(expected.abs().max())) if expected.numel() else 1.0
        torch.testing.assert_close(found, expected, rtol=TOLERANCE[x.dtype], atol=TOLERANCE[x.dtype] * scale)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("shape", [(1, 8, 8), (17, 9, 7), (2, 1, 1)])
def test_widths_equal_the_oracle(kind, dtype, stride, shape):
    batch, height, width = shape
    check(block(kind, dtype, stride), torch.randn(batch, 6, height, width, dtype=dtype))


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("batch", [1, 17])
@pytest.mark.parametrize("itself", [True, False])
def test_a_residual_is_added_and_stays_as_it_was(dtype, layout, batch, itself):
    made = block("basic", dtype)
    x = torch.randn(batch, 6, 9, 9, dtype=dtype).contiguous(memory_format=layout)
    residual = x if itself else torch.randn_like(x)
    before = x.clone(), residual.clone()
    with torch.no_grad():
        expected = torch.relu(made(x) + residual)
        for made.executor in ("widths", "masked"):
            torch.testing.assert_close(made(x, residual), expected, rtol=TOLERANCE[dtype], atol=10 * TOLERANCE[dtype])
    assert torch.equal(x, before[0])
    assert torch.equal(residual, before[1])


@pytest.mark.parametrize("itself", [True, False])
@pytest.mark.parametrize("stride", [1, 2])
def test_layers_with_more_weights_than_pictures_are_computed_block_by_block(stride, itself, monkeypatch):
    torch.manual_seed(0)
    made = SparseConv2d(32, 32, 32, stride=stride, blocks=4)
    for norm in made.norms:
        nn.init.uniform_(norm.weight, 0.5, 2)
        nn.init.normal_(norm.bias)
    x = torch.randn(9, 32, 4, 4).contiguous(memory_format=torch.channels_last)
    made(x)
    made.eval()
    residual = x if itself and stride == 1 else made.forward_masked(x, torch.ones(9, 4)).detach() + 1
    residual = residual.contiguous(memory_format=torch.channels_last)
    before = residual.clone()
    counts = torch.tensor([0, 4, 1, 1, 3, 0, 2, 4, 2])
    mask = (torch.arange(4) < counts[:, None]).float()
    monkeypatch.setattr(made.gate, "forward", lambda pooled: mask)
    taken = []
    join_blocks = Chain.join_blocks
    monkeypatch.setattr(Chain, "join_blocks", lambda *arguments: taken.append(1) or join_blocks(*arguments))
    with torch.no_grad():
        found = [made(x, residual), made(x, residual)]
        expected = functional.relu(made.forward_masked(x, mask) + residual)
    assert len(taken) == 2
    assert torch.equal(residual, before)
    for output in found:
        torch.testing.assert_close(output, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("threshold", [0.0, 1.0])
def test_all_on_and_all_off(kind, threshold):
    made, x = block(kind), torch.randn(5, 6, 7, 7, dtype=torch.float64)
    made.gate.threshold.fill_(threshold)
    assert float(active_frac(made, x).mean()) == 1 - threshold
    check(made, x)


def test_all_widths_occur_in_these_tests():
    shares = active_frac(block(), torch.randn(40, 6, 8, 8, dtype=torch.float64))
    assert set(shares.tolist()) == {0, 0.25, 0.5, 0.75, 1}


@pytest.mark.parametrize("executor", ["widths", "masked"])
def test_an_empty_batch(executor):
    made = block(stride=2)
    made.executor = executor
    assert made(torch.randn(0, 6, 9, 9, dtype=torch.float64)).shape == (0, 6, 5, 5)


def test_channels_last_stays_channels_last():
    made = block(dtype=torch.float32)
    x = torch.randn(9, 6, 8, 8).to(memory_format=torch.channels_last)
    check(made, x)
    made.executor = "widths"
    with torch.no_grad():
        assert made(x).is_contiguous(memory_format=torch.channels_last)


def test_inputs_that_are_not_contiguous():
    check(block(), torch.randn(9, 12, 16, 8, dtype=torch.float64)[:, ::2, ::2])


def test_autocast():
    made, x = block(dtype=torch.float32), torch.randn(9, 6, 8, 8)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        made.executor = "widths"
        found = made(x)
        made.executor = "masked"
        torch.testing.assert_close(found.float(), made(x).float(), rtol=5e-2, atol=5e-2)


@pytest.mark.parametrize("training", [False, True])
def test_compiled(training):
    made, x = block().train(training), torch.randn(9, 6, 8, 8, dtype=torch.float64)
    expected = copy.deepcopy(made)(x)
    compiled = torch.compile(made, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), expected, rtol=1e-12, atol=1e-11)


def test_vmap():
    made, x = block(), torch.randn(3, 4, 6, 8, 8, dtype=torch.float64)
    found = torch.func.vmap(made)(x)
    torch.testing.assert_close(found, made(x.flatten(0, 1)).unflatten(0, (3, 4)), rtol=1e-12, atol=1e-11)


def test_packed_weights_follow_the_weights():
    made, x = block(), torch.randn(9, 6, 8, 8, dtype=torch.float64)
    with torch.no_grad():
        before = made(x)
        made.convs[-1].weight.mul_(2)
        doubled = made(x)
        made.executor = "masked"
        torch.testing.assert_close(doubled, made(x), rtol=1e-12, atol=1e-12)
        made.executor = "auto"
        made.load_state_dict(block(stride=1).state_dict())
        torch.testing.assert_close(made(x), before, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_packed_weights_follow_the_norms_and_the_size_of_the_pictures(dtype):
    made = block(dtype=dtype)
    for size in (8, 8, 12):
        check(made, torch.randn(9, 6, size, size, dtype=dtype))
        for norm in made.norms:
            with torch.no_grad():
                norm.running_mean.add_(0.5)
                norm.bias.mul_(-1)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda made: pickle.loads(pickle.dumps(made))])
def test_layers_are_copied_after_they_were_packed(copied):
    made, x = block(dtype=torch.float32), torch.randn(9, 6, 8, 8)
    with torch.no_grad():
        expected = made(x)
        torch.testing.assert_close(copied(made)(x), expected)


def test_inference_tensors():
    made, x = block(), torch.randn(9, 6, 8, 8, dtype=torch.float64)
    with torch.inference_mode():
        twin = copy.deepcopy(made)
        torch.testing.assert_close(twin(x), made(x), rtol=1e-12, atol=1e-12)


def test_the_cost_is_the_sum_of_what_is_active():
    made, x = block(), torch.randn(40, 6, 8, 8, dtype=torch.float64)
    share = float(active_frac(made, x).mean())
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        made(x)
    dense, gate = 2 * 40 * 64 * 9 * 6 * 8 * 2, 2 * 40 * 6
    assert counter.get_total_flops() == pytest.approx(gate + share * dense)


@pytest.mark.parametrize("make", [dsa_resnet18, dsa_resnet50])
def test_residual_networks_equal_their_oracle_and_learn(make):
    torch.manual_seed(0)
    model = make(7, width=16, blocks=2).double()
    model(torch.randn(4, 3, 16, 16, dtype=torch.float64)).square().sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    x = torch.randn(4, 3, 16, 16, dtype=torch.float64)
    model.eval()
    with torch.no_grad():
        found = model(x)
        for module in model.modules():
            if isinstance(module, SparseConv2d):
                module.executor = "masked"
        assert found.shape == (4, 7)
        torch.testing.assert_close(found, model(x), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_stem_and_skips_are_folded_unless_somebody_listens(dtype):
    torch.manual_seed(0)
    model = dsa_resnet18(7, width=16, small_images=False).to(dtype)
    model(torch.randn(4, 3, 64, 64, dtype=dtype))
    model.eval()
    x = torch.randn(4, 3, 64, 64, dtype=dtype)
    heard = []
    parts = [(model.stem, x), (model.layers[2].skip, torch.randn(4, 16, 9, 9, dtype=dtype))]
    with torch.no_grad():
        found = [part(y) for part, y in parts]
        handles = [part[1].register_forward_hook(lambda *_: heard.append(1)) for part, _ in parts]
        expected = [part(y) for part, y in parts]
    assert len(heard) == len(parts)
    for one, other in zip(found, expected, strict=True):
        assert not torch.equal(one, other)
        torch.testing.assert_close(one, other, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])
    for handle in handles:
        handle.remove()
    copied = pickle.loads(pickle.dumps(model))  # opaque weights cannot be pickled
    assert copied.state_dict().keys() == model.state_dict().keys()
    with torch.no_grad():
        assert torch.equal(copied.stem(x), found[0])


def test_the_stem_of_the_paper_takes_large_pictures():
    model = dsa_resnet18(5, width=8, blocks=2, small_images=False).eval()
    with forced_share(model, 0.5), torch.no_grad():
        assert model(torch.randn(1, 3, 64, 64)).shape == (1, 5)


@pytest.mark.parametrize(
    ("action", "sentence"),
    [
        (lambda: SparseConv2d(4, 10, 4), "multiple of blocks, got 10 in 4 blocks"),
        (lambda: SparseConv2d(4, 8, 4, kernel_sizes=(3,)), "two odd kernel sizes, got"),
        (lambda: SparseConv2d(4, 8, 4, kernel_sizes=(2, 3)), "two odd kernel sizes, got"),
        (lambda: SparseConv2d(4, 8, 4, executor="runs"), "no executor 'runs' for this layer"),
        (lambda: SparseConv2d(4, 8, 4)(torch.ones(1, 3, 8, 8)), r"\[B, 4, H, W\], got \[1, 3, 8, 8\]"),
    ],
)
def test_what_does_not_fit_is_named(action, sentence):
    with pytest.raises(DeepseekError, match=sentence):
        action()

"""Gated layers compute on a GPU what they compute masked, whichever way they take."""

import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn
from zoo import ResNet18

from deepseek.kernels import (
    SparseConv2d,
    SparseFeedForward,
    active_frac,
    calibrate_gates,
    dsa_resnet18,
    fit_gates,
    sparsify,
)
from deepseek.kernels.sparse.executor import EXECUTORS


def executors(layer):
    return [e.name for e in EXECUTORS.values() if layer in e.layers and {"any", "cuda"} & set(e.devices)]


@pytest.fixture
def exact():
    """Convolutions in float32 are not rounded to 10 bits."""
    before, torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.allow_tf32, False
    yield
    torch.backends.cudnn.allow_tf32 = before


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", executors("SparseFeedForward"))
def test_feed_forward(name, dtype):
    torch.manual_seed(0)
    layer = SparseFeedForward(96, 8 * 48).to("cuda", dtype).eval()
    x = torch.randn(200, 96, device="cuda", dtype=dtype)
    tolerance = 1e-12 if dtype == torch.float64 else 1e-5
    for shape in ((200,), (1,), (4, 50)):
        layer.executor = "masked"
        part = x[: shape[0]] if len(shape) == 1 else x.view(*shape, 96)
        expected = layer(part)
        layer.executor = name
        torch.testing.assert_close(layer(part), expected, rtol=tolerance, atol=tolerance)
        assert layer.executed == name


@pytest.mark.parametrize("name", executors("SparseConv2d"))
def test_residual_networks(name, exact):
    torch.manual_seed(0)
    model = dsa_resnet18().cuda().eval()
    x = torch.randn(6, 3, 32, 32, device="cuda")
    calibrate_gates(model, [x], target=0.5)
    with torch.no_grad():
        expected = model(x)
        for module in model.modules():
            if isinstance(module, SparseConv2d):
                module.executor = name
        torch.testing.assert_close(model(x), expected, rtol=1e-4, atol=1e-4)


def test_a_trained_network_gets_gates(exact):
    torch.manual_seed(0)
    model = ResNet18(width=16).cuda().eval()
    x = torch.randn(8, 3, 16, 16, device="cuda")
    torch.testing.assert_close(sparsify(model)(x), model(x), rtol=1e-3, atol=1e-3)


def test_gates_learn():
    torch.manual_seed(0)
    x, y = (torch.tensor(part, device="cuda") for part in load_digits(return_X_y=True))
    x = (x / 16).float()
    model = nn.Sequential(nn.Linear(64, 32), SparseFeedForward(32, 256), nn.Linear(32, 10)).cuda()
    fit_gates(
        model, list(zip(x[:1500].split(100), y[:1500].split(100), strict=True)), epochs=12, lr=3e-3, progress=False
    )
    assert float(active_frac(model, x[:1500]).mean()) == pytest.approx(0.5, abs=0.05)
    assert float((model(x[1500:]).argmax(1) == y[1500:]).float().mean()) > 0.85


def test_a_threshold_for_a_latency_is_found_on_the_gpu():
    torch.manual_seed(0)
    layer = SparseFeedForward(2048, 8192, executor="triton").cuda().eval()
    x = torch.randn(4096, 2048, device="cuda")
    with torch.no_grad():
        layer(x)
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        layer(x)
        end.record()
        end.synchronize()
        calibrate_gates(layer, [x], latency_ms=start.elapsed_time(end))
    assert 0.2 < float(layer.gate(x).mean()) < 0.9

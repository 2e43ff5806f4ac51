"""A network cut to one width equals the gated one at that width, and is plain enough for torch.export and ONNX."""

import copy

import numpy as np
import onnxruntime
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from deepseek.errors import DeepseekError
from deepseek.kernels import (
    SparseFeedForward,
    SparseGate,
    calibrate_gates,
    dsa_resnet18,
    dsa_resnet50,
    extract_width,
    forced_share,
    gates_of,
    sparsify,
)
from deepseek.kernels.sparse.export import ACTIVATIONS as MODULES
from deepseek.kernels.sparse.feed_forward import ACTIVATIONS

TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5}
SHARES = [0, 0.25, 0.3, 0.5, 1]


def digits(count: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Pictures of digits, ``[count, 1, 8, 8]``."""
    return torch.tensor(load_digits().images[:count] / 16, dtype=dtype)[:, None]


def with_statistics(model: nn.Module, dtype: torch.dtype) -> nn.Module:
    model = model.to(dtype).train()
    for batch in digits(96, dtype).split(32):
        model(batch)
    return model.eval()


def mlp() -> nn.Module:
    class Mlp(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(64, 96), nn.Linear(96, 64)

        def forward(self, x: Tensor) -> Tensor:
            return self.second(nn.functional.gelu(self.first(x)))

    return nn.Sequential(nn.Flatten(), sparsify(nn.Sequential(Mlp(), nn.LayerNorm(64), Mlp())), nn.Linear(64, 10))


MODELS = {
    "feed-forward": lambda: nn.Sequential(nn.Flatten(), SparseFeedForward(64, 96, blocks=4, d_out=10)),
    "mlp": mlp,
    "resnet18": lambda: dsa_resnet18(10, in_channels=1, width=16),
    "resnet50": lambda: dsa_resnet50(10, in_channels=1, width=16),
}


def made(name: str, dtype: torch.dtype = torch.float32) -> nn.Module:
    torch.manual_seed(0)
    return with_statistics(MODELS[name](), dtype)


def assert_equal(found: Tensor, expected: Tensor) -> None:
    tolerance = TOLERANCE[expected.dtype] * max(1.0, float(expected.detach().abs().max()))
    torch.testing.assert_close(found, expected, rtol=TOLERANCE[expected.dtype], atol=tolerance)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_every_width_equals_the_gated_network_at_that_width(name, dtype):
    model, x = made(name, dtype), digits(7, dtype)
    for share in SHARES:
        with forced_share(model, share), torch.no_grad():
            assert_equal(extract_width(model, share)(x), model(x))


@pytest.mark.parametrize("name", MODELS)
def test_no_gate_is_left_and_the_weights_are_cut(name):
    model = made(name)
    plain = extract_width(model, 0.5)
    with pytest.raises(DeepseekError, match="no sparse gates"):
        gates_of(plain)
    own = {parameter.data_ptr() for parameter in model.parameters()}
    assert own.isdisjoint(parameter.data_ptr() for parameter in plain.parameters())
    assert count(plain) < 0.75 * count(model)


def count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations(activation):
    layer = SparseFeedForward(6, 8, blocks=4, activation=activation).double().eval()
    x = torch.randn(50, 6, dtype=torch.float64)
    with forced_share(layer, 0.5):
        assert_equal(extract_width(layer, 0.5)(x), layer(x))
    assert MODULES.keys() == ACTIVATIONS.keys()


@pytest.mark.parametrize("name", MODELS)
def test_torch_export_takes_any_batch(name):
    model, batch = made(name), torch.export.Dim("batch", min=2, max=64)
    exported = torch.export.export(extract_width(model, 0.5), (digits(4),), dynamic_shapes=({0: batch},)).module()
    with forced_share(model, 0.5), torch.no_grad():
        assert_equal(exported(digits(9)), model(digits(9)))


@pytest.mark.parametrize(("name", "share"), [("mlp", 0.3), ("mlp", 0), ("resnet18", 0.5), ("resnet18", 0)])
def test_onnx_runtime_computes_the_same(name, share, tmp_path):
    model, path = made(name), tmp_path / "model.onnx"
    batch = torch.export.Dim("batch", min=2, max=64)
    plain = extract_width(model, share)
    torch.onnx.export(plain, (digits(4),), path, dynamic_shapes=({0: batch},), dynamo=True, verbose=False)
    run = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (found,) = run.run(None, {run.get_inputs()[0].name: digits(9).numpy()})
    with forced_share(model, share), torch.no_grad():
        expected = model(digits(9))
    assert_equal(torch.from_numpy(np.asarray(found)), expected)


def test_gates_that_are_constant_by_their_weights_are_cut_to_what_they_open():
    torch.manual_seed(0)
    layer = SparseFeedForward(6, 8, blocks=4).double().eval()
    with torch.no_grad():
        layer.gate.weight.zero_()
        layer.gate.bias.copy_(torch.tensor([-1.0, 2, -3, 4]))
    plain, x = extract_width(layer), torch.randn(20, 6, dtype=torch.float64)
    assert plain.up.out_features == 4
    assert_equal(plain(x), layer(x))


def test_a_gate_that_decides_alike_for_all_inputs_given_is_cut():
    layer = SparseFeedForward(6, 8, blocks=4).double().eval()
    with torch.no_grad():
        layer.gate.bias.copy_(torch.tensor([-50.0, 50, 50, -50]))
    x = torch.randn(20, 6, dtype=torch.float64)
    assert_equal(extract_width(layer, inputs=[x[:10], x[10:]])(x), layer(x))


@pytest.mark.parametrize("options", [{}, {"inputs": [digits(32), digits(64)]}])
def test_a_decision_that_depends_on_the_input_is_refused_by_name(options):
    model = made("feed-forward")
    calibrate_gates(model, [digits(64)], target=0.5)
    with pytest.raises(DeepseekError, match=r"decision of 1.gate depends on the input.*extract_width\(model, 0.5\)"):
        extract_width(model, **options)


def test_the_model_and_the_random_state_stay_as_they_are():
    model = made("resnet18").train()
    before, state = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    plain = extract_width(model, 0.5)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(module.training for module in plain.modules())
    assert all(gate.forced is None for gate in gates_of(model).values())


def test_a_layer_used_twice_stays_one_layer():
    layer = SparseFeedForward(6, 8, blocks=4)
    plain = extract_width(nn.Sequential(layer, nn.ReLU(), layer), 0.5)
    assert plain[0] is plain[2]


def test_it_learns():
    plain = extract_width(made("resnet18"), 0.5).train()
    plain(digits(8)).square().mean().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in plain.parameters())


@pytest.mark.parametrize(
    ("action", "sentence"),
    [
        (lambda: extract_width(nn.Linear(2, 2), 0.5), "no sparse gates"),
        (lambda: extract_width(SparseFeedForward(4, 8), 2), "share from 0 to 1, got 2"),
        (lambda: extract_width(nn.Sequential(SparseGate(3, 2)), 0.5), "got 0 in another module"),
        (lambda: extract_width(SparseFeedForward(4, 8), 0.5, inputs=[]), "a share or inputs, got both"),
        (lambda: extract_width(SparseFeedForward(4, 8), inputs=[]), "No input reached gate"),
    ],
)
def test_what_does_not_fit_is_named(action, sentence):
    with pytest.raises(DeepseekError, match=sentence):
        action()

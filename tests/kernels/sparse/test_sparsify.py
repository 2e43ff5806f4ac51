"""Trained models get gates, and compute what they did as long as those are open."""

import copy

import pytest
import torch
from torch import nn
from zoo import MLP, ResNet18

from deepseek.errors import DeepseekError
from deepseek.kernels import SparseConv2d, SparseFeedForward, active_frac, gates_of, sparsify


class TokenMLP(nn.Module):
    """As many models write it: the activation is a function."""

    def __init__(self, activation, width=16, bias=True):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, 64, bias=bias), nn.Linear(64, width, bias=bias)
        self.activation = activation
        self.dropout = nn.Dropout(0.1)

    def forward(self, x):
        return self.dropout(self.fc2(self.activation(self.fc1(x))))


ACTIVATIONS = {
    "gelu": nn.functional.gelu,
    "gelu_tanh": lambda x: nn.functional.gelu(x, approximate="tanh"),
    "relu": torch.relu,
    "silu": nn.functional.silu,
    "tanh": torch.tanh,
}


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("bias", [True, False])
def test_an_mlp_is_recognised_by_what_it_computes(name, bias):
    model = nn.Sequential(nn.Linear(5, 16), TokenMLP(ACTIVATIONS[name], bias=bias), nn.LayerNorm(16)).eval()
    converted = sparsify(model)
    assert isinstance(converted[1], SparseFeedForward)
    assert converted[1].activation == name
    x = torch.randn(7, 5)
    torch.testing.assert_close(converted(x), model(x), rtol=1e-5, atol=1e-5)
    assert active_frac(converted, x).tolist() == [1] * 7


def test_the_model_itself_stays_as_it_is():
    model = nn.Sequential(nn.Linear(8, 32), nn.GELU(), nn.Linear(32, 3)).train()
    before = copy.deepcopy(model.state_dict())
    converted = sparsify(model)
    assert isinstance(converted, SparseFeedForward)
    assert converted.training
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_transformers_keeps_some_weights_transposed():
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.GPT2Config(n_embd=32, n_layer=2, n_head=2, vocab_size=50, n_positions=16)
    model = transformers.GPT2LMHeadModel(config).eval()
    converted = sparsify(model)
    assert list(gates_of(converted)) == ["transformer.h.0.mlp.gate", "transformer.h.1.mlp.gate"]
    tokens = torch.randint(50, (2, 9))
    torch.testing.assert_close(converted(tokens).logits, model(tokens).logits, rtol=1e-4, atol=1e-5)


def test_residual_blocks_keep_what_they_computed():
    torch.manual_seed(0)
    model = ResNet18(width=16)
    for _ in range(3):
        model(torch.randn(8, 3, 16, 16))
    model.eval()
    converted = sparsify(model)
    x = torch.randn(4, 3, 16, 16)
    assert sum(isinstance(module, SparseConv2d) for module in converted.modules()) == 8
    torch.testing.assert_close(converted(x), model(x), rtol=1e-4, atol=1e-4)


def test_the_weightiest_channels_come_first():
    model = ResNet18(width=16).eval()
    block = model.blocks[0]
    nn.init.uniform_(block.bn1.weight)
    branch = sparsify(model).blocks[0].branch
    weight = branch.norms[0].weight.abs() * branch.convs[1].weight.transpose(0, 1).flatten(1).norm(dim=1)
    assert (weight.diff() <= 0).all()


def test_units_with_similar_weights_share_a_block():
    torch.manual_seed(0)
    directions = torch.randn(4, 16)
    owner = torch.randperm(64) % 4
    mlp = TokenMLP(nn.functional.gelu).eval()
    with torch.no_grad():
        mlp.fc1.weight.copy_(directions[owner] + 0.05 * torch.randn(64, 16))
    converted = sparsify(nn.Sequential(mlp), blocks=4)[0]
    nearest = (converted.up_weight @ directions.t()).argmax(1).view(4, 16)
    assert (nearest == nearest[:, :1]).all()


class Scaled(TokenMLP):
    """Looks like an MLP and computes something else."""

    def forward(self, x):
        return 2 * super().forward(x)


class Recurrent(TokenMLP):
    """Keeps what it saw."""

    def forward(self, x, state):
        return super().forward(x) + state


@pytest.mark.parametrize("model", [MLP(), Scaled(torch.relu), Recurrent(torch.relu), nn.Linear(3, 3), nn.LSTM(3, 4)])
def test_what_computes_something_else_is_left_alone(model):
    with pytest.raises(DeepseekError, match=f"{type(model).__name__} has no module that computes"):
        sparsify(model)


def test_a_shared_mlp_stays_shared():
    mlp = TokenMLP(torch.relu)
    converted = sparsify(nn.ModuleDict({"first": mlp, "second": mlp}))
    assert converted["first"] is converted["second"]
    assert isinstance(converted["first"], SparseFeedForward)

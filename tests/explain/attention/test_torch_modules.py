"""Attention as torch itself and hand-written models compute it: all of it seen, none of it changed."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from deepseek.errors import DeepseekError
from deepseek.explain.attention.attend import attention

X = torch.randn(3, 5, 8, generator=torch.Generator().manual_seed(1))
PADDING = torch.tensor([[False] * 5, [False] * 3 + [True] * 2, [False] * 4 + [True]])


class Around(nn.Module):
    """Calls an attention module in one particular way, and keeps what it returned."""

    def __init__(self, module, **options):
        super().__init__()
        self.inner, self.options = module, options

    def forward(self, x, padding=None):
        self.returned = self.inner(x, x, x, key_padding_mask=padding, **self.options)
        return self.returned[0]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize("options", [{"need_weights": False}, {"average_attn_weights": False}, {}])
@pytest.mark.parametrize(
    "made", [{}, {"add_bias_kv": True, "add_zero_attn": True}, {"kdim": 8, "vdim": 8, "bias": False}]
)
def test_multihead_attention_however_it_is_called(training, padded, options, made):
    torch.manual_seed(0)
    model = Around(nn.MultiheadAttention(8, 2, dropout=0.1, batch_first=True, **made), **options).eval()
    padding = PADDING if padded else None
    expected = model.inner(X, X, X, key_padding_mask=padding, average_attn_weights=False)[1].detach()
    output = model(X, padding)
    asked = model.returned[1]
    maps = attention(model.train(training), (X, padding))
    assert (torch.tensor(maps[0].weights) - expected).abs().max() <= 1e-6
    assert maps[0].deviation <= 1e-6
    assert (model.returned[0] - output).abs().max() <= 1e-6
    assert model.returned[1] is None if asked is None else (model.returned[1] - asked).abs().max() <= 1e-6
    assert model.inner.training is training
    assert maps.names == ["inner"]


def test_multihead_attention_with_masks_and_a_causal_hint_and_cross_attention():
    module = nn.MultiheadAttention(8, 2, batch_first=True).eval()
    causal = nn.Transformer.generate_square_subsequent_mask(5)
    for options in ({"attn_mask": causal, "is_causal": True, "need_weights": False}, {"attn_mask": causal < 0}):
        maps = attention(Around(module, **options), (X, PADDING))
        assert maps[0].kind == "decoder"

    class Cross(nn.Module):
        def __init__(self):
            super().__init__()
            self.cross = nn.MultiheadAttention(8, 2, batch_first=True)

        def forward(self, x, memory):
            return self.cross(x, memory, memory)[0]

    each = attention(Cross(), (X, X[:, :4]))["cross"]
    assert (each.kind, each.weights.shape) == ("cross", (3, 2, 5, 4))


@pytest.mark.parametrize("padded", [True, False])
def test_the_fast_path_of_the_encoder(padded):
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = nn.TransformerEncoder(layer, 2)

        def forward(self, x, padding=None):
            self.returned = self.encoder(x, src_key_padding_mask=padding)
            return self.returned

    model, padding = Model().eval(), PADDING if padded else None
    with torch.no_grad():
        output = model(X, padding)
        first = model.encoder.layers[0].self_attn(X, X, X, key_padding_mask=padding, average_attn_weights=False)[1]
    maps = attention(model, (X, padding))
    assert maps.names == ["encoder.layers.0.self_attn", "encoder.layers.1.self_attn"]
    assert (torch.tensor(maps[0].weights) - first).abs().max() <= 1e-6
    difference = (model.returned - output).abs()
    assert (difference[~PADDING] if padded else difference).max() <= 1e-6


class Written(nn.Module):
    """Attention in the ways in which people write it."""

    def __init__(self, way):
        super().__init__()
        self.way, self.project, self.drop = way, nn.Linear(8, 24), nn.Dropout(0.5)

    def forward(self, x):
        q, k, v = self.project(x).unflatten(2, (3, 2, 4)).permute(2, 0, 3, 1, 4)
        return getattr(self, self.way)(q, k, v).transpose(1, 2).flatten(2)

    def weights(self, q, k):
        return self.drop(F.softmax(q @ k.mT / math.sqrt(4), dim=-1))

    def matmul(self, q, k, v):
        return torch.matmul(self.weights(q, k), v)

    def operator(self, q, k, v):
        return F.softmax(q @ k.mT / 2, -1, dtype=torch.float64).to(v.dtype) @ v

    def type_as(self, q, k, v):
        return F.softmax((q @ k.mT / 2).double(), dim=-1).type_as(v).reshape(3, 2, 5, 5) @ v

    def bmm(self, q, k, v):
        q, k, v = (each.flatten(0, 1) for each in (q, k, v))
        return torch.bmm(torch.softmax(q @ k.mT / 2, -1), v).unflatten(0, (-1, 2))

    def einsum(self, q, k, v):
        weights = torch.einsum("bhid,bhjd->bhij", q, k).div(2).softmax(dim=-1)
        return torch.einsum("bhij,bhjd->bihd", weights, v).transpose(1, 2)

    def einsum_swapped(self, q, k, v):
        return torch.einsum("b h s d, b h t s -> b h t d", v, self.weights(q, k))

    def module(self, q, k, v):
        return nn.Softmax(-1)(q @ k.mT / 2) @ v

    def scaled(self, q, k, v):
        return F.scaled_dot_product_attention(q, k, v, scale=0.5)

    def flat(self, q, k, v):
        q, k, v = (each.flatten(0, 1) for each in (q, k, v))
        return F.scaled_dot_product_attention(query=q, key=k, value=v).unflatten(0, (-1, 2))


WAYS = ["matmul", "operator", "type_as", "bmm", "einsum", "einsum_swapped", "module", "scaled", "flat"]


@pytest.mark.parametrize("way", WAYS)
def test_hand_written_attention(way):
    torch.manual_seed(0)
    model = Written(way)
    q, k, _ = model.project(X).unflatten(2, (3, 2, 4)).permute(2, 0, 3, 1, 4).detach()
    maps = attention(model, X)
    assert maps.names == ["Written"]
    assert maps.notes == ()
    assert (torch.tensor(maps[0].weights) - F.softmax(q @ k.mT / 2, -1)).abs().max() <= 1e-6


class Scaled(nn.Module):
    def __init__(self, **options):
        super().__init__()
        self.options = options

    def forward(self, q, k, v):
        return F.scaled_dot_product_attention(q, k, v, **self.options)


def random(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


MASKS = {
    "none": {},
    "causal": {"is_causal": True},
    "bool": {"attn_mask": random(5, 6) > 0.5},
    "float": {"attn_mask": random(3, 1, 5, 6)},
    "heads": {"attn_mask": random(4, 5, 6)},
    "row": {"attn_mask": random(3, 1, 1, 6) > 0},
}


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("kv_heads", [4, 2, 1])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_scaled_dot_product_attention_is_what_an_identity_as_values_shows(mask, kv_heads, dtype):
    q, k, v = random(3, 4, 5, 8, dtype=dtype), *(random(3, kv_heads, 6, 8, seed=s, dtype=dtype) for s in (1, 2))
    options = {
        name: each.to(dtype) if name == "attn_mask" and each.is_floating_point() else each
        for name, each in MASKS[mask].items()
        if name == "attn_mask"
    } or dict(MASKS[mask])
    options |= {"enable_gqa": True} if kv_heads < 4 else {}
    expected = F.scaled_dot_product_attention(q, k, torch.eye(6, dtype=dtype).expand(3, kv_heads, 6, 6), **options)
    each = attention(Scaled(**options), (q, k, v))[0]
    most = 1e-6 if dtype != torch.bfloat16 else 5e-3
    assert (torch.tensor(each.weights) - expected.float()).abs().max() <= most
    some = attention(Scaled(**options), (q, k, v), heads=[3, 0], tokens=[-1, 1])[0]
    torch.testing.assert_close(some.weights, each.weights[:, [3, 0]][:, :, [4, 1]], rtol=0, atol=1e-6)
    assert (some.heads, some.queries, some.tokens) == ((3, 0), (4, 1), 5)


def test_random_numbers_go_on_as_if_nothing_had_been_looked_at():
    class Noisy(Written):
        def forward(self, x):
            return super().forward(F.dropout(x + torch.rand_like(x), 0.5, training=True))

    model = Noisy("scaled")
    torch.manual_seed(7)
    attention(model, X, layers=-1)
    after = torch.rand(3)
    torch.manual_seed(7)
    assert after.equal(torch.rand(3))


def test_nothing_is_changed():
    model = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, 0.5, batch_first=True), 2)
    model.layers[0].eval()
    before = {name: each.clone() for name, each in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    attention(model, X)
    assert modes == [module.training for module in model.modules()]
    assert all(each.equal(before[name]) for name, each in model.state_dict().items())
    assert all(not module._forward_hooks and not module._forward_pre_hooks for module in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_module_that_is_used_twice_is_two_calls():
    layer = nn.MultiheadAttention(8, 2, batch_first=True)

    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.shared = layer

        def forward(self, x):
            return self.shared(*[self.shared(x, x, x)[0]] * 3)[0]

    assert attention(Twice(), X).names == ["shared", "shared#2"]


def test_compiled_models_are_run_as_they_were_written():
    model = torch.compile(Written("scaled"), backend="eager")
    model(X)
    maps = attention(model, X)
    assert maps[0].weights.shape == (3, 2, 5, 5)


def test_autocast_does_not_blur_the_check():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        maps = attention(Written("scaled"), X)
    assert maps[0].deviation < 1e-2
    assert abs(maps[0].weights.sum(-1) - 1).max() < 1e-6


def test_a_softmax_that_is_no_attention_is_told_apart():
    class Gated(Written):
        def forward(self, x):
            return super().forward(x) * F.softmax(x, -1)

    assert "Gated takes a softmax" in attention(Gated("scaled"), X).notes[0]
    with pytest.raises(DeepseekError, match="No attention was seen"):
        attention(nn.Sequential(nn.Linear(8, 8), nn.Softmax(-1)), X)


def test_a_form_of_attention_that_is_not_known_is_named():
    class Transposed(Written):
        def matmul(self, q, k, v):
            return (v.mT @ self.weights(q, k).mT).mT

    with pytest.raises(DeepseekError, match=r"No attention was seen.*Not known here: Transposed takes a softmax"):
        attention(Transposed("matmul"), X)


def test_scripted_attention_is_said_not_to_be_seen():
    class Plain(nn.Module):
        def forward(self, x):
            return torch.softmax(x @ x.mT, -1) @ x

    with pytest.raises(DeepseekError, match="Scripted code"):
        attention(nn.Sequential(torch.jit.script(Plain())), X)


def test_weights_that_are_changed_on_the_way_fail_the_check_by_name():
    class Wrong(Written):
        def operator(self, q, k, v):
            return self.weights(q, k).masked_fill(torch.eye(5, dtype=torch.bool), 0.0) @ v

    with pytest.raises(DeepseekError, match=r"attention call 1 do not add up to 1"):
        attention(nn.Sequential(nn.Identity(), Wrong("operator")), X)

    class Dropping(Written):
        def scaled(self, q, k, v):
            return F.scaled_dot_product_attention(q, k, v, dropout_p=0.5)

    with pytest.raises(DeepseekError, match=r"attention call Dropping do not explain.*drop weights at random"):
        attention(Dropping("scaled"), X)


def test_a_query_that_may_look_nowhere_has_no_weights():
    mask = torch.ones(5, 5, dtype=torch.bool)
    mask[2] = False
    q = random(2, 2, 5, 4)
    each = attention(Scaled(attn_mask=mask), (q, q, q))[0]
    assert each.weights[:, :, 2].max() == 0
    assert abs(each.weights[:, :, 1].sum(-1) - 1).max() < 1e-6
    hidden = torch.ones(3, 5, dtype=torch.bool)
    for need_weights in (False, True):  # torch then returns numbers, or NaN
        model = Around(nn.MultiheadAttention(8, 2, batch_first=True), need_weights=need_weights)
        assert attention(model, (X, hidden))[0].weights.max() == 0

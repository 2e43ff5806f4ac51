"""Packed activations: how near the gradients stay, how many bytes they save, and whether those are counted right."""

import ctypes
import gc
import sys
import weakref

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint
from training import CASES

from deepseek.errors import DeepseekError
from deepseek.kernels.precision import PackedActivations
from deepseek.kernels.precision.packing import BLOCK, pack
from deepseek.kernels.precision.storages import Storages

TOLERANCE = {8: 0.01, 16: 1e-4}
"""Largest error of the gradients, relative to their norm."""


def gradients(model, loss):
    model.zero_grad()
    loss().backward()
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def compare(model, loss, bits):
    """Return the relative error of the gradients, and the packing."""
    torch.manual_seed(1)
    exact = gradients(model, loss)

    def packed_loss():
        with packed:
            return loss()

    packed = PackedActivations(bits)
    torch.manual_seed(1)
    error = (gradients(model, packed_loss) - exact).norm() / exact.norm()
    return float(error), packed


def bert(attention="sdpa"):
    from transformers import BertConfig, BertForSequenceClassification  # takes seconds

    sizes = {"hidden_size": 128, "num_attention_heads": 2, "intermediate_size": 512, "vocab_size": 100}
    config = BertConfig(num_hidden_layers=1, num_labels=2, attn_implementation=attention, **sizes)
    torch.manual_seed(0)
    model = BertForSequenceClassification(config).train()
    tokens, labels = torch.randint(100, (32, 128)), torch.randint(2, (32,))
    mask = torch.ones_like(tokens)
    mask[:, 100:] = 0
    return model, lambda: model(tokens, attention_mask=mask, labels=labels).loss


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("case", CASES)
def test_gradients_stay_near_and_bytes_fall(case, bits):
    torch.manual_seed(0)
    model, x = CASES[case][0]().train(), torch.cat([CASES[case][1]() for _ in range(16)])
    y = torch.randint(10, (len(x),))
    error, packed = compare(model, lambda: F.cross_entropy(model(x), y), bits)
    assert 0 < error < TOLERANCE[bits]
    if case == "lstm":  # recurrent layers are left alone
        assert packed.saved_bytes == pytest.approx(packed.original_bytes, rel=0.01)
    else:
        assert packed.saved_bytes < (0.7 if bits == 16 else 0.5) * packed.original_bytes


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize(("bits", "fall"), [(16, 0.5), (8, 0.7)])
def test_a_bert_step_keeps_half_the_bytes_or_a_quarter(attention, bits, fall):
    error, packed = compare(*bert(attention), bits)
    assert packed.saved_bytes < (1 - fall) * packed.original_bytes
    assert error < TOLERANCE[bits]


class _Heap(ctypes.Structure):
    """What glibc's ``mallinfo2`` returns."""

    _names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
    _fields_ = [(name, ctypes.c_size_t) for name in _names.split()]


def allocated_bytes():
    library = ctypes.CDLL(None)
    library.mallinfo2.restype = _Heap
    heap = library.mallinfo2()
    return heap.uordblks + heap.hblkhd


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks the allocator of glibc")
@pytest.mark.parametrize("bits", [None, 16, 8])
def test_the_counted_bytes_are_those_that_the_allocator_gave(bits):
    model, loss = bert()
    loss().backward()  # what is allocated once
    model.zero_grad()
    gc.collect()
    before = allocated_bytes()
    with PackedActivations(bits) as packed:
        kept = loss()
    gc.collect()
    assert packed.saved_bytes == pytest.approx(allocated_bytes() - before, rel=0.05)
    assert kept.requires_grad


def test_counting_alone_changes_no_bit():
    torch.manual_seed(0)
    model, x = CASES["transformer"][0](), CASES["transformer"][1]()
    error, packed = compare(model, lambda: model(x).square().mean(), None)
    assert error == 0
    assert packed.saved_bytes == packed.original_bytes > 0


def test_the_forward_is_what_it_was():
    torch.manual_seed(0)
    model, x = CASES["cnn"][0]().eval(), CASES["cnn"][1]()
    with PackedActivations(8):
        packed = model(x)
    assert torch.equal(packed, model(x))


def test_memory_goes_with_the_graph():
    x = torch.randn(64, 64)
    with PackedActivations(8) as packed:
        y = nn.Linear(64, 64)(x).relu()
        y = nn.Linear(64, 64)(y)
    alive = weakref.ref(next(iter(packed._shared.values())))
    assert alive() is not None
    del y
    gc.collect()
    assert alive() is None


def test_the_same_tensor_saved_by_several_functions_is_packed_once():
    first, *heads = (nn.Linear(64, 64) for _ in range(5))
    with PackedActivations(8) as packed:
        hidden = first(torch.randn(64, 64))
        sum(head(hidden) for head in heads).sum().backward()
    assert packed.original_bytes == 4 * 64 * 64
    assert packed.saved_bytes < 1.1 * 64 * 64


def test_tensors_changed_in_place_between_two_uses_are_told_apart():
    """Autograd itself refuses this, because it would keep the memory that was changed; a packed copy is not."""
    first, x = nn.Linear(64, 64), torch.randn(64, 64)

    def loss(double):
        hidden = first(x)
        once = F.gelu(hidden)
        return (once + F.gelu(double(hidden))).square().mean()

    exact = gradients(first, lambda: loss(lambda hidden: hidden * 2.0))
    with PackedActivations(16):
        packed = loss(lambda hidden: hidden.mul_(2.0))
    found = gradients(first, lambda: packed)
    assert (found - exact).norm() / exact.norm() < 1e-4


def test_the_address_of_what_was_packed_is_not_given_away_while_the_codes_are_in_use():
    """Else another tensor at that address would be taken for the first one."""
    linear = nn.Linear(64, 64)
    with PackedActivations(16) as packed:
        hidden = linear(torch.randn(64, 64))
        address = hidden.untyped_storage()._cdata
        output = F.gelu(hidden)
        packed._originals = Storages()  # as if it had been full
        del hidden
        gc.collect()
        others = [torch.empty(1).untyped_storage()._cdata for _ in range(10_000)]
    assert {key[0] for key in packed._shared} == {address}
    assert address not in others
    output.sum().backward()


def test_a_graph_of_more_tensors_than_are_remembered():
    linear, x = nn.Linear(32, 32), torch.randn(32, 32)

    def loss():
        hidden = x
        for _ in range(500):
            hidden = hidden + 0.01 * F.gelu(linear(hidden))
        return hidden.square().mean()

    error, _ = compare(linear, loss, 16)
    assert error < 1e-4


def test_layouts_with_gaps_and_permuted_ones():
    linear, x = nn.Linear(48, 48), torch.randn(8, 16, 48)

    def loss():
        query, key, value = linear(x).chunk(3, -1)
        heads = [part.unflatten(-1, (2, 8)).transpose(1, 2) for part in (query, key, value)]
        return F.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2).square().mean()

    error, packed = compare(linear, loss, 8)
    assert error < TOLERANCE[8]
    assert packed.saved_bytes < packed.original_bytes


def test_divisions_find_exactly_what_they_saved():
    scale = torch.full((64, 64), 1e-4, requires_grad=True)
    numerator = torch.randn(64, 64)
    with PackedActivations(8):
        denominator = scale * torch.linspace(1, 1000, 64)
        ratio = numerator / denominator
    ratio.sum().backward()
    grown = scale.detach() * torch.linspace(1, 1000, 64)
    assert torch.allclose(scale.grad, -numerator / grown**2 * torch.linspace(1, 1000, 64), rtol=1e-5)


@pytest.mark.parametrize("reentrant", [True, False])
def test_activation_checkpointing(reentrant):
    part, head = nn.Sequential(nn.Linear(64, 64), nn.GELU(), nn.Linear(64, 64)), nn.Linear(64, 64)
    x = torch.randn(64, 64, requires_grad=True)
    model = nn.ModuleList([part, head])
    error, _ = compare(model, lambda: head(checkpoint(part, x, use_reentrant=reentrant)).square().mean(), 8)
    assert error < TOLERANCE[8]


def test_half_precision_is_packed_in_8_bits_only():
    model, x = nn.Sequential(nn.Linear(64, 64), nn.GELU(), nn.Linear(64, 64)), torch.randn(64, 64)
    for bits, smaller in ((16, False), (8, True)):
        with torch.autocast("cpu", torch.bfloat16), PackedActivations(bits) as packed:
            loss = model(x).float().square().mean()
        loss.backward()
        assert (packed.saved_bytes < 0.8 * packed.original_bytes) is smaller


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("numel", [1, BLOCK - 1, BLOCK, 5 * BLOCK + 3])
def test_values_are_off_by_half_a_step_and_zeros_stay_zeros(bits, numel):
    x = torch.randn(numel, generator=torch.Generator().manual_seed(0)) * torch.logspace(-6, 6, numel)
    x[::3] = 0.0
    packed = pack(x, bits)
    back = packed.unpack()
    steps = packed.scales.expand(-1, BLOCK).flatten()[:numel]
    assert ((back - x).abs() <= steps).all()
    assert ((back - x).abs() <= 0.5001 * steps)[x.abs() >= steps / 2].all()
    assert torch.equal(back.sign(), x.sign())


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_block_with_a_value_that_is_not_finite_has_none_that_is(bad):
    x = torch.ones(2 * BLOCK)
    x[3] = bad
    back = pack(x, 8).unpack()
    assert not back[:BLOCK].isfinite().any()
    assert torch.equal(back[BLOCK:], x[BLOCK:])


def test_other_numbers_of_bits_are_refused():
    with pytest.raises(DeepseekError, match="`bits` must be 8, 16 or None"):
        PackedActivations(4)

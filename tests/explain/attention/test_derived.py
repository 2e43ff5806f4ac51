"""Derived maps follow the published rules, and say how faithful they are beside random ones."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from deepseek.errors import DeepseekError
from deepseek.explain.attention.attend import attention
from deepseek.explain.attention.deletion import deletion
from deepseek.explain.attention.erasing import eraser
from deepseek.explain.attention.maps import AttentionMaps
from deepseek.explain.attention.scores import Faithfulness
from deepseek.explain.attention.tokens import UNKNOWN
from deepseek.explain.call import Call

X = torch.randn(2, 6, 8, generator=torch.Generator().manual_seed(0))


class Classifier(nn.Module):
    """Two blocks of attention in the open, with a residual, read at the first token."""

    def __init__(self, way="sdpa"):
        super().__init__()
        torch.manual_seed(3)
        self.way = way
        self.blocks = nn.ModuleList([nn.MultiheadAttention(8, 2, batch_first=True) for _ in range(2)])
        self.head = nn.Linear(8, 3)
        self.kept = []

    def forward(self, x):
        self.kept = []
        for block in self.blocks:
            x = x + (block(x, x, x)[0] if self.way == "module" else self.open(block, x))
        return self.head(x[:, 0])

    def open(self, block, x):
        q, k, v = F.linear(x, block.in_proj_weight, block.in_proj_bias).unflatten(2, (3, 2, 4)).permute(2, 0, 3, 1, 4)
        if self.way == "sdpa":
            made = F.scaled_dot_product_attention(q, k, v)
        else:
            weights = F.softmax(q @ k.mT / 2, -1)
            self.kept.append(weights)
            made = weights @ v
        return block.out_proj(made.transpose(1, 2).flatten(2))


def slow_relevance(target):
    """Equations 5 and 6 with autograd's own gradient of the weights."""
    model = Classifier("eager")
    output = model(X)[:, target].sum()
    gradients = torch.autograd.grad(output, model.kept)
    matrix = torch.eye(6).expand(2, 6, 6)
    for weights, gradient in zip(model.kept, gradients, strict=True):
        matrix = matrix + (weights * gradient).clamp(min=0).mean(1) @ matrix
    return (matrix - torch.eye(6)).detach()


@pytest.mark.parametrize("way", ["sdpa", "eager", "module"])
@pytest.mark.parametrize("frozen", [False, True])
def test_relevance_is_that_of_the_weights_own_gradient(way, frozen):
    model = Classifier(way).requires_grad_(not frozen)
    found = attention(model, X).relevance(1, orders=2)
    expected = slow_relevance(1)
    np.testing.assert_allclose(found.matrix, expected, atol=1e-6)
    read = expected[:, 0] / expected[:, 0].sum(1, keepdim=True)
    np.testing.assert_allclose(found.values, read, atol=1e-5)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_relevance_through_cross_attention_reaches_the_inputs():
    torch.manual_seed(0)
    model = nn.Transformer(8, 2, 2, 2, 16, batch_first=True)
    maps = attention(model, (X, X[:, :4]))
    assert [each.kind for each in maps] == ["self", "self", "self", "cross", "self", "cross"]
    causal = nn.Transformer.generate_square_subsequent_mask(4)
    maps = attention(model, {"src": X, "tgt": X[:, :4], "tgt_mask": causal})
    assert [each.kind for each in maps][2:] == ["decoder", "cross", "decoder", "cross"]
    found = maps.relevance(lambda output: output[:, -1, 0], orders=2)
    assert found.matrix.shape == (2, 4, 6)
    np.testing.assert_allclose(found.values.sum(1), 1, atol=1e-6)
    assert maps.of_kind("self").rollout(orders=2).matrix.shape == (2, 6, 6)
    with pytest.raises(DeepseekError, match="cross attention"):
        maps.rollout()


class EncoderDecoder(nn.Module):
    """One layer of each kind of attention, with its weights in the open."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(5)
        self.own, self.decoder, self.cross = (nn.Linear(8, 8) for _ in range(3))

    def forward(self, x, y):
        causal = torch.ones(4, 4).tril().log()
        x = x + self.look(self.own, x, x)
        y = y + self.look(self.decoder, y, y, causal)
        return (y + self.look(self.cross, y, x))[:, -1].sum(1)

    def look(self, linear, queries, keys, mask=0.0):
        scores = (linear(queries) @ keys.mT)[:, None] + mask
        self.kept = [*getattr(self, "kept", []), scores.softmax(-1)]
        return (self.kept[-1] @ keys[:, None])[:, 0]


def test_relevance_across_is_equations_6_to_10_by_hand():
    y = torch.randn(2, 4, 8, generator=torch.Generator().manual_seed(1))
    model = EncoderDecoder()
    gradients = torch.autograd.grad(model(X, y).sum(), model.kept)
    own, decoder, cross = (
        (weights * gradient).clamp(min=0).mean(1).detach().double()
        for weights, gradient in zip(model.kept, gradients, strict=True)
    )
    expected = []
    for a, b, c in zip(own, decoder, cross, strict=True):
        r_ii, r_qq = torch.eye(6) + a, torch.eye(4) + b
        even = [
            torch.nan_to_num(came / came.sum(1, keepdim=True)) + torch.eye(len(came))
            for came in (r_ii - torch.eye(6), r_qq - torch.eye(4))
        ]
        expected.append(even[1].T @ c @ even[0])
    maps = attention(EncoderDecoder(), (X, y))
    assert [each.kind for each in maps] == ["self", "decoder", "cross"]
    np.testing.assert_allclose(maps.relevance(orders=2).matrix, torch.stack(expected), atol=1e-5)


def test_rollout_by_hand():
    maps = attention(Classifier(), X)
    first, second = (each.weights.mean(1) for each in maps)
    expected = (second + np.eye(6)) / 2 @ ((first + np.eye(6)) / 2)
    found = maps.rollout(orders=2)
    np.testing.assert_allclose(found.matrix, expected, atol=1e-6)
    np.testing.assert_allclose(found.matrix.sum(-1), 1, atol=1e-6)
    np.testing.assert_allclose(found.values, expected.mean(1), atol=1e-6)


def test_value_weighted_counts_by_the_length_of_the_values():
    class Silent(nn.Module):
        def forward(self, q, v):
            return F.scaled_dot_product_attention(q, q, v)

    q, v = torch.randn(1, 1, 4, 8), torch.randn(1, 1, 4, 8)
    v[:, :, 2] = 0
    maps = attention(Silent(), (q, v))
    lengths = maps[0].weights * v.norm(dim=-1).numpy()[:, :, None]
    np.testing.assert_allclose(maps[0].value_weighted, lengths / lengths.sum(-1, keepdims=True), atol=1e-6)
    assert maps.value_weighted(orders=2).values[0, 2] == 0
    assert maps.average(orders=2).values[0, 2] > 0


class Sums(nn.Module):
    """Looks at the tokens whose first number is large, and returns the sum of what it saw."""

    def forward(self, x):
        weights = F.softmax(x[:, None, :, :1].mT.expand(-1, -1, x.shape[1], -1) * 3, -1)
        return (weights @ x[:, None])[:, 0].mean((1, 2))


def test_what_decides_is_better_than_chance_and_its_reverse_worse():
    x = torch.rand(4, 12, 3, generator=torch.Generator().manual_seed(0))
    x[:, 5] = 4.0
    maps = attention(Sums(), x)
    right = maps.average()
    assert right.values.argmax(1).tolist() == [5] * 4
    assert right.faithfulness.movement > right.faithfulness.high > right.faithfulness.random
    assert "better than chance" in str(right)
    wrong = deletion(maps.call, -right.values, maps.source, None, 20)
    assert wrong.movement < wrong.low
    assert "worse than chance" in str(wrong)
    again = deletion(maps.call, right.values, maps.source, None, 20)
    assert again == right.faithfulness


def test_random_scores_are_no_better_than_random_orders():
    maps = attention(Classifier(), torch.randn(32, 6, 8, generator=torch.Generator().manual_seed(0)))
    found = [deletion(maps.call, np.random.default_rng(s).random((32, 6)), maps.source, None, 20) for s in range(8)]
    assert abs(np.mean([each.movement - each.random for each in found])) < 0.1 * found[0].random


def test_special_tokens_and_padding_are_never_deleted():
    ids, mask = torch.tensor([[1, 7, 8, 9, 2], [1, 7, 8, 2, 0]]), torch.tensor([[1] * 5, [1] * 4 + [0]])

    class Words(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.seen = nn.Embedding(10, 8), []

        def forward(self, input_ids, attention_mask):
            self.seen.append(input_ids)
            x = self.embed(input_ids)[:, None]
            return F.scaled_dot_product_attention(x, x, x, attn_mask=attention_mask[:, None, None].bool()).mean(
                (1, 2, 3)
            )

    class Tokenizer:
        all_special_ids = (0, 1, 2)
        mask_token_id, mask_token = 5, "[MASK]"

        def convert_ids_to_tokens(self, row):
            return [f"<{each}>" for each in row]

    model = Words()
    maps = attention(model, {"input_ids": ids, "attention_mask": mask}, tokenizer=Tokenizer())
    model.seen.clear()
    found = maps.average(orders=3)
    assert found.faithfulness.fill == "[MASK]"
    changed = torch.cat(model.seen[1:])
    assert set(changed[:, 1:4].unique().tolist()) == {2, 5, 7, 8, 9}
    assert changed[:, 0].eq(1).all()
    assert set(changed[:, 4].tolist()) == {0, 2}
    assert maps.average(orders=2).tokens.label(1, 1) == "<7>"


def test_pictures_lose_their_patches():
    transformers = pytest.importorskip("transformers")
    config = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=8, patch_size=4
    )
    model = transformers.ViTForImageClassification(config)
    found = attention(model, {"pixel_values": torch.randn(2, 3, 8, 8)}).relevance(0, orders=3)
    assert found.values.shape == (2, 5)
    assert found.faithfulness.fill == "the picture's mean colour"


def test_an_erased_patch_has_the_mean_colour_of_its_picture_and_what_comes_before_patches_stays():
    pictures = torch.rand(2, 3, 4, 6)
    takes = eraser(Call(nn.Identity(), pictures), UNKNOWN, 7)
    gone = torch.zeros(2, 7, dtype=torch.bool)
    gone[1, 1 + 4] = True  # the middle of the lower line
    changed = takes.erase(torch.tensor([1, 0]), gone)["input"]
    assert changed[0].equal(pictures[1])
    assert (changed[1] != pictures[0]).any(0).nonzero().tolist() == [[2, 2], [2, 3], [3, 2], [3, 3]]
    torch.testing.assert_close(changed[1, :, 3, 3], pictures[0].mean((1, 2)))
    assert takes.erasable(UNKNOWN, 2, 7).tolist() == [[False, *[True] * 6]] * 2


def test_vectors_become_the_mean_of_their_row_and_ids_are_hidden_by_a_mask():
    vectors = torch.rand(2, 5, 3)
    gone = torch.tensor([[True] + [False] * 4])
    changed = eraser(Call(nn.Identity(), vectors), UNKNOWN, 5).erase(torch.tensor([1]), gone)["input"]
    torch.testing.assert_close(changed[0, 0], vectors[1].mean(0))
    assert changed[0, 1:].equal(vectors[1, 1:])
    words = {"input_ids": torch.ones(1, 5, dtype=torch.long), "attention_mask": torch.ones(1, 5, dtype=torch.long)}
    changed = eraser(Call(nn.Identity(), words), UNKNOWN, 5).erase(torch.tensor([0]), gone)
    assert {name: each.tolist() for name, each in changed.items()} == {"attention_mask": [[0, 1, 1, 1, 1]]}
    del words["attention_mask"]
    changed = eraser(Call(nn.Identity(), words), UNKNOWN, 5).erase(torch.tensor([0]), gone)
    assert changed["input_ids"].tolist() == [[0, 1, 1, 1, 1]]


def test_tokens_of_a_decoder_are_not_taken_for_those_of_the_inputs():
    transformers = pytest.importorskip("transformers")
    config = transformers.T5Config(d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2, vocab_size=9)
    ids = torch.randint(1, 9, (2, 4))
    maps = attention(transformers.T5Model(config), {"input_ids": ids, "decoder_input_ids": ids})
    assert "no tokens of the inputs" in maps.average(1, orders=2).verdict
    assert maps.average(0, orders=2).faithfulness is not None


def test_what_cannot_be_measured_says_why(tmp_path):
    maps = attention(Classifier(), X)
    for broken, reason in (
        (AttentionMaps.load(maps.save(tmp_path / "a")), "without the model"),
        (attention(Classifier(), X[:, :1]), "fewer than two tokens"),
    ):
        found = broken.rollout()
        assert found.faithfulness is None
        assert reason in found.verdict
        assert reason in repr(found)
    with pytest.raises(DeepseekError, match="read from a file"):
        AttentionMaps.load(tmp_path / "a").relevance(0)
    with pytest.raises(DeepseekError, match="more than `limit_bytes`"):
        attention(Classifier(), X, tokens=-1, limit_bytes=400).relevance(0)
    with pytest.raises(DeepseekError, match="one number a row"):
        maps.relevance()
    with pytest.raises(DeepseekError, match="without choosing"):
        attention(Classifier(), X, heads=0).rollout()


def test_a_verdict_in_words():
    assert "no better than chance" in str(Faithfulness(0.3, 0.3, 0.2, 0.4, 20, "nothing"))

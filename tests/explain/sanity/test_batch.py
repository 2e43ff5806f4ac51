"""Rows that influence each other are found, and where it begins is named."""

import numpy as np
import pytest
import torch
from torch import nn

from deepseek.errors import DeepseekError
from deepseek.explain.sanity.batch import batch_invariance
from deepseek.explain.shap_values import shap


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def norm_net(norm=nn.BatchNorm1d):
    return nn.Sequential(nn.Linear(6, 8), norm(8), nn.ReLU(), nn.Dropout(), nn.Linear(8, 3))


class Mixing(nn.Module):
    """Takes the mean over the rows, as if they were tokens."""

    def forward(self, x):
        return x - x.mean(0)


class Attention(nn.Module):
    """Words attend to each other; padding is hidden from them, or not."""

    def __init__(self, masked):
        super().__init__()
        self.embed, self.attend = nn.Embedding(20, 8), nn.MultiheadAttention(8, 2, batch_first=True)
        self.last, self.masked = nn.Linear(8, 2), masked

    def forward(self, input_ids, attention_mask):
        x = self.embed(input_ids)
        hidden = attention_mask == 0 if self.masked else None
        return self.last(self.attend(x, x, x, key_padding_mask=hidden, need_weights=False)[0][:, 0])


def test_rows_are_alone_in_evaluation_mode_and_not_where_batch_norm_trains():
    model, rows = norm_net(), torch.randn(5, 6)
    found = batch_invariance(model, rows)
    assert found.passed
    assert "in evaluation mode: rows are explained alone" in str(found)
    found = batch_invariance(model, rows, training=True)
    assert not found.passed
    assert "beginning in the output of `1` (BatchNorm1d)" in str(found)
    assert batch_invariance(norm_net(nn.LayerNorm), rows, training=True).passed


def test_operations_over_the_rows_are_found_within_and_outside_of_modules():
    rows = torch.randn(4, 6)
    found = batch_invariance(nn.Sequential(nn.Linear(6, 3), Mixing(), nn.Linear(3, 2)), rows)
    assert found.where == "beginning in the output of `1` (Mixing)"
    assert "outside of its modules" in batch_invariance(Mixing(), rows).where


@pytest.mark.parametrize("masked", [True, False])
def test_padding_that_is_not_masked_is_found(masked):
    mask = torch.ones(3, 6, dtype=torch.long)
    mask[1, 4:] = 0
    inputs = {"input_ids": torch.randint(1, 20, (3, 6)) * mask, "attention_mask": mask}
    found = batch_invariance(Attention(masked), inputs)
    assert found.outputs.max() < found.tolerance
    assert found.passed == masked
    assert (found.padding > found.tolerance).tolist() == [False, not masked, False]


def test_explanations_are_compared_too():
    model, rows, background = norm_net(), torch.randn(3, 6), torch.randn(4, 6)
    found = batch_invariance(
        model, rows, explain=lambda model, rows: shap(model, rows, background, target=0, progress=False)
    )
    assert found.explanations.max() < found.tolerance
    found = batch_invariance(model, rows, explain=lambda _model, rows: (rows / rows.sum()).numpy())
    assert not found.passed
    assert "explanations: depend on other rows" in str(found)


def test_the_model_stays_as_it_is():
    model = norm_net()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    batch_invariance(model, torch.randn(4, 6), training=True)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(module.training and not module._forward_hooks for module in model.modules())


class Noisy(nn.Module):
    def forward(self, x):
        return x + torch.randn_like(x)


@pytest.mark.parametrize(
    ("model", "rows", "match"), [(nn.Linear(6, 2), 1, "two rows"), (Noisy(), 3, "no random numbers")]
)
def test_what_does_not_fit_is_refused(model, rows, match):
    with pytest.raises(DeepseekError, match=match):
        batch_invariance(model, torch.randn(rows, 6))


def test_an_output_without_rows_is_refused():
    with pytest.raises(DeepseekError, match="one row each"):
        batch_invariance(nn.Flatten(0), torch.randn(3, 6))


def test_changes_are_relative_to_how_far_rows_are_apart():
    rows = torch.tensor([[0.0], [2.0]])
    found = batch_invariance(Mixing(), rows)
    np.testing.assert_allclose(found.outputs, 1)

"""What ``explain.shap`` takes, chooses, refuses and leaves as it was."""

import random
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn

from deepseek.errors import DeepseekError
from deepseek.explain.shap_values import shap
from deepseek.explain.shapley import game as game_module


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def explained(model, inputs, background, **options):
    return shap(model, inputs, background, progress=False, **options)


def tanh_net(features, outputs=2):
    return nn.Sequential(nn.Linear(features, 8), nn.Tanh(), nn.Linear(8, outputs)).double()


@pytest.mark.parametrize(
    ("features", "options", "method"),
    [
        (1, {}, "exact"),
        (10, {}, "exact"),
        (11, {}, "kernel"),
        (11, {"max_evals": 3 * 2**11}, "exact"),
        (10, {"max_evals": 300}, "kernel"),
        (300, {}, "deeplift"),
        (300, {"max_evals": 30}, "expected_gradients"),
        (300, {"groups": [-1, *range(299)]}, "expected_gradients"),
    ],
)
def test_auto_takes_what_fits(features, options, method):
    inputs, background = torch.randn(1, features).double(), torch.randn(3, features).double()
    found = explained(tanh_net(features), inputs, background, **options)
    assert found.method == method
    assert found.evaluations <= options.get("max_evals", np.inf)


def test_an_operation_without_a_rule_is_named_and_gradients_take_over():
    class Odd(nn.Module):
        def forward(self, x):
            return x.sort(1).values.sum(1)

    inputs, background = torch.rand(1, 300).double(), torch.zeros(2, 300).double()
    found = explained(Odd(), inputs, background)
    assert found.method == "expected_gradients"
    assert "sort" in found.notes[0]
    assert found.relative_gap < 1e-8
    with pytest.raises(DeepseekError, match="sort"):
        explained(Odd(), inputs, background, method="deeplift")


def test_many_features_without_gradients_are_permuted():
    class Steps(nn.Module):
        def forward(self, x):
            return (x > 0).double().sum(1)

    found = explained(Steps(), torch.ones(1, 300), -torch.ones(1, 300), max_evals=1300)
    assert found.method == "permutation"
    np.testing.assert_allclose(found.values, 1)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(10, 4)
        self.head = nn.Linear(4 + 3, 2)

    def forward(self, numbers, words, scale=1.0):
        return self.head(torch.cat([numbers, self.embed(words).mean(1)], 1)) * scale


@dataclass
class Output:
    logits: torch.Tensor


class Wrapped(Net):
    def forward(self, **inputs):
        return Output(super().forward(**inputs))


NUMBERS, WORDS = torch.randn(2, 3), torch.randint(10, (2, 5))


@pytest.mark.parametrize(
    ("model", "inputs", "background"),
    [
        (Net(), {"numbers": NUMBERS, "words": WORDS, "scale": 2.0}, {"numbers": torch.zeros(1, 3)}),
        (Net(), (NUMBERS, WORDS), (torch.zeros(4, 3),)),
        (Wrapped(), {"numbers": NUMBERS, "words": WORDS}, {"numbers": torch.zeros(1, 3)}),
    ],
)
def test_positional_keyword_and_mixed_inputs(model, inputs, background):
    found = explained(model, inputs, background)
    assert found.values.shape == (2, 3, 2)
    assert np.abs(found.completeness_gap).max() < 1e-6


def test_several_inputs_are_explained_together():
    class Two(nn.Module):
        def forward(self, a, b):
            return a.sum(1) * b.sum((1, 2))

    a, b = torch.randn(2, 2).double(), torch.randn(2, 2, 2).double()
    found = explained(Two(), (a, b), (torch.zeros_like(a), torch.zeros_like(b)))
    assert {name: values.shape for name, values in found.values.items()} == {"0": (2, 2), "1": (2, 2, 2)}
    product = (a.sum(1) * b.sum((1, 2))).numpy()
    np.testing.assert_allclose(found.values["0"].sum(1), product / 2)


def test_whole_numbers_are_swapped_for_the_backgrounds():
    class Count(nn.Module):
        def forward(self, input_ids, attention_mask):
            return ((input_ids == 7) * attention_mask).sum(1).float()

    ids = torch.tensor([[7, 1, 7, 7]])
    mask = torch.tensor([[1, 1, 1, 0]])
    found = explained(Count(), {"input_ids": ids, "attention_mask": mask}, torch.zeros(1, 4))
    assert found.values.tolist() == [[1, 0, 1, 0]]


def test_groups_count_as_one_feature_and_frozen_ones_stay():
    model = tanh_net(4, 1)
    inputs, background = torch.randn(2, 4).double(), torch.randn(5, 4).double()
    frozen = background.clone().repeat(2, 1, 1)
    frozen[:, :, 3] = inputs[:, None, 3]
    found = explained(model, inputs, background, groups=[0, 5, 0, -1], target=0)
    assert found.values.shape == (2, 2)
    assert found.groups.tolist() == [0, 1, 0, -1]
    np.testing.assert_allclose(found.data, inputs)
    np.testing.assert_allclose(found.feature_data[:, 0], inputs[:, [0, 2]].mean(1))
    np.testing.assert_allclose(found.base_values, model(frozen).mean((1, 2)).detach(), atol=1e-12)
    gradients = explained(model, inputs, background, groups=[0, 5, 0, -1], target=0, method="expected_gradients")
    np.testing.assert_allclose(gradients.values.sum(1), found.values.sum(1), atol=1e-8)


def test_targets_and_outputs_of_every_rank():
    class Grid(nn.Module):
        def forward(self, x):
            return x[:, :, None] * torch.ones(2)

    inputs, background = torch.randn(3, 2), torch.zeros(1, 2)
    assert explained(Grid(), inputs, background).values.shape == (3, 2, 4)
    assert explained(Grid(), inputs, background, target=(1, 0)).values.shape == (3, 2)
    found = explained(tanh_net(2, 3), inputs.double(), background.double(), target=[0, 2, 1])
    every = explained(tanh_net(2, 3), inputs.double(), background.double())
    assert found.values.shape == (3, 2)
    assert every.base_values.shape == (3, 3)


def test_a_small_budget_takes_fewer_background_rows_and_says_so():
    found = explained(tanh_net(12), torch.randn(1, 12).double(), torch.randn(100, 12).double(), max_evals=300)
    assert found.evaluations <= 300
    assert "background's rows" in found.notes[0]


def test_everything_is_left_as_it_was():
    model = nn.Sequential(nn.Linear(6, 4), nn.Dropout(), nn.BatchNorm1d(4), nn.Linear(4, 2))
    model[2].eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    inputs = torch.randn(2, 6)
    states = torch.get_rng_state(), repr(np.random.get_state()), random.getstate()  # noqa: NPY002  users' state
    for method in ("exact", "kernel", "permutation", "expected_gradients"):
        explained(model, inputs, torch.zeros(2, 6), method=method)
    assert torch.equal(states[0], torch.get_rng_state())
    assert states[1:] == (repr(np.random.get_state()), random.getstate())  # noqa: NPY002
    assert [module.training for module in model.modules()] == [True, True, True, False, True]
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_an_interruption_returns_what_there_is():
    calls = []

    class Slow(nn.Module):
        def forward(self, x):
            calls.append(len(x))
            if len(calls) > 6:
                raise KeyboardInterrupt
            return x.prod(1)

    found = explained(Slow(), 1 + torch.rand(2, 14).double(), torch.zeros(1, 14).double(), method="permutation")
    assert "interrupted" in found.notes[-1]
    assert np.isfinite(found.values).all()


def test_memory_that_ends_halves_the_batches(monkeypatch):
    sizes = []

    class Large(nn.Module):
        def forward(self, x):
            sizes.append(len(x))
            if len(x) > 100:
                raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
            return x.sum(1)

    found = explained(Large(), torch.ones(1, 8), torch.zeros(3, 8), method="exact")
    np.testing.assert_allclose(found.values, 1)
    assert max(sizes[-5:]) <= 100
    monkeypatch.setattr(game_module, "BATCH_BYTES", 32 * 10)
    sizes.clear()
    explained(Large(), torch.ones(1, 8), torch.zeros(3, 8), method="exact")
    assert max(sizes) <= 10


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"method": "magic"}, "method"),
        ({"max_evals": 0}, "max_evals"),
        ({"max_evals": 3}, "too few"),
        ({"method": "exact", "max_evals": 10}, "evaluations"),
        ({"groups": [0, 1]}, "groups"),
        ({"groups": [-1] * 6}, "frozen"),
        ({"groups": [[-1] * 6]}, "frozen"),
        ({"groups": [[0] * 6, [-1] * 6], "inputs": torch.randn(2, 6).double()}, "row 1 is frozen"),
        ({"groups": [[0] * 6] * 3}, "groups"),
        ({"groups": {"other": [0] * 6}}, "groups|explain"),
        ({"background": torch.zeros(2, 5)}, "background"),
        ({"background": torch.zeros(0, 6)}, "background"),
        ({"background": None}, "background"),
        ({"background": {"other": torch.zeros(2, 6)}}, "background"),
        ({"target": 9}, "target"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(options, match):
    options = {"background": torch.zeros(2, 6).double(), **options}
    with pytest.raises(DeepseekError, match=match):
        explained(tanh_net(6), options.pop("inputs", torch.randn(1, 6).double()), options.pop("background"), **options)


def test_gradients_of_whole_numbers_are_refused():
    with pytest.raises(DeepseekError, match="permutation"):
        explained(nn.Flatten(), torch.ones(1, 3, dtype=torch.long), torch.zeros(1, 3), method="expected_gradients")

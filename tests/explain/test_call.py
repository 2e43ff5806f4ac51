"""Calling a model again: every way in which inputs are given and outputs returned."""

from dataclasses import dataclass

import pytest
import torch
from torch import nn

from deepseek.errors import DeepseekError
from deepseek.explain.call import Call
from deepseek.explain.output import main_output
from deepseek.explain.target import Chooser
from deepseek.kernels.evaluating import evaluating


class Two(nn.Module):
    def forward(self, a, b=None, scale=1.0, shared=None):
        out = a.sum(1, keepdim=True) * scale
        if b is not None:
            out = out + b.float().sum(1, keepdim=True)
        return out if shared is None else out @ shared


A, B = torch.arange(6.0).reshape(3, 2), torch.arange(3).reshape(3, 1)


@pytest.mark.parametrize(
    ("inputs", "explained", "expected"),
    [
        (A, ("input",), [1.0, 5.0, 9.0]),
        ((A,), ("0",), [1.0, 5.0, 9.0]),
        ((A, B), ("0",), [1.0, 6.0, 11.0]),
        ({"a": A, "b": B}, ("a",), [1.0, 6.0, 11.0]),
        ({"a": A, "scale": 2.0}, ("a",), [2.0, 10.0, 18.0]),
        ({"a": A.int()}, ("a",), [1.0, 5.0, 9.0]),
        ({"a": A, "b": B.double()}, ("a", "b"), [1.0, 6.0, 11.0]),
    ],
)
def test_the_model_gets_what_it_would_get(inputs, explained, expected):
    call = Call(Two(), inputs)
    assert call.explained == explained
    assert call().flatten().tolist() == expected


def test_rows_repeat_and_tensors_are_replaced_while_the_rest_stays():
    weights = torch.eye(1)
    call = Call(Two(), {"a": A, "b": B, "scale": 2.0, "shared": weights})
    rows = torch.tensor([2, 0, 2, 2])
    assert call(rows).flatten().tolist() == [20.0, 2.0, 20.0, 20.0]
    assert call(rows, {"a": torch.zeros(4, 2)}).flatten().tolist() == [2.0, 0.0, 2.0, 2.0]


def test_what_the_model_changes_is_the_same_at_the_next_call():
    class Cached(nn.Module):
        def forward(self, x, cache):
            cache.append(len(cache))
            return x * len(cache)

    cache = [0]
    call = Call(Cached(), {"x": A, "cache": cache})
    assert call().equal(call())
    assert cache == [0]
    with pytest.raises(DeepseekError, match="can be copied"):
        Call(Cached(), {"x": A, "cache": [A.clone().requires_grad_() * 2]})()


def test_token_ids_are_explained_where_nothing_else_can_be():
    class Tagger(nn.Module):
        def forward(self, input_ids, attention_mask):
            return input_ids * attention_mask

    ids = torch.ones(2, 3, dtype=torch.long)
    assert Call(Tagger(), {"input_ids": ids, "attention_mask": ids}).explained == ("input_ids",)
    with pytest.raises(DeepseekError, match="floating-point"):
        Call(Tagger(), {"ids": ids, "attention_mask": ids}).explained  # noqa: B018


@pytest.mark.parametrize("inputs", [[A], "text", {}, (3,), {"a": torch.empty(0, 2)}, torch.tensor(1.0)])
def test_what_is_no_batch_is_refused(inputs):
    with pytest.raises(DeepseekError, match="`inputs` must"):
        Call(Two(), inputs)


def test_evaluation_mode_ends_as_it_began():
    model = nn.Sequential(nn.Dropout(), nn.BatchNorm1d(2))
    model[1].eval()
    with evaluating(model):
        assert not any(module.training for module in model.modules())
    assert [module.training for module in model.modules()] == [True, True, False]
    with pytest.raises(ZeroDivisionError), evaluating(model):
        1 / 0  # noqa: B018
    assert [module.training for module in model.modules()] == [True, True, False]


@dataclass
class Output:
    hidden: torch.Tensor
    logits: torch.Tensor | None = None


@pytest.mark.parametrize(
    "output",
    [A, {"logits": A}, {"ids": B, "scores": A}, (B, A), Output(A), Output(A + 1, A), [A]],
)
def test_the_tensor_that_is_meant_is_found(output):
    assert main_output(output) is A


def test_an_output_without_numbers_is_refused():
    with pytest.raises(DeepseekError, match="target"):
        main_output({"ids": B})


SCORES = torch.arange(24.0).reshape(3, 2, 4)
ROWS = torch.arange(3)


def mean(output):
    return output.mean((1, 2))


@pytest.mark.parametrize(
    ("target", "output", "expected", "single"),
    [
        (None, SCORES, SCORES.reshape(3, 8), False),
        (None, SCORES[:, 0, 0], SCORES[:, :1, 0], True),
        (2, SCORES[:, 0], SCORES[:, 0, 2:3], True),
        (-1, SCORES[:, 0], SCORES[:, 0, 3:], True),
        ((1, 3), SCORES, SCORES[:, 1, 3:], True),
        ([0, 1, 3], SCORES[:, 0], torch.tensor([[0.0], [9.0], [19.0]]), True),
        (torch.tensor([0, 1, 3]), SCORES[:, 0], torch.tensor([[0.0], [9.0], [19.0]]), True),
        (mean, SCORES, SCORES.mean((1, 2))[:, None], True),
        (lambda output: output[:, 0], SCORES, SCORES[:, 0], False),
    ],
)
def test_targets_choose_numbers(target, output, expected, single):
    chooser = Chooser(target, output, 3)
    assert torch.equal(chooser.initial, expected)
    assert (chooser.single, chooser.count) == (single, expected.shape[1])
    again = torch.tensor([2, 0])
    if not callable(target):
        assert torch.equal(chooser(output[again], again), expected[again])


def test_targets_are_named():
    flat = SCORES[:, 0]
    assert Chooser(lambda output: output[:, 0], flat, 3).description == "a function"
    assert Chooser(mean, SCORES, 3).description == "mean"
    assert Chooser(2, flat, 3).description == "output 2"
    assert Chooser(None, flat, 3).description == "all outputs"
    assert Chooser(None, flat[:, 0], 3).description == "the output"


@pytest.mark.parametrize(
    ("target", "output"),
    [
        (4, SCORES[:, 0]),
        (1, SCORES),
        ((1,), SCORES),
        ([0, 1], SCORES[:, 0]),
        ([0, 1, 9], SCORES[:, 0]),
        ([0.0, 1.0, 2.0], SCORES[:, 0]),
        (lambda output: output, SCORES),
        (lambda output: 3.0, SCORES),
        (None, torch.tensor(1.0)),
        (None, SCORES[:2]),
    ],
)
def test_targets_that_do_not_fit_are_refused_in_a_sentence(target, output):
    with pytest.raises(DeepseekError, match=r"target|row"):
        Chooser(target, output, 3)

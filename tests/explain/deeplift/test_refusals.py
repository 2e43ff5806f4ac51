"""What cannot be explained is refused by name, never in silence."""

import numpy as np
import pytest
import torch
from explained import Function, Reused, explain
from torch import nn
from torch.nn import functional as F

from deepseek.errors import DeepseekError

X, BACKGROUND = torch.randn(2, 6), torch.randn(3, 6)


class Named(nn.Module):
    """The function is computed in a module called ``odd``."""

    def __init__(self, function):
        super().__init__()
        self.odd = Function(function)

    def forward(self, x):
        return self.odd(x)


@pytest.mark.parametrize(
    ("function", "operation"),
    [
        (lambda x: x.sort(-1).values, "sort"),
        (lambda x: x * (x > 0), "gt"),
        (lambda x: torch.where(x.isnan(), 0, x), "isnan"),
        (lambda x: x.floor(), "floor"),
        (lambda x: x.gather(1, x.argsort(1)), "sort"),
        (lambda x: x + x.argmax(1, keepdim=True), "argmax"),
        (lambda x: x.int() + x, "_to_copy"),
        (lambda x: x.sigmoid() ** x, "pow"),
        (lambda x: 2**x, "pow"),
        (lambda x: torch.div(x, 2, rounding_mode="floor"), "div"),
        (lambda x: torch.fft.rfft(x, n=30).real, "_fft_r2c"),
        (lambda x: torch.cumprod(x, 1), "cumprod"),
        (lambda x: torch.clamp(x, min=x.mean()), "clamp"),
        (lambda x: x + torch.cdist(x[None], x[None])[0, :, :1], "_cdist_forward"),
        (lambda x: torch.special.i0(x), "i0"),
    ],
)
def test_an_operation_without_a_rule_is_named_with_its_module(function, operation):
    with pytest.raises(DeepseekError, match=rf"no rule for aten\.{operation}\w* in module `odd`.*expected_gradients"):
        explain(Named(function), X, BACKGROUND)


def test_control_flow_that_depends_on_the_inputs_is_refused_with_its_module():
    with pytest.raises(DeepseekError, match="module `odd`, decides by the numbers"):
        explain(Named(lambda x: x if x.sum() > 0 else -x), X, BACKGROUND)


def test_control_flow_that_depends_on_weights_only_is_followed():
    weight = torch.ones(16)
    found = explain(Named(lambda x: x.relu() if bool((weight > 0).all()) else x), X, BACKGROUND)
    assert found.gap.abs().max() < 1e-6


def test_random_numbers_in_evaluation_mode_are_refused_and_none_are_used_up():
    torch.manual_seed(3)
    with pytest.raises(DeepseekError, match="random numbers in evaluation mode, by aten"):
        explain(Named(lambda x: F.dropout(x, 0.5, training=True)), X, BACKGROUND)


def test_rows_that_influence_each_other_are_refused():
    with pytest.raises(DeepseekError, match="rows influence each other"):
        explain(Named(lambda x: x - x.mean(0)), X, BACKGROUND)


def test_what_is_computed_outside_of_torch_is_refused_even_with_a_single_row():
    outside = Named(lambda x: x + torch.from_numpy(np.tanh(x.detach().numpy())))
    with pytest.raises(DeepseekError, match="computed outside of torch"):
        explain(outside, X[:1], BACKGROUND)


def test_a_model_that_counts_its_calls_in_place_is_refused_and_left_as_it_was():
    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.last = nn.Linear(6, 2)
            self.register_buffer("calls", torch.zeros(()))

        def forward(self, x):
            self.calls += 1
            return self.last(x) * self.calls

    model = Counting()
    with torch.no_grad():
        model(X)
    before = model.calls.clone()
    with pytest.raises(DeepseekError):
        explain(model, X, BACKGROUND)
    assert model.calls == before + 1  # by the call that chose the outputs, which is not ours


@pytest.mark.parametrize(
    ("background", "message"),
    [
        ({"other": BACKGROUND}, "needs rows for the input input: it has other"),
        ({"input": torch.randn(3, 5)}, r"rows of shape \(6,\).*\(3, 5\)"),
        ({"input": torch.randn(0, 6)}, r"\(0, 6\)"),
    ],
)
def test_a_background_that_does_not_fit_is_refused(background, message):
    with pytest.raises(DeepseekError, match=message):
        explain(Reused(), X, background)


def test_token_ids_that_are_compared_are_refused():
    class Masked(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(9, 4)

        def forward(self, input_ids):
            return (self.embed(input_ids) * (input_ids != 0)[..., None]).sum((1, 2))[:, None]

    ids = torch.randint(0, 9, (2, 5))
    with pytest.raises(DeepseekError, match=r"no rule for aten\.ne"):
        explain(Masked(), {"input_ids": ids}, {"input_ids": ids})


def test_outputs_that_do_not_depend_on_the_inputs_are_refused():
    class Constant(nn.Module):
        def forward(self, x):
            return torch.ones(len(x), 2)

    with pytest.raises(DeepseekError, match="do not depend on the inputs input"):
        explain(Constant(), X, BACKGROUND)

"""Tensors are followed from module to module, whatever is done to them on the way."""

from collections import Counter
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from graph_models import Wrapped, X, label, links, mlp_of, of_kind, sources
from torch import nn
from torch.utils.checkpoint import checkpoint

from deepseek.inspector import inspect


def test_a_tensor_of_several_sources_is_known_again_whatever_happens_to_others(captured):
    """Tensors that die in mid-forward leave their addresses to others, which must not take over their origin."""

    def churn(model, x):
        kept = model.body(x)
        for _ in range(50):
            _ = model.body(torch.zeros(3, 4))
            constant = torch.ones(3, 4)
            assert constant is not kept
            kept = kept * constant
        return kept + x

    graph = captured(Wrapped(churn, nn.Linear(4, 4)), X)
    assert sources(graph, "Wrapped:add") == ["before", "body"]
    assert [node.type for node in of_kind(graph, "function")] == ["add"]


def test_views_casts_and_reductions_are_passed_through_with_the_shape_at_the_end(captured):
    graph = captured(Wrapped(lambda model, x: (x.reshape(4, 3).t().contiguous() * 2.0).double().float()[:2]), X)
    assert sources(graph, "after") == ["before"]
    assert next(edge for edge in graph.edges if graph.nodes[edge.target].site == "after").shape == (2, 4)
    assert not of_kind(graph, "function")


def test_activation_functions_have_the_site_of_their_rows(tmp_path):
    model = Wrapped(lambda model, x: F.relu(x))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with inspect(model, optimizer, every=1, run=tmp_path / "x.dsrun") as session:
        model(X).sum().backward()
        optimizer.step()
        (function,) = of_kind(session.graph(), "function")
        assert function.site in set(session.frame("activation")["site"])


def test_what_nobody_uses_is_left_out(captured):
    graph = captured(Wrapped(lambda model, x: (x.mul(model.before(x)), x)[1]), X)
    assert not of_kind(graph, "function")


def test_a_tensor_that_is_passed_three_times_arrives_once(captured):
    model = Wrapped(lambda model, x: model.body(x, x, x)[0], nn.MultiheadAttention(4, 2))
    assert sources(captured(model, X), "body") == ["before"]


def test_keyword_arguments_and_nested_outputs(captured):
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 4)

        def forward(self, *, batch):
            y = self.fc(input=batch["x"])
            return {"deep": [y, (y + batch["x"],)]}

    class Sum(nn.Module):
        def __init__(self):
            super().__init__()
            self.named = Named()

        def forward(self, **batch):
            return self.named(batch=batch)["deep"][1][0]

    graph = captured(Sum(), x=X)
    assert links(graph) == Counter(
        [("input.x", "named.fc"), ("named.fc", "named:add"), ("input.x", "named:add"), ("named:add", "output")]
    )


@pytest.mark.parametrize("reentrant", [True, False])
def test_activation_checkpointing(captured, reentrant):
    def body(model, x):
        return x + checkpoint(model.body, x, use_reentrant=reentrant)

    graph = captured(Wrapped(body, mlp_of(4)), X)
    assert graph.complete
    assert sources(graph, "Wrapped:add") == ["before", "body.2"]
    assert len(of_kind(graph, "call")) == len(of_kind(graph, "module"))


def test_an_error_that_the_model_itself_catches(captured):
    def tries(model, x):
        try:
            model.body(x[:, :1])
        except RuntimeError:
            return x + model.body[1](x)

    graph = captured(Wrapped(tries, mlp_of(4)), X)
    assert graph.complete
    assert sources(graph, "Wrapped:add") == ["before", "body.1"]


@pytest.mark.parametrize("branch", [-1.0, 1.0])
def test_a_branch_that_depends_on_data_shows_the_way_that_was_taken(captured, branch):
    def either(model, x):
        return model.body[0](x) if float(x.detach().sum() * 0) + branch > 0 else model.body[2](x)

    graph = captured(Wrapped(either, mlp_of(4)), X)
    assert sources(graph, "after") == ["body.0" if branch > 0 else "body.2"]


def test_a_custom_autograd_function_that_joins_two_tensors_is_seen(captured):
    class Product(torch.autograd.Function):
        @staticmethod
        def forward(ctx, a, b):
            ctx.save_for_backward(a, b)
            return a * b

        @staticmethod
        def backward(ctx, gradient):
            a, b = ctx.saved_tensors
            return gradient * b, gradient * a

    graph = captured(Wrapped(lambda model, x: Product.apply(x, model.body(x)), nn.Linear(4, 4)), X)
    assert [sources(graph, label(node)) for node in of_kind(graph, "function")] == [["before", "body"]]


def test_a_lazy_module_has_the_type_that_it_became(tmp_path):
    model = nn.Sequential(nn.Linear(6, 5), nn.LazyLinear(2))
    optimizer = torch.optim.SGD([model[0].weight], lr=0.01)
    with inspect(model, optimizer, every=1, run=tmp_path / "lazy.dsrun") as session:
        model(torch.randn(3, 6)).sum().backward()
        optimizer.step()
        types = [node.type for node in of_kind(session.graph(), "module")]
    assert types == ["Sequential", "Linear", "Linear"]


def test_a_result_in_a_plain_class_is_not_followed_and_survives(captured):
    model = Wrapped(lambda model, x: SimpleNamespace(x=model.body(x)).x, nn.Linear(4, 4))
    assert sources(captured(model, X), "after") == ["body"]

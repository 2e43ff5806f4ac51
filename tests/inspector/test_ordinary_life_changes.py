"""Models that change while they are watched: modules added, replaced, wrapped, made late, deleted."""

import gc
import weakref

import pytest
import torch
from ordinary import INPUTS, counts, hooks, make, same, state, step, watch
from torch import nn

from deepseek.inspector import inspect


def names(session, kind):
    """The sites of each step's rows of one kind."""
    return {number: set(found) for number, found in counts(session, kind).items()}


def test_a_replaced_head_is_observed_from_the_next_step_on(tmp_path):
    model, optimizer = make()
    with watch(model, optimizer, tmp_path) as session:
        step(model, optimizer)
        model[2] = nn.Linear(8, 5)
        optimizer.add_param_group({"params": model[2].parameters()})
        for _ in range(2):
            step(model, optimizer)
    rows = session.frame("activation").query("site == '2'")
    assert list(rows["shape"])[-1] == (8, 5)
    assert names(session, "gradient")[2] == {"0.weight", "0.bias", "2.weight", "2.bias"}
    gradient = session.frame("gradient").query("step == 2 and site == '2.weight'")["l2"].item()
    assert gradient == pytest.approx(model[2].weight.grad.norm().item(), rel=1e-5)
    assert session.frame("update").query("step == 2 and site == '2.weight'")["shape"].item() == (5, 8)
    assert hooks(model) == 0


def test_an_appended_layer_is_observed_from_the_next_step_on(tmp_path):
    model, optimizer = make()
    with watch(model, optimizer, tmp_path) as session:
        step(model, optimizer)
        model.append(nn.Linear(2, 2))
        optimizer.add_param_group({"params": model[3].parameters()})
        for _ in range(2):
            step(model, optimizer)
    for kind, expected in (("activation", "3"), ("gradient", "3.weight"), ("update", "3.weight")):
        assert expected not in names(session, kind)[0]
        assert expected in names(session, kind)[2]
    assert {site.name for site in session.sites} >= {"3", "3.weight", "3.bias"}


def test_a_layer_that_was_removed_has_no_rows_any_more(tmp_path):
    model, optimizer = make(nn.Linear(8, 8))
    with watch(model, optimizer, tmp_path) as session:
        step(model, optimizer)
        removed = model.pop(2)
        for _ in range(2):
            step(model, optimizer)
        removed(torch.zeros(1, 8))
    assert names(session, "activation")[2] == {"0", "1", "2"}
    assert hooks(removed) == 0


class Adapted(nn.Module):
    """A frozen layer and a low-rank correction beside it, as in LoRA."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner.requires_grad_(False)
        self.down = nn.Linear(inner.in_features, 2, bias=False)
        self.up = nn.Linear(2, inner.out_features, bias=False)

    def forward(self, x):
        return self.inner(x) + self.up(self.down(x))


def test_a_layer_wrapped_in_an_adapter_is_observed_inside_and_out(tmp_path):
    model, optimizer = make()
    with watch(model, optimizer, tmp_path) as session:
        step(model, optimizer)
        model[0] = Adapted(model[0])
        optimizer.add_param_group({"params": [model[0].down.weight, model[0].up.weight]})
        for _ in range(2):
            step(model, optimizer)
    assert names(session, "activation")[2] == {"0.inner", "0.down", "0.up", "1", "2"}
    assert names(session, "gradient")[2] == {"0.down.weight", "0.up.weight", "2.weight", "2.bias"}


def test_a_layer_that_is_replaced_again_and_again_is_observed_each_time(tmp_path):
    model, optimizer = make()
    with watch(model, optimizer, tmp_path, kinds=["activation"]) as session:
        for number in range(10):
            del model[2]
            model.append(nn.Linear(8, 2))
            step(model, optimizer)
            step(model, optimizer)
            assert hooks(model[2]) > 0, number
    assert names(session, "activation")[19] == {"0", "1", "2"}


def test_changes_are_followed_with_the_default_budget_too(tmp_path):
    model, optimizer = make()
    with inspect(model, optimizer, budget=1.0, run=tmp_path / "x.dsrun") as session:
        step(model, optimizer)
        model.append(nn.Tanh())
        for _ in range(30):
            step(model, optimizer)
    assert "3" in set(session.frame("activation")["site"])


def test_parameters_frozen_and_unfrozen_later_are_followed(tmp_path):
    model, optimizer = make()
    model[0].requires_grad_(False)
    with watch(model, optimizer, tmp_path) as session:
        step(model, optimizer)
        model[0].requires_grad_(True)
        for _ in range(2):
            step(model, optimizer)
        model[2].requires_grad_(False)
        for _ in range(2):
            step(model, optimizer)
    gradients = names(session, "gradient")
    assert gradients[0] == {"2.weight", "2.bias"}
    assert gradients[2] == {"0.weight", "0.bias", "2.weight", "2.bias"}
    assert gradients[4] == {"0.weight", "0.bias"}


@pytest.mark.parametrize("every", [1, 2])
def test_two_players_that_freeze_each_other_in_turn_are_both_recorded(tmp_path, every):
    model, _ = make()
    players = [model[0], model[2]]
    optimizers = [torch.optim.SGD(player.parameters(), lr=0.1) for player in players]
    with watch(model, optimizers, tmp_path, every=every) as session:
        for _ in range(5):
            for player, other, optimizer in zip(players, reversed(players), optimizers, strict=True):
                player.requires_grad_(True)
                other.requires_grad_(False)
                step(model, optimizer)
    both = {"0.weight", "0.bias", "2.weight", "2.bias"}
    assert session.status.step == 5
    assert names(session, "gradient") == dict.fromkeys(range(0, 5, every), both)


def lazy(folder=None):
    torch.manual_seed(0)
    model = nn.Sequential(nn.LazyLinear(8), nn.ReLU(), nn.LazyLinear(2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    session = watch(model, optimizer, folder) if folder else None
    for _ in range(3):
        step(model, optimizer)
    return model, session


def test_a_lazy_module_takes_shape_under_a_session(tmp_path):
    plain, _ = lazy()
    watched, session = lazy(tmp_path)
    session.close()
    assert same(state(plain), state(watched))
    assert {"0", "1", "2"} <= names(session, "activation")[2]
    assert names(session, "gradient")[2] == {"0.weight", "0.bias", "2.weight", "2.bias"}
    weight = session.frame("parameter").query("site == '0.weight'").iloc[-1]
    assert weight["shape"] == (8, 4)
    assert weight["l2"] == pytest.approx(watched[0].weight.norm().item(), rel=1e-5)
    assert hooks(watched) == 0


def test_a_model_deleted_under_the_session_is_freed(tmp_path):
    model, optimizer = make()
    session = watch(model, optimizer, tmp_path)
    for _ in range(3):
        step(model, optimizer)
    things = [model, *model.modules(), *model.parameters(), optimizer, model[0].weight.grad]
    references = [weakref.ref(thing) for thing in things]
    del model, optimizer, things
    gc.collect()
    assert [reference() for reference in references if reference() is not None] == []
    session.close()
    assert session.status.step == 3
    assert len(session.frame("gradient")) == 12


def test_a_model_deleted_between_forward_and_backward_is_freed_with_its_graph(tmp_path):
    model, optimizer = make()
    session = watch(model, optimizer, tmp_path)
    step(model, optimizer)
    loss = model(INPUTS).square().mean()
    reference = weakref.ref(model)
    del model, optimizer
    loss.backward()
    del loss
    gc.collect()
    assert reference() is None
    session.close()


def test_outputs_do_not_outlive_their_step(tmp_path):
    model, optimizer = make()
    outputs = []
    model[0].register_forward_hook(lambda _module, _args, output: outputs.append(weakref.ref(output)))
    with watch(model, optimizer, tmp_path):
        for _ in range(3):
            step(model, optimizer)
        assert [reference() for reference in outputs] == [None] * 3


def test_a_session_that_nobody_holds_is_freed_once_it_is_closed(tmp_path):
    model, optimizer = make()
    session = watch(model, optimizer, tmp_path)
    step(model, optimizer)
    session.close()
    reference = weakref.ref(session)
    del session
    gc.collect()
    assert reference() is None

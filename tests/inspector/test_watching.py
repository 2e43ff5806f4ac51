"""A session that does not watch counts steps and does nothing else."""

import torch
import torch.nn.functional as F
from training import CASES, make, train
from zoo import MLP

from deepseek.inspector import inspect


def hooks(model, optimizer):
    on_modules = sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules())
    on_parameters = sum(len(parameter._post_accumulate_grad_hooks or ()) for parameter in model.parameters())
    return on_modules + on_parameters + len(optimizer._optimizer_step_pre_hooks)


def test_no_hook_is_left_but_the_one_that_counts(tmp_path):
    model, optimizer = make("mlp")
    with inspect(model, optimizer, every=1, run=tmp_path / "x.dsrun") as session:
        session.watching = False
        assert hooks(model, optimizer) == 0
        train(model, optimizer, CASES["mlp"][1], 5, session)
        assert session.status.step == 5
        assert len(session.frame("timing")) == 0


def test_watching_again_goes_on_where_the_count_is(tmp_path):
    model, optimizer = make("mlp")
    with inspect(model, optimizer, every=1, run=tmp_path / "x.dsrun") as session:
        for watching in (True, False, True):
            session.watching = watching
            train(model, optimizer, CASES["mlp"][1], 3, session)
        assert session.status.step == 9
        assert session.frame("timing")["step"].tolist() == [0, 1, 2, 6, 7, 8]
        assert sorted(set(session.frame("gradient")["step"])) == [0, 1, 2, 6, 7, 8]
        assert session.frame("scalar")["step"].tolist() == [0, 1, 2, 6, 7, 8]
        assert session.status.dropped == 0


def test_what_the_last_steps_cost_is_known_when_watching_ends(tmp_path):
    model, optimizer = make("mlp")
    with inspect(model, optimizer, every=1000, run=tmp_path / "x.dsrun") as session:
        train(model, optimizer, CASES["mlp"][1], 4, session)
        session.watching = False
        assert (session.frame("timing")["inspector_ms"] > 0).all()


def test_without_an_optimizer_forwards_are_counted_and_evaluation_is_observed(tmp_path):
    model = MLP()
    with inspect(model, every=1, run=tmp_path / "x.dsrun") as session:
        with torch.no_grad():
            model(torch.randn(4, 64))
        session.watching = False
        model(torch.randn(4, 64))
        assert session.status.step == 2
        assert set(session.frame("activation")["step"]) == {0}


def test_steps_between_observations_are_recorded_with_their_values(tmp_path):
    model, optimizer = make("mlp")
    with inspect(model, optimizer, every=7, run=tmp_path / "x.dsrun") as session:
        losses, _ = train(model, optimizer, CASES["mlp"][1], 50, session)
        assert session.frame("scalar")["value"].tolist() == losses
        timing = session.frame("timing")
        assert timing["step"].tolist() == list(range(50))
        assert timing["observed"].tolist() == [step % 7 == 0 for step in range(50)]
        assert timing["gradient_norm"].notna().all()


def test_a_value_logged_before_the_step_ends_belongs_to_it(tmp_path):
    model, optimizer = make("mlp")
    with inspect(model, optimizer, every=100, run=tmp_path / "x.dsrun") as session:
        for number in range(10):
            optimizer.zero_grad()
            F.cross_entropy(model(torch.randn(4, 64)), torch.randint(10, (4,))).backward()
            session.log(before=number)
            optimizer.step()
            session.log(after=number)
        table = session.frame("scalar").set_index("name")
        for name in ("before", "after"):
            assert table.loc[name, "step"].tolist() == table.loc[name, "value"].tolist() == list(range(10))

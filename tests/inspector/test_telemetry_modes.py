"""In every mode of training, what is recorded equals what an independent witness saw, computed in float64."""

import pytest
import torch
import torch.nn.functional as F
from telemetry_ranks import on_two_processes
from torch import nn
from witness import Witness
from zoo import CNN, MLP, Checkpointed

from deepseek.inspector import inspect

FORWARD = ("activation", "activation_gradient")
BACKWARD = ("gradient",)
UPDATE = ("parameter", "update")
EVERYTHING = (*FORWARD, *BACKWARD, "applied_gradient", *UPDATE)


def batch(size=8):
    return torch.randn(size, 64), torch.randint(10, (size,))


def loss_of(model, inputs, labels):
    return F.cross_entropy(model(inputs), labels)


@pytest.fixture
def mlp():
    torch.manual_seed(0)
    return MLP(depth=2)


def test_plain(mlp, tmp_path):
    optimizer = torch.optim.AdamW(mlp.parameters(), lr=1e-2)
    with inspect(mlp, optimizer, every=1, run=tmp_path / "x.dsrun") as session, Witness(mlp, [optimizer]) as witness:
        for _ in range(4):
            optimizer.zero_grad()
            loss_of(mlp, *batch()).backward()
            optimizer.step()
        assert witness.differences(session, EVERYTHING) == []
        norms = session.frame("timing")["gradient_norm"]
        for step, norm in enumerate(norms):
            parts = [row for key, row in witness.rows.items() if key[:2] == ("applied", step)]
            assert norm == pytest.approx(sum((part**2).sum() for part in parts) ** 0.5, rel=1e-5)


def test_what_changes_parameters_between_steps_is_no_part_of_an_update(mlp, tmp_path):
    optimizer = torch.optim.SGD(mlp.parameters(), lr=0.1)
    with inspect(mlp, optimizer, every=1, run=tmp_path / "x.dsrun") as session, Witness(mlp, [optimizer]) as witness:
        for _ in range(3):
            optimizer.zero_grad()
            loss_of(mlp, *batch()).backward()
            optimizer.step()
            with torch.no_grad():
                for parameter in mlp.parameters():
                    parameter.mul_(0.5)
        assert witness.differences(session, UPDATE) == []


def test_batch_norm_and_in_place_rectifiers(tmp_path):
    torch.manual_seed(0)
    model = CNN()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    # A witness that comes first clones before an in-place rectifier of a later module overwrites, as the session reads.
    with (
        Witness(model, [optimizer]) as witness,
        inspect(model, optimizer, every=1, run=tmp_path / "x.dsrun") as session,
    ):
        for _ in range(3):
            optimizer.zero_grad()
            F.cross_entropy(model(torch.randn(8, 1, 8, 8)), torch.randint(10, (8,))).backward()
            optimizer.step()
        assert witness.differences(session, EVERYTHING) == []


def test_gradient_accumulation_records_each_backward_pass(mlp, tmp_path):
    optimizer = torch.optim.SGD(mlp.parameters(), lr=0.1)
    with inspect(mlp, optimizer, every=1, run=tmp_path / "x.dsrun") as session, Witness(mlp, [optimizer]) as witness:
        for _ in range(3):
            optimizer.zero_grad()
            for _ in range(3):
                (loss_of(mlp, *batch()) / 3).backward()
            optimizer.step()
        assert sorted({key[3] for key in witness.rows if key[0] == "gradient"}) == [0, 1, 2]
        assert witness.differences(session, EVERYTHING) == []


@pytest.mark.parametrize("clip", ["norm", "value"])
def test_clipping_gives_the_gradient_before_and_after(mlp, clip, tmp_path):
    optimizer = torch.optim.SGD(mlp.parameters(), lr=0.1)
    with inspect(mlp, optimizer, every=1, run=tmp_path / "x.dsrun") as session, Witness(mlp, [optimizer]) as witness:
        for _ in range(3):
            optimizer.zero_grad()
            loss_of(mlp, *batch()).backward()
            if clip == "norm":
                nn.utils.clip_grad_norm_(mlp.parameters(), 0.1)
            else:
                nn.utils.clip_grad_value_(mlp.parameters(), 1e-3)
            optimizer.step()
        assert any(key[0] == "applied_gradient" for key in witness.rows)
        assert witness.differences(session, EVERYTHING) == []
        if clip == "norm":
            assert session.frame("timing")["gradient_norm"].tolist() == pytest.approx([0.1] * 3, rel=1e-4)


def test_autocast_bfloat16(mlp, tmp_path):
    optimizer = torch.optim.SGD(mlp.parameters(), lr=0.1)
    with inspect(mlp, optimizer, every=1, run=tmp_path / "x.dsrun") as session, Witness(mlp, [optimizer]) as witness:
        for _ in range(3):
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16):
                loss = loss_of(mlp, *batch())
            loss.backward()
            optimizer.step()
        assert witness.differences(session, EVERYTHING) == []
        assert set(session.frame("activation")["dtype"]) == {"bfloat16"}
        assert set(session.frame("gradient")["dtype"]) == {"float32"}


@pytest.mark.parametrize("unscale_first", [True, False])
def test_a_loss_scaler_leaves_no_trace_in_the_gradients(mlp, unscale_first, tmp_path):
    optimizer = torch.optim.SGD(mlp.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**12)
    session = inspect(mlp, optimizer, every=1, run=tmp_path / "x.dsrun")
    with session, Witness(mlp, [optimizer], scale=scaler.get_scale) as witness:
        for _ in range(3):
            optimizer.zero_grad()
            scaler.scale(loss_of(mlp, *batch())).backward()
            if unscale_first:
                scaler.unscale_(optimizer)
                nn.utils.clip_grad_norm_(mlp.parameters(), 0.1)
            scaler.step(optimizer)
            scaler.update()
        assert witness.differences(session, EVERYTHING) == []


def test_a_scale_is_forgotten_with_its_step_also_when_that_was_not_observed(mlp, tmp_path):
    optimizer = torch.optim.SGD(mlp.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**12)
    with inspect(mlp, optimizer, every=2, run=tmp_path / "x.dsrun") as session, Witness(mlp, [optimizer]) as witness:
        for step in range(3):
            optimizer.zero_grad()
            loss = loss_of(mlp, *batch())
            if step == 1:
                scaler.scale(loss).backward()
                scaler.step(optimizer)
            else:
                loss.backward()
                optimizer.step()
        witness.rows = {key: row for key, row in witness.rows.items() if key[1] != 1}
        assert witness.differences(session, (*FORWARD, *BACKWARD)) == []


def test_a_skipped_step_is_an_event_and_no_alarm(mlp, tmp_path):
    optimizer = torch.optim.SGD(mlp.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**4)
    session = inspect(mlp, optimizer, every=1, run=tmp_path / "x.dsrun")
    with session, Witness(mlp, [optimizer], scale=scaler.get_scale) as witness:
        for step in range(4):
            optimizer.zero_grad()
            loss = loss_of(mlp, *batch())
            scaler.scale(loss * torch.inf if step == 1 else loss).backward()
            scaler.step(optimizer)
            if step == 1:
                witness.end_step()
            scaler.update()
        events = session.frame("event")
        assert list(zip(events["step"], events["kind"], strict=True)).count((1, "step_skipped")) == 1
        assert session.status.step == 4
        assert session.findings == []
        assert witness.differences(session, (*FORWARD, *BACKWARD, *UPDATE)) == []


def test_a_loss_scaler_is_itself_again_after_the_last_session(mlp, tmp_path):
    before = (torch.amp.GradScaler.scale, torch.amp.GradScaler.step)
    first = inspect(mlp, run=tmp_path / "a.dsrun")
    second = inspect(mlp, run=tmp_path / "b.dsrun")
    first.close()
    assert torch.amp.GradScaler.scale is not before[0]
    second.close()
    assert (torch.amp.GradScaler.scale, torch.amp.GradScaler.step) == before


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpointing(reentrant, tmp_path):
    torch.manual_seed(0)
    model = Checkpointed(reentrant)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with (
        inspect(model, optimizer, every=1, run=tmp_path / "x.dsrun") as session,
        Witness(model, [optimizer]) as witness,
    ):
        for _ in range(3):
            optimizer.zero_grad()
            inputs, labels = batch()
            loss_of(model, inputs.requires_grad_(), labels).backward()
            optimizer.step()
        if reentrant:  # the first forward runs without gradients, which the witness takes for evaluation
            witness.rows = {
                ("activation" if k[0] == "eval_activation" else k[0], *k[1:]): v for k, v in witness.rows.items()
            }
        assert witness.differences(session, ("activation", *BACKWARD, "applied_gradient", *UPDATE)) == []
        assert len(session.frame("activation_gradient")) == len(session.frame("activation"))


def test_two_optimizers_make_one_step(mlp, tmp_path):
    layers = list(mlp.layers)
    first = torch.optim.SGD(layers[0].parameters(), lr=0.1)
    second = torch.optim.Adam([p for layer in layers[1:] for p in layer.parameters()], lr=1e-3)
    both = [first, second]
    with inspect(mlp, both, every=1, run=tmp_path / "x.dsrun") as session, Witness(mlp, both) as witness:
        for _ in range(3):
            for optimizer in both:
                optimizer.zero_grad()
            loss_of(mlp, *batch()).backward()
            for optimizer in both:
                optimizer.step()
        assert session.status.step == 3
        assert witness.differences(session, EVERYTHING) == []


def test_an_optimizer_that_no_longer_steps_is_not_waited_for_for_ever(mlp, tmp_path):
    both = [torch.optim.SGD([parameter], lr=0.1) for parameter in list(mlp.parameters())[:2]]
    with inspect(mlp, both, every=1, kinds=["gradient"], run=tmp_path / "x.dsrun") as session:
        for step in range(130):
            loss_of(mlp, *batch()).backward()
            for optimizer in both if step < 5 else both[:1]:
                optimizer.step()
        assert session.status.step > 20


def test_lbfgs_with_a_closure(mlp, tmp_path):
    optimizer = torch.optim.LBFGS(mlp.parameters(), max_iter=4)
    inputs, labels = batch()

    def closure():
        optimizer.zero_grad()
        loss = loss_of(mlp, inputs, labels)
        loss.backward()
        return loss

    with inspect(mlp, optimizer, every=1, run=tmp_path / "x.dsrun") as session, Witness(mlp, [optimizer]) as witness:
        for _ in range(2):
            optimizer.step(closure)
        assert session.status.step == 2
        assert witness.differences(session, EVERYTHING) == []


def test_a_compiled_model_gives_its_parameters(mlp, tmp_path):
    compiled = torch.compile(mlp, backend="aot_eager")
    optimizer = torch.optim.SGD(mlp.parameters(), lr=0.1)
    with inspect(mlp, optimizer, every=1, run=tmp_path / "x.dsrun") as session, Witness(mlp, [optimizer]) as witness:
        for _ in range(3):
            optimizer.zero_grad()
            loss_of(compiled, *batch()).backward()
            optimizer.step()
        assert witness.differences(session, (*BACKWARD, "applied_gradient", *UPDATE)) == []


def test_evaluation_is_kept_apart(mlp, tmp_path):
    optimizer = torch.optim.SGD(mlp.parameters(), lr=0.1)
    with inspect(mlp, optimizer, every=1, run=tmp_path / "x.dsrun") as session, Witness(mlp, [optimizer]) as witness:
        for _ in range(3):
            optimizer.zero_grad()
            loss_of(mlp, *batch()).backward()
            with torch.no_grad():
                mlp(batch()[0])
                mlp(batch()[0])
            optimizer.step()
        assert witness.differences(session, (*EVERYTHING, "eval_activation")) == []


@pytest.fixture(scope="module")
def ranks():
    return on_two_processes()


def test_ddp_gives_the_gradient_before_and_after_averaging(ranks):
    (first, norms), (second, others) = ranks["ddp"]
    assert first == second == []
    assert norms == pytest.approx(others, rel=1e-6), "after averaging both processes use the same gradient"


def test_fsdp_gives_the_shards_of_each_process_whose_squares_add_up(ranks):
    (first, norms), (second, others) = ranks["fsdp"]
    assert first == second == []
    whole = ranks["ddp"][0][1]
    assert [a + b for a, b in zip(norms, others, strict=True)] == pytest.approx(whole, rel=1e-4)

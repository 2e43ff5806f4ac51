"""What is recorded equals what autograd says."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from training import CASES, make, train
from zoo import CNN, GPT, MLP, SequenceClassifier, Splitter

from deepseek.errors import DeepseekError
from deepseek.inspector import inspect, open_run


def test_rows_equal_plain_autograd(tmp_path):
    torch.manual_seed(0)
    model = MLP(depth=2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    inputs, labels = torch.randn(8, 64), torch.randint(10, (8,))
    outputs, kept = {}, {}
    x = inputs
    for name, layer in model.layers.named_children():
        x = layer(x)
        x.retain_grad()
        outputs[f"layers.{name}"] = x
    F.cross_entropy(x, labels).backward()
    gradients = {name: p.grad.double().norm().item() for name, p in model.named_parameters()}
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer.zero_grad()
    with inspect(model, optimizer, every=1, run=tmp_path / "x.dsrun") as session:
        F.cross_entropy(model(inputs), labels).backward()
        optimizer.step()
        kept = {
            kind: session.frame(kind).set_index("site")
            for kind in ("activation", "activation_gradient", "gradient", "parameter", "update")
        }
    for name, value in outputs.items():
        row = kept["activation"].loc[name]
        assert row["mean"] == pytest.approx(value.double().mean().item(), rel=1e-5, abs=1e-8)
        assert row["max"] == value.max().item()
        assert row["zero_frac"] == (value == 0).double().mean().item()
        assert row["shape"] == tuple(value.shape)
        assert kept["activation_gradient"].loc[name, "l2"] == pytest.approx(value.grad.double().norm().item(), rel=1e-5)
    for name, parameter in model.named_parameters():
        assert kept["gradient"].loc[name, "l2"] == pytest.approx(gradients[name], rel=1e-5)
        moved = (parameter.detach().double() - before[name].double()).norm().item()
        assert kept["update"].loc[name, "l2"] == pytest.approx(moved, rel=1e-4)
        norm = parameter.detach().double().norm().item()
        assert kept["parameter"].loc[name, "l2"] == pytest.approx(norm, rel=1e-5)
        assert kept["update"].loc[name, "update_ratio"] == pytest.approx(moved / norm, rel=1e-4)


def test_live_and_reopened_tables_are_equal(tmp_path):
    model, optimizer = make("cnn")
    with inspect(model, optimizer, every=1, run=tmp_path / "x.dsrun") as session:
        train(model, optimizer, CASES["cnn"][1], 25, session)
        live = {kind: session.frame(kind) for kind in ("activation", "update", "unit", "scalar", "timing")}
        summary = session.summary()
    run = open_run(tmp_path / "x.dsrun")
    for kind, table in live.items():
        assert len(table)
        assert run.frame(kind).equals(table), kind
    assert run.summary().equals(summary)
    assert run.status.state == "closed"
    assert run.status.step == 25
    assert list(run.frame("scalar")["step"]) == list(range(25))


def test_rows_follow_calls_of_a_shared_module(tmp_path):
    shared = nn.Linear(4, 4)
    model = nn.Sequential(shared, nn.ReLU(), shared)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with inspect(model, optimizer, every=1, run=tmp_path / "x.dsrun") as session:
        model(torch.randn(2, 4)).sum().backward()
        optimizer.step()
        rows = session.frame("activation")
    assert list(zip(rows["site"], rows["call"], strict=True)) == [("0", 0), ("1", 0), ("0", 1)]
    assert session.sites[1].aliases == ("2",)


def test_tied_weights_give_one_row_a_backward(tmp_path):
    model = GPT(layers=1, width=16, heads=2, vocabulary=32, length=8)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with inspect(model, optimizer, every=1, run=tmp_path / "x.dsrun") as session:
        model(torch.randint(32, (2, 8))).sum().backward()
        optimizer.step()
        rows = session.frame("gradient")
    assert list(rows["site"]).count("tokens.weight") == 1
    assert "head.weight" not in set(rows["site"])
    tied = next(site for site in session.sites if site.name == "tokens.weight")
    assert tied.aliases == ("head.weight",)


@pytest.mark.parametrize(("form", "second"), [("dict", "hidden"), ("dataclass", "hidden"), ("tuple", "1")])
def test_every_tensor_of_a_structured_output_has_a_site(form, second, tmp_path):
    model = nn.Sequential(Splitter(form))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with inspect(model, optimizer, every=1, run=tmp_path / "x.dsrun") as session:
        output = model(torch.randn(2, 4))
        first = output[0] if form == "tuple" else output["logits"] if form == "dict" else output.logits
        first.sum().backward()
        optimizer.step()
        assert list(session.frame("activation")["site"]) == ["0", f"0:{second}"]


def test_an_lstm_gives_its_output_and_both_states(tmp_path):
    model = SequenceClassifier()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with inspect(model, optimizer, every=1, run=tmp_path / "x.dsrun") as session:
        train(model, optimizer, lambda: torch.randn(4, 5, 8), 1)
        rows = session.frame("activation")
    assert list(rows["site"]) == ["lstm", "lstm:1.0", "lstm:1.1", "head"]


def test_gradient_accumulation_counts_calls_within_one_step(tmp_path):
    model, optimizer = make("mlp")
    with inspect(model, optimizer, every=1, run=tmp_path / "x.dsrun") as session:
        for _ in range(2):
            model(torch.randn(4, 64)).sum().backward()
        optimizer.step()
        rows = session.frame("gradient")
    assert set(rows["step"]) == {0}
    assert sorted(rows[rows["site"] == "layers.0.weight"]["call"]) == [0, 1]


def test_evaluation_is_not_part_of_a_training_step(tmp_path):
    model, optimizer = make("mlp")
    with inspect(model, optimizer, every=1, run=tmp_path / "x.dsrun") as session:
        train(model, optimizer, CASES["mlp"][1], 1)
        with torch.no_grad():
            model(torch.randn(100, 64))
        train(model, optimizer, CASES["mlp"][1], 1)
        rows = session.frame("activation")
    assert set(rows["call"]) == {0}
    assert {shape[0] for shape in rows["shape"]} == {16}


def test_without_an_optimizer_each_forward_is_a_step(tmp_path):
    model = CNN().eval()
    with inspect(model, every=1, run=tmp_path / "x.dsrun") as session, torch.no_grad():
        for _ in range(3):
            model(torch.randn(2, 1, 8, 8))
    assert sorted(set(session.frame("activation")["step"])) == [0, 1, 2]


def test_values_logged_after_the_step_belong_to_it(tmp_path):
    model, optimizer = make("mlp")
    with inspect(model, optimizer, every=1, run=tmp_path / "x.dsrun") as session:
        for step in range(3):
            model(torch.randn(4, 64)).sum().backward()
            session.log(before=step)
            optimizer.step()
            session.log(after=torch.tensor(float(step)))
        table = session.frame("scalar")
    assert sorted(tuple(row) for row in table.itertuples(index=False)) == [
        (step, name, float(step)) for step in range(3) for name in ("after", "before")
    ]


def test_a_step_cut_short_by_an_error_is_kept(tmp_path):
    model, optimizer = make("mlp")
    session = inspect(model, optimizer, every=1, run=tmp_path / "x.dsrun")

    def loop():
        with session:
            model(torch.randn(4, 64))
            raise KeyError

    with pytest.raises(KeyError):
        loop()
    assert len(session.frame("activation")) == 9


def test_sites_by_glob_and_callable(tmp_path):
    for index, sites in enumerate(("layers.[02]", lambda name, module: name in ("layers.0", "layers.2"))):
        model, optimizer = make("mlp")
        with inspect(model, optimizer, every=1, sites=sites, run=tmp_path / f"{index}.dsrun") as session:
            train(model, optimizer, CASES["mlp"][1], 1)
            assert list(session.frame("activation")["site"]) == ["layers.0", "layers.2"]
            assert set(session.frame("gradient")["site"]) == {
                "layers.0.weight",
                "layers.0.bias",
                "layers.2.weight",
                "layers.2.bias",
            }


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"sites": "layer.*"}, "matches no module of the model. Module names look like layers"),
        ({"budget": 5}, "`budget` is a share of step time above 0 and up to 1"),
        ({"every": 0}, "`every` must be a whole number of steps from 1, not 0"),
        ({"kinds": ["weights"]}, "Unknown kind 'weights' in `kinds`. Known are: activation"),
        ({"rules": "strict"}, '`rules` must be "standard" or a sequence of rules'),
        ({"optimizer": "adam"}, "`optimizer` must be a torch.optim.Optimizer or a list of them, not str"),
    ],
)
def test_wrong_arguments_are_explained_and_attach_nothing(arguments, sentence, tmp_path):
    model = MLP()
    with pytest.raises(DeepseekError) as error:
        inspect(model, **{"run": tmp_path / "x.dsrun", **arguments})
    assert sentence in str(error.value)
    assert all(not module._forward_pre_hooks for module in model.modules())
    assert not (tmp_path / "x.dsrun").exists()


def test_log_refuses_what_is_not_a_number(tmp_path):
    model, optimizer = make("mlp")
    with inspect(model, optimizer, run=tmp_path / "x.dsrun") as session:
        with pytest.raises(DeepseekError, match=r"takes a number or a one-element tensor, not Tensor of shape \(3,\)"):
            session.log(loss=torch.zeros(3))
        with pytest.raises(DeepseekError, match=r"There is no table 'activations'\. Recorded are: activation,"):
            session.frame("activations")


def test_a_value_that_cannot_be_brought_to_the_host_does_not_disturb_training(tmp_path, caplog):
    model, optimizer = make("mlp")
    with inspect(model, optimizer, every=1, run=tmp_path / "x.dsrun") as session:
        session.log(loss=torch.ones((), device="meta"))
        train(model, optimizer, CASES["mlp"][1], 3, session)
        assert session.status.step == 3
    assert [record.getMessage().count("logging values failed") for record in caplog.records] == [1]


def test_a_session_can_be_read_before_its_first_step(tmp_path):
    model, optimizer = make("mlp")
    with inspect(model, optimizer, run=tmp_path / "x.dsrun") as session:
        assert list(session.records()) == []
        assert len(session.frame("activation")) == 0
        assert len(session.summary()) == 0
        assert open_run(tmp_path / "x.dsrun").status.state == "running"


def test_forwards_without_a_step_fill_no_more_than_a_bounded_frame(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("deepseek.inspector.recorder.MAX_STEP_ROWS", 100)
    model, optimizer = make("mlp")
    with inspect(model, optimizer, every=1, run=tmp_path / "x.dsrun") as session:
        for _ in range(50):
            outputs = model(torch.randn(4, 64))
        outputs.sum().backward()
        optimizer.step()
        train(model, optimizer, CASES["mlp"][1], 1)
        rows = session.frame("activation")
    assert list(rows.groupby("step").size()) == [100, 9]
    assert ["more than 100 tensors" in record.getMessage() for record in caplog.records] == [True]

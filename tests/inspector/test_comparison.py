"""Two runs side by side: which layer differs first, told from real training."""

import math

import numpy as np
import pytest
import torch
from synthetic import SyntheticRecording, values
from torch import nn
from training import make, train

import deepseek
from deepseek.errors import DeepseekError
from deepseek.inspector.aligning import relative_difference
from deepseek.inspector.comparison import compare
from deepseek.inspector.record import TENSOR_KINDS, Frame, Layout, Site, StepRecord

STEPS = 4


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return a function that trains a small network, changed beforehand or not, and returns the run file."""
    folder = tmp_path_factory.mktemp("runs")
    made = {}

    def run(name, change=None, case="mlp", **options):
        if name not in made:
            model, optimizer = make(case)
            if change is not None:
                with torch.no_grad():
                    change(model)
            made[name] = folder / f"{name}.dsrun"
            with deepseek.inspect(model, optimizer, run=made[name], **{"every": 1, **options}) as session:
                train(model, optimizer, *_batches(case), session)
        return made[name]

    return run


def _batches(case):
    from training import CASES

    return CASES[case][1], STEPS


def linears(model):
    return [(name, module) for name, module in model.named_modules() if isinstance(module, nn.Linear)]


def scaled(index, factor=1.1):
    return lambda model: linears(model)[index][1].weight.mul_(factor)


@pytest.mark.parametrize("kind", ["activation", "activation_gradient", "gradient", "parameter", "update"])
def test_the_same_seed_gives_equality_to_the_last_bit(trained, kind):
    found = deepseek.compare(trained("one"), trained("two"), kind=kind, tolerance=0)
    assert not found.diverged
    assert found.first_divergence is None
    assert (found.frame["difference"] == 0).all()
    assert found.steps == list(range(STEPS))
    assert "equal to the last bit" in str(found)
    assert "loss agrees" in str(found)


@pytest.mark.parametrize("index", [0, 1, -1])
def test_the_layer_that_was_changed_is_named(trained, index):
    name = linears(make("mlp")[0])[index][0]
    found = deepseek.compare(trained("one"), trained(f"scaled{index}", scaled(index)))
    first = found.first_divergence
    assert (first.site, first.type, first.step) == (name, "Linear", 0)
    assert first.b > first.a
    assert str(found).startswith(f"A and B differ first at step 0 in {name} (Linear): activation rms ")
    before = found.history[(found.history["step"] == 0) & (found.history["site"] != name)]
    depth = found.frame.set_index("site")["depth"][name]
    assert (before[before["depth"] < depth]["difference"] == 0).all()


@pytest.mark.parametrize("kind", ["gradient", "activation_gradient"])
def test_gradients_begin_to_differ_nearest_the_output(trained, kind):
    found = deepseek.compare(trained("one"), trained("scaled1", scaled(1)), kind=kind)
    over = found.history[(found.history["step"] == 0) & (found.history["difference"] > found.tolerance)]
    nearest = over.loc[over["depth"].idxmax(), "site"]
    assert found.first_divergence.site == nearest


def test_depth_runs_from_the_input_to_the_output_in_both_directions(trained):
    forward, backward = (deepseek.compare(trained("one"), trained("two"), kind=k) for k in ("activation", "gradient"))
    order = [name for name, _ in linears(make("mlp")[0])]
    assert [site for site in forward.frame["site"] if site in order] == order
    owners = [site.rpartition(".")[0] for site in backward.frame["site"]]
    assert [name for name in dict.fromkeys(owners) if name in order] == order


def test_a_change_below_the_tolerance_is_told_apart_from_equality(trained):
    found = deepseek.compare(trained("one"), trained("scaled1", scaled(1)), tolerance=1e3)
    assert not found.diverged
    assert "differ by no more than 1000" in str(found)
    assert "Below the tolerance they differ from step 0 on, first in" in str(found)


def test_two_steps_of_one_run_are_compared(trained):
    with deepseek.open_run(trained("one")) as run:
        found = run.compare(run, steps=(0, STEPS - 1), kind="parameter")
        rows = run.frame("parameter").set_index(["step", "site"])["rms"]
    assert found.diverged
    row = found.frame.iloc[0]
    assert (row["a"], row["b"]) == (rows[0, row["site"]], rows[STEPS - 1, row["site"]])
    assert str(found).startswith("Step 0 of A and step 3 of B differ first in ")
    assert len(found.scalars) == 1


def test_sessions_runs_and_paths_may_be_mixed(trained, tmp_path):
    model, optimizer = make("mlp")
    with deepseek.inspect(model, optimizer, every=1, run=tmp_path / "live.dsrun") as session:
        train(model, optimizer, *_batches("mlp"), session)
        with deepseek.open_run(trained("one")) as run:
            assert not deepseek.compare(session, run, tolerance=0).diverged
            assert not session.compare(str(trained("one")), tolerance=0).diverged


def test_modules_of_one_run_only_are_listed(trained):
    def add(model):
        model.add_module("extra", nn.Linear(1, 1))
        model.register_forward_hook(lambda module, args, output: output + 0 * module.extra(output[:, :1]))

    found = deepseek.compare(trained("one"), trained("extra", add))
    assert found.only_a == []
    assert found.only_b == ["extra"]
    assert "Observed only in B: 1 site (extra)." in str(found)


def test_different_models_are_said_to_differ(trained):
    found = deepseek.compare(trained("one"), trained("lstm", case="lstm"))
    assert "The models differ: A is MLP, B is SequenceClassifier." in str(found)


def test_logged_scalars_are_compared(trained):
    found = deepseek.compare(trained("one"), trained("scaled1", scaled(1)))
    with deepseek.open_run(trained("one")) as run:
        last = run.frame("scalar")["value"].iloc[-1]
    row = found.scalars.iloc[0]
    assert (row["name"], row["step"], row["a"], row["first_step"]) == ("loss", STEPS - 1, last, 0)
    assert str(found).endswith("loss differs from step 0 on.")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"kind": "activations"}, "`kind` must be one of activation, "),
        ({"kind": "scalar"}, "Logged scalars are always compared"),
        ({"column": "norm"}, "`column` must be one of mean, std"),
        ({"tolerance": -1}, "`tolerance` is a relative difference from 0"),
        ({"tolerance": math.nan}, "`tolerance` is a relative difference from 0"),
        ({"steps": 3}, "`steps` takes the numbers of two steps"),
        ({"steps": (0, 99)}, "B did not observe step 99. Observed near it: 0, 1, 2, 3."),
        ({"kind": "eval_activation"}, "recorded no eval_activation. It holds activation,"),
    ],
)
def test_a_wrong_argument_is_explained(trained, arguments, sentence):
    with pytest.raises(DeepseekError, match=sentence.replace(".", r"\.")):
        deepseek.compare(trained("one"), trained("two"), **arguments)


def test_something_that_is_no_run_is_explained(trained):
    with pytest.raises(DeepseekError, match="Expected two runs to compare, got a Linear"):
        deepseek.compare(trained("one"), nn.Linear(1, 1))


# What training rarely brings about is made by hand.


def recording(columns, steps=(0,), kind="activation", names=("a", "b", "c"), title="Net", scalars=None):
    """Rows of one kind: ``columns[name]`` is one value for every site, or one for each."""
    made = SyntheticRecording(blocks=0, title=title)
    made.sites = [Site(i, name, "module", "Linear", name, i) for i, name in enumerate(names)]
    made.layouts = [Layout(0, "float32", (4, 4), 4)]
    ids = np.arange(len(names), dtype=np.uint32)
    zeros = np.zeros(len(names), np.uint32)
    made.stored = [
        StepRecord(step, 0.0, 1.0, 0.0, True, scalars or {}, {kind: Frame(ids, zeros, zeros, values(len(names), **c))})
        for step, c in ((step, columns(step) if callable(columns) else columns) for step in steps)
    ]
    return made


@pytest.mark.parametrize("kind", [kind for kind in TENSOR_KINDS if "gradient" in kind])
def test_of_one_step_the_gradient_nearest_the_output_is_first(kind):
    # Gradients of activations and parameters are observed from the output on, applied ones as the optimizer has them.
    names = ("in", "mid", "out") if kind == "applied_gradient" else ("out", "mid", "in")
    a, b = ({"rms": np.array([1.0, 2.0, 3.0])}, {"rms": np.array([1.1, 2.2, 3.3])})
    found = compare(recording(a, kind=kind, names=names), recording(b, kind=kind, names=names), kind=kind)
    assert found.first_divergence.site == "out"
    assert list(found.frame["site"]) == ["in", "mid", "out"]


def test_the_earliest_step_comes_before_the_nearest_layer():
    def drifting(step):
        return {"rms": np.array([1.0 + (step >= 2), 1.0 + (step >= 1), 1.0])}

    found = compare(recording({"rms": 1.0}, range(4)), recording(drifting, range(4)))
    assert (found.first_divergence.site, found.first_divergence.step) == ("b", 1)
    assert found.frame["first_step"].astype(object).where(found.frame["first_step"].notna(), None).tolist() == [
        2,
        1,
        None,
    ]
    assert "2 of 3 sites differ" in str(found)


def test_nan_on_one_side_is_a_divergence_and_two_are_not():
    bad = {"rms": np.array([1.0, 1.0, np.nan]), "nonfinite_count": np.array([0, 1, 16])}
    good = {"rms": np.array([1.0, 1.0, np.nan]), "nonfinite_count": np.array([0, 0, 16])}
    found = compare(recording(good), recording(bad))
    assert found.frame["difference"].tolist() == [0, math.inf, 0]
    assert found.first_divergence.a == 1
    assert math.isnan(found.first_divergence.b)
    assert "1 in A, nan in B" in str(found)


def test_what_is_finite_counts_where_both_hold_infinities():
    """A mask of attention puts infinities into every run."""
    a, b = ({"rms": np.array([1.0, 1.0, rms]), "nonfinite_count": 5} for rms in (1.0, 1.5))
    assert compare(recording(a), recording(b)).first_divergence.site == "c"


def test_rounding_errors_of_values_that_should_be_zero_do_not_count():
    a, b = ({"rms": np.array([1.0, noise, 1.0])} for noise in (1e-9, 3e-9))
    assert not compare(recording(a), recording(b)).diverged
    assert compare(recording(a), recording(b), tolerance=0).first_divergence.site == "b"


def test_a_mean_near_zero_is_measured_by_the_size_of_its_tensor():
    a, b = ({"rms": 1.0, "mean": mean} for mean in (1e-9, -3e-9))
    assert not compare(recording(a), recording(b), column="mean").diverged
    a, b = ({"rms": 1.0, "mean": mean} for mean in (1e-2, 3e-2))
    assert compare(recording(a), recording(b), column="mean").first_divergence.difference == pytest.approx(2e-2)


def test_a_share_differs_by_its_distance():
    a, b = ({"zero_frac": share} for share in (0.001, 0.002))
    found = compare(recording(a), recording(b), column="zero_frac", tolerance=0.01)
    assert found.frame["difference"].tolist() == pytest.approx([0.001] * 3)


@pytest.mark.parametrize(
    ("a", "b", "unit", "expected"),
    [
        (1.0, 1.0, 1.0, 0.0),
        (0.0, 0.0, 0.0, 0.0),
        (math.nan, math.nan, math.nan, 0.0),
        (math.inf, math.inf, math.inf, 0.0),
        (math.inf, -math.inf, math.inf, math.inf),
        (math.nan, 1.0, 1.0, math.inf),
        (1.0, math.inf, math.inf, math.inf),
        (0.0, 2.0, 2.0, 1.0),
        (-1.0, 1.0, 1.0, 2.0),
    ],
)
def test_the_relative_difference(a, b, unit, expected):
    assert relative_difference(np.array([a]), np.array([b]), np.array([unit])).tolist() == [expected]


def test_runs_without_a_common_step_say_what_to_do():
    found = compare(recording({"rms": 1.0}, range(3)), recording({"rms": 1.0}, range(10, 13)))
    assert str(found) == (
        "Nothing can be told: A (steps 0 to 2) and B (steps 10 to 12) have no step in common: compare two steps of "
        "your choice with steps=(step of A, step of B)."
    )
    assert not found.diverged
    assert found.frame["a"].isna().all()


def test_runs_that_observed_different_steps_say_what_to_do():
    a, b = recording({"rms": 1.0}, (0, 2)), recording({"rms": 1.0}, (1, 3))
    a.stored.insert(1, StepRecord(1, 0.0, 1.0, 0.0, False))
    text = str(compare(a, b))
    assert text.startswith(
        "Nothing can be told: A observed the activation in 2 steps and B in 2, none of them the same"
    )
    assert text.endswith("record both with deepseek.inspect(..., every=N).")


def test_few_common_steps_and_the_gap_before_the_divergence_are_told():
    def late(step):
        return {"rms": 1.0 + (step > 0)}

    text = str(compare(recording({"rms": 1.0}, (0, 5, 9)), recording(late, (0, *range(6, 12)))))
    assert "Steps 1 to 8 were not observed in both: it may have begun there." in text
    assert "Only 2 of 3 and 7 observed steps are common: record both with deepseek.inspect(..., every=N)." in text


def test_runs_without_a_common_site_say_so():
    found = compare(recording({"rms": 1.0}), recording({"rms": 1.0}, names=("x",), title="Other"))
    assert str(found).startswith("Nothing can be told: A (Net) and B (Other) observed no site in common.")
    assert found.only_a == ["a", "b", "c"]
    assert found.only_b == ["x"]


def test_a_run_that_observed_nothing_is_explained():
    with pytest.raises(DeepseekError, match="holds no observed step yet"):
        compare(recording({"rms": 1.0}, ()), recording({"rms": 1.0}))


def test_a_comparison_without_a_viewer_says_where_to_get_one(tmp_path):
    found = compare(recording({"rms": 1.0}), recording({"rms": 1.0}))
    with pytest.raises(DeepseekError, match=r"through deepseek\.compare"):
        found.report(tmp_path / "x.html")
    assert found._repr_mimebundle_() == {"text/plain": str(found)}


def test_names_that_differ_in_control_codes_alone_stay_apart():
    names = ("a", "a\x1b[31m", "a\x00")
    a, b = ({"rms": np.array(rms)} for rms in ([1.0, 2.0, 3.0], [1.0, 2.0, 4.0]))
    found = compare(recording(a, names=names), recording(b, names=names))
    assert found.frame["difference"].tolist() == [0, 0, 0.25]
    assert "\x1b" not in str(found)


def test_calls_of_a_shared_module_are_told_apart(tmp_path):
    def run(name, noise):
        torch.manual_seed(0)
        layer = nn.Linear(3, 3)

        class Twice(nn.Module):
            def __init__(self):
                super().__init__()
                self.layer = layer

            def forward(self, x):
                return self.layer(self.layer(x) + noise)

        model = Twice()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        with deepseek.inspect(model, optimizer, every=1, run=tmp_path / name):
            model(torch.ones(2, 3)).sum().backward()
            optimizer.step()
        return tmp_path / name

    found = deepseek.compare(run("a.dsrun", 0.0), run("b.dsrun", 0.5))
    assert (found.first_divergence.site, found.first_divergence.call) == ("layer", 1)
    assert "in layer (Linear, call 1)" in str(found)
    assert found.frame["call"].tolist() == [0, 1]

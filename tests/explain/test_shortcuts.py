"""The parts of the audit: measurements that can be worked out by hand, inputs of all kinds, and what is refused."""

import io

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import roc_auc_score
from torch import nn
from torch.utils.data import TensorDataset

from deepseek.errors import DeepseekError
from deepseek.explain import Table, audit_shortcuts
from deepseek.explain.call import Call
from deepseek.explain.shortcuts.classifier import Classifier, Shuffled, probabilities
from deepseek.explain.shortcuts.estimates import area_by_row, mean, proportion
from deepseek.explain.shortcuts.exchange import _exchanged, donors
from deepseek.explain.shortcuts.regions import picture_regions

ROWS = 200
HOSTILE = "<img src=x onerror=window.hacked=1>"


class Sums(nn.Module):
    """Log odds: a weighted sum of the columns."""

    def __init__(self, *weights):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weights))

    def forward(self, x):
        return x.flatten(1) @ self.weight.to(x.dtype)


def signs(*columns, rows=ROWS, seed=0):
    """Rows of -1 and 1; of each column, the share of rows in which it is the class, and not chance."""
    chance = np.random.default_rng(seed)
    labels = chance.integers(0, 2, rows)
    made = [np.where(chance.random(rows) < share, 2 * labels - 1, chance.choice([-1, 1], rows)) for share in columns]
    return torch.tensor(np.stack(made, 1), dtype=torch.float32), torch.tensor(labels)


def audit(model, data, regions=None, **options):
    report = audit_shortcuts(model, data, regions, progress=False, **options)
    return {each.name: each for each in report.regions}, report


def test_one_column_that_decides_alone():
    found, report = audit(Sums(1.0, 0.1, 0.1), signs(1, 0, 0), {"first": 0, "second": [1]})
    first, second = found["first"], found["second"]
    assert report.accuracy.value == report.auc.value == 1
    assert first.exchange.decides.value == first.exchange.alone.value == 1
    assert first.exchange.drop.value == pytest.approx(0.5, abs=0.05)
    assert first.exchange.drop.value == pytest.approx(first.exchange.flips.value)
    assert second.exchange.flips == second.exchange.drop == (0, 0, 0)
    assert second.exchange.alone.value == pytest.approx(report.chance, abs=0.05)
    assert second.exchange.decides.value == 0
    assert (first.verdict, second.verdict) == ("shortcut suspected", "not used")
    assert first.features_frac == pytest.approx(1 / 3)


def test_columns_that_vote_share_the_decision():
    found, report = audit(Sums(1.0, 1.1, 1.2), signs(1, 1, 1))
    assert report.suspected == ()
    assert all(each.exchange.decides.value == 0 for each in found.values())
    found, report = audit(Sums(1.0, 1.1, 3.0), signs(1, 1, 1))
    assert report.suspected == ("column 2",)
    assert found["column 2"].weight.low > 1 > found["column 0"].weight.high


def test_what_gives_the_answer_away_is_suspected_although_it_is_outvoted():
    data = signs(1, *[0.5] * 9, rows=400)
    found, report = audit(Sums(3.0, *[1.0] * 9), data)
    column = found["column 0"]
    assert column.exchange.decides.high < 0.5
    assert column.weight.low > 1
    assert column.linear.value == 1
    assert report.suspected == ("column 0",)
    assert report.regions[0] is column


def test_a_region_that_should_not_matter_is_suspected_however_little_it_decides():
    data, model = signs(0.6, 0.6, 0.6, 0.6, rows=400), Sums(1.0, 1.1, 1.2, 0.9)
    found, report = audit(model, data)
    assert report.suspected == ()
    least = report.regions[-1].name
    assert found[least].verdict == "used"
    _, report = audit(model, data, irrelevant=[least])
    assert report.suspected == (least,)
    assert report.regions[0].name == least
    assert f"suspected: {least}" in str(report)


def test_what_gives_the_answer_away_is_not_suspected_where_the_model_does_not_follow():
    inputs, labels = signs(1, 0.6, 0.6, 0.6, 0.6, rows=400)
    model = Sums(0.0, 1.0, 1.1, 1.2, 0.9)
    found, report = audit(model, (inputs, labels), {"leaks": [0, 1], "rest": [2, 3, 4]})
    leaks = found["leaks"]
    assert leaks.linear.value == 1
    assert leaks.ease == 1
    assert leaks.verdict == "used"
    assert leaks.weight.low < 1
    assert report.suspected == ()


def test_the_linear_rule_sees_the_region_alone():
    found, _ = audit(Sums(1.0, 1.0, 1.0, 0.0), signs(1, 0.5, 0.5, 0, rows=400), {"sure": 0, "half": [1], "rest": [3]})
    assert found["sure"].linear.value == 1
    assert found["half"].linear.value == pytest.approx(0.75, abs=0.06)
    assert found["rest"].linear.value == pytest.approx(0.5, abs=0.1)
    assert found["rest"].ease < 0.2


def test_the_linear_rule_is_not_judged_by_rows_that_it_has_seen():
    found, _ = audit(Sums(1.0, *[0.0] * 100), signs(1, *[0] * 100), {"noise": range(1, 101)}, controls=0)
    assert found["noise"].linear.value < 0.7


def test_what_does_not_vary_cannot_be_judged():
    inputs, labels = signs(1, 1)
    inputs[:, 1] = 5
    found, _ = audit(Sums(1.0, 1.0), (inputs - torch.tensor([0.0, 5.0]), labels))
    assert found["column 1"].verdict == "cannot tell"
    assert "audit data in which it varies" in found["column 1"].evidence[0]
    assert found["column 1"].score == 0


def test_the_attributions_of_a_linear_model_and_of_its_controls():
    inputs, labels = signs(1, 0, 0, 0)
    found, _ = audit(Sums(3.0, 1.0, 0.0, 0.0), (inputs, labels), {"both": [0, 1], "rest": [2, 3]}, controls=2)
    assert found["both"].mass.model.value == pytest.approx(1)
    assert found["rest"].mass.model.value == pytest.approx(0)
    low, high = found["both"].mass.controls
    assert 0 <= low <= high <= 1
    own = Sums(0.0, 0.0, 1.0, 0.0)
    found, _ = audit(Sums(3.0, 1.0, 0.0, 0.0), (inputs, labels), {"rest": [2, 3]}, controls=[own])
    assert found["rest"].mass.controls == pytest.approx((1, 1))


def test_a_control_has_the_same_numbers_in_another_order_and_the_model_keeps_its_own():
    model = nn.Linear(8, 4)
    before = model.weight.detach().clone()
    x = torch.randn(3, 8)
    expected = model(x)
    control = Shuffled(model, 0)
    assert not torch.allclose(control(x), expected)
    assert model(x).equal(expected)
    assert model.weight.equal(before)
    shuffled = control._shuffled["weight"]
    assert shuffled.flatten().sort().values.equal(before.flatten().sort().values)


def test_the_area_is_that_of_scikit_learn_and_its_interval_that_of_repetition():
    chance = np.random.default_rng(0)

    def drawn(rows):
        labels = chance.integers(0, 3, rows)
        return np.round(np.eye(3)[labels] + chance.normal(size=(rows, 3)), 1), labels

    scores, labels = drawn(300)
    expected = np.mean([roc_auc_score(labels == place, scores[:, place]) for place in range(3)])
    assert area_by_row(scores, labels).mean() == pytest.approx(expected, abs=1e-12)
    estimates = [mean(area_by_row(*drawn(100))) for _ in range(400)]
    truth = area_by_row(*drawn(100_000)).mean()
    covered = np.mean([each.low <= truth <= each.high for each in estimates])
    assert 0.91 <= covered <= 0.98


def test_intervals_of_means_and_of_shares():
    each = mean(np.array([0.0, 1.0] * 50))
    assert each.value == 0.5
    assert each.high - each.value == pytest.approx(1.96 * np.std([0, 1] * 50, ddof=1) / 10)
    low = proportion(10, 10).low
    assert 0.7 < low < 0.8
    assert proportion(10, 10).high == 1
    assert np.isnan(proportion(0, 0).value)


def test_every_row_gets_the_region_of_another_row():
    for giving in donors(21, 3, 0):
        assert sorted(giving) == list(range(21))
        assert (giving != np.arange(21)).all()


def test_only_the_region_is_exchanged():
    seen = []

    class Sees(nn.Module):
        def forward(self, x):
            seen.append(x)
            return x.flatten(1)[:, :2]

    x = torch.randn(5, 1, 4, 4)
    call = Call(Classifier(Sees()), x)
    giving = np.array([1, 2, 3, 4, 0])
    mask = torch.from_numpy(picture_regions(4, 4)["border"]).expand(1, 4, 4)
    probabilities(call, _exchanged(call, {"input": mask}, giving))
    (mixed,) = seen
    assert mixed[:, mask].equal(x[giving][:, mask])
    assert mixed[:, ~mask].equal(x[:, ~mask])


def test_regions_of_pictures_cover_them_and_hold_every_corner():
    regions = picture_regions(20, 33)
    assert len(regions) == 21
    cells = sum(mask.astype(int) for name, mask in regions.items() if name.startswith("cell"))
    quadrants = sum(mask.astype(int) for name, mask in regions.items() if "quadrant" in name)
    assert (cells == 1).all()
    assert (quadrants == 1).all()
    assert regions["border"][:2].all()
    assert not regions["border"][2:-2, 2:-2].any()


@pytest.fixture(scope="module")
def patients():
    data, labels = load_breast_cancer(return_X_y=True)
    table = torch.tensor((data - data.mean(0)) / data.std(0), dtype=torch.float32)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(30, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 2))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(100):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(table[:400]), torch.tensor(labels[:400])).backward()
        optimizer.step()
    return model, table[400:], torch.tensor(labels[400:])


def test_an_honest_model_of_a_table_is_left_alone_and_left_as_it_was(patients):
    model, table, labels = patients
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    random = torch.get_rng_state()
    _, report = audit(model, (table, labels))
    assert report.suspected == ()
    assert len(report.regions) == 30
    assert model.training
    assert all(tensor.equal(state[name]) for name, tensor in model.state_dict().items())
    assert torch.get_rng_state().equal(random)


def test_columns_of_a_frame_have_their_names():
    inputs, labels = signs(1, 0, 0)
    frame = pd.DataFrame(inputs.numpy(), columns=["hospital", "age", "weight"])
    found, report = audit(Sums(1.0, 0.1, 0.1), (frame, pd.Series(labels.numpy())))
    assert set(found) == set(frame)
    assert report.suspected == ("hospital",)
    found, _ = audit(Sums(1.0, 0.1, 0.1), (frame, labels), {"where": "hospital", "who": ["age", "weight"]})
    assert found["who"].features_frac == pytest.approx(2 / 3)
    with pytest.raises(DeepseekError, match="'clinic'"):
        audit(Sums(1.0, 0.1, 0.1), (frame, labels), {"where": "clinic"})


def test_a_category_is_one_region_with_all_its_columns():
    inputs, labels = signs(0, 0, 0)
    frame = pd.DataFrame({"ward": np.where(labels.numpy() > 0, "east", "west"), "age": inputs[:, 0].numpy()})
    table = Table(frame)
    columns = table.encode(frame)
    weights = columns[labels == 1].mean(0) - columns[labels == 0].mean(0)
    found, _ = audit(Sums(*weights.tolist()), (table.features(frame), labels))
    assert set(found) == {"ward", "age"}
    assert found["ward"].features_frac == pytest.approx(2 / 3)
    assert found["ward"].exchange.decides.value > 0.9
    assert found["ward"].mass.model.value > 0.8


class ByName(nn.Module):
    """Takes a dict with two inputs, one of them of whole numbers."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(2, 1)
        self.embed.weight.data[:] = torch.tensor([[-4.0], [4.0]])

    def forward(self, *, ids, x):
        return {"logits": torch.cat([-self.embed(ids[:, 0]), x[:, :1] + 0 * x.sum(1, keepdim=True)], 1)}


def test_inputs_by_name_with_whole_numbers_among_them():
    x, labels = signs(1, 0)
    inputs = {"ids": labels[:, None], "x": x}
    found, report = audit(ByName(), (inputs, labels), {"ids": {"ids": 0}, "x": {"x": [0, 1]}})
    assert report.suspected == ("ids",)
    assert found["ids"].mass is None
    assert found["x"].mass is not None
    _, report = audit(ByName(), (inputs, labels.numpy()), {"all": {"ids": 0, "x": [0]}})
    assert report.regions[0].verdict == "used"


def test_data_sets_of_torch_and_pairs_give_the_same():
    inputs, labels = signs(1, 0, rows=60)
    first, _ = audit(Sums(1.0, 0.3), (inputs, labels), rows=40)
    second, report = audit(Sums(1.0, 0.3), TensorDataset(inputs, labels), rows=40)
    assert [each.exchange for each in first.values()] == [each.exchange for each in second.values()]
    assert report.rows == 40
    assert "40 of 60 rows" in str(report)


def test_models_without_gradients_are_judged_by_exchange_alone():
    class Steps(nn.Module):
        def forward(self, x):
            return (x[:, 0] > 0).float() - 0.5

    found, report = audit(Steps(), signs(1, 0, 0))
    assert report.suspected == ("column 0",)
    assert found["column 0"].mass is None
    assert "no attributions" in str(report)


def test_the_report_as_text_table_and_picture():
    inputs, labels = signs(1, 0, 0, 0, 0, 0)
    names = {HOSTILE: 0, "$x^2$": 1, "\x1b[31mred": 2, "a": 3, "b": 4, "c": 5}
    _, report = audit(Sums(1.0, 0.1, 0.1, 0.0, 0.0, 0.0), (inputs, labels), names)
    text = str(report)
    assert "\x1b" not in text
    assert "shortcut suspected" in text
    assert "2 more regions" in text
    assert "only those who know the data can say" in text
    frame = report.frame()
    assert frame["region"].iloc[0] == HOSTILE
    assert {"verdict", "accuracy_drop", "auc_drop_low", "decides_high", "mass", "control_mass_high"} <= set(frame)
    figure = report.plot()
    assert figure._repr_png_().startswith(b"\x89PNG")
    figure.savefig(io.BytesIO())
    left, right = figure.axes
    assert left.get_title()
    assert "%" in left.get_xlabel()
    assert "accuracy" in right.get_xlabel()
    assert len(left.get_yticklabels()) == 6
    assert not any(label.get_parse_math() for label in left.get_yticklabels())


X, Y = signs(1, 0)


@pytest.mark.parametrize(
    ("model", "data", "regions", "options", "match"),
    [
        (Sums(1.0, 0.0), (X, Y), None, {"rows": 5}, "`rows` 20"),
        (Sums(1.0, 0.0), (X, Y), None, {"repeats": 0}, "`repeats`"),
        (Sums(1.0, 0.0), (X, Y), None, {"irrelevant": ["hospital"]}, "hospital"),
        (Sums(1.0, 0.0), (X, Y), {}, {}, "`regions` must be a dict"),
        (Sums(1.0, 0.0), (X, Y), [0, 1], {}, "`regions` must be a dict"),
        (Sums(1.0, 0.0), (X, Y), {"a": 2}, {}, "whole numbers of its columns"),
        (Sums(1.0, 0.0), (X, Y), {"a": 0.5}, {}, "whole numbers of its columns"),
        (Sums(1.0, 0.0), (X, Y), {"a": torch.zeros(3, dtype=torch.bool)}, {}, "must fit a row"),
        (Sums(1.0, 0.0), (X, Y), {"a": torch.zeros(2, dtype=torch.bool)}, {}, "empty"),
        (Sums(1.0, 0.0), (X, Y), {"a": {"y": 0}}, {}, "names the input 'y'"),
        (Sums(1.0, 0.0), (X, Y[:5]), None, {}, "as many labels"),
        (Sums(1.0, 0.0), (X, Y.float()), None, {}, "must be classes"),
        (Sums(1.0, 0.0), (X, Y + 5), None, {}, "0 to 1"),
        (Sums(1.0, 0.0), (X, Y * 0), None, {}, "two or more"),
        (Sums(1.0, 0.0), (X[:9], Y[:9]), None, {}, "20 rows or more"),
        (Sums(0.0, 0.0), (X, Y), None, {}, "same answer"),
        (Sums(float("nan"), 0.0), (X, Y), None, {}, "finite"),
        (nn.Unflatten(1, (2, 1)), (X, Y), None, {}, "a number for each class"),
        ("model", TensorDataset(X, Y), None, {}, "`model` must be"),
        (Sums(1.0, 0.0), iter([(X, Y)]), None, {}, "DataLoader"),
        (Sums(1.0, 0.0), ["a", "bc"], None, {}, "`inputs` must be"),
        (Sums(1.0, 0.0), [torch.ones(2), torch.ones(3)], None, {}, "pairs"),
        (nn.Flatten(), (X[:, :, None, None, None], Y), None, {}, "no regions to propose"),
    ],
)
def test_what_does_not_fit_is_refused(model, data, regions, options, match):
    with pytest.raises(DeepseekError, match=match):
        audit_shortcuts(model, data, regions, progress=False, **options)

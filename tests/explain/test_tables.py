"""Frames: what is learnt at training is what is explained, categories count once, and bad frames say what is wrong."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_diabetes
from torch import nn

from deepseek.errors import DeepseekError
from deepseek.explain import Attribution, Table, attribute, shap
from deepseek.explain.table_file import MAGIC

HOSTILE = "<b>$\\frac{\x1b[31m"
TRAIN = pd.DataFrame(
    {
        "age": [20, 30, 40, 50, 60, 70],
        "colour": ["red", "blue", "red", "green", "blue", "red"],
        "size": pd.Categorical(["S", "M", "L", "M", "S", "M"], categories=["S", "M", "L", "XL"], ordered=True),
        "smokes": [True, False, True, True, False, False],
    }
)


def explained(model, inputs, background, **options):
    return shap(model, inputs, background, progress=False, **options)


def net(width):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(width, 8), nn.Tanh(), nn.Linear(8, 1))


def test_numbers_are_standardised_and_categories_become_one_number_each():
    table = Table(TRAIN)
    encoded = table.encode(TRAIN).numpy()
    assert table.width == encoded.shape[1] == 1 + 3 + 4 + 1
    np.testing.assert_allclose(encoded[:, [0, 8]].mean(0), 0, atol=1e-7)
    np.testing.assert_allclose(encoded[:, [0, 8]].std(0), 1, atol=1e-6)
    assert encoded[:, 1:4].tolist() == pd.get_dummies(TRAIN["colour"]).astype(float).to_numpy().tolist()
    assert encoded[:, 4:8].argmax(1).tolist() == [0, 1, 2, 1, 0, 1]
    assert (encoded[:, 1:8].reshape(6, -1).sum(1) == 2).all()


def test_other_rows_are_encoded_as_the_training_rows_were():
    table = Table(TRAIN)
    one = TRAIN.iloc[[4]].assign(label=1)[["smokes", "label", "size", "colour", "age"]]
    assert torch.equal(table.encode(one), table.encode(TRAIN)[4:5])


def test_a_column_counts_once_and_shows_its_category():
    table = Table(TRAIN)
    model = net(table.width)
    found = explained(model, table.features(TRAIN[:2]), TRAIN)
    assert found.feature_names == ("age", "colour", "size", "smokes")
    assert found.shown[0] == ("20", "red", "S", "True")
    assert found.values.shape == (2, 4, 1)
    by_hand = explained(model, table.encode(TRAIN[:2]), table.encode(TRAIN), groups=[0, 1, 1, 1, 2, 2, 2, 2, 3])
    np.testing.assert_allclose(found.values, by_hand.values)
    labels = {label.get_text() for label in found.plot().axes[0].get_yticklabels()}
    assert labels == {"age = 20", "colour = red", "size = S", "smokes = True"}
    assert found.frame()["feature"].tolist() == ["age = 20", "colour = red", "size = S", "smokes = True"]


def test_frames_features_and_tensors_are_the_same_background():
    table = Table(TRAIN)
    model = net(table.width)
    inputs = table.features(TRAIN[:2])
    values = [
        explained(model, inputs, background).values
        for background in (TRAIN[["size", "age", "smokes", "colour"]], table.features(TRAIN), table.encode(TRAIN))
    ]
    np.testing.assert_allclose(values[0], values[1])
    np.testing.assert_allclose(values[0], values[2], atol=1e-6)


def test_numbers_need_no_table():
    data = load_diabetes(as_frame=True).data
    torch.manual_seed(0)
    model = nn.Linear(10, 1).double()
    found = explained(model, data[:3], data.iloc[:50, ::-1], target=0)
    assert found.feature_names == tuple(data.columns)
    expected = (data[:3] - data[:50].mean()).to_numpy() * model.weight[0].detach().numpy()
    np.testing.assert_allclose(found.values, expected, atol=1e-12)
    by_gradients = attribute(model, data[:3], baseline=data[:50].mean().to_frame().T, target=0)
    np.testing.assert_allclose(by_gradients.values, expected, atol=1e-12)


@pytest.mark.parametrize("method", ["integrated_gradients", "input_x_gradient"])
def test_gradients_are_summed_over_the_categories_of_a_column(method):
    table = Table(TRAIN)
    model = nn.Linear(table.width, 1)
    found = attribute(model, table.features(TRAIN[:2]), baseline=torch.zeros(1, table.width), method=method, target=0)
    single = attribute(model, table.encode(TRAIN[:2]), baseline=torch.zeros(1, table.width), method=method, target=0)
    assert found.feature_names == ("age", "colour", "size", "smokes")
    np.testing.assert_allclose(found.values[:, 1], single.values[:, 1:4].sum(1), atol=1e-6)


def test_the_models_dtype_is_taken():
    assert explained(net(2).double(), TRAIN[["age", "smokes"]], TRAIN[["age", "smokes"]]).values.shape == (6, 2, 1)


def test_files_and_shap_keep_the_categories(tmp_path):
    table = Table(TRAIN)
    found = explained(net(table.width), table.features(TRAIN[:2]), TRAIN, target=0)
    again = Attribution.load(found.save(tmp_path / "kept"))
    assert (again.shown, again.feature_names) == (found.shown, found.feature_names)
    pytest.importorskip("shap")
    assert found.to_shap()[0].display_data.tolist() == ["20", "red", "S", "True"]


def test_columns_of_numbers_can_be_categories():
    table = Table(TRAIN, categorical=["age"])
    assert table.width == 6 + 3 + 4 + 1
    with pytest.raises(DeepseekError, match=r"'age' holds '21'.*20, 30, 40"):
        table.encode(TRAIN.assign(age=21))
    assert Table(TRAIN.astype({"age": float}), categorical=["age"]).features(TRAIN).shown[0][0] == "20"


def test_texts_of_strangers_are_only_texts():
    frame = pd.DataFrame({HOSTILE: [1.0, 2.0], "kind": [HOSTILE, "b"]})
    table = Table(frame)
    found = explained(nn.Linear(table.width, 1), table.features(frame), frame, target=0)
    found.plot().canvas.draw()
    assert "\x1b" not in "".join(found.frame()["feature"])
    with pytest.raises(DeepseekError) as error:
        table.encode(frame.assign(kind="\x1b[31m"))
    assert "\x1b" not in str(error.value)


GAP = TRAIN.assign(age=[20, None, 40, 50, 60, 70])


@pytest.mark.parametrize(
    ("frame", "match"),
    [
        (TRAIN.drop(columns=["age", "size"]), "lacks the columns age, size: it has colour, smokes"),
        (TRAIN.assign(colour="mauve"), "'colour' holds 'mauve', which was not there .* blue, green, red"),
        (GAP, "'age' has 1 missing or infinite values, the first in row 1 of 6"),
        (TRAIN.assign(age=np.inf), "'age' has 6 missing or infinite"),
        (TRAIN.assign(colour=None), "'colour' has 6 missing"),
        (TRAIN.assign(age="old"), r"'age' must hold numbers"),
        (TRAIN[:0], "must have rows"),
        (pd.concat([TRAIN, TRAIN[["age"]]], axis=1), "columns of different names"),
        (TRAIN.to_numpy(), "DataFrame was expected, not ndarray"),
    ],
)
def test_bad_rows_are_refused_in_a_sentence(frame, match):
    with pytest.raises(DeepseekError, match=match):
        Table(TRAIN).encode(frame)


@pytest.mark.parametrize(
    ("frame", "match"),
    [
        (GAP, "'age' has 1 missing"),
        (TRAIN.assign(when=pd.Timestamp("2020-01-01")), r"'when' must hold numbers, or texts .* not datetime64"),
        (TRAIN.assign(colour=[["red"]] * 6), r"'colour' must hold numbers"),
        (TRAIN.assign(colour=["red", 1, "red", 2, None, None]), r"'colour' must hold numbers"),
        (TRAIN.assign(age=1j), r"'age' must hold numbers"),
        (TRAIN[:0], "must have rows"),
    ],
)
def test_what_cannot_be_learnt_is_refused_in_a_sentence(frame, match):
    with pytest.raises(DeepseekError, match=match):
        Table(frame)


def test_categories_without_a_table_say_how_to_make_one():
    with pytest.raises(DeepseekError, match=r"'colour' holds categories.*explain\.Table"):
        explained(net(4), TRAIN, TRAIN)
    with pytest.raises(DeepseekError, match="`background` is a frame, and `inputs` are none"):
        explained(net(1), torch.zeros(1, 1), TRAIN[["age"]])
    other = Table(TRAIN[["age"]])
    with pytest.raises(DeepseekError, match="the same table"):
        explained(net(9), Table(TRAIN).features(TRAIN), other.features(TRAIN))
    with pytest.raises(DeepseekError, match="`background` is missing"):
        explained(net(9), Table(TRAIN).features(TRAIN), None)


def test_a_column_that_never_changes_is_no_division_by_zero():
    assert torch.equal(Table(TRAIN.assign(age=3)).encode(TRAIN.assign(age=3))[:, 0], torch.zeros(6))


@pytest.mark.parametrize("frame", [TRAIN, TRAIN[["age"]], TRAIN[["colour"]], pd.DataFrame({3: [1.0, 2.0]})])
def test_an_encoding_goes_where_the_model_goes(tmp_path, frame):
    table = Table(frame, categorical=["age"] if "colour" in frame and "age" in frame else [])
    again = Table.load(table.save(tmp_path / "encoding"))
    assert torch.equal(again.encode(frame), table.encode(frame))
    assert again.features(frame).names == table.features(frame).names
    assert again.width == table.width


def test_categories_that_no_file_holds_are_refused(tmp_path):
    days = pd.DataFrame({"day": pd.to_datetime(["2020-01-01", "2020-01-02"])})
    with pytest.raises(DeepseekError, match="texts or numbers to be saved, not Timestamp"):
        Table(days, categorical=["day"]).save(tmp_path / "days")


def test_strangers_files_are_refused(tmp_path):
    good = Table(TRAIN).save(tmp_path / "good").read_bytes()
    start = len(MAGIC) + 8
    end = start + int.from_bytes(good[len(MAGIC) : start], "little")
    about = json.loads(good[start:end])
    age, colour, *rest = about["columns"]

    def changed(*columns, scales=None):
        raw = json.dumps({**about, "columns": columns}).encode()
        numbers = good[end:] if scales is None else np.array(scales).tobytes()
        return MAGIC + len(raw).to_bytes(8, "little") + raw + numbers

    bad = {
        "noise": b"noise",
        "short": good[:-8],
        "fewer": changed(age, colour),
        "none": changed(),
        "same": changed(age, age, *rest),
        "name": changed({**age, "name": {}}, colour, *rest),
        "category": changed(age, {**colour, "known": ["red", ["blue"]]}, *rest),
        "twice": changed(age, {**colour, "known": ["red", "red"]}, *rest),
        "empty": changed(age, {**colour, "known": []}, *rest),
        "spread": changed(age, colour, *rest, scales=[[0.0, 0.0]] * 4),
        "mean": changed(age, colour, *rest, scales=[[np.nan, 1.0]] * 4),
    }
    assert Table.load(tmp_path / "good").width == Table(TRAIN).width
    (tmp_path / "same as good").write_bytes(changed(age, colour, *rest))
    assert Table.load(tmp_path / "same as good").width == Table(TRAIN).width
    for name, content in bad.items():
        (tmp_path / name).write_bytes(content)
    for path in (*map(tmp_path.joinpath, bad), tmp_path / "absent"):
        with pytest.raises(DeepseekError, match=r"Expected a file written by Table\.save"):
            Table.load(path)

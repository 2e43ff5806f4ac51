"""Watching changes no bit: every model in every mode; see docs/non-interference.md."""

from collections import Counter

import pytest
from certify import page
from certify.matrix import MODES, cells, differences
from certify.models import MODELS
from certify.pretrained import CASES as PRETRAINED
from certify.ranks import Ranks

CELLS = list(cells())


@pytest.fixture(scope="module")
def ranks():
    """Two processes for the distributed modes; they start with the first cell that needs them."""
    with Ranks(2) as ranks:
        yield ranks


@pytest.mark.parametrize(
    "cell",
    [
        pytest.param(cell, id=f"{cell.model}-{cell.mode}", marks=[] if cell.fast else [pytest.mark.slow])
        for cell in CELLS
    ],
)
def test_training_is_bit_equal_with_and_without_a_session(cell, ranks):
    assert differences(cell, ranks) == []


@pytest.mark.slow
def test_a_process_that_dies_is_named_and_replaced(ranks):
    assert ranks.first_difference("MLP", "DDP", "every step") is None
    process = ranks._members[1][0]
    process.kill()
    process.join()
    assert "rank" in ranks.first_difference("MLP", "DDP", "every step")
    assert ranks.first_difference("MLP", "DDP", "every step") is None


def test_the_matrix_has_thirty_models_ten_of_them_from_transformers():
    assert len(MODELS) >= 30
    assert len(PRETRAINED) >= 10


def test_each_mode_is_run_on_at_least_eight_models():
    models = Counter(cell.mode for cell in CELLS)
    assert set(models) == set(MODES)
    assert {mode for mode, count in models.items() if count < 8} == {"compile inductor"}


def test_the_fast_cells_cover_every_model_and_every_mode():
    fast = [cell for cell in CELLS if cell.fast]
    assert {cell.model for cell in fast} == set(MODELS)
    assert {cell.mode for cell in fast} == set(MODES)


def test_the_page_has_a_row_for_each_model_and_a_column_for_each_mode():
    head, _, *rows = (line for line in page.PATH.read_text().splitlines() if line.startswith("|"))
    assert [name.strip() for name in head.strip("| ").split("|")] == list(MODES)
    assert [row.split("|")[1].strip() for row in rows] == list(MODELS)

"""Any game is a sum of unanimity games, whose Shapley values are known: each coalition's dividend is shared evenly.

Source: Harsanyi, "A simplified bargaining model for the n-person cooperative game", 1963.
"""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from deepseek.explain.shap_values import shap

PLAYERS = 6
METHODS = ("exact", "kernel", "permutation")

dividends = st.dictionaries(
    st.frozensets(st.integers(0, PLAYERS - 1), min_size=1),
    st.floats(-10, 10).map(lambda value: round(value, 3)),
    min_size=1,
    max_size=5,
)
groupings = st.lists(st.integers(-1, 3), min_size=PLAYERS, max_size=PLAYERS).filter(lambda groups: max(groups) >= 0)
often = settings(max_examples=25, deadline=None, derandomize=True)


class Game(nn.Module):
    """Adds up the dividends of the coalitions whose members are all present, that is above zero."""

    def __init__(self, dividends):
        super().__init__()
        self.dividends = dividends

    def forward(self, x):
        parts = [worth * (x[:, sorted(members)] > 0).all(1).double() for members, worth in self.dividends.items()]
        return torch.stack(parts).sum(0)


def played(dividends, **options):
    inputs, background = torch.ones(1, PLAYERS), torch.zeros(1, PLAYERS)
    return shap(Game(dividends), inputs, background, progress=False, **options)


def shared(dividends, players):
    """The dividend of each coalition, in even shares."""
    values = np.zeros(players)
    for members, worth in dividends.items():
        for member in members:
            values[member] += worth / len(members)
    return values


def within(found):
    return 1e-9 if found.std_error is None else 1e-9 + 6 * found.std_error[0]


@pytest.mark.parametrize("method", METHODS)
@often
@given(game=dividends)
def test_every_dividend_is_shared_evenly(method, game):
    found = played(game, method=method)
    assert (np.abs(found.values[0] - shared(game, PLAYERS)) <= within(found)).all()
    assert abs(found.completeness_gap[0]) < 1e-9


@pytest.mark.parametrize("method", METHODS)
@often
@given(game=dividends, groups=groupings)
def test_groups_play_the_game_of_their_members(method, game, groups):
    found = played(game, method=method, groups=groups)
    ids = sorted(set(groups) - {-1})
    joined: dict = {}
    for members, worth in game.items():
        coalition = frozenset(ids.index(groups[member]) for member in members if groups[member] >= 0)
        joined[coalition] = joined.get(coalition, 0.0) + worth
    always = joined.pop(frozenset(), 0.0)
    assert found.base_values[0] == pytest.approx(always, abs=1e-9)
    assert (np.abs(found.values[0] - shared(joined, len(ids))) <= within(found)).all()


@pytest.mark.parametrize("method", METHODS)
@often
@given(game=dividends, order=st.permutations(range(PLAYERS)))
def test_names_of_players_do_not_matter(method, game, order):
    renamed = {frozenset(order[member] for member in members): worth for members, worth in game.items()}
    one, other = played(game, method=method), played(renamed, method=method)
    moved = other.values[0][list(order)]
    allowed = within(one) + (1e-9 if other.std_error is None else 6 * other.std_error[0][list(order)])
    assert (np.abs(one.values[0] - moved) <= allowed).all()


@pytest.mark.parametrize("method", ["exact", "kernel", "permutation", "expected_gradients"])
def test_rows_with_groups_of_their_own_are_explained_as_if_alone(method):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 2)).double()
    inputs, background = torch.randn(3, 6).double(), torch.randn(4, 6).double()
    groups = np.array([[0, 0, 1, 1, 2, 3], [0, 0, 0, 0, 0, 0], [1, 0, -1, 1, 0, -1]])
    together = shap(model, inputs, background, groups=groups, method=method, progress=False)
    assert together.values.shape == (3, 4, 2)
    for row, own in enumerate(groups):
        alone = shap(model, inputs[row : row + 1], background, groups=own, method=method, progress=False)
        count = own.max() + 1
        np.testing.assert_allclose(together.values[row, :count], alone.values[0], atol=1e-9)
        assert (together.values[row, count:] == 0).all()
        if together.std_error is not None:
            assert np.isfinite(together.std_error).all()

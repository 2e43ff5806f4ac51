"""The governor spreads observations out until their cost fits the budget, and reports what it measured."""

import math

import pytest

from deepseek.inspector.governor import FIRST_STEPS, Governor
from deepseek.inspector.overhead import Timing, measure_overhead


def simulate(governor, steps, bare_ms, cost_ms):
    observed = 0
    for _ in range(steps):
        wanted = governor.observe_next()
        observed += wanted
        cost = cost_ms if wanted else 0.0
        governor.add(Timing(bare_ms + cost, cost, wanted))
    return observed / steps


@pytest.mark.parametrize(("bare_ms", "cost_ms", "share"), [(10.0, 0.4, 1.0), (10.0, 2.0, 0.25), (1.0, 5.0, 0.01)])
def test_observed_share_follows_cost_and_budget(bare_ms, cost_ms, share):
    governor = Governor(0.05, None)
    for _ in range(FIRST_STEPS):
        governor.add(Timing(math.nan, cost_ms, True))
    assert simulate(governor, 1000, bare_ms, cost_ms) == pytest.approx(share, rel=0.1)


def test_every_is_kept_whatever_it_costs():
    governor = Governor(0.05, 3)
    governor.add(Timing(math.nan, 50.0, True))
    assert simulate(governor, 300, 1.0, 50.0) == pytest.approx(1 / 3, rel=0.02)


def test_overhead_compares_observed_with_bare_steps():
    timings = [
        Timing(12.0 if step % 4 == 0 else 10.0, 1.0 if step % 4 == 0 else 0.0, step % 4 == 0) for step in range(80)
    ]
    overhead = measure_overhead(timings)
    assert overhead is not None
    assert overhead.method == "interleaved"
    assert overhead.share == pytest.approx(0.05)
    assert overhead.low <= overhead.share <= overhead.high


def test_overhead_is_self_timed_where_every_step_is_observed():
    overhead = measure_overhead([Timing(11.0, 1.0, True)] * 20)
    assert overhead is not None
    assert overhead.method == "self-timed"
    assert overhead.share == pytest.approx(0.1)


def test_overhead_is_unknown_at_first():
    assert measure_overhead([Timing(11.0, 1.0, True)] * 4) is None


def test_the_first_steps_are_observed_whatever_they_cost():
    governor = Governor(0.05, None)
    observed = [simulate(governor, 1, 1.0, 100.0) for _ in range(FIRST_STEPS + 3)]
    assert observed == [1.0] * FIRST_STEPS + [0.0] * 3

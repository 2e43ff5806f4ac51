"""The governor gives each group of probes a cadence, keeps every window within the budget, says what it measured."""

import math
import random
from itertools import pairwise

import pytest

from deepseek.inspector.governor import BURST_EVERY, FIRST_STEPS, MAX_PASSES, WINDOW, Governor, PassGovernor
from deepseek.inspector.overhead import Timing, measure_overhead

COSTS = {"gradient": 0.2, "activation": 1.0, "parameter": 0.5, "unit": 0.3}
ALWAYS = 0.02


def simulate(governor, steps, bare_ms, costs, *, outside=1.0, noise=0.0):
    """Run steps that cost what they say; return what was observed and what each step really cost."""
    observed, real = [], []
    random.seed(0)
    first = governor._steps
    for step in range(first, first + steps):
        groups = governor.next_groups()
        spent = {group: costs[group] for group in groups} | {"boundary": ALWAYS / 2, "norm": ALWAYS / 2}
        inspector_ms = sum(spent.values())
        cost = ALWAYS + outside * (inspector_ms - ALWAYS)
        wall = math.nan if step == 0 else bare_ms * (1 + random.uniform(-noise, noise)) + cost
        governor.add(step, Timing(wall, inspector_ms, bool(groups)), spent, groups, 0.0)
        observed.append(groups)
        real.append(cost)
    return observed, real


def worst_window(real, bare_ms):
    """Largest share of any window after the first step."""
    costs = real[1:]
    return max(sum(costs[start : start + WINDOW]) for start in range(len(costs) - WINDOW)) / (WINDOW * bare_ms)


@pytest.mark.parametrize("bare_ms", [2.0, 5.0, 10.0, 100.0])
def test_no_window_costs_more_than_the_budget(bare_ms):
    _, real = simulate(Governor(0.05, None, COSTS), 1000, bare_ms, COSTS)
    assert worst_window(real, bare_ms) <= 0.05


def test_cost_outside_the_probes_counts_against_the_budget():
    _, real = simulate(Governor(0.05, None, COSTS), 2000, 10.0, COSTS, outside=2.0)
    assert worst_window(real[500:], 10.0) <= 0.051


def test_noisy_steps_leave_the_budget_kept():
    _, real = simulate(Governor(0.05, None, COSTS), 2000, 10.0, COSTS, noise=0.1)
    assert worst_window(real[500:], 10.0) <= 0.055


def test_everything_is_observed_where_it_is_cheap():
    observed, _ = simulate(Governor(0.05, None, COSTS), 100, 100.0, COSTS)
    assert all(groups == set(COSTS) for groups in [*observed[:1], *observed[2:]])


def test_cheap_groups_are_observed_more_often_than_expensive_ones():
    observed, _ = simulate(Governor(0.05, None, COSTS), 1000, 10.0, COSTS)
    often = {group: sum(group in groups for groups in observed) for group in COSTS}
    assert often["gradient"] > often["unit"] > often["activation"] > 20
    assert often["gradient"] > 240


def test_the_budget_is_used_and_not_only_kept():
    _, real = simulate(Governor(0.05, None, COSTS), 1000, 5.0, COSTS)
    assert sum(real[100:]) / (900 * 5.0) > 0.02


def test_the_first_step_is_observed_and_a_costly_model_seldom_again():
    observed, _ = simulate(Governor(0.05, None, COSTS), 1000, 0.5, COSTS)
    assert observed[0] == set(COSTS)
    assert sum(map(len, observed[1:50])) <= 3
    assert 4 * 3 <= sum(map(len, observed[1:])) <= 4 * 20


def test_one_unlucky_measurement_does_not_shut_a_group_out():
    governor = Governor(0.05, None, COSTS)
    simulate(governor, 3, 10.0, dict.fromkeys(COSTS, 40.0))
    observed, _ = simulate(governor, 1000, 10.0, COSTS)
    assert all(sum(group in groups for groups in observed) > 10 for group in COSTS)


def test_groups_that_nothing_is_left_for_are_observed_one_at_a_time():
    observed, _ = simulate(Governor(0.05, None, COSTS), 3000, 0.5, COSTS)
    when = {group: [step for step, groups in enumerate(observed) if group in groups] for group in COSTS}
    assert all(later - earlier <= 500 for steps in when.values() for earlier, later in pairwise(steps))
    assert all(len(groups) <= 1 for groups in observed[FIRST_STEPS:])
    steps = [step for step, groups in enumerate(observed) if groups]
    assert min(later - earlier for earlier, later in pairwise(steps[1:])) >= 50


def test_steps_that_were_not_watched_count_for_no_cadence():
    governor = Governor(0.05, None, COSTS)
    simulate(governor, 1010, 0.5, COSTS)
    before = governor.next_groups()
    governor.add(governor._steps + 5000, Timing(0.5, ALWAYS, False), {"boundary": ALWAYS}, (), 0.0)
    assert before == governor.next_groups() == set()


def test_every_is_kept_whatever_it_costs():
    observed, _ = simulate(Governor(0.05, 3, COSTS), 300, 1.0, COSTS)
    assert [bool(groups) for groups in observed] == [step % 3 == 0 for step in range(300)]


@pytest.mark.parametrize("every", [1, None])
def test_functions_are_observed_in_bursts(every):
    costs = COSTS | {"function": 0.01}
    observed, _ = simulate(Governor(0.05, every, costs), 200, 100.0, costs)
    bursts = [step for step, groups in enumerate(observed) if "function" in groups]
    assert len(bursts) >= 10
    assert all(later - earlier >= BURST_EVERY for earlier, later in pairwise(bursts))


def test_the_norm_of_all_gradients_is_given_up_only_when_half_the_budget_is_too_little():
    cheap, costly = Governor(0.05, None, COSTS), Governor(0.05, None, COSTS)
    simulate(cheap, 50, 10.0, COSTS)
    simulate(costly, 50, 0.4, COSTS)
    assert cheap.norm_cadence == 1
    assert 1 < costly.norm_cadence < 50


def test_passes_keep_their_own_budget():
    governor = PassGovernor(0.05, None)
    observed = 0
    for _ in range(1000):
        wanted = governor.observe_next()
        observed += wanted
        governor.add(10.0 + wanted, float(wanted), observed=wanted)
        governor.end_step()
    assert 0.02 < observed * 1.0 / (1000 * 10.0) <= 0.05


def test_a_long_generation_is_observed_a_bounded_number_of_times():
    governor = PassGovernor(0.05, 1)
    observed = 0
    for _ in range(1000):
        wanted = governor.observe_next()
        observed += wanted
        governor.add(1.0, 0.5, observed=wanted)
    assert observed == MAX_PASSES


def test_overhead_compares_observed_with_bare_steps():
    timings = [
        Timing(12.0 if step % 4 == 0 else 10.0, 1.0 if step % 4 == 0 else 0.0, step % 4 == 0) for step in range(80)
    ]
    overhead = measure_overhead(timings)
    assert overhead is not None
    assert overhead.method == "interleaved"
    assert overhead.share == pytest.approx(0.05)
    assert overhead.low <= overhead.share <= overhead.high


def test_overhead_includes_what_every_step_costs():
    timings = [Timing(10.5 + 2 * (step % 2), 0.5 + 2 * (step % 2), step % 2 == 1) for step in range(80)]
    overhead = measure_overhead(timings)
    assert overhead is not None
    assert overhead.share == pytest.approx(0.15)


def test_overhead_is_self_timed_where_every_step_is_observed():
    overhead = measure_overhead([Timing(11.0, 1.0, True)] * 20)
    assert overhead is not None
    assert overhead.method == "self-timed"
    assert overhead.share == pytest.approx(0.1)


def test_overhead_is_unknown_at_first():
    assert measure_overhead([Timing(11.0, 1.0, True)] * 4) is None

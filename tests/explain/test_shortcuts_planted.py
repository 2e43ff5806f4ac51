"""Planted shortcuts are found, and models without one are left alone."""

import time

import numpy as np
import pytest
from planted import REGIONS, make

from deepseek.explain import audit_shortcuts
from deepseek.explain.shortcuts.estimates import area_by_row


def audited(seed, *, planted):
    case = make(seed, planted=planted)
    report = audit_shortcuts(case.model, (case.inputs, case.labels), REGIONS, progress=False)
    return case, report


@pytest.mark.parametrize("seed", [0, 1])
def test_a_planted_region_comes_first_and_is_suspected(seed):
    case, report = audited(seed, planted=True)
    assert report.regions[0].name == case.region
    assert case.region in report.suspected


@pytest.mark.parametrize("seed", [0, 1])
def test_a_model_without_a_shortcut_is_left_alone(seed):
    _, report = audited(seed, planted=False)
    assert report.accuracy.value > 0.8
    assert not report.suspected


@pytest.mark.slow
@pytest.mark.timeout(1800)  # of the clock, on a machine that does other things as well
def test_twenty_planted_and_twenty_clean_models(capsys):
    began = time.process_time()
    found = {planted: [audited(seed, planted=planted) for seed in range(20)] for planted in (True, False)}
    first = np.mean([report.regions[0].name == case.region for case, report in found[True]])
    scores = np.log([[report.score] for kind in found.values() for _, report in kind])
    kinds = np.repeat([1, 0], 20)
    area = area_by_row(np.hstack([-scores, scores]), kinds).mean()
    suspected = {planted: np.mean([bool(report.suspected) for _, report in kind]) for planted, kind in found.items()}
    seconds = time.process_time() - began
    with capsys.disabled():
        print(f"\nfirst {first:.0%}, AUROC {area:.3f}, suspected {suspected[True]:.0%}, falsely {suspected[False]:.0%}")
        print(f"{seconds:.0f} s of one processor")
    assert seconds < 180
    assert first >= 0.95
    assert area >= 0.95
    assert suspected[False] <= 0.05
    assert suspected[True] >= 0.9

"""The demo finds its planted fault, with the native summary and without."""

import pytest

from deepseek import demo, open_run
from deepseek.kernels.summary import implementation, native


@pytest.mark.parametrize("native_part", [True, False])
def test_the_demo_names_the_planted_fault_and_writes_the_report(native_part, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    if not native_part:
        monkeypatch.setattr(native, "CODES", {})
        assert implementation() == "torch"
    assert demo.run(tmp_path / "report.html", steps=60) == 0
    printed = capsys.readouterr().out
    assert "The gradient of 0.weight is" in printed
    assert "Sigmoid layers without normalisation" in printed
    assert "fix:   Replace the saturating activations" in printed
    assert "Report:" in printed
    assert (tmp_path / "report.html").stat().st_size > 1_000_000


def test_the_report_of_the_demo_holds_a_closer_look_at_both_ends_of_the_network(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    demo.run(tmp_path / "report.html", steps=5)
    (path,) = (tmp_path / "runs").glob("*.dsrun")
    with open_run(path) as run:
        assert {look.site for look in run.details()} == {"0", "17"}

"""The doctor: what it sees, and the one command that helps."""

import importlib.metadata
import os
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from deepseek import cli, doctor
from deepseek.doctor import Check


def test_a_full_installation_works():
    assert [check for check in doctor.examine() if not check.ok] == []


def test_every_requirement_is_looked_at():
    names = {check.name for check in doctor.examine()}
    assert {"python", "torch", "jupyterlab", "ipykernel", "ipywidgets", "anywidget", "bokeh"} <= names
    assert {
        "devices",
        "tensor summary",
        "browser files",
        "lab extensions",
        "live controls",
        "run folder",
    } <= names


@pytest.mark.parametrize("wanted", ["torch>=99", "no-such-distribution>=1"])
def test_a_missing_or_old_requirement_names_the_command(wanted: str):
    check = doctor.requirement(Requirement(wanted))
    assert not check.ok
    assert "install" in check.remedy
    assert wanted in check.remedy


def test_a_foreign_distribution_of_our_name_is_seen(monkeypatch: pytest.MonkeyPatch):
    owners = {"deepseek": ["deepseek", "deepseek-workbench"]}
    monkeypatch.setattr(importlib.metadata, "packages_distributions", lambda: owners)
    check = doctor.package_is_ours()
    assert not check.ok
    assert check.remedy.endswith("uninstall deepseek")


@pytest.mark.parametrize(
    ("page", "detail", "remedy"),
    [
        ({"federated_extensions": [], "disabledExtensions": []}, "is missing", "jupyterlab-widgets"),
        (
            {
                "federated_extensions": [{"name": name} for name in doctor.LAB_EXTENSIONS],
                "disabledExtensions": ["anywidget:plugin"],
            },
            "anywidget is disabled",
            "jupyter labextension enable anywidget",
        ),
    ],
)
def test_a_missing_or_disabled_extension_is_seen(
    monkeypatch: pytest.MonkeyPatch, page: dict[str, object], detail: str, remedy: str
):
    monkeypatch.setattr("jupyterlab_server.config.get_page_config", lambda _: page)
    check = doctor.lab_extensions()
    assert not check.ok
    assert detail in check.detail
    assert check.remedy.endswith(remedy)


@pytest.mark.parametrize(
    ("found", "detail"), [({}, "missing"), ({doctor.SERVER_EXTENSION: False}, "disabled")], ids=["missing", "disabled"]
)
def test_a_server_extension_that_does_not_run_is_seen(monkeypatch: pytest.MonkeyPatch, found: dict, detail: str):
    manager = "jupyter_server.extension.config.ExtensionConfigManager.get_jpserver_extensions"
    assert doctor.server_extension().ok
    monkeypatch.setattr(manager, lambda *_: found)
    check = doctor.server_extension()
    assert not check.ok
    assert check.detail.endswith(detail)
    assert check.remedy == "jupyter server extension enable deepseek.widgets.server"


def test_a_folder_that_cannot_be_written_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert doctor.run_folder().ok
    monkeypatch.setattr(os, "access", lambda *_: False)
    check = doctor.run_folder()
    assert not check.ok
    assert "deepseek.inspect(model, run=" in check.remedy


def test_a_file_in_the_place_of_the_run_folder_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").touch()
    assert not doctor.run_folder().ok


def test_problems_are_printed_with_their_remedy_and_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(doctor, "examine", lambda: [Check("a", True, "fine"), Check("b", False, "broken", "mend b")])
    assert cli.main(["doctor"]) == 1
    assert capsys.readouterr().out == "ok  a  fine\nNO  b  broken\n\nWhat helps:\n  b: mend b\n"


def test_all_is_well_is_exit_code_0(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr(doctor, "examine", lambda: [Check("a", True, "fine")])
    assert cli.main(["doctor"]) == 0
    assert capsys.readouterr().out.endswith("Everything works.\n")

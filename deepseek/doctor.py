"""Says what is installed here, what would not work, and the one command that helps."""

import importlib
import importlib.metadata
import os
import platform
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

DISTRIBUTION = "deepseek-workbench"

LAB_EXTENSIONS = {"@jupyter-widgets/jupyterlab-manager": "jupyterlab-widgets", "anywidget": "anywidget"}
"""What JupyterLab needs to draw our widgets, and the distribution that brings it."""

SERVER_EXTENSION = "deepseek.widgets.server"
"""What has the Jupyter server open run files."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: What was looked at.
        ok: Whether everything that depends on it works.
        detail: What was found.
        remedy: The one command that helps; empty when nothing needs help.
    """

    name: str
    ok: bool
    detail: str
    remedy: str = ""


def examine() -> list[Check]:
    """Look at this installation.

    Returns:
        One check for Python, for each required distribution, and for each thing needed of the surroundings.
    """
    probes: tuple[Callable[[], Check], ...] = (
        package_is_ours,
        torch_devices,
        native_summary,
        browser_files,
        lab_extensions,
        server_extension,
        subshells,
        run_folder,
    )
    return [python(), *requirements(), *(_guarded(probe) for probe in probes)]


def render(checks: list[Check]) -> str:
    """Return ``checks`` as text for a terminal, with the problems repeated at the end."""
    width = max(len(check.name) for check in checks)
    lines = [f"{'ok ' if check.ok else 'NO '} {check.name:<{width}}  {check.detail}" for check in checks]
    helps = [f"  {check.name}: {check.remedy}" for check in checks if check.remedy]
    works = all(check.ok for check in checks)
    title = "Everything works." if works and not helps else "Would be better with:" if works else "What helps:"
    return "\n".join([*lines, "", title, *helps])


def python() -> Check:
    """Check the version of Python."""
    return Check("python", sys.version_info >= (3, 11), platform.python_version())


def requirements() -> list[Check]:
    """Check each distribution that the workbench and its ``lab`` extra ask for."""
    declared = [Requirement(text) for text in importlib.metadata.requires(DISTRIBUTION) or ()]
    wanted = [one for one in declared if one.marker is None or one.marker.evaluate({"extra": "lab"})]
    return [requirement(one) for one in wanted]


def requirement(wanted: Requirement) -> Check:
    """Check that ``wanted`` is installed in a version that fits."""
    remedy = _pip("install", f"{wanted.name}{wanted.specifier}")
    try:
        version = importlib.metadata.version(wanted.name)
    except importlib.metadata.PackageNotFoundError:
        return Check(wanted.name, False, f"not installed, needs {wanted.specifier}", remedy)
    if wanted.specifier.contains(version, prereleases=True):
        return Check(wanted.name, True, version)
    return Check(wanted.name, False, f"{version}, needs {wanted.specifier}", remedy)


def package_is_ours() -> Check:
    """Check that no other distribution shares the import name ``deepseek``."""
    owners = {*importlib.metadata.packages_distributions().get("deepseek", ())} - {DISTRIBUTION}
    if owners:
        detail = f"shared with {', '.join(sorted(owners))}"
        return Check("import deepseek", False, detail, _pip("uninstall", *sorted(owners)))
    return Check("import deepseek", True, str(files("deepseek")))


def torch_devices() -> Check:
    """Tell which devices torch can train on."""
    import torch

    accelerator = torch.accelerator.current_accelerator(check_available=True)
    count = torch.accelerator.device_count() if accelerator else 0
    return Check("devices", True, f"cpu, {count} x {accelerator.type}" if accelerator else "cpu")


def native_summary() -> Check:
    """Tell which implementation of the tensor summary is in use; each works, the native one is faster."""
    summary = importlib.import_module("deepseek.kernels.summary")
    name: str = summary.implementation()
    remedy = f"{_reinstall()}  # with a C compiler"
    return Check("tensor summary", True, name, remedy if name == "torch" else "")


def browser_files() -> Check:
    """Check that the built browser files were installed."""
    names = (file.name for file in files("deepseek.widgets").joinpath("static").iterdir())
    found = [name for name in names if name.endswith((".js", ".mjs"))]
    detail = ", ".join(sorted(found)) or "no script in deepseek/widgets/static"
    checkout = _checkout()
    remedy = f"make -C {shlex.quote(str(checkout))} frontend" if checkout else _reinstall()
    return Check("browser files", bool(found), detail, "" if found else remedy)


def lab_extensions() -> Check:
    """Check that JupyterLab finds the extensions which draw widgets, and that nobody disabled them."""
    from jupyter_core.paths import jupyter_path
    from jupyterlab_server.config import get_page_config

    page = get_page_config(jupyter_path("labextensions"))
    found = {extension["name"] for extension in page["federated_extensions"]}
    disabled = {plugin.partition(":")[0] for plugin in page["disabledExtensions"]}
    for name, source in LAB_EXTENSIONS.items():
        if name not in found:
            remedy = _pip("install", "--force-reinstall", source)
            return Check("lab extensions", False, f"{name} is missing", remedy)
        if name in disabled:
            remedy = f"jupyter labextension enable {name}"
            return Check("lab extensions", False, f"{name} is disabled", remedy)
    return Check("lab extensions", True, ", ".join(LAB_EXTENSIONS))


def server_extension() -> Check:
    """Check that the Jupyter server opens run files for JupyterLab."""
    from jupyter_core.paths import jupyter_config_path
    from jupyter_server.extension.config import ExtensionConfigManager

    manager: Any = ExtensionConfigManager(read_config_path=jupyter_config_path())  # its methods have no types
    found = manager.get_jpserver_extensions()
    if found.get(SERVER_EXTENSION):
        return Check("server extension", True, "opens run files")
    detail = f"{SERVER_EXTENSION} is {'disabled' if SERVER_EXTENSION in found else 'missing'}"
    return Check("server extension", False, detail, f"jupyter server extension enable {SERVER_EXTENSION}")


def subshells() -> Check:
    """Check that the Jupyter kernel answers the widget's controls while a cell trains."""
    from ipykernel.kernelbase import Kernel

    able = hasattr(Kernel, "create_subshell_request")
    detail = "answered at once" if able else "answered between two steps only: no subshells"
    return Check("live controls", able, detail, "" if able else _pip("install", "ipykernel>=7"))


def run_folder() -> Check:
    """Check that a run file can be written to the default folder."""
    folder = Path("runs").absolute()
    existing = folder if folder.exists() else folder.parent
    able = existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)
    remedy = "" if able else "deepseek.inspect(model, run='FOLDER-YOU-MAY-WRITE/name.dsrun')"
    return Check("run folder", able, f"{folder}{'' if able else ' cannot be written'}", remedy)


def _guarded(probe: Callable[[], Check]) -> Check:
    try:
        return probe()
    except ImportError as error:
        return Check(probe.__name__.replace("_", " "), False, f"cannot be looked at: {error}", _reinstall())


def _reinstall() -> str:
    checkout = _checkout()
    source = ("-e", str(checkout)) if checkout else (DISTRIBUTION,)
    return _pip("install", "--force-reinstall", "--no-deps", *source)


def _checkout() -> Path | None:
    """The repository that is installed in place, if one is."""
    folder = Path(str(files("deepseek"))).parent
    return folder if (folder / "pyproject.toml").exists() else None


def _pip(*words: str) -> str:
    return shlex.join([sys.executable, "-m", "pip", *words])

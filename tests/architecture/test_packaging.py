"""What pyproject.toml declares, and what a wheel and a source distribution really hold."""

import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path, PurePosixPath

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).parents[2]
SETUPTOOLS = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["setuptools"]
ROOMS = {folder: package for package, folder in SETUPTOOLS["package-dir"].items()}
UNPACKAGED = ("node_modules", "__pycache__", "frontend")
LABEXTENSION = PurePosixPath("widgets/labextension")
INSTALLED = PurePosixPath("share/jupyter/labextensions/deepseek-workbench")


def package_of(folder: PurePosixPath) -> str:
    room, *below = folder.parts
    return ".".join([ROOMS[room], *below])


def sources() -> list[PurePosixPath]:
    """The files of the rooms that belong into a distribution, relative to the repository."""
    found = [path for room in ROOMS for path in (REPOSITORY / room).rglob("*") if path.is_file()]
    kept = [path for path in found if not set(UNPACKAGED) & set(path.parts) and path.suffix not in {".so", ".pyd"}]
    relative = [PurePosixPath(path.relative_to(REPOSITORY).as_posix()) for path in kept]
    return [path for path in relative if not path.is_relative_to(LABEXTENSION)]


def prebuilt() -> list[PurePosixPath]:
    """The files of the JupyterLab extension, relative to its folder."""
    folder = REPOSITORY / LABEXTENSION / "prebuilt"
    return [PurePosixPath(path.relative_to(folder).as_posix()) for path in folder.rglob("*") if path.is_file()]


def test_the_package_list_is_the_folders_with_an_init():
    assert set(SETUPTOOLS["packages"]) == {package_of(path.parent) for path in sources() if path.name == "__init__.py"}
    assert SETUPTOOLS["packages"] == sorted(SETUPTOOLS["packages"])


def test_every_module_lies_in_a_listed_package():
    homeless = [
        path for path in sources() if path.suffix == ".py" and package_of(path.parent) not in SETUPTOOLS["packages"]
    ]
    assert not homeless


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a wheel and a source distribution; the wheel is built from the source distribution."""
    copy, out = tmp_path_factory.mktemp("copy") / "copy", tmp_path_factory.mktemp("built")
    ignore = shutil.ignore_patterns(
        ".*", "*.so", "*.egg-info", "build", "dist", "runs", "tests", "notebooks", *UNPACKAGED
    )
    shutil.copytree(REPOSITORY, copy, ignore=ignore)
    command = [sys.executable, "-Im", "build", "--no-isolation", "--outdir", str(out), str(copy)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return out


def test_the_wheel_holds_every_module_and_data_file(built: Path):
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        names = set(wheel.namelist())
    expected = {str(PurePosixPath(package_of(path.parent).replace(".", "/")) / path.name) for path in wanted()}
    assert expected - names == set()
    ours = {name for name in names if name.endswith(".py")}
    assert ours == {name for name in expected if name.endswith(".py")}


def test_the_wheel_installs_panel_and_server_extension_where_jupyter_looks_for_them(built: Path):
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        names = {name.partition(".data/data/")[2] for name in wheel.namelist()} - {""}
    config = "etc/jupyter/jupyter_server_config.d/deepseek-workbench.json"
    assert names == {config, *(str(INSTALLED / path) for path in prebuilt())}
    assert {str(INSTALLED / "install.json"), str(INSTALLED / "package.json")} <= names


def test_the_source_distribution_holds_every_module_and_data_file(built: Path):
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {str(path) for path in wanted()} - names == set()
    assert {str(LABEXTENSION / "prebuilt" / path) for path in prebuilt()} - names == set()
    assert {"LICENSE", "README.md", "pyproject.toml", "setup.py"} <= names


def wanted() -> list[PurePosixPath]:
    """Modules, C sources, the type marker and everything that the browser loads."""
    return [
        path
        for path in sources()
        if path.suffix in {".py", ".pyi", ".c", ".h"}
        or path.name == "py.typed"
        or path.parts[:2] == ("widgets", "static")
        or path.parts[:2] == ("widgets", "schema")
    ]


def test_the_wheel_works_without_the_repository(built: Path, tmp_path: Path):
    """The wheel is unpacked instead of installed, so that the test needs no environment of its own."""
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        wheel.extractall(tmp_path / "site")
    code = f"""if True:
        import sys; sys.path.insert(0, {str(tmp_path / "site")!r})
        import torch, deepseek
        model = torch.nn.Linear(2, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        with deepseek.inspect(model, optimizer, every=1, run="wheel.dsrun") as session:
            model(torch.ones(1, 2)).sum().backward()
            optimizer.step()
        print(deepseek.__file__, session.report("wheel.html").stat().st_size > 1000)
        """
    done = subprocess.run([sys.executable, "-I", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.split() == [str(tmp_path / "site" / "deepseek" / "__init__.py"), "True"], done.stderr[-3000:]


def test_every_dependency_has_a_tested_version():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    declared = [
        *project["dependencies"],
        *(one for extra in project["optional-dependencies"].values() for one in extra),
    ]
    tested = dict(line.split("==") for line in (REPOSITORY / "constraints.txt").read_text().splitlines())
    pinned = {canonicalize_name(name): version for name, version in tested.items()}
    for wanted in map(Requirement, declared):
        if wanted.name != project["name"]:
            assert wanted.specifier.contains(pinned.get(canonicalize_name(wanted.name), "0")), wanted

"""Habits that the linter cannot see."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
ROOMS = ("explain", "inspector", "kernels", "widgets")

MACHINE_PATH = re.compile(r"(?<![\w.~*/-])/(?:work|root|home/[a-z]+)/|[A-Z]:\\\\Users")
REGISTRY_HOST = re.compile(
    "|".join(
        (
            r"pypi\.org",
            r"pythonhosted\.org",
            r"registry\.npmjs\.",
            r"deb\.debian\.",
            r"download\.pytorch\.",
            r"extra-index",
        )
    )
)


def tracked_texts() -> list[Path]:
    """The text files under version control, or all of them where there is no git."""
    git = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if git.returncode:
        pytest.skip("this copy is not under version control")
    paths = [REPOSITORY / name for name in git.stdout.split("\0") if name]
    return [path for path in paths if path.is_file() and b"\0" not in path.read_bytes()]


def test_no_file_names_a_path_of_one_machine_or_the_host_of_a_registry():
    wrong = [
        (path.relative_to(REPOSITORY), found.group())
        for path in tracked_texts()
        if path != Path(__file__)
        for found in [MACHINE_PATH.search(path.read_text()) or REGISTRY_HOST.search(path.read_text())]
        if found
    ]
    assert not wrong


@pytest.mark.parametrize("room", ROOMS)
def test_the_init_of_a_room_holds_names_and_nothing_else(room):
    for path in (REPOSITORY / room).rglob("__init__.py"):
        docstring, *body = ast.parse(path.read_text()).body
        assert isinstance(docstring, ast.Expr), path
        assert all(_is_import(node) or _is_all(node) for node in body), path


def test_pytest_runs_isolated_from_the_folder_it_was_started_in():
    """Otherwise `import inspector` or `import kernels` would find a room by its bare name."""
    assert sys.flags.isolated
    assert str(REPOSITORY) not in sys.path


def _is_import(node: ast.stmt) -> bool:
    return isinstance(node, ast.Import | ast.ImportFrom)


def _is_all(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"

"""A notebook's shell with our magics."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell


@pytest.fixture
def shell(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[InteractiveShell]:
    """A shell in a folder of its own, in which the test file's ``SETUP`` has run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    shell = InteractiveShell()
    shell.colors = "nocolor"
    shell.run_line_magic("load_ext", "deepseek")
    shell.run_cell(request.module.SETUP).raise_error()
    yield shell
    shell.run_line_magic("unload_ext", "deepseek")
    shell.history_manager.end_session()

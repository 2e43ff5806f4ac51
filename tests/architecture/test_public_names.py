"""The front door: what it offers, what it costs, and that it is ours."""

import importlib.metadata
import inspect
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

import deepseek
from deepseek.errors import DeepseekError, RunFileError

REPOSITORY = Path(__file__).parents[2]
DRAWING = ("matplotlib", "bokeh", "shap", "IPython", "anywidget")
HEAVY = ("torch", "matplotlib", "bokeh", "shap", "IPython", "pandas", "numpy", "anywidget")


def run_python(code: str) -> str:
    command = [sys.executable, "-I", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


def test_the_imported_package_is_ours():
    assert Path(deepseek.__file__).samefile(REPOSITORY / "deepseek" / "__init__.py")
    assert deepseek.__version__ == importlib.metadata.version("deepseek-workbench")


def test_import_loads_nothing_heavy():
    code = f"import sys, deepseek; print([name for name in {HEAVY} if name in sys.modules])"
    assert run_python(code).strip() == "[]"


def test_import_with_torch_loaded_takes_less_than_300_ms():
    code = "import time, torch; t = time.perf_counter(); import deepseek; print(time.perf_counter() - t)"
    assert statistics.median(float(run_python(code)) for _ in range(3)) < 0.3


def test_inspecting_loads_no_drawing_library(tmp_path: Path):
    code = f"""if True:
        import sys, torch, deepseek
        model = torch.nn.Linear(2, 2)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        with deepseek.inspect(model, optimizer, every=1, run={str(tmp_path / "x.dsrun")!r}):
            model(torch.ones(1, 2)).sum().backward()
            optimizer.step()
        print([name for name in {DRAWING} if name in sys.modules])
        """
    assert run_python(code).strip() == "[]"


@pytest.mark.parametrize("name", deepseek.__all__)
def test_every_public_name_can_be_had_and_is_documented(name):
    thing = getattr(deepseek, name)
    assert name in dir(deepseek)
    if name != "__version__":
        assert inspect.getdoc(thing)


def test_every_public_member_of_a_session_and_a_run_is_documented():
    members = [
        f"{cls.__name__}.{name}"
        for cls in (deepseek.Session, deepseek.Run, deepseek.Finding)
        for name, member in vars(cls).items()
        if not name.startswith("_") and (callable(member) or isinstance(member, property))
        if not inspect.getdoc(member)
    ]
    assert not members


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'inspekt'"):
        _ = deepseek.inspekt


def test_a_run_file_error_is_a_deepseek_error():
    assert issubclass(RunFileError, DeepseekError)
    assert deepseek.DeepseekError is DeepseekError

"""Which room may import which, and names that no room may use."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
ROOMS = ("deepseek", "explain", "inspector", "kernels", "widgets")

ARROWS = {
    "deepseek": {"deepseek", "explain", "inspector", "kernels", "widgets"},
    "widgets": {"widgets", "explain", "inspector", "kernels"},
    "explain": {"explain", "inspector", "kernels"},
    "inspector": {"inspector", "kernels"},
    "kernels": {"kernels"},
}

SHARED = {"deepseek.errors", "deepseek.picture", "deepseek.text"}
HANDED = {"explain": {"deepseek.showing"}}
"""What the front door hands a room, which otherwise knows nothing of it."""

FORBIDDEN_CALLS = {"eval", "exec", "__import__", "compile"}
FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "joblib"}
FORBIDDEN_ATTRIBUTES = {
    "register_full_backward_hook",
    "register_full_backward_pre_hook",
    "register_module_full_backward_hook",
    "register_module_full_backward_pre_hook",
    "register_module_backward_hook",
    "register_backward_hook",
}


def sources(room: str) -> list[Path]:
    return sorted(path for path in (REPOSITORY / room).rglob("*.py") if "node_modules" not in path.parts)


def every_source() -> list[Path]:
    return [path for room in ROOMS for path in sources(room)]


def imported_modules(tree: ast.AST) -> Iterator[str]:
    """Every module that a file imports anywhere, relative ones with their dots."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield module
            if module == "deepseek":
                yield from (f"deepseek.{alias.name}" for alias in node.names)


def room_of(module: str) -> str | None:
    """The room of a module of ours; None for foreign modules, and for those of ours that all may use."""
    first, _, rest = module.partition(".")
    if first != "deepseek" or module in SHARED:
        return None
    second = rest.partition(".")[0]
    return second if second in ROOMS else "deepseek"


def breaches(room: str, text: str) -> list[str]:
    modules = (module for module in imported_modules(ast.parse(text)) if module not in HANDED.get(room, ()))
    rooms_of_imports = ((module, room_of(module)) for module in modules)
    return [module for module, target in rooms_of_imports if target and target not in ARROWS[room]]


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_along_the_arrows(room):
    wrong = {str(path): found for path in sources(room) if (found := breaches(room, path.read_text()))}
    assert not wrong


@pytest.mark.parametrize(
    "text",
    [
        "import deepseek.widgets",
        "from deepseek import widgets",
        "from deepseek.widgets.live import show",
        "import deepseek",
        "def late():\n    from deepseek.widgets import live",
        "if TYPE_CHECKING:\n    import deepseek.cli",
    ],
)
def test_a_breach_of_the_arrows_is_seen(text):
    assert breaches("inspector", text)


def test_imports_are_absolute_and_never_by_a_bare_room_name():
    wrong = [
        (str(path), module)
        for path in every_source()
        for module in imported_modules(ast.parse(path.read_text()))
        if module.startswith(".") or module.partition(".")[0] in set(ROOMS) - {"deepseek"}
    ]
    assert not wrong


def test_no_code_is_run_or_unpickled_from_data():
    wrong = []
    for path in every_source():
        tree = ast.parse(path.read_text())
        wrong += [(path, name) for name in imported_modules(tree) if name.partition(".")[0] in FORBIDDEN_MODULES]
        for node in ast.walk(tree):
            called = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id
            if called in FORBIDDEN_CALLS or (isinstance(node, ast.keyword) and node.arg == "allow_pickle"):
                wrong.append((path, ast.unparse(node)))
            if isinstance(node, ast.Attribute) and ast.unparse(node) in {
                "torch.load",
                "np.load",
                "numpy.load",
            }:
                wrong.append((path, ast.unparse(node)))
    assert not wrong


def test_no_module_backward_hook_is_registered():
    """They change the bits of gradients and break in-place activations, even when they do nothing."""
    wrong = [
        (path, node.attr)
        for path in every_source()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in FORBIDDEN_ATTRIBUTES
    ]
    assert not wrong

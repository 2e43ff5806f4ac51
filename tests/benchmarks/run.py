"""``make bench``: runs the benchmarks, writes their results as JSON beside this file and quotes them in the README."""

import importlib.util
import json
import platform
import sys
from pathlib import Path

import torch

HERE = Path(__file__).parent
BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"
NAMES = ("summary", "overhead", "windows")


def main(names: list[str]) -> None:
    """Run the named benchmarks, all by default."""
    sys.path[:0] = [str(HERE.parent / "support"), str(HERE)]
    for name in names or NAMES:
        result = {"machine": _machine(), "results": _load(name).run()}
        path = HERE / "results" / f"{name}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(result, indent=2) + "\n")
        print(json.dumps(result, indent=2))
        if name == "overhead":
            quote()


def quote() -> None:
    """Bring the README's table of overheads up to date."""
    results = json.loads((HERE / "results" / "overhead.json").read_text())["results"]
    names = list(dict.fromkeys(name for tools in results.values() for name in tools if name != "bare"))
    lines = ["| | " + " | ".join(results) + " |", "|---" * (len(results) + 1) + "|"]
    lines += [
        f"| {name} | " + " | ".join(_cell(tools.get(name)) for tools in results.values()) + " |" for name in names
    ]
    readme = HERE.parents[1] / "README.md"
    before, rest = readme.read_text().split(BEGIN)
    readme.write_text(before + BEGIN + "\n" + "\n".join(lines) + "\n" + END + rest.split(END)[1])


def _cell(result) -> str:
    if result is None:
        return ""
    return f"{result['ratio']:.2f} ({result['quartile_low']:.2f}-{result['quartile_high']:.2f})"


def _load(name):
    spec = importlib.util.spec_from_file_location(f"bench_{name}", HERE / f"bench_{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _machine() -> dict[str, str | int]:
    cpu = torch.backends.cpu.get_cpu_capability()
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cpu": cpu,
        "threads": torch.get_num_threads(),
    }


if __name__ == "__main__":
    main(sys.argv[1:])

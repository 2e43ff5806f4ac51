"""``make bench``: runs the benchmarks and writes their results as JSON beside this file."""

import importlib.util
import json
import platform
import sys
from pathlib import Path

import torch

HERE = Path(__file__).parent
NAMES = ("summary", "overhead")


def main(names: list[str]) -> None:
    """Run the named benchmarks, all by default."""
    sys.path.insert(0, str(HERE.parent / "support"))
    for name in names or NAMES:
        result = {"machine": _machine(), "results": _load(name).run()}
        path = HERE / "results" / f"{name}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(result, indent=2) + "\n")
        print(json.dumps(result, indent=2))


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

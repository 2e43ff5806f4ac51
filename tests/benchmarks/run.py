"""``make bench``: runs the benchmarks, writes results as JSON beside this file and quotes them in README and docs."""

import importlib.util
import json
import platform
import sys
from pathlib import Path

import torch

HERE = Path(__file__).parent
NAMES = ("summary", "overhead", "windows", "deeplift", "precision", "sparse", "gates_quality")
"""Without ``cuda``, which needs a GPU and is to be named."""


SPARSE_GATES = "docs/sparse_gates.md"


def main(names: list[str]) -> None:
    """Run the named benchmarks, all by default."""
    sys.path[:0] = [str(HERE.parent / "support"), str(HERE)]
    for name in names or NAMES:
        result = {"machine": _machine(), "results": _load(name).run()}
        path = HERE / "results" / f"{name}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(result, indent=2) + "\n")
        print(json.dumps(result, indent=2))
    quote()


def quote() -> None:
    """Bring the tables in README and docs up to date."""
    _write_table("bench", "overhead", "{ratio:.2f} ({quartile_low:.2f}-{quartile_high:.2f})")
    _write_table("windows", "windows", "{median:.3f} ({percentile_95:.3f}, {percentile_95_without_noise:.3f})")
    _write_table("gaps", "deeplift", "{text}", part="gaps", page="docs/deeplift.md")
    _write_table("feed-forward", "sparse", "{speedup:.2f} ({ideal:.2f})", part="feed_forward", page=SPARSE_GATES)
    _write_table("never-slower", "sparse", "{speedup:.2f} ({executor})", part="never_slower", page=SPARSE_GATES)
    _write_table("resnet18", "sparse", "{speedup:.2f} ({ideal:.2f})", part="resnet18", page=SPARSE_GATES)
    _write_table("bounds", "sparse", "{ms:.1f}", part="bounds", page=SPARSE_GATES)
    _write_table("quality", "gates_quality", "{text}", part="by_task", page=SPARSE_GATES)
    _write_table("gpu", "cuda", "{text}", part="feed_forward", page=SPARSE_GATES)
    _write_table("gpu-watching", "cuda", "{text}", part="watching", page="docs/gpu.md")
    _write_table("gpu-summaries", "cuda", "{text}", part="summaries", page="docs/gpu.md")
    for part in ("accuracy", "fresh", "packed"):
        _write_table(part, "precision", "{text}", part=part, page="docs/adaptive_precision.md")


def _write_table(mark: str, name: str, cell: str, *, part: str | None = None, page: str = "README.md") -> None:
    path = HERE / "results" / f"{name}.json"
    if not path.exists():
        return
    results = json.loads(path.read_text())["results"]
    results = results if part is None else results[part]
    rows = list(dict.fromkeys(row for tools in results.values() for row in tools if isinstance(tools[row], dict)))
    lines = ["| | " + " | ".join(results) + " |", "|---" * (len(results) + 1) + "|"]
    lines += [
        f"| {row} | "
        + " | ".join((cell.format(**tools[row]) if row in tools else "") for tools in results.values())
        + " |"
        for row in rows
        if row != "bare"
    ]
    target = HERE.parents[1] / page
    begin, end = f"<!-- {mark}:begin -->", f"<!-- {mark}:end -->"
    before, rest = target.read_text().split(begin)
    target.write_text(before + begin + "\n" + "\n".join(lines) + "\n" + end + rest.split(end)[1])


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

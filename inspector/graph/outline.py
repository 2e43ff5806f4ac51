"""The module graph as text."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deepseek.inspector.graph.module_graph import ModuleGraph, Node

_MOST_SHOWN = 4
_DEEPEST_INDENT = 40


def heading(graph: "ModuleGraph") -> str:
    """One line: what the graph holds, and why not more."""
    found: Counter[str] = Counter(node.kind for node in graph.nodes)
    kinds = ("module", "call", "function", "input", "output")
    parts = [_count(found[kind], kind) for kind in kinds] + [_count(len(graph.edges), "edge")]
    name = graph.nodes[0].type if graph.nodes else "nothing"
    return f"ModuleGraph of {name}: {', '.join(parts)}" + ("" if graph.complete else f"; incomplete: {graph.note}")


def outline(graph: "ModuleGraph") -> str:
    """The tree of modules with types, calls, shapes and bytes of what they return; functions with where from."""
    children: defaultdict[int | None, list[Node]] = defaultdict(list)
    for node in graph.nodes:
        children[node.parent].append(node)
    sources: defaultdict[int, list[str]] = defaultdict(list)
    for edge in graph.edges:
        sources[edge.target].append(_origin(graph.nodes[edge.source]))
    lines = [heading(graph)]
    waiting = [(node, 0) for node in reversed(children[None])]
    while waiting:
        node, depth = waiting.pop()
        indent = "  " * min(depth, _DEEPEST_INDENT)
        lines.append(indent + _module_line(node, children[node.id]))
        lines += (f"{indent}  {line}" for line in _part_lines(children[node.id], sources))
        waiting += [(child, depth + 1) for child in reversed(children[node.id]) if child.kind == "module"]
    return "\n".join(lines)


def _module_line(module: "Node", below: "list[Node]") -> str:
    calls = [node for node in below if node.kind == "call"]
    results = list(dict.fromkeys(_result(call) for call in calls))
    shown = "; ".join(results[:_MOST_SHOWN]) + ("; ..." if len(results) > _MOST_SHOWN else "")
    often = f" x{len(calls)}" if len(calls) > 1 else ""
    name = f"{module.site}: {module.type}" if module.parent is not None else module.type
    return f"{name}{often} -> {shown}" if calls else f"{name}{often}"


def _part_lines(below: "list[Node]", sources: dict[int, list[str]]) -> Iterator[str]:
    for node in below:
        if node.kind == "input":
            yield f"{node.site} -> {_result(node)}"
        elif node.kind in ("function", "output"):
            came = sources.get(node.id, [])
            shown = ", ".join(came[:_MOST_SHOWN]) + (", ..." if len(came) > _MOST_SHOWN else "")
            name = node.type if node.kind == "function" else node.site
            yield f"+ {name}({shown}) -> {_result(node)}" if node.kind == "function" else f"{name} <- {shown}"


def _origin(node: "Node") -> str:
    if node.kind == "module":
        return f"a parameter of {node.site}"
    return f"{node.site} #{node.call}" if node.call else node.site


def _result(node: "Node") -> str:
    if node.shape is None:
        return "nothing"
    return f"[{', '.join(map(str, node.shape))}] {node.dtype}, {node.bytes:,} bytes"


def _count(number: int, name: str) -> str:
    return f"{number:,} {name}" + ("" if number == 1 else "s")

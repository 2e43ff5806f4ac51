"""The module graph: the modules of a model, what they called in one forward, and the tensors between them."""

from deepseek.inspector.graph.module_graph import Edge, ModuleGraph, Node

__all__ = ["Edge", "ModuleGraph", "Node"]

"""From a model to the program that it computes for one row."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.modules import module as hooks

from deepseek.errors import DeepseekError
from deepseek.explain.call import Call
from deepseek.explain.deeplift.program import Program, Tensors
from deepseek.explain.deeplift.recorder import NotTraceableError, Recorder, is_in_place
from deepseek.explain.target import Chooser

ROWS = "rows"
"""Name of the placeholder for the row's place among all, beside those named as the inputs."""


def trace(call: Call, chooser: Chooser, example: Tensors, fixed: Tensors) -> Program:
    """Follow a model's call for one row.

    Args:
        call: The call, whose model is in evaluation mode.
        chooser: Takes the explained outputs.
        example: By name, the tensors ``[1, ...]`` that the program will take, and ``rows`` ``[1]``.
        fixed: The other tensors with a row for each sample, ``[1, ...]``.

    Raises:
        DeepseekError: An operation has no rule, or the model cannot be followed (``NotTraceableError``).
    """
    tensors = tuple(tensor.clone() for tensor in example.values())
    given = dict(zip(example, tensors, strict=True))
    rows = given.pop(ROWS)
    with _plain_operations(call.model), _unchanged(call.model), _following():
        places = _Whereabouts(call.model)
        recorder = Recorder(tensors, places.current)
        with places, recorder:
            output = chooser(call(replaced={**fixed, **given}), rows)
        recorder.finish(output)
        if any(map(is_in_place, recorder.graph.nodes)):
            recorder = _without_changes_in_place(recorder, tuple(tensor.clone() for tensor in example.values()))
    return Program(recorder.graph, tuple(example), [name for name in call.explained if name in example])


class _Whereabouts:
    """Knows which module is computing.

    Args:
        model: The model, whose modules are named.
    """

    def __init__(self, model: nn.Module) -> None:
        self._names = {module: name for name, module in model.named_modules()}
        self._calls = [""]
        self._handles: list[Any] = []

    def __enter__(self) -> None:
        # Those for all modules at once leave nothing behind on the model.
        self._handles = [
            hooks.register_module_forward_pre_hook(lambda module, _inputs: self._enter(module)),
            hooks.register_module_forward_hook(lambda module, _inputs, _output: self._leave(module), always_call=True),
        ]

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()

    def current(self) -> str:
        """Qualified name of the module; empty for the model itself."""
        return self._calls[-1]

    def _enter(self, module: nn.Module) -> None:
        if module in self._names:
            self._calls.append(self._names[module])

    def _leave(self, module: nn.Module) -> None:
        if module in self._names:
            self._calls.pop()


def _without_changes_in_place(recorded: Recorder, tensors: Sequence[Tensor]) -> Recorder:
    """Record once more, with operations that make new tensors; changes then also show in views of what they change."""
    current = ""

    def replay(*inputs: Tensor) -> Tensor:
        nonlocal current
        placeholders = recorded.graph.find_nodes(op="placeholder")
        # What is changed in place is a copy, or the change would be written back into the input in the end.
        given: dict[fx.Node, Any] = {node: one.clone() for node, one in zip(placeholders, inputs, strict=True)}
        for node in recorded.graph.nodes:
            if node.op == "get_attr":
                given[node] = node.meta["example"]
            elif node.op == "call_function":
                current = node.meta["module"]
                arguments, options = fx.map_arg((node.args, node.kwargs), given.__getitem__)
                given[node] = node.target(*arguments, **options)
            elif node.op == "output":
                found: Tensor = given[node.args[0]]
        return found

    recorder = Recorder(tensors, lambda: current)
    with recorder:
        output: Tensor = torch.func.functionalize(replay, remove="mutations")(*tensors)
    recorder.finish(output)
    return recorder


@contextmanager
def _following() -> Iterator[None]:
    try:
        yield
    except DeepseekError:
        raise
    except Exception as error:
        reason = str(error).strip().split("\n")[0][:300]
        raise NotTraceableError(
            f"DeepLIFT could not follow the model for one row alone ({type(error).__name__}: {reason}): use "
            '`method="expected_gradients"`, which calls the model as it is.'
        ) from error


@contextmanager
def _plain_operations(model: nn.Module) -> Iterator[None]:
    """Have attention and recurrence computed by plain operations instead of fused ones, of which nothing is seen."""
    onednn: Any = torch.backends.mkldnn
    cudnn: Any = torch.backends.cudnn
    before = torch.backends.mha.get_fastpath_enabled(), onednn.enabled, cudnn.enabled

    def enable(fast: bool, with_onednn: bool, with_cudnn: bool) -> None:
        torch.backends.mha.set_fastpath_enabled(fast)
        onednn.enabled, cudnn.enabled = with_onednn, with_cudnn

    recurrent = any(isinstance(module, nn.RNNBase) for module in model.modules())
    with sdpa_kernel(SDPBackend.MATH):
        enable(False, before[1] and not recurrent, False)
        try:
            yield
        finally:
            enable(*before)


@contextmanager
def _unchanged(model: nn.Module) -> Iterator[None]:
    """Undo what a model writes into its own buffers, and give random numbers back."""
    before = [(buffer, buffer.clone()) for buffer in model.buffers()]
    devices = sorted({parameter.device.index for parameter in model.parameters() if parameter.is_cuda})
    with torch.random.fork_rng(devices):
        try:
            yield
        finally:
            for buffer, value in before:
                if not torch.equal(buffer, value):
                    buffer.copy_(value)

"""Whether a row's output, and its explanation, depend on the rows beside it, as they never should."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from deepseek.errors import DeepseekError
from deepseek.explain.call import Call, Inputs
from deepseek.explain.explaining import Explain, copied, row_of
from deepseek.explain.output import main_output
from deepseek.explain.sanity.ranks import table
from deepseek.text import printable

MASK = "attention_mask"
"""Name of the input that is 0 where a row is padded."""

Numbers = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class BatchInvariance:
    """By how much every row changes, relative to how far the outputs (or attributions) of all rows are from their mean.

    Attributes:
        outputs: Change of the outputs when a row stands beside a copy of itself instead of the others, ``[B]``.
        padding: Change of the outputs when the padding of a row is cut off, ``[B]``; None without padding.
        explanations: Change of the attributions when a row is explained alone, ``[B]``; None where not asked for.
        where: Where the outputs begin to depend on other rows, in words; empty if they do not.
        training: Whether the model was looked at as it trains.
        tolerance: Largest change that rounding may make.
    """

    outputs: Numbers
    padding: Numbers | None
    explanations: Numbers | None
    where: str
    training: bool
    tolerance: float

    @property
    def passed(self) -> bool:
        """Whether no row depends on its neighbours or its padding."""
        return not any(self._depends(part) for part in (self.outputs, self.padding, self.explanations))

    def __str__(self) -> str:
        mode = "as it trains, without dropout" if self.training else "in evaluation mode"
        lines = [
            f"  {what}: {'depend on ' + cause if self._depends(part) else 'do not depend on ' + cause} "
            f"(largest change {part.max():.2g} of their spread; rounding makes at most {self.tolerance:.0e})"
            for what, cause, part in (
                ("outputs", f"other rows{self.where and ', ' + self.where}", self.outputs),
                ("outputs", "padding", self.padding),
                ("explanations", "other rows", self.explanations),
            )
            if part is not None
        ]
        verdict = "rows are explained alone" if self.passed else "rows influence each other"
        return printable("\n".join([f"Batch invariance, {mode}: {verdict}", *lines]))

    __repr__ = __str__

    def _depends(self, part: Numbers | None) -> bool:
        return part is not None and bool((part > self.tolerance).any())


def batch_invariance(
    model: nn.Module, inputs: Inputs, *, explain: Explain | None = None, training: bool = False
) -> BatchInvariance:
    """Compare each row among the others with the row beside a copy of itself.

    Rows influence each other through norms that take statistics of the batch, through padding that is not masked, and
    through operations over the first dimension that were meant for another. An explanation of such a row is about its
    neighbours as well.

    Args:
        model: The model; it is run in evaluation mode. What is run is a copy.
        inputs: Two rows at least. Where a row's ``attention_mask`` has zeros, its padding is cut off for comparison.
        explain: Explains inputs by a model, such as ``lambda model, inputs: explain.shap(model, inputs, background,
            target=1, progress=False)``; with it, explanations are compared too.
        training: Run the model as it trains instead, with dropout switched off.

    Returns:
        The changes by row, with a verdict that names the module where they begin.

    Raises:
        DeepseekError: There is one row only, the model cannot be copied, or it draws random numbers.
    """
    call = Call(_twin(model, training), inputs)
    if call.rows < 2:
        raise DeepseekError("`inputs` must hold two rows at least: with one there are no neighbours.")
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        together = _output(call)
        if not torch.equal(together, _output(call)):
            raise DeepseekError(
                "The model gives other outputs each time that it is called, so that nothing can be said about rows: "
                "expected one that draws no random numbers" + (" but those of dropout modules." if training else ".")
            )
        pairs = torch.stack([_output(call, _twice(row))[0] for row in range(call.rows)])
        tolerance = torch.finfo(together.dtype).eps ** 0.5
        changes = _relative(pairs, together)
        padding = _padding(call, together)
        worst = int(changes.argmax())
        where = _where(call, worst, tolerance) if changes[worst] > tolerance else ""
    explanations = None if explain is None else _explanations(explain, model, inputs, call)
    return BatchInvariance(changes, padding, explanations, where, training, tolerance)


def _twin(model: nn.Module, training: bool) -> nn.Module:
    twin = copied(model).train(training)
    for module in twin.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.eval()
    return twin


def _output(call: Call, rows: Tensor | None = None, changed: dict[str, Tensor] | None = None) -> Tensor:
    output = main_output(call(rows, changed)).detach()
    if output.dim() == 0 or len(output) != (call.rows if rows is None else len(rows)):
        raise DeepseekError(
            f"The model returned a tensor of shape {tuple(output.shape)} for {call.rows} rows: one row each was "
            "expected."
        )
    return output


def _twice(row: int) -> Tensor:
    return torch.tensor([row, row])


def _relative(found: Tensor, expected: Tensor) -> Numbers:
    """Largest change of each row, relative to the largest distance from the mean of the rows."""
    found, expected = found.double().flatten(1), expected.double().flatten(1)
    spread = (expected - expected.mean(0)).abs().max().item() or 1.0
    changes: Numbers = ((found - expected).abs().amax(1) / spread).cpu().numpy()
    return changes


def _padding(call: Call, together: Tensor) -> Numbers | None:
    mask = call.tensors.get(MASK)
    if mask is None or mask.dim() != 2 or bool(mask.all()):
        return None
    alone = together.clone()
    for row in range(call.rows):
        kept = mask[row] != 0
        cut = {
            name: tensor[_twice(row).to(tensor.device)][:, kept]
            for name, tensor in call.tensors.items()
            if tensor.shape[1:2] == mask.shape[1:]
        }
        output = _output(call, _twice(row), cut)[0]
        if output.shape == alone[row].shape:
            alone[row] = output
        else:
            alone[row, kept] = output
    return _relative(alone, together)


def _where(call: Call, row: int, tolerance: float) -> str:
    """Name the first module whose output for a row is another one beside other rows."""
    with _recorded(call.model) as among:
        call()
    with _recorded(call.model) as paired:
        call(_twice(row))
    for (name, kind, whole), (_, _, pair) in zip(among, paired, strict=False):
        if len(whole) != call.rows or len(pair) != 2 or whole.shape[1:] != pair.shape[1:]:
            continue
        one, other = whole[row].double(), pair[0].double()
        if (one - other).abs().max() > tolerance * (one.abs().max().item() or 1.0):
            return f"beginning in the output of `{name}` ({kind})"
    return "beginning outside of its modules"


@contextmanager
def _recorded(model: nn.Module) -> Iterator[list[tuple[str, str, Tensor]]]:
    """Collect what the modules of a copy give, in the order in which they do."""
    found: list[tuple[str, str, Tensor]] = []

    def hook(name: str) -> Any:
        def record(module: nn.Module, _inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor) and output.dim() and output.is_floating_point():
                found.append((name, type(module).__name__, output.detach().clone()))

        return record

    handles = [module.register_forward_hook(hook(name)) for name, module in model.named_modules() if name]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def _explanations(explain: Explain, model: nn.Module, inputs: Inputs, call: Call) -> Numbers:
    together = torch.from_numpy(table(explain(model, inputs))).reshape(call.rows, -1)
    alone = [table(explain(model, row_of(inputs, call, row))) for row in range(call.rows)]
    return _relative(torch.from_numpy(np.stack(alone)).reshape(together.shape), together)

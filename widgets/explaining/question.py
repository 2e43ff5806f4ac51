"""What may be asked of a model: which sample, by which method, against what, for which output."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

import torch
from torch import Tensor, nn

from deepseek.errors import DeepseekError
from deepseek.explain import attention, attribute, shap
from deepseek.explain.by_captum import Method as MethodAgainstOne
from deepseek.explain.call import Call
from deepseek.explain.explaining import row_of
from deepseek.explain.output import main_output
from deepseek.explain.shap_values import Method as ShapMethod
from deepseek.widgets.explaining.computing import set_apart
from deepseek.widgets.explaining.message import Explanation

ATTENTION = "attention"
GIVEN, MEAN, ZEROS = "the background", "its mean", "zeros"
ALL = "all outputs"
MOST_OUTPUTS = 1000
"""Outputs that can be chosen one by one."""

SHAP = get_args(ShapMethod)
AGAINST_ONE = get_args(MethodAgainstOne)
METHODS = (*SHAP, *AGAINST_ONE, ATTENTION)


@dataclass(frozen=True, slots=True)
class Question:
    """One choice; see ``Explainer``."""

    sample: int
    method: str
    against: str
    target: str


class Explainer:
    """A model with samples, which it explains one by one.

    Args:
        model: The model.
        inputs: The samples, as ``deepseek.explain.shap`` takes them.
        background: Rows that stand for absent features, as the inputs are; None for zeros or what the inputs bring.
        target: What else can be explained beside single outputs; None for nothing.
        tokenizer: A tokenizer of transformers, for the texts of tokens.

    Attributes:
        samples: How many there are.
        targets: Which outputs can be chosen, in words.
        against: By method, what samples can be compared with, in words.

    Raises:
        DeepseekError: The inputs do not fit the model.
    """

    def __init__(
        self, model: nn.Module, inputs: Any, background: Any = None, target: Any = None, tokenizer: Any = None
    ) -> None:
        self._call = call = Call(model, inputs)
        self.samples = call.rows
        self._model, self._inputs, self._tokenizer = model, inputs, tokenizer
        self._backgrounds = _backgrounds(call, inputs, background)
        self._targets = _targets(call, target)
        self.targets = list(self._targets)
        self.against = self._known_methods()

    def first(self, method: str | None = None, sample: int = 0) -> Question:
        """Return what is answered before anything was chosen.

        Raises:
            DeepseekError: There is no such method or sample.
        """
        chosen = next(iter(self.against)) if method is None else method
        if chosen not in self.against:
            raise DeepseekError(f"The method must be one of {', '.join(self.against)}, not {chosen!r}.")
        if not 0 <= sample < self.samples:
            raise DeepseekError(f"There are samples 0 to {self.samples - 1}, not {sample}.")
        return Question(sample, chosen, next(iter(self.against[chosen]), ""), self.targets[0])

    def answer(self, question: Question) -> Explanation:
        """Explain one sample; the model is evaluated in evaluation mode, and left as it was.

        Raises:
            DeepseekError: The choice makes no sense, or the method does not fit the model.
            KeyboardInterrupt: It was interrupted before there was anything to show.
        """
        self._check(question)
        rows = row_of(self._inputs, self._call, question.sample)
        if question.method == ATTENTION:
            return attention(self._model, rows, tokenizer=self._tokenizer)
        against, target = self._backgrounds[question.against](), self._targets[question.target]
        return explained(self._model, rows, question.method, against, target)

    def _known_methods(self) -> dict[str, list[str]]:
        one_row = [name for name in self._backgrounds if name != GIVEN]
        sampled = {method: list(self._backgrounds) for method in SHAP}
        return sampled | {method: one_row for method in AGAINST_ONE if one_row} | {ATTENTION: []}

    def _check(self, question: Question) -> None:
        self.first(question.method, question.sample)
        if question.method != ATTENTION and (
            question.target not in self._targets or question.against not in self.against[question.method]
        ):
            raise DeepseekError("There is no such output, or nothing of that name to compare with: choose again.")


def explained(model: nn.Module, inputs: Any, method: str, background: Any, target: Any) -> Explanation:
    """Explain inputs by the method of a name; no bar shows how far it is.

    Raises:
        DeepseekError: The method does not fit the model, or there is none of this name.
    """
    if method == ATTENTION:
        return attention(model, inputs)
    options: dict[str, Any] = {"method": check_method(method), "target": target}
    if method in AGAINST_ONE:
        return attribute(model, inputs, baseline=background, **options)
    return shap(model, inputs, background, progress=False, **options)


def check_method(method: str) -> str:
    """Return the name of a method.

    Raises:
        DeepseekError: There is none of this name.
    """
    if method not in METHODS:
        raise DeepseekError(f"The method must be one of {', '.join(METHODS)}, not {method!r}.")
    return method


def _targets(call: Call, target: Any) -> dict[str, Any]:
    """Return by name what of the output can be explained."""
    with set_apart(call.model), torch.no_grad():
        output = main_output(call())
    given = {} if target is None else {"the given target": target}
    if output.dim() != 2 or len(output) != call.rows:
        return given | {ALL: None}
    return given | {ALL: None} | {f"output {place}": place for place in range(min(output.shape[1], MOST_OUTPUTS))}


def _backgrounds(call: Call, inputs: Any, background: Any) -> dict[str, Callable[[], Any]]:
    """Return by name what samples can be compared with."""
    found: dict[str, Callable[[], Any]] = {}
    if background is not None:
        found[GIVEN] = lambda: background
    elif call.features.background is not None:
        found[GIVEN] = lambda: None
    if background is not None and _is_floating(background):
        found[MEAN] = lambda: _each(background, lambda rows: rows.mean(0, keepdim=True))
    if _is_floating(inputs):
        found[ZEROS] = lambda: _each(inputs, lambda rows: torch.zeros_like(rows[:1]))
    if not found:
        raise DeepseekError(
            "A background is needed: pass rows that stand for absent features, as the inputs are, by --background."
        )
    return found


def _is_floating(values: Any) -> bool:
    parts = values.values() if isinstance(values, Mapping) else values if isinstance(values, tuple) else (values,)
    return all(isinstance(part, Tensor) and part.dim() > 0 and part.is_floating_point() for part in parts)


def _each(values: Any, change: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(values, Mapping):
        return {name: change(part) for name, part in values.items()}
    return tuple(map(change, values)) if isinstance(values, tuple) else change(values)

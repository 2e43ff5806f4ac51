"""Applies the rules to a growing run and says each thing once."""

from collections.abc import Callable, Iterable, Sequence

from deepseek.errors import DeepseekError
from deepseek.inspector.record import Finding, StepRecord
from deepseek.inspector.rules.constant_gate import constant_gate
from deepseek.inspector.rules.dead_units import dead_units
from deepseek.inspector.rules.gradient_flow import exploding_gradient, vanishing_gradient
from deepseek.inspector.rules.harmful_precision import harmful_precision
from deepseek.inspector.rules.nonfinite import has_nonfinite_signal, nonfinite
from deepseek.inspector.rules.saturated_units import saturated_units
from deepseek.inspector.rules.window import Window

Rule = Callable[[Window], Iterable[Finding]]
"""A pure function of a window; called whenever a step was added that was observed or went wrong."""

STANDARD: tuple[Rule, ...] = (
    vanishing_gradient,
    exploding_gradient,
    dead_units,
    saturated_units,
    constant_gate,
    harmful_precision,
    nonfinite,
)


class Judge:
    """Keeps the window and remembers what has been said.

    Args:
        rules: ``"standard"`` or the rules themselves; an empty sequence for none.
    """

    def __init__(self, rules: str | Sequence[Rule] = "standard") -> None:
        if isinstance(rules, str) and rules != "standard":
            raise DeepseekError(f'`rules` must be "standard" or a sequence of rules, not {rules!r}.')
        self._rules = STANDARD if isinstance(rules, str) else tuple(rules)
        self._window = Window()
        self._said: set[tuple[str, str, str]] = set()

    @property
    def names(self) -> list[str]:
        """The names of the rules."""
        return [getattr(rule, "__name__", type(rule).__name__) for rule in self._rules]

    def __call__(self, record: StepRecord) -> list[Finding]:
        """Return what is new at this step."""
        self._window.learn(record)
        if not record.observed and not has_nonfinite_signal(record):
            return []
        self._window.add(record)
        found = [finding for rule in self._rules for finding in rule(self._window)]
        return [finding for finding in found if self._is_new(finding)]

    def _is_new(self, finding: Finding) -> bool:
        key = (finding.rule, finding.site, finding.severity)
        new = key not in self._said
        self._said.add(key)
        return new

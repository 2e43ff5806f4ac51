"""What a comparison says in words."""

from collections.abc import Iterator, Sized
from typing import TYPE_CHECKING

from deepseek.text import printable

if TYPE_CHECKING:
    from deepseek.inspector.aligning import Side
    from deepseek.inspector.comparison import Comparison, Divergence

NAMED = 3
"""Sites that are only in one run and are named."""

NAME_LENGTH = 100

FEW = 0.5
"""Below this share of common steps the reader is told that most observed steps could not be compared."""


def verdict(comparison: "Comparison") -> str:
    """Say in one sentence where the two differ first, that they do not, or why nothing can be told."""
    if len(comparison.frame) == 0:
        a, b = (one_line(side.title) for side in (comparison.a, comparison.b))
        return f"Nothing can be told: A ({a}) and B ({b}) observed no site in common{_scalars(comparison)}."
    if not comparison.steps:
        return _no_common_step(comparison)
    first, what = comparison.first_divergence, f"{_words(comparison.kind)} {comparison.column}"
    if first is None:
        return _agree(comparison, what)
    sizes = f"{what} {first.a:.4g} in A, {first.b:.4g} in B, relative difference {first.difference:.2g}"
    when = "" if comparison.of_steps else f" at step {first.step}"
    where = f"{_subject(comparison)} differ first{when} in {_place(first)}"
    return f"{where}: {sizes}; {_extent(comparison)}{_scalars(comparison)}."


def notes(comparison: "Comparison") -> Iterator[str]:
    """Say in a sentence each what a reader of the verdict should know."""
    if comparison.a.title != comparison.b.title:
        yield f"The models differ: A is {one_line(comparison.a.title)}, B is {one_line(comparison.b.title)}."
    for label, sites in (("A", comparison.only_a), ("B", comparison.only_b)):
        if sites:
            named = ", ".join(one_line(site) for site in sites[:NAMED]) + (", …" if len(sites) > NAMED else "")
            yield f"Observed only in {label}: {_count(sites, 'site')} ({named})."
    if comparison.of_steps or not comparison.steps:
        return
    yield from _below_tolerance(comparison)
    yield from _unseen_steps(comparison)
    observed = len(comparison.a.observed), len(comparison.b.observed)
    if len(comparison.steps) < FEW * max(observed):
        yield (
            f"Only {len(comparison.steps)} of {observed[0]} and {observed[1]} observed steps are common: record both "
            "with deepseek.inspect(..., every=N)."
        )


def one_line(text: str) -> str:
    """Foreign text on one line and not too long, so that it cannot pass for a sentence of ours."""
    line = " ".join(printable(text).split())
    return line if len(line) <= NAME_LENGTH else line[: NAME_LENGTH - 1] + "…"


def _no_common_step(comparison: "Comparison") -> str:
    a, b = comparison.a, comparison.b
    kind = _words(comparison.kind)
    if set(a.steps) & set(b.steps):
        return (
            f"Nothing can be told: A observed the {kind} in {_count(a.observed, 'step')} and B in {len(b.observed)}, "
            "none of them the same, because each chose its own to keep to its budget: record both with "
            f"deepseek.inspect(..., every=N){_scalars(comparison)}."
        )
    return (
        f"Nothing can be told: A ({_span(a)}) and B ({_span(b)}) have no step in common: compare two steps of your "
        "choice with steps=(step of A, step of B)."
    )


def _agree(comparison: "Comparison", what: str) -> str:
    same = comparison.history["difference"].max() == 0
    how = "are equal to the last bit" if same else f"differ by no more than {comparison.tolerance:g}"
    when = "" if comparison.of_steps else f" in {_count(comparison.steps, 'common step')}"
    where = f"at {_count(comparison.frame, 'common site')}{when}"
    return f"{_subject(comparison)} {how} in {what} {where}{_scalars(comparison)}."


def _subject(comparison: "Comparison") -> str:
    steps = comparison.of_steps
    return f"Step {steps[0]} of A and step {steps[1]} of B" if steps else "A and B"


def _extent(comparison: "Comparison") -> str:
    differing = int(comparison.frame["first_step"].notna().sum())
    by = "" if comparison.of_steps else f" by step {comparison.steps[-1]}"
    limit = f" by more than {comparison.tolerance:g}" if comparison.tolerance else ""
    return f"{differing} of {len(comparison.frame)} sites differ{limit}{by}"


def _place(divergence: "Divergence") -> str:
    call = f", call {divergence.call}" if divergence.call else ""
    return f"{one_line(divergence.site)} ({one_line(divergence.type)}{call})"


def _scalars(comparison: "Comparison") -> str:
    """What the first logged scalar does, which is the loss where there is one."""
    table = comparison.scalars
    if len(table) == 0:
        return ""
    name, first = one_line(table["name"].iloc[0]), table["first_step"]
    if first.isna().iloc[0]:
        return f"; {name} agrees"
    return f"; {name} differs" + ("" if comparison.of_steps else f" from step {first.iloc[0]} on")


def _below_tolerance(comparison: "Comparison") -> Iterator[str]:
    """Where runs that are equal to the last bit at first begin not to be."""
    smallest, first = comparison.first_difference, comparison.first_divergence
    begins_equal = bool((comparison.history["difference"] == 0).any())
    if smallest is not None and smallest != first and begins_equal:
        where = f"from step {smallest.step} on, first in {_place(smallest)}"
        yield f"Below the tolerance they differ {where} (relative difference {smallest.difference:.2g})."


def _unseen_steps(comparison: "Comparison") -> Iterator[str]:
    """Where nobody looked between the last step that agreed and the first that does not."""
    if (first := comparison.first_divergence) is None:
        return
    before = [step for step in comparison.steps if step < first.step]
    after = before[-1] + 1 if before else 0
    if after < first.step:
        unseen = f"Steps {after} to {first.step - 1} were" if after < first.step - 1 else f"Step {after} was"
        yield f"{unseen} not observed in both: it may have begun there."


def _count(things: Sized, name: str) -> str:
    return f"{len(things)} {name}" if len(things) == 1 else f"{len(things)} {name}s"


def _span(side: "Side") -> str:
    return f"steps {side.steps[0]} to {side.steps[-1]}" if side.steps else "no steps"


def _words(kind: str) -> str:
    return kind.replace("_", " ")

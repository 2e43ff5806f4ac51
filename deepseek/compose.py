"""The ways in, with the inspector and the widgets put together."""

from collections.abc import Sequence
from pathlib import Path

from torch import nn
from torch.optim import Optimizer

from deepseek import inspector
from deepseek.inspector.comparison import TOLERANCE, Source
from deepseek.inspector.rules import Rule
from deepseek.inspector.sites import SiteFilter
from deepseek.widgets import Viewer


def inspect(
    model: nn.Module,
    optimizer: Optimizer | Sequence[Optimizer] | None = None,
    *,
    budget: float = 0.05,
    every: int | None = None,
    sites: SiteFilter = None,
    kinds: Sequence[str] | None = None,
    rules: str | Sequence[Rule] = "standard",
    run: str | Path | None = None,
) -> inspector.Session:
    """Watch ``model`` while it trains.

    Use the session as a context manager, or call its ``close()``. A step ends at ``optimizer.step()``, with several
    optimizers when each has stepped; without an optimizer, at the forward of the root module.

    Args:
        model: The model to watch.
        optimizer: The optimizer that updates it, or several; also as Accelerate has prepared them.
        budget: Largest share of the step time that watching may cost (0.05 = 5 %), measured by itself.
            The first step is always observed.
        every: Observe each ``every``-th step instead of keeping to the budget; 1 observes each step.
        sites: What to watch: None for all leaf modules and parameters, a glob over module names, or a
            function of a module's name and the module.
        kinds: Which kinds of tensors to summarise, such as ``["activation", "gradient"]``; None for all.
        rules: ``"standard"``, or the rules that judge the run.
        run: Path of the run file; by default ``./runs/<time>-<model>.dsrun``.

    Returns:
        The running session.

    Raises:
        DeepseekError: An argument does not fit; the sentence says what was expected.
    """
    return inspector.inspect(
        model,
        optimizer,
        budget=budget,
        every=every,
        sites=sites,
        kinds=kinds,
        rules=rules,
        run=run,
        viewer=Viewer(),
    )


def open_run(path: str | Path) -> inspector.Run:
    """Open a saved run, or one that is still being written.

    Args:
        path: A run file, such as ``runs/20250101-120000-net.dsrun``.

    Returns:
        The run, with the read-only surface of a session.

    Raises:
        RunFileError: The file is missing, foreign, damaged or of another version.
    """
    return inspector.open_run(path, viewer=Viewer())


def compare(
    a: Source,
    b: Source,
    *,
    kind: str = "activation",
    column: str = "rms",
    tolerance: float = TOLERANCE,
    steps: tuple[int, int] | None = None,
) -> inspector.Comparison:
    """Compare two runs, or two steps of one: which layer differs first, and by how much at which depth.

    ``print`` the comparison for a sentence, show it in a notebook for a picture, ``report("diff.html")`` for a page.
    Only steps that both runs observed are compared: record both with the same ``every=N`` and seed.

    Args:
        a: A session, an opened run, or the path of a run file.
        b: The other one; with ``steps`` it may be the same.
        kind: Which tensors: ``activation``, ``activation_gradient``, ``gradient``, ``parameter``, ``update`` ...
        column: Which number of their summaries, such as ``rms``, ``mean``, ``absmax`` or ``zero_frac``.
        tolerance: Relative differences above this one count; 0 asks for equality to the last bit.
        steps: Compare step ``steps[0]`` of ``a`` with step ``steps[1]`` of ``b`` instead of all common steps.

    Returns:
        The comparison: ``frame``, ``scalars``, ``first_divergence``, ``diverged``, ``report(path)``.

    Raises:
        DeepseekError: An argument does not fit, or nothing of that kind was recorded.
    """
    return inspector.compare(a, b, kind=kind, column=column, tolerance=tolerance, steps=steps, viewer=Viewer())

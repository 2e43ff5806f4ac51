"""How explanations are shown: their room must not know the widgets, so the front door hands it a viewer."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deepseek.widgets import Viewer
    from deepseek.widgets.explaining.widget import ExplanationWidget as ExplanationWidget


def viewer() -> "Viewer":
    """Return what shows things; the widgets are loaded at the first call."""
    from deepseek.widgets import Viewer

    return Viewer()

"""What a person sees and types: live widgets, reports, static pictures, magics and commands."""

from deepseek.widgets.viewer import Viewer

__all__ = ["Viewer"]

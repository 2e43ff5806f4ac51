"""A figure for notebooks; whoever imports this loads matplotlib."""

from io import BytesIO

from matplotlib.figure import Figure


class Picture(Figure):
    """A figure that notebooks show although pyplot does not know it."""

    def _repr_png_(self) -> bytes:
        buffer = BytesIO()
        self.savefig(buffer, format="png", dpi=96)
        return buffer.getvalue()

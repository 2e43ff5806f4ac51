"""The Bokeh documents as a message, with BokehJS as its payload: whoever imports this loads Bokeh."""

from functools import cache

from bokeh.resources import Resources

from deepseek.widgets.messages import Packet, validated
from deepseek.widgets.views.charts import charts


def charts_packet(*, program: bool) -> Packet:
    """Return all charts.

    Args:
        program: Whether BokehJS shall be the payload; a page needs it once.
    """
    return Packet(validated({"type": "charts", "documents": charts()}), bokeh_js() if program else b"")


@cache
def bokeh_js() -> bytes:
    """BokehJS of the installed Python package, which alone can read that package's documents."""
    resources = Resources(mode="inline", components=["bokeh"])
    return "\n".join(resources.js_raw).encode()

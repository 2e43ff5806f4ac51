"""Who sees a live view: pages say when it goes out of sight, and nothing is sent that nobody sees."""

from collections.abc import Callable
from weakref import WeakValueDictionary

from deepseek.errors import DeepseekError


class Audience:
    """The pages that show one view. As long as none has said a word, somebody is taken to look.

    Args:
        view: What the pages call the view.
        came: Called when a page begins to see it, in the thread that heard so.
    """

    def __init__(self, view: str, came: Callable[[], None]) -> None:
        self._came = came
        self._sees: dict[str, bool] = {}
        _audiences[view] = self

    @property
    def absent(self) -> bool:
        """Whether no page sees the view."""
        sees = list(self._sees.values())
        return bool(sees) and not any(sees)

    def hear(self, page: str, sees: bool) -> None:
        """Note what a page says."""
        came = sees and not self._sees.get(page, False)
        self._sees[page] = sees
        if came:
            self._came()

    def forget(self, page: str) -> None:
        """Note that a page is gone."""
        self._sees.pop(page, None)


_audiences: WeakValueDictionary[str, Audience] = WeakValueDictionary()


def audience_of(view: str) -> Audience:
    """Return the audience of a view.

    Raises:
        DeepseekError: There is no such view.
    """
    audience = _audiences.get(view)
    if audience is None:
        raise DeepseekError("The view has ended: run its cell again to see it live.")
    return audience


def forget_page(page: str) -> None:
    """Note that a page has gone from all views."""
    for audience in list(_audiences.values()):
        audience.forget(page)

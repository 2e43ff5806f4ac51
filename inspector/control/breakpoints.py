"""The conditions on which a session pauses by itself."""

import threading
from collections.abc import Callable, Collection, Sequence
from difflib import get_close_matches

from deepseek.errors import DeepseekError
from deepseek.inspector.control.condition import Condition, read_condition, refuse
from deepseek.inspector.record import Site, StepRecord

MAX_BREAKPOINTS = 20


class Breakpoints:
    """Conditions that are tried on every step that was recorded, in the thread that stores it.

    A condition that may hold for many steps in a row pauses when it becomes true, and again only after it was false.

    Args:
        rules: The names of the rules there are.
        sites: Gives all sites so far.
    """

    def __init__(self, rules: Collection[str], sites: Callable[[], Sequence[Site]]) -> None:
        self._rules = tuple(rules)
        self._sites = sites
        self._lock = threading.Lock()
        self._conditions: tuple[Condition, ...] = ()
        self._holding: set[Condition] = set()
        self._ids: dict[str, list[int]] = {}
        self._known_sites = 0

    @property
    def texts(self) -> list[str]:
        """The conditions as they were written."""
        return [condition.text for condition in self._conditions]

    def add(self, text: str) -> None:
        """Add a condition; one that is there already stays as it is.

        Raises:
            DeepseekError: It cannot be read, names a site that does not exist, or there are too many.
        """
        condition = read_condition(text, self._rules)
        self._check_sites(condition)
        with self._lock:
            if text in self.texts:
                return
            if len(self._conditions) >= MAX_BREAKPOINTS:
                raise DeepseekError(
                    f"There are {MAX_BREAKPOINTS} breakpoints already; `session.clear_breaks()` removes them."
                )
            self._conditions += (condition,)

    def clear(self) -> None:
        """Forget all conditions."""
        with self._lock:
            self._conditions = ()
            self._holding.clear()

    def hit(self, record: StepRecord) -> str | None:
        """Return the first condition that a step brought about, None without any."""
        hits = [condition.text for condition in self._conditions if self._is_news(condition, record)]
        return hits[0] if hits else None

    def _is_news(self, condition: Condition, record: StepRecord) -> bool:
        truth = condition.test(record, self._site_ids)
        if truth is None:
            return False
        was_true = condition in self._holding
        (self._holding.add if truth else self._holding.discard)(condition)
        return truth and not (was_true and condition.lasting)

    def _site_ids(self, name: str) -> Collection[int]:
        sites = self._sites()
        if len(sites) != self._known_sites:
            self._known_sites = len(sites)
            self._ids.clear()
        if name not in self._ids:
            self._ids[name] = [site.id for site in sites if name == site.name or name in site.aliases]
        return self._ids[name]

    def _check_sites(self, condition: Condition) -> None:
        """Refuse names that no site has; the parts of outputs (``lstm:1.0``) may be seen only later."""
        known = {name for site in self._sites() for name in (site.name, *site.aliases)}
        for name, position in condition.sites:
            if name.partition(":")[0] not in known:
                close = get_close_matches(name, known, n=1)
                hint = f"; did you mean `{close[0]}`?" if close else ""
                refuse(condition.text, position, f"there is no site `{name}`{hint}")

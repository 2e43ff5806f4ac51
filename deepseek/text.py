"""Foreign text made fit for terminals and messages: names of modules, scalars and runs may hold anything."""

import re

_ANSI_SEQUENCE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")


def printable(text: object) -> str:
    """Return ``text`` without terminal control sequences, control codes and invisible direction marks."""
    return well_formed(_CONTROL.sub("", _ANSI_SEQUENCE.sub("", str(text))))


def well_formed(text: str) -> str:
    """Return ``text`` with every half of a surrogate pair replaced: no encoding could carry it."""
    return _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)

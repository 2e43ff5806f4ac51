"""A recording in which every text that users or strangers choose is a hostile one."""

from collections.abc import Sequence
from dataclasses import replace

from synthetic import SyntheticRecording

from deepseek.inspector.record import Finding, Layout, Site, StepRecord

TAME = "harmless"
SERIES = 8
"""Scalars that the views show."""


def recording(texts: Sequence[str], *, steps: int = 3) -> SyntheticRecording:
    """Use each text as a module's, a parameter's and a class's name, as a scalar, in every field of a finding."""
    made = SyntheticRecording(title=texts[0], meta=dict(zip(texts, reversed(texts), strict=True)), blocks=0)
    made.sites = [site for place, text in enumerate(texts) for site in _sites(place, text)]
    made.layouts = [
        Layout(layout.id, texts[layout.id % len(texts)], layout.shape, layout.itemsize) for layout in made.layouts
    ]
    made.advance(steps)
    made.close()
    findings = tuple(_finding(place, texts) for place in range(len(texts)))
    made.stored = [replace(_logged(record, texts), findings=() if record.step else findings) for record in made.stored]
    return made


def tame(texts: Sequence[str], **options: int) -> SyntheticRecording:
    """Give the same recording with harmless texts: as many, and as many different ones."""
    return recording([f"{TAME}{place}" for place in range(len(texts))], **options)


def _sites(place: int, text: str) -> tuple[Site, Site]:
    # The number behind keeps apart what was different; the name still begins as the text does.
    module = f"{text}.{place}"
    return (
        Site(2 * place, module, "module", text, module, place, (text,)),
        Site(2 * place + 1, f"{module}.{text}", "parameter", text, module, place),
    )


def _finding(place: int, texts: Sequence[str]) -> Finding:
    one, two, three, four, five, six = ((texts * 6)[place + offset] for offset in range(6))
    return Finding(one, "error", two, 0, three, {four: one, two: 0.5}, five, six)


def _logged(record: StepRecord, texts: Sequence[str]) -> StepRecord:
    return replace(record, scalars=dict.fromkeys(texts[:SERIES], 0.5 + record.step))

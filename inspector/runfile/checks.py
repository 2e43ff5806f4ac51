"""What must hold between the parts of a run: steps in order, ids without gaps, nothing that refers to the unknown."""

from deepseek.inspector.record import TENSOR_KINDS, Frame, StepRecord
from deepseek.inspector.runfile.schema import MAX_IDS, MAX_STEP
from deepseek.inspector.runfile.texts import clean


def check_record(record: StepRecord, *, after: int, sites: int, layouts: int) -> None:
    """Raise ``ValueError`` unless a record may follow on step ``after`` in a file of so many sites and layouts."""
    need(after < record.step <= MAX_STEP, f"step {record.step} does not follow on step {after}")
    if record.sites or record.layouts or record.frames or record.units:
        check_parts(record, sites, layouts)


def check_parts(record: StepRecord, sites: int, layouts: int) -> None:
    """Raise ``ValueError`` unless the parts of a record fit a file of so many sites and layouts before it."""
    check_sequence("site", [site.id for site in record.sites], sites)
    check_sequence("layout", [layout.id for layout in record.layouts], layouts)
    for kind, frame in record.frames.items():
        check_kind(kind)
        check_ids(frame, sites + len(record.sites), layouts + len(record.layouts))
    for counts in record.units:
        check_site(counts.site, sites + len(record.sites))


def check_sequence(table: str, ids: list[int], known: int) -> None:
    """Raise ``ValueError`` unless new ids count on from the ``known`` ones and stay below the limit."""
    need(
        ids == list(range(known, known + len(ids))), f"expected new {table} ids to count on from {known}; got {ids[:5]}"
    )
    need(known + len(ids) <= MAX_IDS, f"there are more than {MAX_IDS} of {table}")


def check_kind(kind: str) -> None:
    """Raise ``ValueError`` for a kind that no frame has."""
    need(kind in TENSOR_KINDS, f"expected a kind out of {', '.join(TENSOR_KINDS)}; got {clean(kind)[:80]!r}")


def check_site(site: int, sites: int) -> None:
    """Raise ``ValueError`` when a site is not known yet."""
    need(site < sites, f"it refers to a site beyond the {sites} known ones")


def check_ids(frame: Frame, sites: int, layouts: int) -> None:
    """Raise ``ValueError`` when a frame refers to a site or a layout that is not known yet."""
    for name, ids, known in (("site", frame.site, sites), ("layout", frame.layout, layouts)):
        need(not len(ids) or int(ids.max()) < known, f"it refers to a {name} beyond the {known} known ones")


def need(condition: bool, fact: str) -> None:
    """Raise ``ValueError`` with the fact unless the condition holds."""
    if not condition:
        raise ValueError(fact)

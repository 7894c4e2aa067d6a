"""The comparison with tshark's DICOM dissector, as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from dicomsniff.analysis.agreement import Agreement, Difference, Told
from dicomsniff.output.info import escape

FRAMES_SHOWN = 8
"""Frames named for differences of one kind."""

UNKNOWN = "no reason is known: compare the frames in Wireshark with the timeline"


def lines(name: str, agreement: Agreement) -> Iterator[str]:
    """A heading, then the differences, those of a kind together."""
    differences = agreement.differences
    many = "PDU or message" if agreement.ours == 1 else "PDUs and messages"
    head = f"{escape(name)}: {agreement.ours or 'no'} {many}"
    if not differences:
        yield f"{head}, the same in both"
        return
    yield f"{head}, {agreement.theirs:,} in tshark"
    groups: dict[tuple[str, str | None], list[Difference]] = {}
    for each in differences:
        groups.setdefault((_what(each), each.why), []).append(each)
    for (what, why), listed in groups.items():
        frames = ", ".join(str(each.frame) for each in listed[:FRAMES_SHOWN])
        more = ", …" if len(listed) > FRAMES_SHOWN else ""
        yield f"  {len(listed):,} {what}; frames {frames}{more}"
        yield f"    why: {why or UNKNOWN}"


def _what(difference: Difference) -> str:
    ours, theirs = difference.ours, difference.theirs
    if ours is None and theirs is not None:
        return f"in tshark alone: {theirs.kind}"
    if theirs is None and ours is not None:
        return f"in dicomsniff alone: {ours.kind}"
    assert ours is not None
    assert theirs is not None
    return f"told in two ways: {_unlike(ours, theirs)}"


def _unlike(ours: Told, theirs: Told) -> str:
    """What differs of two that are of a kind."""
    parts = [ours.kind]
    for what, one, two in zip(
        ("context", "message ID", "status"), ours[1:], theirs[1:], strict=True
    ):
        if one != two:
            parts.append(f"{what} {_number(what, one)}, tshark {_number(what, two)}")
    return " ".join(parts[:1]) + ", " + "; ".join(parts[1:])


def _number(what: str, value: object) -> str:
    if value is None:
        return "none"
    return f"{value:04X}H" if what == "status" else str(value)


def summary(agreements: list[Agreement]) -> str:
    """All captures on one line."""
    counted = Counter[bool]()
    for agreement in agreements:
        for each in agreement.differences:
            counted[each.why is not None] += 1
    unlike = sum(bool(each.differences) for each in agreements)
    captures = f"{len(agreements):,} capture{'s' * (len(agreements) != 1)}"
    if not unlike:
        return f"{captures}: dicomsniff and tshark agree"
    parts = [f"{captures}, {unlike:,} with differences"]
    if counted[True]:
        parts.append(f"{counted[True]:,} for a known reason")
    if counted[False]:
        parts.append(f"{counted[False]:,} without one")
    return ": ".join((parts[0], ", ".join(parts[1:])))

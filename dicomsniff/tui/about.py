"""A finding or a presentation context as a tree: all that its row in the table has no room for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.cells import cell_len

from dicomsniff.dicom import names
from dicomsniff.model import Association, Finding, PresentationContext
from dicomsniff.output.info import info
from dicomsniff.tui.detail import Branch, Detail
from dicomsniff.tui.summary import ae_titles
from dicomsniff.tui.text import OUTCOME_ROLES, SYMBOLS, Cell, clock, safe

ROWS_SHOWN = 200
"""Rows of evidence in the tree: a screen shows some dozen, and a finding may have thousands."""

ALIKE_SHOWN = 12
"""Associations named that have the same finding."""

FRAMES_SHOWN = 32
"""Frame numbers on a line; the first one is what somebody looks up."""


def wrapped(text: str, width: int) -> list[str]:
    """Text in lines of at most ``width`` columns, broken between words where there are any."""
    lines: list[str] = []
    line = ""
    for word in safe(text).split():
        while cell_len(word) > width:  # a UID, or text without spaces
            if line:
                lines.append(line)
                line = ""
            head = word[:width]
            while cell_len(head) > width:
                head = head[:-1]
            lines.append(head)
            word = word[len(head) :]
        if line and cell_len(line) + 1 + cell_len(word) > width:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}" if line else word
    return [*lines, line] if line else lines


def _paragraph(title: str, text: str, width: int) -> Branch:
    """A title with text below it."""
    lines = wrapped(text, max(16, width - 5))
    below = [Branch(f"{title}{at}", ((line, ""),), value=line) for at, line in enumerate(lines)]
    return Branch(title, ((title, "name"),), below, open=True, value=safe(text))


def _field(name: str, value: str) -> Branch:
    return Branch(name, ((name + " ", "key"), (value, "")), value=value)


def finding(
    found: Finding, association: Association | None, width: int, more: Sequence[int] = ()
) -> Detail:
    """What was seen, what to do about it, and the rows that show it; ``more``: associations of
    other findings that are alike."""
    role = OUTCOME_ROLES[found.severity]
    head: tuple[Cell, ...] = (
        (f"{SYMBOLS[found.severity]} {found.severity} ", role),
        (safe(found.title), "strong"),
    )
    branches = [
        Branch("title", head, value=safe(found.title)),
        _paragraph("What was seen", found.detail, width),
        _paragraph("What to do", found.advice, width),
    ]
    if found.reference:
        branches.append(_field("Reference", safe(found.reference)))
    branches.append(_field("Rule", safe(found.code)))
    if association is None:
        branches.append(_field("Association", "the capture as a whole"))
    else:
        branches.append(_field("Association", f"{association.id}, {ae_titles(association)}"))
    if more:
        others = ", ".join(map(str, list(dict.fromkeys(more))[:ALIKE_SHOWN]))
        cut = " …" if len(set(more)) > ALIKE_SHOWN else ""
        alike = f"{len(more):,}, in associations {others}{cut} (r shows each)"
        branches.append(_field("More like this", alike))
    if found.frames:
        frames = ", ".join(map(str, found.frames[:FRAMES_SHOWN]))
        rest = len(found.frames) - FRAMES_SHOWN
        branches.append(_field("Frames", frames + (f" … and {rest} more" if rest > 0 else "")))
    if association is not None and found.evidence:
        branches.append(
            Branch(
                "Rows",
                (("Rows", "name"), (", enter on the finding goes to the first", "dim")),
                list(_rows(association, found.evidence)),
                open=True,
            )
        )
    return Detail(branches, [])


def _rows(association: Association, numbers: Iterable[int]) -> Iterable[Branch]:
    """Rows of the timeline that are evidence."""
    wanted = set(numbers)
    shown = [entry for entry in association.timeline if entry.number in wanted][:ROWS_SHOWN]
    for entry in shown:
        text = safe(info(association, entry))
        cells: tuple[Cell, ...] = (
            (f"{entry.last_frame:>6} {clock(entry.time)} ", "dim"),
            (text, ""),
        )
        yield Branch(f"row{entry.number}", cells, value=text)
    if len(wanted) > len(shown):
        yield Branch("more", ((f"… and {len(wanted) - len(shown)} more", "dim"),))


def context(a: Association, found: PresentationContext) -> Detail:
    """What was proposed, what was answered, and the roles that were selected for its class."""
    branches = [
        _field("Presentation context", str(found.id)),
        _field("Abstract syntax", _uid(found.abstract_syntax)),
    ]
    proposed = [
        Branch(f"proposed{at}", ((_uid(uid), ""),), value=_uid(uid))
        for at, uid in enumerate(found.proposed_transfer_syntaxes)
    ]
    branches.append(
        Branch("proposed", (("Proposed transfer syntaxes", "name"),), proposed, open=True)
    )
    if found.result is None:
        branches.append(Branch("answer", (("Answer ", "key"), ("… none was seen", "warn"))))
    elif found.result == 0:
        value = _uid(found.transfer_syntax)
        branches.append(Branch("answer", (("✓ Accepted ", "good"), (value, "")), value=value))
    else:
        reason = names.context_result(found.result)
        branches.append(
            Branch("answer", (("✗ Refused ", "bad"), (f"{found.result}: {reason}", "")))
        )
    for word, peer in (("Requestor", a.requestor), ("Acceptor", a.acceptor)):
        told = peer.user_information
        for role in told.role_selections if told is not None else ():
            if role.sop_class_uid == found.abstract_syntax:
                text = f"SCU {role.scu_role}, SCP {role.scp_role}"
                branches.append(_field(f"{word}'s role selection", text))
        for item in told.extended_negotiations if told is not None else ():
            if item.sop_class_uid == found.abstract_syntax:
                text = item.application_information[:64].hex(" ")
                branches.append(_field(f"{word}'s extended negotiation", text))
    return Detail(branches, [])


def _uid(uid: str | None) -> str:
    """A UID with its name."""
    if not uid:
        return "–"
    name = names.uid_name(uid)
    return f"{safe(uid)} {name}" if name else safe(uid)

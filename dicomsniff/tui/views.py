"""Rows of the tables about associations: contexts, findings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dicomsniff.dicom import names
from dicomsniff.model import Association, Finding, PresentationContext
from dicomsniff.output.findings import likeness
from dicomsniff.tui.summary import WORST
from dicomsniff.tui.table import Column
from dicomsniff.tui.text import OUTCOME_ROLES, SYMBOLS, Cell, Role, safe

Row = dict[str, Cell]


def uid_text(uid: str | None) -> str:
    """The name of a UID, or the UID itself."""
    if not uid:
        return "–"
    return names.uid_name(uid) or safe(uid)


# ---------------------------------------------------------------------------- contexts

CONTEXT_COLUMNS = (
    ("id", "ID", 3, 3, True),
    ("verdict", "Verdict", 9, 12, False),
    ("uses", "Used", 4, 7, True),
    ("abstract", "Abstract syntax", 15, 44, False),
    ("accepted", "Accepted", 10, 36, False),
    ("proposed", "Proposed transfer syntaxes", 20, 200, False),
)


def context_columns() -> list[Column]:
    """Columns of the contexts view."""
    return [
        Column(key, title, least, most, right) for key, title, least, most, right in CONTEXT_COLUMNS
    ]


def context_rows(association: Association) -> tuple[list[Row], list[object]]:
    """A row for each presentation context: what was proposed, what became of it."""
    uses: dict[int, int] = {}
    first: dict[int, int] = {}
    for entry in association.timeline:
        if entry.message is not None:
            number = entry.message.context_id
            uses[number] = uses.get(number, 0) + 1
            first.setdefault(number, entry.number)
    rows: list[Row] = []
    targets: list[object] = []
    for context in association.contexts.values():
        used = uses.pop(context.id, 0)
        rows.append(_context_row(context, used))
        targets.append((association, first.get(context.id), context))
    for context_id, used in uses.items():
        rows.append(
            {
                "": ("! ", "bad"),
                "id": (str(context_id), ""),
                "verdict": ("✗ not proposed", "bad"),
                "uses": (str(used), ""),
                "abstract": ("used without negotiation, or negotiated before the capture", "warn"),
            }
        )
        targets.append((association, first.get(context_id)))
    return rows, targets


def _context_row(context: PresentationContext, used: int) -> Row:
    role: Role
    if context.result is None:
        verdict, role = "… no answer", "warn"
    elif context.result == 0:
        verdict, role = ("✓ accepted", "good") if used else ("· unused", "dim")
    else:
        verdict, role = "✗ refused", "bad"
    accepted = uid_text(context.transfer_syntax)
    if context.result:
        accepted = names.context_result(context.result)
    proposed = ", ".join(uid_text(uid) for uid in context.proposed_transfer_syntaxes)
    return {
        "": (verdict[0] + " ", role),
        "id": (str(context.id), ""),
        "verdict": (verdict, role),
        "uses": (str(used) if used else "", ""),
        "abstract": (uid_text(context.abstract_syntax), "strong"),
        "accepted": (accepted, role),
        "proposed": (proposed, "dim"),
    }


# ---------------------------------------------------------------------------- findings


def finding_columns() -> list[Column]:
    """Columns of the findings view."""
    return [
        Column("severity", "Severity", 9, 9),
        Column("association", "#", 3, 7, right=True),
        Column("code", "Code", 10, 36, hidden_below=100),
        Column("title", "Finding", 20, 70),
        Column("detail", "What was seen, what to do", 20, 2000),
    ]


def finding_rows(
    associations: Iterable[Association], whole: Sequence[Finding], *, together: bool = False
) -> tuple[list[Row], list[object]]:
    """Findings of all associations and of the capture, the worst first. ``together``: those that
    are alike (:func:`dicomsniff.output.findings.likeness`) have one row, which is the first's."""
    found: list[tuple[int, int, Finding, Association | None]] = [
        (WORST[finding.severity], 0, finding, None) for finding in whole
    ]
    for association in associations:
        found += [(WORST[f.severity], association.id, f, association) for f in association.findings]
    found.sort(key=lambda item: item[:2])
    rows: list[Row] = []
    targets: list[object] = []
    alike: dict[object, list[int]] = {}
    if together:
        for _, number, finding, of in found:
            alike.setdefault(likeness(finding, of), []).append(number)
    for _, number, finding, association_or_none in found:
        more: list[int] = []
        title = safe(finding.title)
        if together:
            numbers = alike.pop(likeness(finding, association_or_none), None)
            if numbers is None:
                continue  # told by the first of its kind
            more = numbers[1:]
            if more:
                title = f"×{len(numbers):,} {title}"
        role = OUTCOME_ROLES[finding.severity]
        detail = f"{finding.detail} {finding.advice}"
        rows.append(
            {
                "": (SYMBOLS[finding.severity] + " ", role),
                "severity": (f"{SYMBOLS[finding.severity]} {finding.severity}", role),
                "association": (str(number) if number else "–", ""),
                "code": (safe(finding.code), "dim"),
                "title": (title, "strong"),
                "detail": (safe(detail), ""),
            }
        )
        evidence = finding.evidence[0] if finding.evidence else None
        targets.append((association_or_none, evidence, finding, more))
    return rows, targets

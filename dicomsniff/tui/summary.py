"""What a line about an association says, kept up to date without reading it all again."""

from __future__ import annotations

from collections.abc import Iterable

from dicomsniff.model import Association, Severity
from dicomsniff.tui.text import safe

WORST: dict[Severity, int] = {"error": 0, "warning": 1, "note": 2}
"""Order of severities, the worst first."""


class Summary:
    """Running counts of one association."""

    __slots__ = ("association", "failures", "messages", "operations", "seen_entries", "services")

    def __init__(self, association: Association) -> None:
        self.association = association
        self.messages = 0
        self.failures = 0
        self.services: dict[str, int] = {}
        self.operations = 0
        self.seen_entries = 0

    def update(self) -> None:
        """Count what was added since the last time."""
        timeline = self.association.timeline
        size = len(timeline)
        for at in range(self.seen_entries, size):
            message = timeline[at].message
            if message is not None:
                self.messages += 1
        self.seen_entries = size
        operations = self.association.operations
        size = len(operations)
        for at in range(self.operations, size):
            service = operations[at].service or "?"
            self.services[service] = self.services.get(service, 0) + 1
        self.operations = size

    @property
    def operations_text(self) -> str:
        """``C-FIND×1 C-MOVE×3``, or a dash."""
        if not self.services:
            return "–"
        return " ".join(f"{safe(service)}×{count}" for service, count in self.services.items())

    @property
    def worst(self) -> Severity | None:
        """The severity of its worst finding."""
        findings = self.association.findings
        return min((f.severity for f in findings), key=lambda each: WORST[each], default=None)


class Summaries:
    """A summary for every association that was asked for."""

    def __init__(self) -> None:
        self._by_id: dict[int, Summary] = {}

    def forget(self, associations: Iterable[Association]) -> None:
        """These are not asked for any more; others may get their places in memory."""
        for association in associations:
            self._by_id.pop(id(association), None)

    def __call__(self, association: Association) -> Summary:
        """The summary of an association, up to date."""
        key = id(association)
        summary = self._by_id.get(key)
        if summary is None:
            summary = self._by_id[key] = Summary(association)
        summary.update()
        return summary


def ae_titles(association: Association) -> str:
    """``FLC1270→MOZI``; an address stands in where no AE title is known."""
    calling = association.requestor.ae_title or association.requestor.address
    called = association.acceptor.ae_title or association.acceptor.address
    return f"{safe(calling)}→{safe(called)}"


def name_of(association: Association, side: str) -> str:
    """The AE title of a side, or its address."""
    peer = association.requestor if side == "requestor" else association.acceptor
    return safe(peer.ae_title or peer.address)

"""What an association that is open waits for, and since when."""

from __future__ import annotations

from typing import NamedTuple

from dicomsniff.model import Association, Operation
from dicomsniff.tui.text import Role, safe, size

OPERATIONS_LOOKED_AT = 64
"""The latest operations of an association among which unanswered ones are looked for: without a
negotiated window there is one at a time (PS3.7 D.3.3.3)."""

SLOW_NS = 5_000_000_000
"""An answer that takes longer than this is shown as late."""

UNANSWERED, UNDER_WAY, IDLE = range(3)


class Waiting(NamedTuple):
    """What is waited for."""

    rank: int
    """``UNANSWERED`` before ``UNDER_WAY`` before ``IDLE``."""
    text: str
    since: int
    """Nanoseconds since the epoch."""

    def told(self, now: int) -> str:
        """As one reads it: ``C-FIND-RQ unanswered for 12 s``."""
        ago = " ago" if self.rank == UNDER_WAY else ""
        return f"{self.text} {_long(now - self.since)}{ago}"

    def role(self, now: int) -> Role:
        """How urgent it looks."""
        if self.rank == IDLE:
            return "dim"
        return "warn" if now - self.since > SLOW_NS else ""


def _long(nanoseconds: int) -> str:
    """How long, in whole seconds, minutes or hours: it is read while it grows."""
    seconds = max(0, nanoseconds) // 1_000_000_000
    if seconds < 100:
        return f"{seconds} s"
    minutes = seconds // 60
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


def waiting(association: Association) -> Waiting:
    """What an open association waits for. Another thread may add to it meanwhile."""
    release = request = None
    timeline = association.timeline
    if timeline:
        first, last = timeline[0], timeline[-1]
        if last.kind == "A-RELEASE-RQ":
            release = last
        if first is last and first.kind == "A-ASSOCIATE-RQ":
            request = first
    asked = release or request
    if asked is not None:
        return Waiting(UNANSWERED, f"{asked.kind} unanswered for", asked.time)
    oldest: Waiting | None = None
    for operation in association.operations[-OPERATIONS_LOOKED_AT:]:
        found = _unanswered(operation)
        if found is not None and (oldest is None or found.since < oldest.since):
            oldest = found
    octets, latest = association.under_way() if association.under_way is not None else (0, 0)
    if octets:
        # Who receives a long message answers when it is whole.
        return Waiting(UNDER_WAY, f"a message under way, {size(octets)} so far, last byte", latest)
    if oldest is not None:
        return oldest
    return Waiting(IDLE, "nothing asked for", max(association.ended, latest))


def _unanswered(operation: Operation) -> Waiting | None:
    """What an operation waits for, None where it has its final response."""
    request = operation.request
    if operation.status is not None or request is None:
        return None
    responses = operation.responses
    kind = safe(request.kind) + (", cancelled," if operation.cancelled else "")
    if not responses:
        return Waiting(UNANSWERED, f"{kind} unanswered for", request.time)
    left = operation.sub_operations.remaining if operation.sub_operations is not None else None
    left_text = f", {left} remaining" if left is not None else ""
    count = len(responses)
    text = f"{kind} {count} response{'s' * (count != 1)}{left_text}, none for"
    return Waiting(UNANSWERED, text, responses[-1].time)

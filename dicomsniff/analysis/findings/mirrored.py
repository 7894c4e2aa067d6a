"""The capture holds packets twice."""

from __future__ import annotations

from collections.abc import Iterator

from dicomsniff.analysis.findings import Rule, View, finding, watch
from dicomsniff.analysis.findings.words import count
from dicomsniff.model import CaptureInfo, Finding

DUPLICATES = Rule(
    "capture-duplicates",
    "note",
    "connection",
    "Packets were captured more than once: a mirror of both directions, several interfaces, or a "
    "tunnel seen inside and outside.",
)


@watch(DUPLICATES)
class Mirrored:
    """Known when the capture ends."""

    def association(self, view: View) -> Iterator[Finding]:  # noqa: ARG002
        """Nothing is missing from any association because of it."""
        yield from ()

    def finish(self, info: CaptureInfo) -> Iterator[Finding]:
        """How many there were."""
        if not info.duplicates:
            return
        yield finding(
            "capture-duplicates",
            f"{count(info.duplicates, 'frame')} of {info.packets:,} hold a packet seen before",
            "Each was read once; none of them is counted as a retransmission.",
            "Nothing is wrong with the traffic. To capture half as much, mirror one direction of "
            "each port, or capture on one interface.",
        )

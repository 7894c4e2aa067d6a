"""Which findings each recorded session gives, and that what is healthy gives none that matter.

The severities that call for somebody, errors and warnings, are listed in full: whatever else a rule
says of a session of real tools is a false alarm, and fails here.
"""

from __future__ import annotations

import random
from collections import Counter

import pytest

from dicomsniff.analysis.pipeline import Listener, Pipeline
from dicomsniff.model import Association, Finding, Frame
from dicomsniff.sources import open_capture
from tests.support import CAPTURES, PUBLIC_CAPTURES, capture

EXPECTED: dict[str, dict[str, int]] = {
    "commitment": {"commitment-failed": 1},
    "commitment-same-association": {"commitment-failed": 1},
    "get": {"delayed-acknowledgement": 1},
    "get-no-context": {"get-no-storage-context": 1, "retrieve-sub-operations-failed": 1},
    "get-no-role": {"retrieve-sub-operations-failed": 1, "role-selection-missing": 1},
    "http-port": {"not-understood": 1},
    "identity-refused": {"association-rejected": 1, "user-identity-clear": 1},
    "identity-token": {"user-identity-clear": 1},
    "lost-fin": {"connection-cut": 1, "connection-lost": 1},
    "lost-reset": {"connection-cut": 1},
    "move": {"delayed-acknowledgement": 1},
    "move-aborted": {
        "association-aborted": 1,
        "move-sub-association-broken": 1,
        "retrieve-sub-operations-failed": 1,
    },
    "move-no-context": {
        "move-sub-association-no-context": 1,
        "no-common-context": 1,
        "retrieve-sub-operations-failed": 1,
    },
    "move-refused": {"move-sub-association-refused": 1, "retrieve-sub-operations-failed": 1},
    "move-rejected": {
        "association-rejected": 1,
        "move-sub-association-rejected": 1,
        "retrieve-sub-operations-failed": 1,
    },
    "move-store-failed": {"retrieve-sub-operations-failed": 1, "store-failed": 1},
    "move-unknown-destination": {"move-destination-unknown": 1},
    "mpps": {"mpps-illegal-change": 1},
    "mpps-faulty": {
        "delayed-acknowledgement": 1,
        "mpps-illegal-change": 3,
        "mpps-not-completed": 1,
        "mpps-required-attribute": 1,
    },
    "negotiation": {"user-identity-clear": 1},
    "negotiation-answered": {"user-identity-clear": 1},
    "no-answer": {"association-unanswered": 1},
    "no-context": {"no-common-context": 1},
    "orthanc-query": {"text-lost": 1},
    "port-closed": {"connection-refused": 1},
    "port-rejected": {"connection-unreachable": 1},
    "print": {"print-warning": 1},
    "print-dcmtk": {"delayed-acknowledgement": 1},
    "query-levels": {"query-level": 2, "query-unique-key-missing": 1, "status-failure": 3},
    "receiver-full": {"receiver-full": 1},
    "retransmissions": {"retransmissions": 1},
    "silence-reset": {"connection-timeout": 1},
    "silence-swallowed": {"connection-swallowed": 1},
    "store-aborted-by-scp": {"association-aborted": 2},
    "store-aborted-by-scu": {"association-aborted": 1},
    "store-contradicts": {"data-not-as-negotiated": 1, "store-uid-contradicts": 1},
    "store-failed": {"store-coerced": 1, "store-failed": 3},
    "store-refused": {"association-rejected": 1},
    "syn-unanswered": {"connection-unanswered": 1},
    "tls-refused": {
        "tls-certificate-date": 1,
        "tls-handshake-refused": 4,
        "tls-on-plain-port": 1,
        "tls-version-mismatch": 1,
    },
    "violations": {
        "association-aborted": 4,
        "asynchronous-window-exceeded": 1,
        "context-not-accepted": 1,
        "group-length-wrong": 1,
        "maximum-length-exceeded": 1,
        "message-id-repeated": 1,
        "odd-length": 1,
        "response-unasked": 1,
    },
    "worklist-abandoned": {"query-abandoned": 1, "worklist-empty-required-key": 1},
    "worklist-asked-wrong-level": {"worklist-key-wrong-level": 1},
    "worklist-faulty": {
        "data-value": 1,
        "query-key-ignored": 1,
        "worklist-empty-required-key": 2,
        "worklist-step-sequence": 1,
    },
    "worklist-gbk-as-latin": {"charset-doubtful": 1},
    "worklist-gbk-undeclared": {"charset-undeclared": 1},
    "worklist-no-match": {"query-no-match": 1},
    "worklist-not-understood": {"data-value": 1, "status-failure": 1},
    "worklist-patient-inside": {"worklist-key-wrong-level": 1},
    "worklist-refused": {"association-rejected": 1},
    "worklist-slow": {"response-slow": 1},
    "worklist-station-title": {"query-no-match": 1},
    "worklist-timeout": {"query-given-up": 1},
    "worklist-too-deep": {"worklist-key-wrong-level": 1},
    "worklist-wrong-level": {"worklist-key-wrong-level": 1},
}
"""Errors and warnings of each capture; those not named give none.

The stalls are real: dcmtk writes the header of a PDU by itself and waits for its acknowledgement,
which Linux delays by 40 ms. They are told of every session, and a warning where they come by the
dozen.
"""

NAMES = sorted(path.stem for path in CAPTURES.glob("*.pcapng"))

PEOPLE = frozenset((0x00100010, 0x00100020, 0x00100030, 0x00081050, 0x00080090, 0x00080080))
"""Attributes of people that the recordings fill: names, IDs, birth dates, physicians, hospital."""


class Kept(Listener):
    """Keeps associations that ended."""

    def __init__(self) -> None:
        self.associations: list[Association] = []

    def association_ended(self, association: Association) -> None:
        self.associations.append(association)


def frames_of(name: str) -> list[Frame]:
    return list(open_capture(str(capture(f"{name}.pcapng")), reader="scapy"))


def checked(frames: list[Frame]) -> tuple[list[Association], list[Finding]]:
    kept = Kept()
    pipeline = Pipeline(listener=kept)
    for frame in frames:
        pipeline.feed(frame)
    pipeline.finish()
    found = [each for a in kept.associations for each in a.findings] + pipeline.findings
    return kept.associations, found


@pytest.mark.parametrize("name", NAMES)
def test_errors_and_warnings(name: str) -> None:
    _, found = checked(frames_of(name))
    got = Counter(each.code for each in found if each.severity != "note")
    assert dict(got) == EXPECTED.get(name, {})


def test_the_table_speaks_of_captures_that_exist() -> None:
    assert set(EXPECTED) <= set(NAMES)
    assert all(EXPECTED.values())


@pytest.mark.parametrize("name", NAMES)
def test_every_finding_is_whole(name: str) -> None:
    """Evidence exists, texts are sentences for people, and nobody is named in them."""
    from dicomsniff.dicom.dataset import decode

    associations, _ = checked(frames_of(name))
    for association in associations:
        people = set()
        for entry in association.timeline:
            message = entry.message
            if message is not None and message.dataset is not None:
                decoded = decode(message.dataset, message.transfer_syntax)
                for path, element in decoded.walk():
                    if path[-1] in PEOPLE:
                        for each in element.values:
                            people |= {part for part in str(each).split("^") if len(part) > 2}
        frames = {frame for entry in association.timeline for frame in entry.frames}
        for found in association.findings:
            assert set(found.evidence) <= {entry.number for entry in association.timeline}
            if found.evidence:
                assert frames & set(found.frames)
            texts = (found.title, found.detail, found.advice)
            assert all(texts)
            assert "\n" not in "".join(texts)
            assert found.title[-1] != "."
            assert found.detail[-1] == "."
            for person in people:
                assert all(person not in text for text in texts), found.code


def test_damage_is_told_and_never_raised() -> None:
    """Bytes changed, frames dropped, doubled and cut short: the rules see all kinds of nonsense."""
    chance = random.Random(6)
    seen = Counter[str]()
    for name in ("worklist", "store-failed", "get", "mpps", "negotiation", "lost-fin", "async"):
        frames = frames_of(name)
        for _ in range(25):
            broken: list[Frame] = []
            for frame in frames:
                what = chance.random()
                if what < 0.05:
                    continue
                data = bytearray(frame.data)
                if what < 0.3:
                    for _ in range(chance.randrange(1, 4)):
                        data[chance.randrange(54, len(data)) if len(data) > 54 else 0] = (
                            chance.randrange(256)
                        )
                if what > 0.97:
                    broken.append(frame)
                broken.append(frame._replace(data=bytes(data)))
            seen.update(each.code for each in checked(broken)[1])
    # Damage has been done, and was seen in many ways.
    assert len(seen) > 15, seen


@pytest.mark.parametrize(
    "path",
    sorted(PUBLIC_CAPTURES.rglob("*.pcap*")) if PUBLIC_CAPTURES.exists() else [],
    ids=lambda path: path.name,
)
def test_public_captures(path: object) -> None:
    """Sessions of other people's devices: whatever is said of them, it is said without a fault."""
    kept = Kept()
    pipeline = Pipeline(listener=kept)
    for frame in open_capture(str(path), reader="scapy"):
        pipeline.feed(frame)
    pipeline.finish()
    for association in kept.associations:
        for found in association.findings:
            assert found.title
            assert found.advice

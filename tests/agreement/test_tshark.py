"""Our PDUs and messages against those of tshark's DICOM dissector, capture by capture.

Either they agree, or the difference is listed here with its reason, which ``compare-tshark`` has to
find by itself; a difference that no longer occurs fails as well, so that the list stays true.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from dicomsniff.analysis.agreement import laid
from dicomsniff.analysis.pipeline import Listener, Pipeline
from dicomsniff.model import Association, CaptureInfo, Entry
from dicomsniff.output.info import info
from tests import rewrite, wire
from tests.agreement.dissector import Theirs, Told, oracle
from tests.support import CAPTURES, PUBLIC_CAPTURES, require

DIFFERENCES: dict[str, dict[tuple[str, str], int]] = {
    "store-transfer-syntaxes.pcapng": {
        # JPEG Baseline, RLE Lossless and Deflated Explicit VR Little Endian.
        (
            "C-STORE-RSP",
            "a response behind a deflated or encapsulated data set: tshark reads its command with "
            "the data set's transfer syntax",
        ): 3,
    },
    "store-contradicts.pcapng": {
        (
            "C-STORE-RSP",
            "a response behind a data set that is not in the transfer syntax agreed on: tshark "
            "loses its command",
        ): 1,
    },
    "violations.pcapng": {
        (
            "C-ECHO-RQ",
            "a command set in several fragments: tshark does not put them together",
        ): 1,
    },
    "http-port.pcapng": {
        (
            "UNDECODED",
            "bytes that are no PDU: tshark hands them to the dissector of what they are",
        ): 1,
    },
}
"""What tshark does not tell and we do: of a capture, kinds and why, and how many."""

HTJ2K_KNOWN = {
    ("C-STORE-RSP", next(iter(DIFFERENCES["store-transfer-syntaxes.pcapng"]))[1]): 1,
}
"""The same of htj2k-syntax.pcapng, once tshark knows that transfer syntax (4.4 does, 4.0 not): as
long as it does not, it reads the command rightly."""

SILENT = {
    "tls.pcapng",
    "tls-refused.pcapng",
    "port-closed.pcapng",
    "port-rejected.pcapng",
    "HL7-ADT.pcap",
}
"""Captures that hold no DICOM anybody could read without keys."""

PATHS = sorted(CAPTURES.glob("*.pcapng")) + sorted(PUBLIC_CAPTURES.rglob("*.pcap"))


def rebuilt(path: Path) -> list[Association]:
    class Collect(Listener):
        def __init__(self) -> None:
            self.associations: list[Association] = []

        def association_ended(self, association: Association) -> None:
            self.associations.append(association)

    listener = Collect()
    pipeline = Pipeline(listener=listener)
    for frame in rewrite.raw_frames(path):
        pipeline.feed(frame)
    pipeline.finish()
    return listener.associations


def ours(associations: list[Association]) -> list[Told]:
    return [
        Told(
            entry.kind,
            (association.peer(entry.sender).port, association.other(entry.sender).port),
            *(
                (entry.message.context_id, entry.message.message_id, entry.message.status)
                if entry.message is not None
                else ()
            ),
        )
        for association in associations
        for entry in association.timeline
        if entry.kind not in ("GAP", "CONNECTION-LOST")
    ]


def called_ports(path: Path) -> set[int]:
    packets = rewrite.load(path)
    opened = {p.dport for p in packets if p.flags & (rewrite.SYN | rewrite.ACK) == rewrite.SYN}
    return opened or {packets[0].dport}


@pytest.fixture(scope="module")
def dissected() -> Iterator[dict[Path, Future[Theirs]]]:
    """tshark takes a quarter of a second a file just to start: two at a time."""
    require("tshark")
    with ThreadPoolExecutor(2) as pool:
        yield {path: pool.submit(oracle, path, called_ports(path)) for path in PATHS}


@pytest.mark.parametrize("path", PATHS, ids=lambda p: p.name)
def test_pdus_and_messages(path: Path, dissected: dict[Path, Future[Theirs]]) -> None:
    associations = rebuilt(path)
    theirs = dissected[path].result().dissected
    agreement = laid(associations, theirs, CaptureInfo(path.name, "scapy"))
    assert bool(agreement.ours) == (path.name not in SILENT)
    found = Counter(
        (each.ours.kind, each.why)
        for each in agreement.differences
        if each.ours is not None and each.theirs is None
    )
    assert len(agreement.differences) == found.total(), "tshark alone tells something"
    if not (path.name == "htj2k-syntax.pcapng" and found == HTJ2K_KNOWN):
        assert found == DIFFERENCES.get(path.name, {})
    told = [each for each in ours(associations) if each.kind != "TLS"]
    assert len(told) == agreement.ours
    if not found:
        # Laid beside each other with no help of what is tested here.
        assert by_way(told) == by_way(dissected[path].result().told)


def by_way(told: list[Told]) -> dict[tuple[int, int], list[Told]]:
    ways: dict[tuple[int, int], list[Told]] = {}
    for each in told:
        ways.setdefault(each.way, []).append(each)
    return ways


@pytest.mark.parametrize("path", PATHS, ids=lambda p: p.name)
def test_the_words_of_the_rows(path: Path, dissected: dict[Path, Future[Theirs]]) -> None:
    """PDUs in Wireshark's very words; messages begin with them."""
    theirs = set(dissected[path].result().rows)
    for association in rebuilt(path):
        for entry in association.timeline:
            text = info(association, entry)
            if entry.kind in ("A-ASSOCIATE-RQ", "A-ASSOCIATE-AC", "A-RELEASE-RQ", "A-RELEASE-RP"):
                assert text in theirs
            elif entry.message is not None and entry.message.is_request:
                start = f"{entry.kind} ID={entry.message.message_id}"
                assert text.startswith(f"P-DATA, {start}")
                assert any(row.startswith(start) for row in theirs), start


# ---------------------------------------------------------------------------- where it goes wrong


class Session:
    """A session made by hand, for us and for tshark, over one TCP connection."""

    def __init__(self, port: int = 11112) -> None:
        self.ways = {"r": (50_000, port), "a": (port, 50_000)}
        self.sent = {"r": 1, "a": 1}
        self.packets: list[rewrite.Packet] = []
        self.port = port
        self._add("r", b"", rewrite.SYN, 0)
        self._add("a", b"", rewrite.SYN | rewrite.ACK, 0)
        self._add("r", b"")

    def _add(self, side: str, data: bytes, flags: int = 24, seq: int | None = None) -> None:
        addresses = {"r": bytes((10, 0, 0, 1)), "a": bytes((10, 0, 0, 2))}
        other = "a" if side == "r" else "r"
        sport, dport = self.ways[side]
        self.packets.append(
            rewrite.Packet(
                1_700_000_000_000_000_000 + len(self.packets) * 1_000_000,
                addresses[side],
                addresses[other],
                sport,
                dport,
                self.sent[side] if seq is None else seq,
                self.sent[other] if flags & rewrite.ACK else 0,
                flags,
                data,
            )
        )
        self.sent[side] += len(data)

    def say(self, side: str, *parts: bytes) -> Session:
        """Each part in a segment of its own."""
        for part in parts:
            self._add(side, part)
        return self

    def mine(self) -> list[Association]:
        return rewrite.rebuild(self.packets)

    def kinds(self) -> list[str]:
        return [entry.kind for a in self.mine() for entry in a.timeline]

    def messages(self) -> list[Entry]:
        return [e for a in self.mine() for e in a.timeline if e.message is not None]

    def theirs(self, tmp_path: Path, *, decode_as: bool = True) -> Theirs:
        path = tmp_path / "session.pcap"
        path.write_bytes(rewrite.pcap(rewrite.frames(self.packets)))
        return oracle(path, [self.port] if decode_as else [])


def associated(
    *contexts: tuple[int, str, str, int], port: int = 11112, session: Session | None = None
) -> Session:
    session = session or Session(port)
    proposed = [(number, abstract, [syntax]) for number, abstract, syntax, _ in contexts]
    session.say("r", wire.request(proposed))
    return session.say("a", wire.accept([(n, result, syntax) for n, _, syntax, result in contexts]))


FIND, CT, ECHO = wire.STUDY_ROOT_FIND, wire.CT, wire.VERIFICATION
IDENTIFIER = wire.element(0x0008, 0x0052, "CS", b"STUDY ") + wire.element(
    0x0010, 0x0020, "LO", b"TEST-0001 " * 10
)


def test_1_status_behind_a_deflated_data_set(tmp_path: Path) -> None:
    session = associated((1, CT, wire.DEFLATED, 0))
    session.say("r", wire.command(1, 0x0001, dataset=True), wire.data(1, wire.deflate(IDENTIFIER)))
    session.say("a", wire.command(1, 0x8001, status=0xA700))
    entries = session.messages()
    assert [(e.kind, e.message.status) for e in entries if e.message] == [
        ("C-STORE-RQ", None),
        ("C-STORE-RSP", 0xA700),
    ]
    held = entries[0].message.dataset  # type: ignore[union-attr]
    assert held is not None
    assert held.inflated
    assert held.held == IDENTIFIER
    assert all(told.status != 0xA700 for told in session.theirs(tmp_path).told)


def test_2_long_values_of_64_bits() -> None:
    from dicomsniff.dicom import dataset

    data = (
        wire.element(0x0008, 0x0052, "CS", b"STUDY ")
        + wire.element(0x0008, 0x040C, "UV", struct.pack("<Q", 5))
        + wire.element(0x0010, 0x0020, "LO", b"TEST-0001 ")
    )
    session = associated((1, FIND, wire.EXPLICIT, 0))
    session.say("r", wire.command(1, 0x0020, dataset=True), wire.data(1, data))
    message = session.messages()[0].message
    assert message is not None
    assert message.dataset is not None
    decoded = dataset.decode(message.dataset, message.transfer_syntax)
    assert [e.values for e in decoded.elements] == [("STUDY",), (5,), ("TEST-0001",)]


def test_3_a_cancel_during_a_fragmented_identifier(tmp_path: Path) -> None:
    session = associated((1, FIND, wire.EXPLICIT, 0))
    session.say("r", wire.command(1, 0x0020, 7, dataset=True), wire.data(1, IDENTIFIER))
    half = len(IDENTIFIER) // 2
    session.say(
        "a",
        wire.command(1, 0x8020, 7, status=0xFF00, dataset=True),
        wire.data(1, IDENTIFIER[:half], last=False),
    )
    session.say("r", wire.command(1, 0x0FFF, 7))
    session.say("a", wire.data(1, IDENTIFIER[half:]), wire.command(1, 0x8020, 7, status=0xFE00))
    entries = session.messages()
    assert [(e.kind, e.message.status, e.complete) for e in entries if e.message] == [
        ("C-FIND-RQ", None, True),
        ("C-CANCEL-RQ", None, True),
        ("C-FIND-RSP", 0xFF00, True),
        ("C-FIND-RSP", 0xFE00, True),
    ]
    assert entries[2].message.dataset.held == IDENTIFIER  # type: ignore[union-attr]
    (association,) = session.mine()
    assert [(o.cancelled, o.status) for o in association.operations] == [(True, 0xFE00)]
    assert not any("C-FIND-RSP-DATA" in row for row in session.theirs(tmp_path).rows)


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.4.201", "1.2.3.4.5.6.7"])
def test_4_a_transfer_syntax_that_nobody_knows(syntax: str) -> None:
    session = associated((1, CT, syntax, 0))
    session.say("r", wire.command(1, 0x0001, dataset=True), wire.data(1, IDENTIFIER))
    session.say("a", wire.command(1, 0x8001, status=0))
    entries = session.messages()
    assert [e.kind for e in entries] == ["C-STORE-RQ", "C-STORE-RSP"]
    assert all(e.message.abstract_syntax == CT and not e.faults for e in entries if e.message)


def test_4_data_on_a_context_that_was_refused() -> None:
    session = associated((1, ECHO, wire.IMPLICIT, 0), (3, CT, wire.EXPLICIT, 3))
    session.say("r", wire.command(3, 0x0001, dataset=True), wire.data(3, IDENTIFIER))
    (entry,) = session.messages()
    assert (entry.kind, entry.complete) == ("C-STORE-RQ", True)
    assert [f.text for f in entry.faults] == ["presentation context 3 was not accepted"]


def test_5_what_a_row_of_a_response_tells(tmp_path: Path) -> None:
    session = associated((1, wire.STUDY_ROOT_MOVE, wire.EXPLICIT, 0), (3, CT, wire.EXPLICIT, 0))
    session.say("r", wire.command(1, 0x0021, 9, dataset=True), wire.data(1, IDENTIFIER))
    session.say("a", wire.command(1, 0x8021, 9, status=0xB000, counts=(0, 3, 1, 1)))
    session.say("r", wire.command(3, 0x0001, 10, dataset=True), wire.data(3, IDENTIFIER))
    session.say("a", wire.command(3, 0x8001, 10, status=0xB000, sop_class=CT))
    session.say("r", wire.command(3, 0x0001, 11, dataset=True), wire.data(3, IDENTIFIER))
    session.say("a", wire.command(3, 0x8001, 11, status=0x0124, sop_class=CT))
    (association,) = session.mine()
    rows = [info(association, e) for e in association.timeline if e.kind.endswith("RSP")]
    assert rows[0].startswith("P-DATA, C-MOVE-RSP ID=9 C=3 W=1 F=1 (Warning: ")
    assert "Sub-operations" in rows[0]
    assert rows[1] == "P-DATA, C-STORE-RSP ID=10 (Warning: Coercion of Data Elements, 0xB000)"
    assert rows[2].startswith("P-DATA, C-STORE-RSP ID=11 (Failure: ")
    assert "uthori" in rows[2]
    theirs = [row for row in session.theirs(tmp_path).rows if "STORE-RSP" in row]
    assert theirs
    assert not any("ID=10" in row or "ID=11" in row for row in theirs)
    assert "Sub-operations" in theirs[0]


@pytest.mark.parametrize("source", [0, 2])
@pytest.mark.parametrize("sender", ["r", "a"])
def test_6_the_arrow_of_an_abort_comes_from_who_sent_it(
    sender: str, source: int, tmp_path: Path
) -> None:
    session = associated((1, ECHO, wire.IMPLICIT, 0))
    session.say(sender, wire.abort(source, 0))
    (association,) = session.mine()
    row = info(association, association.timeline[-1])
    assert ("FLC1270 --> STORAGE" if sender == "r" else "FLC1270 <-- STORAGE") in row
    assert association.outcome_detail.startswith(
        "by the requestor" if sender == "r" else "by the acceptor"
    )
    theirs = session.theirs(tmp_path).rows[-1].replace("&gt;", ">").replace("&lt;", "<")
    # tshark: an abort of the service user comes from the requestor, one of the provider does not.
    wrong = (sender == "r") != (source == 0)
    assert (("-->" in theirs) == (sender == "r")) != wrong


def test_7_several_responses_and_a_release_in_one_segment(tmp_path: Path) -> None:
    session = associated((1, FIND, wire.EXPLICIT, 0))
    session.say("r", wire.command(1, 0x0020, 1, dataset=True) + wire.data(1, IDENTIFIER))
    pending = wire.command(1, 0x8020, 1, status=0xFF00, dataset=True) + wire.data(1, IDENTIFIER)
    session.say("a", pending * 3 + wire.command(1, 0x8020, 1, status=0) + wire.release())
    assert session.kinds()[3:] == ["C-FIND-RSP"] * 4 + ["A-RELEASE-RQ"]
    rows = session.theirs(tmp_path).rows
    assert sum("C-FIND-RSP ID=1 (Success)" in row for row in rows) == 1


@pytest.mark.parametrize("cuts", [(6,), (1, 2, 3, 4, 5, 6, 7), (74,), (5, 60)])
def test_9_a_request_in_any_segments_on_any_port(cuts: tuple[int, ...], tmp_path: Path) -> None:
    session = Session(4006)
    request = wire.request([(1, ECHO, [wire.IMPLICIT])])
    parts = [request[a:b] for a, b in zip((0, *cuts), (*cuts, None), strict=True)]
    session.say("r", *parts)
    session.say("a", wire.accept([(1, 0, wire.IMPLICIT)]))
    session.say("r", wire.command(1, 0x0030)).say("a", wire.command(1, 0x8030, status=0))
    assert session.kinds() == ["A-ASSOCIATE-RQ", "A-ASSOCIATE-AC", "C-ECHO-RQ", "C-ECHO-RSP"]
    if cuts[0] <= 6:
        assert not session.theirs(tmp_path, decode_as=False).told


def test_9_data_behind_the_request_in_the_same_segment(tmp_path: Path) -> None:
    session = Session(4006)
    session.say("r", wire.request([(1, ECHO, [wire.IMPLICIT])]) + wire.command(1, 0x0030))
    session.say("a", wire.accept([(1, 0, wire.IMPLICIT)]) + wire.command(1, 0x8030, status=0))
    (association,) = session.mine()
    assert [e.kind for e in association.timeline] == [
        "A-ASSOCIATE-RQ",
        "C-ECHO-RQ",
        "A-ASSOCIATE-AC",
        "C-ECHO-RSP",
    ]
    assert [f.text for f in association.timeline[1].faults] == [
        "P-DATA-TF from the requestor before the association was accepted"
    ]
    assert association.timeline[1].message is not None
    assert association.timeline[1].message.abstract_syntax == ECHO
    assert not session.theirs(tmp_path, decode_as=False).told


def test_9_a_capture_that_began_in_the_middle(tmp_path: Path) -> None:
    session = associated((1, ECHO, wire.IMPLICIT, 0), port=4006)
    session.say("r", wire.command(1, 0x0030)).say("a", wire.command(1, 0x8030, status=0))
    session.packets = session.packets[5:]
    assert session.kinds() == ["C-ECHO-RQ", "C-ECHO-RSP"]
    assert not session.theirs(tmp_path, decode_as=False).told


def test_10_a_lost_segment_of_an_object_is_told(tmp_path: Path) -> None:
    session = associated((1, CT, wire.EXPLICIT, 0))
    pixels = wire.element(0x7FE0, 0x0010, "OW", bytes(60_000))
    packed = wire.command(1, 0x0001, 3, dataset=True) + wire.data(1, IDENTIFIER + pixels)
    session.say("r", *(packed[at : at + 1400] for at in range(0, len(packed), 1400)))
    session.say("a", wire.command(1, 0x8001, 3, status=0))
    del session.packets[20]
    (association,) = session.mine()
    assert [(e.kind, e.complete) for e in association.timeline[2:]] == [
        ("GAP", False),
        ("C-STORE-RQ", False),
        ("C-STORE-RSP", True),
    ]
    assert [(g.sender, g.length) for g in association.gaps] == [("requestor", 1400)]
    store = association.timeline[3].message
    assert store is not None
    assert store.dataset is not None
    assert store.dataset.length == len(IDENTIFIER + pixels)
    assert store.dataset.held.startswith(IDENTIFIER)
    assert not any("DATA" in row and "STORE" in row for row in session.theirs(tmp_path).rows)


def test_10_empty_and_odd_last_values(tmp_path: Path) -> None:
    session = associated((1, FIND, wire.EXPLICIT, 0))
    session.say("r", wire.command(1, 0x0020, 1, dataset=True))
    session.say("r", wire.data(1, IDENTIFIER[:33], last=False))
    session.say("r", wire.data(1, IDENTIFIER[33:], last=False), wire.data(1, b""))
    (entry,) = session.messages()
    assert entry.complete
    assert not entry.faults
    assert entry.message.dataset.held == IDENTIFIER  # type: ignore[union-attr]
    assert not any("C-FIND-RQ-DATA" in row for row in session.theirs(tmp_path).rows)


def test_11_the_end_of_a_command_and_a_data_set_in_one_pdu() -> None:
    session = associated((1, FIND, wire.EXPLICIT, 0))
    command = wire.command_set(0x0020, 1, dataset=True)
    session.say("r", wire.pdata(wire.value(1, command[:30], 1)))
    session.say(
        "r",
        wire.pdata(wire.value(1, command[30:], 3), wire.value(1, IDENTIFIER[:20], 0)),
        wire.data(1, IDENTIFIER[20:]),
    )
    (entry,) = session.messages()
    assert (entry.kind, entry.complete, entry.faults) == ("C-FIND-RQ", True, ())
    assert entry.message.dataset.held == IDENTIFIER  # type: ignore[union-attr]


def test_12_a_second_association_on_one_connection() -> None:
    associations = rebuilt(CAPTURES / "two-associations-one-connection.pcapng")
    assert [a.contexts[1].abstract_syntax for a in associations] == [ECHO, CT]
    assert [{e.message.abstract_syntax for e in a.timeline if e.message} for a in associations] == [
        {ECHO},
        {CT},
    ]


def test_13_segments_out_of_order_with_default_settings(tmp_path: Path) -> None:
    from random import Random

    packets = rewrite.cut(rewrite.load(CAPTURES / "worklist.pcapng"), 1, 190, Random(1))
    mixed = rewrite.timed(rewrite.shuffled(packets, 6, Random(1)), packets[0].time)
    path = tmp_path / "mixed.pcap"
    path.write_bytes(rewrite.pcap(rewrite.frames(mixed)))
    whole = ours(rebuilt(CAPTURES / "worklist.pcapng"))
    assert ours(rebuilt(path)) == whole
    assert len(oracle(path, [104]).told) < len(whole)


def test_14_a_passcode_is_never_kept() -> None:
    associations = rebuilt(CAPTURES / "negotiation.pcapng")
    identity = associations[0].requestor.user_information.user_identity  # type: ignore[union-attr]
    assert identity is not None
    assert identity.secondary_length
    with open(CAPTURES / "negotiation.pcapng", "rb") as stream:
        data = stream.read()
    name = (identity.username or "").encode()
    at = data.index(struct.pack(">H", len(name)) + name) + 2 + len(name)
    passcode = data[at + 2 : at + 2 + identity.secondary_length]
    assert len(passcode) == identity.secondary_length
    for association in associations:
        for entry in association.timeline:
            assert passcode not in entry.raw
            assert passcode.decode() not in repr(entry.pdu)


def test_16_responses_know_their_requests() -> None:
    for path in (CAPTURES / "worklist.pcapng", CAPTURES / "async.pcapng"):
        for association in rebuilt(path):
            for operation in association.operations:
                assert operation.request is not None
                assert operation.status == 0
                assert operation.first_response is not None
                assert operation.duration is not None
                assert operation.duration >= operation.first_response >= 0

"""The Info column: Wireshark's words, better ones where it is wrong, nothing that acts on a
terminal."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomsniff.dicom.command import decode_command, make_message
from dicomsniff.dicom.pdu import decode
from dicomsniff.model import PDU, Association, Entry, Peer, PresentationContext, Side
from dicomsniff.output.info import escape, info
from tests import rewrite, wire
from tests.support import capture

MWL = "1.2.840.10008.5.1.4.31"


def association() -> Association:
    return Association(1, Peer("10.0.0.1", 50000, "FLC1270"), Peer("10.0.0.2", 104, "MOZI"), 0, 0)


def pdu_row(pdu: PDU, sender: Side = "requestor", *, complete: bool = True) -> str:
    entry = Entry(1, pdu.kind, sender, 0, 0, (1,), 1, 1, 10, complete, pdu=pdu)
    return info(association(), entry)


def message_row(field: int, message_id: int = 1, *, abstract: str = MWL, **more: object) -> str:
    data = wire.command_set(field, message_id, **more)  # type: ignore[arg-type]
    context = PresentationContext(1, abstract, (wire.EXPLICIT,), 0, wire.EXPLICIT)
    message = make_message(1, decode_command(data)[0], data, context)
    entry = Entry(1, message.kind, "requestor", 0, 0, (1,), 1, 1, 10, message=message)
    return info(association(), entry)


def test_pdus() -> None:
    request = decode(wire.request([(1, wire.CT, [wire.EXPLICIT])]))
    accept = decode(wire.accept([(1, 0, wire.EXPLICIT)]))
    assert pdu_row(request) == "A-ASSOCIATE request FLC1270 --> MOZI"
    assert pdu_row(accept, "acceptor") == "A-ASSOCIATE accept  FLC1270 <-- MOZI"
    assert pdu_row(decode(wire.release())) == "A-RELEASE request"
    assert pdu_row(decode(wire.released()), "acceptor") == "A-RELEASE response"
    assert pdu_row(decode(wire.pdu(0x42, b""))) == "PDU of unknown type 42H"
    assert pdu_row(request, complete=False).endswith(" [incomplete]")


@pytest.mark.parametrize(
    ("result", "source", "reason", "told"),
    [
        (1, 1, 7, "Called AE title not recognized"),
        (1, 1, 3, "Calling AE title not recognized"),
        (2, 3, 2, "Local limit exceeded"),
    ],
)
def test_rejections_say_why(result: int, source: int, reason: int, told: str) -> None:
    row = pdu_row(decode(wire.reject(result, source, reason)), "acceptor")
    assert row.startswith("A-ASSOCIATE reject  FLC1270 <-- MOZI (")
    assert told.lower() in row.lower()


@pytest.mark.parametrize("source", [0, 2])
def test_the_arrow_of_an_abort_points_away_from_its_sender(source: int) -> None:
    assert "FLC1270 --> MOZI" in pdu_row(decode(wire.abort(source)), "requestor")
    assert "FLC1270 <-- MOZI" in pdu_row(decode(wire.abort(source)), "acceptor")


def test_the_reason_of_an_abort_counts_from_the_provider_alone() -> None:
    assert pdu_row(decode(wire.abort(2, 2))) == "ABORT FLC1270 --> MOZI (Provider: Unexpected PDU)"
    assert pdu_row(decode(wire.abort(0, 2))) == "ABORT FLC1270 --> MOZI (User)"


def test_messages() -> None:
    assert message_row(0x0020, 1, sop_class=MWL) == "P-DATA, C-FIND-RQ ID=1, Modality Worklist"
    assert message_row(0x8020, 1, sop_class=MWL, status=0) == "P-DATA, C-FIND-RSP ID=1 (Success)"
    assert message_row(0x8020, 1, status=0xFF00) == "P-DATA, C-FIND-RSP ID=1 (Pending)"
    assert message_row(0x8020, 1, status=0xFF01) == "P-DATA, C-FIND-RSP ID=1 (Pending, 0xFF01)"
    assert message_row(0x0FFF, 7) == "P-DATA, C-CANCEL-RQ ID=7"
    assert message_row(0x0030, 1, sop_class=wire.VERIFICATION) == "P-DATA, C-ECHO-RQ ID=1"
    store = message_row(0x0001, 3, sop_class=wire.CT)
    assert store == "P-DATA, C-STORE-RQ ID=3, CT Image Storage"


def test_counts_of_sub_operations() -> None:
    row = message_row(0x8021, 2, abstract=wire.STUDY_ROOT_MOVE, status=0xFF00, counts=(4, 3, 2, 1))
    assert row == "P-DATA, C-MOVE-RSP ID=2 C=3 R=4 W=1 F=2 (Pending)"


@pytest.mark.parametrize(
    ("field", "abstract", "status", "told"),
    [
        (0x8001, wire.CT, 0xB000, "Warning: Coercion of Data Elements, 0xB000"),
        (0x8001, wire.CT, 0xA700, "Failure: "),
        (0x8021, wire.STUDY_ROOT_MOVE, 0xA801, "Failure: Move Destination"),
        (0x8021, wire.STUDY_ROOT_MOVE, 0xB000, "Warning: Sub-operations"),
        (0x8020, wire.STUDY_ROOT_FIND, 0xFE00, "Cancel: "),
        (0x8020, wire.STUDY_ROOT_FIND, 0x1234, "0x1234"),
    ],
)
def test_statuses_have_the_meaning_of_their_service(
    field: int, abstract: str, status: int, told: str
) -> None:
    assert told in message_row(field, abstract=abstract, status=status)


def test_an_error_comment_is_told_when_asked_for_alone() -> None:
    (association_,) = rewrite.rebuild(rewrite.load(capture("store-failed.pcapng")))
    failed = [e for e in association_.timeline if e.message and 0x0902 in e.message.command]
    assert failed
    for entry in failed:
        assert entry.message is not None
        comment = entry.message.command[0x0902].value
        assert isinstance(comment, str)
        assert comment not in info(association_, entry)
        assert comment in info(association_, entry, comments=True)


# ---------------------------------------------------------------------------- terminals


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("plain", "plain"),
        ("王小明 Ünïcode", "王小明 Ünïcode"),
        ("\x1b[2J", "\\x1b[2J"),
        ("a\nb\tc\0", "a\\x0ab\\x09c\\x00"),
        ("\x9b31m", "\\x9b31m"),
        ("\u202etxt.exe", "\\u202etxt.exe"),
        ("a\u2028b\ufeff", "a\\u2028b\\ufeff"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
    ],
)
def test_what_acts_on_a_terminal_becomes_visible(text: str, safe: str) -> None:
    assert escape(text) == safe


@given(st.text(alphabet=st.characters(), max_size=60))
def test_no_text_keeps_a_control_character(text: str) -> None:
    safe = escape(text)
    for char in safe:
        assert unicodedata.category(char) not in ("Cc", "Cs", "Zl", "Zp")
        assert unicodedata.bidirectional(char) not in ("LRE", "RLE", "LRO", "RLO", "PDF")
        assert unicodedata.bidirectional(char) not in ("LRI", "RLI", "FSI", "PDI")
    safe.encode()


def test_titles_and_uids_from_the_wire_are_escaped() -> None:
    evil = association()
    evil.requestor.ae_title = "\x1b]0;owned\x07"
    pdu = decode(wire.release())
    entry = Entry(1, "A-ASSOCIATE-RQ", "requestor", 0, 0, (1,), 1, 1, 10, pdu=pdu)
    assert "\x1b" not in info(evil, entry)
    row = message_row(0x0001, 1, sop_class="1.2\x1b[31m")
    assert "\x1b" not in row
    assert "1.2\\x1b[31m" in row

"""PDUs as pynetdicom encodes and decodes them, as tshark dissects them, and as nobody should."""

from __future__ import annotations

import struct
import subprocess
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from pynetdicom import pdu as theirs

from dicomsniff.dicom import names
from dicomsniff.dicom.pdu import decode, layout
from dicomsniff.model import (
    AbortPDU,
    ContextItem,
    Node,
    RejectPDU,
    ReleasePDU,
    RoleSelection,
    UnknownPDU,
    UserIdentity,
)
from tests import support
from tests.dicom.building import (
    APPLICATION,
    CLASS,
    CT,
    EXPLICIT,
    FIND,
    IMPLICIT,
    MAXIMUM,
    SECRET,
    USER,
    answer,
    associate,
    check,
    check_tree,
    context,
    counted,
    decoded,
    everything,
    item,
    named,
    pdu,
    request,
    texts,
)

# ---------------------------------------------------------------- pynetdicom encodes


def test_everything_that_pynetdicom_can_ask_for() -> None:
    got = decoded(everything())
    assert got.kind == "A-ASSOCIATE-RQ"
    assert got.protocol_version == 1
    assert (got.called_ae_title, got.calling_ae_title) == ("MOZI", "FLC1270")
    assert got.application_context == "1.2.840.10008.3.1.1.1"
    assert got.contexts == (
        ContextItem(1, None, CT, (IMPLICIT, EXPLICIT)),
        ContextItem(3, None, FIND, (EXPLICIT,)),
    )
    user = got.user_information
    assert user.maximum_length == 16382
    assert user.implementation_class_uid == "1.2.826.0.1.3680043.9.3811.3.0.4"
    assert user.implementation_version_name == "PYNETDICOM_304"
    assert user.asynchronous_operations_window == (5, 7)
    assert user.role_selections == (RoleSelection(CT, 0, 1),)
    assert [(e.sop_class_uid, e.application_information) for e in user.extended_negotiations] == [
        (FIND, b"\1\0\1")
    ]
    (common,) = user.common_extended_negotiations
    assert (common.sop_class_uid, common.service_class_uid) == (CT, "1.2.840.10008.4.2")
    assert common.related_general_sop_class_uids == (
        "1.2.840.10008.5.1.4.1.1.4",
        "1.2.840.10008.5.1.4.1.1.7",
    )
    assert user.user_identity == UserIdentity(2, True, "Müller", 7, len(SECRET))
    assert user.user_identity_response_length is None
    assert user.unknown_items == ()
    assert got.unknown_items == ()
    assert got.faults == ()


def pynetdicoms_view(data: bytes) -> dict[str, Any]:
    """What pynetdicom decodes from an A-ASSOCIATE PDU."""
    request = data[0] == 1
    got = theirs.A_ASSOCIATE_RQ() if request else theirs.A_ASSOCIATE_AC()
    got.decode(data)
    primitive = got.to_primitive()
    user: dict[str, Any] = defaultdict(list)
    for each in primitive.user_information:
        user[type(each).__name__].append(each)

    def one(name: str, field: str) -> Any:
        return getattr(user[name][0], field) if user[name] else None

    window = user["AsynchronousOperationsWindowNegotiation"]
    identity = user["UserIdentityNegotiation"]
    return {
        "called": got.called_ae_title.strip() if request else None,
        "calling": got.calling_ae_title.strip() if request else None,
        "application": got.application_context_name,
        "contexts": [
            (
                c.context_id,
                None if request else c.result,
                c.abstract_syntax if request else None,
                # What stands in a refused context means nothing; pynetdicom may drop it.
                list(c.transfer_syntax) if request else [c.transfer_syntax][c.result :],
            )
            for c in got.presentation_context
        ],
        "maximum": one("MaximumLengthNotification", "maximum_length_received"),
        "class": one("ImplementationClassUIDNotification", "implementation_class_uid"),
        "version": one("ImplementationVersionNameNotification", "implementation_version_name"),
        "window": (
            window[0].maximum_number_operations_invoked,
            window[0].maximum_number_operations_performed,
        )
        if window
        else None,
        "roles": [
            (r.sop_class_uid, int(r.scu_role), int(r.scp_role))
            for r in user["SCP_SCU_RoleSelectionNegotiation"]
        ],
        "extended": [
            (e.sop_class_uid, e.service_class_application_information)
            for e in user["SOPClassExtendedNegotiation"]
        ],
        "common": [
            (c.sop_class_uid, c.service_class_uid, c.related_general_sop_class_identification)
            for c in user["SOPClassCommonExtendedNegotiation"]
        ],
        "identity": (
            identity[0].user_identity_type,
            identity[0].positive_response_requested,
            len(identity[0].primary_field),
            len(identity[0].secondary_field or b""),
        )
        if identity and request
        else None,
        "response": len(identity[0].server_response or b"") if identity and not request else None,
    }


def our_view(data: bytes) -> dict[str, Any]:
    got = decoded(data)
    request = got.kind == "A-ASSOCIATE-RQ"
    user = got.user_information
    identity = user.user_identity
    return {
        "called": got.called_ae_title if request else None,
        "calling": got.calling_ae_title if request else None,
        "application": got.application_context,
        "contexts": [
            (
                c.id,
                c.result,
                c.abstract_syntax,
                list(c.transfer_syntaxes) if not c.result else [],
            )
            for c in got.contexts
        ],
        "maximum": user.maximum_length,
        "class": user.implementation_class_uid,
        "version": user.implementation_version_name,
        "window": user.asynchronous_operations_window,
        "roles": [(r.sop_class_uid, r.scu_role, r.scp_role) for r in user.role_selections],
        "extended": [
            (e.sop_class_uid, e.application_information) for e in user.extended_negotiations
        ],
        "common": [
            (c.sop_class_uid, c.service_class_uid, list(c.related_general_sop_class_uids))
            for c in user.common_extended_negotiations
        ],
        "identity": (
            identity.type,
            identity.positive_response_requested,
            identity.primary_length,
            identity.secondary_length,
        )
        if identity
        else None,
        "response": user.user_identity_response_length,
    }


SAMPLES = pytest.importorskip("pynetdicom.tests.encoded_pdu_items")
ASSOCIATES = [
    name
    for name in sorted(dir(SAMPLES))
    if name.startswith(("a_associate_rq", "a_associate_ac")) and "_ts" not in name
]
BLANK = {"a_associate_rq_called": "Called", "a_associate_rq_calling": "Calling"}
"""Samples that pynetdicom refuses, for an AE title is blank."""


@pytest.mark.parametrize("name", [name for name in ASSOCIATES if name not in BLANK])
def test_pynetdicoms_samples_decode_as_it_decodes_them(name: str) -> None:
    sample = getattr(SAMPLES, name)
    # The length of one of them is wrong; pynetdicom does not look at it.
    data = pdu(sample[0], sample[6:])
    assert our_view(data) == pynetdicoms_view(data)


@pytest.mark.parametrize("name", BLANK)
def test_what_pynetdicom_refuses_decodes_all_the_same(name: str) -> None:
    data = getattr(SAMPLES, name)
    assert texts(data) == [f"{BLANK[name]} AE title is blank"]
    assert decoded(data).contexts
    assert decoded(data).user_information.implementation_class_uid


def test_the_samples_are_there() -> None:
    assert len(ASSOCIATES) >= 9


def test_server_response_is_measured_only() -> None:
    data = associate(
        APPLICATION + answer(1, 0) + item(0x50, MAXIMUM + CLASS + item(0x59, counted(SECRET))),
        kind=2,
    )
    assert decoded(data).user_information.user_identity_response_length == len(SECRET)
    assert decoded(data).faults == ()
    assert pynetdicoms_view(data)["response"] == len(SECRET)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (SAMPLES.a_associate_rj, RejectPDU(1, 1, 1)),
        (b"\x03\0\0\0\0\4\0\2\3\2", RejectPDU(2, 3, 2)),
        (SAMPLES.a_release_rq, ReleasePDU("A-RELEASE-RQ")),
        (SAMPLES.a_release_rp, ReleasePDU("A-RELEASE-RP")),
        (SAMPLES.a_abort, AbortPDU(0, 0)),
        (SAMPLES.a_p_abort, AbortPDU(2, 4)),
        (SAMPLES.p_data_tf, UnknownPDU(4)),
        # Reserved bytes are not to be tested (PS3.8 9.3.1), whatever they hold.
        (b"\x05\xff\0\0\0\4\xff\xff\xff\xff", ReleasePDU("A-RELEASE-RQ")),
        (b"\x07\xff\0\0\0\4\xff\xff\2\6", AbortPDU(2, 6)),
    ],
)
def test_the_small_pdus(data: bytes, expected: object) -> None:
    assert decode(data) == expected


# ---------------------------------------------------------------- real captures


CAPTURES = sorted(support.CAPTURES.glob("*.pcapng")) + sorted(
    path for path in support.PUBLIC_CAPTURES.glob("*/*.pcap") if "HL7" not in path.name
)
PORTS = (104, 4242, 5158, 11112, 11113, 11114)


def tshark(path: Path, *arguments: str) -> list[list[str]]:
    """Run tshark on a capture; the rows and their fields."""
    command = [support.require("tshark"), "-r", str(path), "-T", "fields", *arguments]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    return [line.split("\t") for line in done.stdout.splitlines()]


@lru_cache
def streams(path: Path) -> list[bytes]:
    """The bytes of each direction of each connection, in order."""
    fields = ["ip.src", "ipv6.src", "tcp.srcport", "tcp.seq", "tcp.payload"]
    rows = tshark(
        path,
        *("--disable-protocol", "dicom", "-Y", "tcp.len>0", "-e", "tcp.stream"),
        *[word for field in fields for word in ("-e", field)],
    )
    segments: dict[tuple[str, ...], list[tuple[int, bytes]]] = defaultdict(list)
    for stream, v4, v6, port, seq, payload in rows:
        segments[stream, v4, v6, port].append((int(seq), bytes.fromhex(payload)))
    joined = []
    for parts in segments.values():
        data, start = b"", min(seq for seq, _ in parts)
        for seq, payload in sorted(parts):
            data += payload[start + len(data) - seq :]
        joined.append(data)
    return joined


def pdus(path: Path) -> list[bytes]:
    """Every whole PDU of a capture, whoever sent it."""
    found = []
    for data in streams(path):
        while len(data) > 6 and 1 <= data[0] <= 7:
            size = 6 + int.from_bytes(data[2:6], "big")
            found.append(data[:size])
            data = data[size:]
    return found


@lru_cache
def real_pdus() -> list[bytes]:
    return sorted({each for path in CAPTURES if "tls" not in path.name for each in pdus(path)})


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)
def test_real_negotiations_decode_as_pynetdicom_decodes_them(path: Path) -> None:
    for data in pdus(path):
        if data[0] in (1, 2):
            assert our_view(data) == pynetdicoms_view(data)
            assert decode(data).faults == ()


FIELDS = (
    "dicom.pdu.type",
    "dicom.pdu.len",
    "dicom.assoc.version",
    "dicom.assoc.ae.called",
    "dicom.assoc.ae.calling",
    "dicom.actx",
    "dicom.pctx.id",
    "dicom.pctx.result",
    "dicom.pctx.abss.syntax",
    "dicom.pctx.xfer.syntax",
    "dicom.max_pdu_len",
    "dicom.userinfo.uid",
    "dicom.userinfo.version",
    "dicom.userinfo.asyncneg.maxnumopsinv",
    "dicom.userinfo.asyncneg.maxnumopsper",
    "dicom.userinfo.rolesel.sopclassuid",
    "dicom.userinfo.rolesel.scurole",
    "dicom.userinfo.rolesel.scprole",
    "dicom.userinfo.extneg.sopclassuid",
    "dicom.userinfo.user_identify.type",
    "dicom.userinfo.user_identify.primary_field_length",
    "dicom.userinfo.user_identify.secondary_field_length",
)


def tsharks_view(row: list[str]) -> tuple[Any, ...]:
    """A row of `FIELDS` as values; UIDs without the names that tshark puts before them."""

    def uids(text: str) -> tuple[str, ...]:
        return tuple(part.rstrip(")").rsplit("(", 1)[-1] for part in text.split("|") if part)

    def numbers(text: str) -> tuple[int, ...]:
        return tuple(int(part, 0) for part in text.split("|") if part)

    values: list[Any] = []
    for field, text in zip(FIELDS, row, strict=True):
        if field in ("dicom.assoc.ae.called", "dicom.assoc.ae.calling"):
            values.append(text.strip())
        elif field == "dicom.userinfo.version":
            values.append(text)
        elif field.endswith(("syntax", "uid", "actx")):
            values.append(uids(text))
        else:
            values.append(numbers(text))
    return tuple(values)


def our_row(data: bytes) -> tuple[Any, ...]:
    got = decoded(data)
    user = got.user_information
    window = user.asynchronous_operations_window
    identity = user.user_identity
    return (
        (data[0],),
        (len(data) - 6,),
        (got.protocol_version,),
        got.called_ae_title,
        got.calling_ae_title,
        (got.application_context,),
        tuple(c.id for c in got.contexts),
        tuple(c.result for c in got.contexts if c.result is not None),
        tuple(c.abstract_syntax for c in got.contexts if c.abstract_syntax),
        tuple(uid for c in got.contexts for uid in c.transfer_syntaxes),
        () if user.maximum_length is None else (user.maximum_length,),
        (user.implementation_class_uid,) if user.implementation_class_uid else (),
        user.implementation_version_name or "",
        window[:1] if window else (),
        window[1:] if window else (),
        tuple(r.sop_class_uid for r in user.role_selections),
        tuple(r.scu_role for r in user.role_selections),
        tuple(r.scp_role for r in user.role_selections),
        tuple(e.sop_class_uid for e in user.extended_negotiations),
        (identity.type,) if identity else (),
        (identity.primary_length,) if identity else (),
        (identity.secondary_length,) if identity and identity.type == 2 else (),
    )


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)
def test_real_negotiations_decode_as_tshark_dissects_them(path: Path) -> None:
    if path.stem == "tls":
        pytest.skip("nothing to see without its keys")
    rows = tshark(
        path,
        *("-E", "aggregator=|", "-Y", "dicom.pdu.type==1 || dicom.pdu.type==2"),
        *[word for port in PORTS for word in ("-d", f"tcp.port=={port},dicom")],
        *[word for field in FIELDS for word in ("-e", field)],
    )
    expected = Counter(tsharks_view(row) for row in rows if "|" not in row[0])
    ours = Counter(our_row(data) for data in pdus(path) if data[0] in (1, 2))
    # A row with several PDUs says not which field is whose; every other one has to be there.
    assert not expected - ours
    assert ours.total() - expected.total() <= sum("|" in row[0] for row in rows)


def test_reasons_are_in_wiresharks_words(tmp_path: Path) -> None:
    """Every result, source and reason, through tshark, where it has words for it."""
    rejects = [(r, s, d) for r in (1, 2) for s in (1, 2, 3) for d in range(11)]
    aborts = [(s, d) for s in (0, 2) for d in range(8)]
    data = [pdu(3, bytes((0, *each))) for each in rejects]
    data += [pdu(7, bytes((0, 0, *each))) for each in aborts]
    path = tmp_path / "reasons.pcap"
    records = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101)]
    for port, payload in enumerate(data, 2000):
        tcp = struct.pack(">HHIIBBHHH", port, 104, 1, 1, 0x50, 0x18, 65535, 0, 0) + payload
        ip = struct.pack(">BBHHHBBHII", 0x45, 0, 20 + len(tcp), 0, 0, 64, 6, 0, 1, 2) + tcp
        records.append(struct.pack("<IIII", port, 0, len(ip), len(ip)) + ip)
    path.write_bytes(b"".join(records))
    text = subprocess.run(
        [support.require("tshark"), "-r", str(path), "-V", "-d", "tcp.port==104,dicom"],
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    shown = []
    for packet in text.split("DICOM, ")[1:]:
        lines = dict(
            line.strip().split(": ", 1) for line in packet.splitlines() if ": " in line.strip()
        )
        shown.append(tuple(lines.get(k, "").strip() for k in ("Result", "Source", "Reason")))
    ours = [names.reject_text(*each) for each in rejects]
    ours += [("", *names.abort_text(*each)) for each in aborts]
    assert len(shown) == len(ours)
    for wireshark, own in zip(shown, ours, strict=True):
        assert wireshark[:2] == own[:2]
        if wireshark[2]:
            assert wireshark[2] == own[2]
        else:
            assert own[2].startswith(("Reserved", "Undefined"))
    assert sum(bool(each[2]) for each in shown) == 30


# ---------------------------------------------------------------- what is wrong


def test_a_request_in_order_has_no_faults() -> None:
    assert texts(request()) == []


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"", "PDU header is cut short after 0 bytes"),
        (b"\x05\0\0", "PDU header is cut short after 3 bytes"),
        (b"\x08\0\0\0\0\0", "PDU type 08H is not defined"),
        (pdu(5, bytes(4), 8), "PDU length is 8, 4 bytes are here"),
        (pdu(5, bytes(8), 4), "4 bytes behind the PDU"),
        (pdu(5, bytes(6)), "PDU length is 6, not 4"),
        (pdu(6, b""), "PDU length is 0, not 4"),
        (pdu(3, bytes((0, 1, 1, 1, 0, 0))), "PDU length is 6, not 4"),
        (pdu(3, bytes((0, 1, 1))), "Reason/Diag. is missing"),
        (pdu(3, bytes((0, 9, 1, 1))), "Result, source or reason is not one the standard defines"),
        (pdu(3, bytes((0, 1, 1, 4))), "Result, source or reason is not one the standard defines"),
        (pdu(7, bytes((0, 0, 1, 0))), "Source or reason is not one the standard defines"),
        (pdu(7, bytes(2)), "Source is missing"),
        (associate(APPLICATION + context() + USER, version=2), "Protocol version is 0002H"),
        (associate(context() + USER), "Application Context item is missing"),
        (associate(APPLICATION + context()), "User Information item is missing"),
        (associate(APPLICATION + USER), "There is no presentation context item"),
        (associate(APPLICATION * 2 + context() + USER), "Application Context item comes more than"),
        (associate(APPLICATION + context() + item(0x50, CLASS)), "Maximum Length sub-item is miss"),
        (associate(APPLICATION + context() + item(0x50, MAXIMUM)), "Implementation Class UID sub-"),
        (request(items=context(2)), "Presentation context 2: an ID is odd"),
        (request(items=context(0)), "Presentation context 0: an ID is odd"),
        (request(items=context(1)), "Presentation context 1: the ID comes more than once"),
        (request(items=context(3, ())), "Presentation context 3 has no abstract syntax"),
        (request(items=context(3, (CT, FIND))), "Presentation context 3 has several abstract syn"),
        (request(items=context(3, transfer=())), "Presentation context 3 has no transfer syntax"),
        (request(items=answer(3, 0)), "Presentation context 3: item type 21H does not belong"),
        (request(items=context(3, ("1.2.3\0",))), "Abstract syntax name is padded with NUL"),
        (request(items=context(3, ("1.2.3 ",))), "Abstract syntax name is padded with spaces"),
        (request(items=context(3, ("",))), "Abstract syntax name is empty"),
        (request(items=context(3, ("1.02.3",))), "Abstract syntax name is no valid UID"),
        (request(items=context(3, ("1.x",))), "Abstract syntax name is no valid UID"),
        (request(items=context(3, ("1." + "2" * 64,))), "Abstract syntax name is 66 characters"),
        (request(items=item(0x7F, b"what")), "Item type 7FH is not defined"),
        (request(items=item(0x30, b"1.2")), "Abstract Syntax item is out of place"),
        (request(items=b"\0\0"), "2 bytes are too few for an item"),
        (request(items=item(0x7F, b"abc", 9)), "Item: length 9 runs past the end"),
        (request(users=item(0x5A, b"abc")), "Item type 5AH is not defined"),
        (request(users=item(0x51, b"\0\0\1")), "Maximum length received is missing"),
        (request(users=item(0x51, b"\0\0\0\1\0")), "1 bytes behind the last field"),
        (request(users=MAXIMUM), "Maximum Length item comes more than once"),
        (request(users=item(0x53, b"\0\1\0")), "Maximum number operations performed is missing"),
        (request(users=item(0x54, counted(b"1.2") + b"\2\0")), "A role is neither 0 nor 1"),
        (request(users=item(0x54, counted(b"1.2") + b"\1\0") * 2), "Role selection of one SOP cl"),
        (request(users=item(0x55)), "Implementation version name is 0 characters long"),
        (request(users=item(0x55, b"x" * 17)), "Implementation version name is 17 characters"),
        (request(users=item(0x55, b"a\x1b[2J")), "Implementation version name holds characters"),
        (request(users=item(0x56, counted(b"1.2")) * 2), "Extended negotiation of one SOP class"),
        (request(users=item(0x56, b"\0\x09" + b"1.2")), "SOP class UID has a length of 9, 3 bytes"),
        (request(users=item(0x58, b"\x09\0\0\0\0\0")), "User identity type 9 is not defined"),
        (request(users=item(0x58, b"\2\0\0\1a\0\0")), "A passcode is announced"),
        (request(users=item(0x58, b"\1\0\0\1a\0\1b")), "A secondary field comes with user identi"),
        (request(users=item(0x58, b"\1\0\0\1a\0\0") * 2), "User Identity (RQ) item comes more"),
        (
            associate(APPLICATION + answer(1, 7) + USER, kind=2),
            "Presentation context 1: result 7 is not defined",
        ),
        (
            associate(APPLICATION + answer(1, 0, (IMPLICIT, EXPLICIT)) + USER, kind=2),
            "Presentation context 1 has several transfer syntaxes",
        ),
        (
            associate(APPLICATION + answer(1, 0, ()) + USER, kind=2),
            "Presentation context 1 has no transfer syntax",
        ),
        (
            associate(APPLICATION + context() + USER, kind=2),
            "Presentation context 1: item type 20H does not belong",
        ),
        (associate(APPLICATION + context() + USER, called=b""), "Called AE title is blank"),
        (associate(APPLICATION + context() + USER, calling=b"A\nB"), "Calling AE title holds char"),
        (associate(APPLICATION + context() + USER, calling=b"\xc4"), "Calling AE title holds char"),
        (associate(APPLICATION + context() + USER, calling=b"A\\B"), "Calling AE title holds char"),
        (
            associate(APPLICATION + context() + USER, calling=b"A".ljust(16, b"\0")),
            "Calling AE title is padded with NUL",
        ),
        (pdu(4, struct.pack(">IBB", 1, 1, 3)), "Item length is 1, less than 2"),
        (pdu(4, struct.pack(">IBB", 99, 1, 3)), "Presentation data value item has a length of 99"),
        (pdu(4, b"\0\0"), "Item length is missing"),
    ],
)
def test_faults(data: bytes, fault: str) -> None:
    found = texts(data)
    assert any(text.startswith(fault) for text in found), found
    assert all(0 <= f.start <= f.end <= len(data) for f in decode(data).faults)


def test_faults_of_an_answer_are_not_those_of_a_request() -> None:
    # PS3.8 9.3.3: titles of an answer are not tested, nor is the syntax of a refused context.
    contexts = answer(1, 0) + answer(3, 3, ()) + answer(5, 4, ("",)[:0])
    data = associate(APPLICATION + contexts + USER, kind=2, called=b"", calling=b"\xff")
    assert texts(data) == []
    assert [c.result for c in decoded(data).contexts] == [0, 3, 4]


def test_more_contexts_than_there_are_numbers() -> None:
    many = b"".join(context(n % 256) for n in range(1, 2 * 129, 2))
    found = texts(associate(APPLICATION + many + USER))
    assert "There are more than 128 presentation contexts" in found
    assert len(decoded(associate(APPLICATION + many + USER)).contexts) == 129
    exactly = b"".join(context(n) for n in range(1, 256, 2))
    assert texts(associate(APPLICATION + exactly + USER)) == []


def test_what_is_odd_is_kept() -> None:
    got = decoded(
        associate(
            APPLICATION
            + context(2, (CT + "\0", FIND), (IMPLICIT + " ",))
            + context(2, ())
            + item(0x50, CLASS + item(0x5B, b"leftover") + item(0x55, b"x" * 20))
            + item(0x77, b"more"),
            called=b" caf\xe9\x1b ",
        )
    )
    assert got.called_ae_title == "café\x1b"
    assert got.contexts == (
        ContextItem(2, None, CT, (IMPLICIT,)),
        ContextItem(2, None, None, (IMPLICIT,)),
    )
    assert got.user_information.unknown_items == ((0x5B, b"leftover"),)
    assert got.user_information.implementation_version_name == "x" * 20
    assert got.unknown_items == ((0x77, b"more"),)


def test_the_first_of_two_counts() -> None:
    got = decoded(request(users=item(0x51, b"\0\0\0\1") + item(0x52, b"1.2.3")))
    assert got.user_information.maximum_length == 0x4000
    assert got.user_information.implementation_class_uid == "1.2.276.0.7230010.3.0.3.6.7"


def test_an_item_longer_than_its_parent_gives_what_is_there() -> None:
    data = associate(APPLICATION + context() + item(0x50, MAXIMUM + item(0x52, b"1.2.3", 99)))
    assert decoded(data).user_information.implementation_class_uid == "1.2.3"
    assert any("Implementation Class UID: length 99 runs past" in text for text in texts(data))


# ---------------------------------------------------------------- the tree


def test_the_tree_has_uids_with_names_and_results_in_words() -> None:
    data = associate(APPLICATION + answer(1, 0) + answer(3, 4) + USER, kind=2)
    assert [n.value for n in named(data, "Transfer syntax name")] == [
        f"{IMPLICIT} (Implicit VR Little Endian)"
    ] * 2
    assert [n.value for n in named(data, "Result/Reason")] == [
        "0 (acceptance)",
        "4 (transfer-syntaxes-not-supported)",
    ]
    assert [n.value for n in named(data, "Presentation Context (AC) item")] == [
        "ID 1, acceptance",
        "ID 3, transfer-syntaxes-not-supported",
    ]
    assert [n.value for n in named(data, "Maximum Length item")] == ["16384 (bytes)"]
    assert layout(data).name == "A-ASSOCIATE-AC"


def test_the_tree_of_extended_negotiation_names_its_bytes() -> None:
    (node,) = named(everything(), "Service class application information")
    assert [(n.name, n.value) for n in node.children] == [
        ("Relational queries", "1"),
        ("Combined date-time matching", "0"),
        ("Fuzzy semantic matching of person names", "1"),
    ]


def test_the_tree_of_data() -> None:
    first = struct.pack(">IBB", 2 + 68, 5, 3) + bytes(68)
    second = struct.pack(">IBB", 2 + 10, 5, 0) + bytes(10)
    tree = layout(pdu(4, first + second))
    assert tree.name == "P-DATA-TF"
    items = [n for n in tree.children if n.name == "Presentation data value item"]
    assert [(n.value, n.start, n.end) for n in items] == [
        ("context 5, command, last fragment", 6, 80),
        ("context 5, data set, not last fragment", 80, 96),
    ]
    assert [(n.name, n.value, n.start, n.end) for n in items[1].children] == [
        ("Item length", "12", 80, 84),
        ("Presentation context ID", "5", 84, 85),
        ("Message control header", "0 (data set, not last fragment)", 85, 86),
        ("Presentation data value", "10 bytes", 86, 96),
    ]


def leaves(node: Node) -> Iterator[Node]:
    if not node.children:
        yield node
    for child in node.children:
        yield from leaves(child)


def test_real_pdus_are_covered_by_their_trees() -> None:
    found = real_pdus()
    assert len(found) > 100
    for data in [*found, everything()]:
        check_tree(data)
        covered = bytearray(len(data))
        for node in leaves(layout(data)):
            covered[node.start : node.end] = b"\1" * (node.end - node.start)
        gaps = covered.count(0)
        # Only the bytes between the named ones of an extended negotiation stand for nothing.
        assert gaps <= sum(len(n.children) for n in named(data, "SOP Class Extended Negotiation"))


# ---------------------------------------------------------------- cut short


def test_every_cut_keeps_what_was_whole() -> None:
    whole = everything()
    full = decoded(whole)
    for size in range(6, len(whole)):
        check(whole[:size])
        got = decoded(whole[:size])
        (fault,) = got.faults
        assert fault.text == f"PDU length is {len(whole) - 6}, {size - 6} bytes are here"
        assert got.called_ae_title in ("", full.called_ae_title)
        assert got.application_context in (None, full.application_context)
        for part, entire in zip(got.contexts, full.contexts, strict=False):
            assert part.id == entire.id
            assert part.abstract_syntax in (None, entire.abstract_syntax)
            kept = len(part.transfer_syntaxes)
            assert entire.transfer_syntaxes[:kept] == part.transfer_syntaxes
        user, every = got.user_information, full.user_information
        for field in ("maximum_length", "implementation_class_uid", "implementation_version_name"):
            assert getattr(user, field) in (None, getattr(every, field))
        assert every.role_selections[: len(user.role_selections)] == user.role_selections
    behind = named(whole, "User Information item")[0].start
    cut = decoded(whole[:behind])
    assert (cut.contexts, cut.application_context) == (full.contexts, full.application_context)


def test_every_cut_of_real_pdus() -> None:
    chosen = [each for each in real_pdus() if len(each) < 800 and each[0] != 4]
    if not chosen:
        support.missing("no capture is here")
    for whole in chosen[:: max(1, len(chosen) // 20)]:
        for size in range(len(whole)):
            check(whole[:size])

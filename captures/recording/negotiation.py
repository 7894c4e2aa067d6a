# SPDX-License-Identifier: GPL-2.0-or-later
"""Negotiation: user identity, extended items, transfer syntaxes that few know."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pydicom import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, ImplicitVRLittleEndian
from pynetdicom import AE, build_context, build_role, evt, pdu_primitives

from recording.invented import gradient, image, invent_uid, save, uid_of
from recording.peers import (
    RELEASE_REQUEST,
    RELEASE_RESPONSE,
    Wire,
    accepting,
    associate_accept,
    associate_request,
    associated,
    expect,
    operations_window,
)
from recording.stage import HOST, PORT, RecordingError, Stage, scenario
from recording.storage import send


def identity(passcode: str) -> pdu_primitives.UserIdentityNegotiation:
    """User identity, username and passcode, with a positive response asked for."""
    user = pdu_primitives.UserIdentityNegotiation()
    user.user_identity_type = 2
    user.primary_field = b"invented-user"
    user.secondary_field = passcode.encode("ascii")
    user.positive_response_requested = True
    return user


def identity_server(stage: Stage) -> None:
    """Start a pynetdicom SCP that negotiates whatever can be negotiated."""

    def check(event: Any) -> tuple[bool, bytes | None]:
        return event.secondary_field == b"invented-passcode", b""

    def window(event: Any) -> tuple[int, int]:
        return min(event.nr_invoked, 3), min(event.nr_performed, 2)

    def extended(event: Any) -> dict[UID, bytes]:
        return dict(event.app_info)

    def common(event: Any) -> dict[UID, Any]:
        return dict(event.items)

    def find(_event: Any) -> Iterator[tuple[int, Dataset | None]]:
        answer = Dataset()
        answer.QueryRetrieveLevel = "STUDY"
        answer.PatientName = "Ceshi^Jia"
        answer.StudyInstanceUID = invent_uid("study", 0)
        yield 0xFF00, answer

    ae = AE("ARCHIVE")
    ae.add_supported_context(uid_of("Verification"))
    ae.add_supported_context(uid_of("StudyRootQueryRetrieveInformationModelFind"))
    ae.add_supported_context(uid_of("CTImageStorage"), scu_role=True, scp_role=True)
    handlers: list[Any] = [
        (evt.EVT_USER_ID, check),
        (evt.EVT_ASYNC_OPS, window),
        (evt.EVT_SOP_EXTENDED, extended),
        (evt.EVT_SOP_COMMON, common),
        (evt.EVT_C_FIND, find),
    ]
    stage.host(ae, PORT, handlers)


@scenario(
    "negotiation",
    "every kind of user information: user identity (username and passcode), "
    "asynchronous operations window (5/5 asked, 1/1 granted: pynetdicom has no more to give), "
    "role selection, SOP class extended and common extended negotiation; then C-ECHO and C-FIND",
    requestor="pynetdicom",
    acceptor="pynetdicom",
)
def negotiation(stage: Stage) -> None:
    find, ct = uid_of("StudyRootQueryRetrieveInformationModelFind"), uid_of("CTImageStorage")
    extended = pdu_primitives.SOPClassExtendedNegotiation()
    extended.sop_class_uid = find
    # Relational queries yes, combined date and time yes, fuzzy matching no, time zone yes.
    extended.service_class_application_information = b"\x01\x01\x00\x01"
    common = pdu_primitives.SOPClassCommonExtendedNegotiation()
    common.sop_class_uid = uid_of("EnhancedSRStorage")
    common.service_class_uid = UID("1.2.840.10008.4.2")
    common.related_general_sop_class_identification = [uid_of("BasicTextSRStorage")]
    identity_server(stage)
    contexts = [build_context(uid) for uid in (uid_of("Verification"), find, ct)]
    wanted = [identity("invented-passcode"), operations_window(5, 5), extended, common]
    wanted.append(build_role(ct, scu_role=True, scp_role=True))
    query = Dataset()
    query.QueryRetrieveLevel = "STUDY"
    query.PatientName = ""
    query.StudyInstanceUID = ""
    with (
        stage.recording(),
        associated(HOST, contexts, called="ARCHIVE", negotiation=wanted) as scu,
    ):
        expect(scu.send_c_echo(), 0x0000)
        list(scu.send_c_find(query, find, msg_id=2))


@scenario(
    "negotiation-answered",
    "the acceptor answers every item: user identity with the empty positive response that "
    "username and passcode get, an asynchronous operations window of 3/2 for 5/5, the SCU role "
    "but not the SCP role, and a cut-down SOP class extended negotiation",
    requestor="sockets",
    acceptor="sockets",
)
def negotiation_answered(stage: Stage) -> None:
    find = uid_of("StudyRootQueryRetrieveInformationModelFind")
    ct = uid_of("CTImageStorage")

    def contexts() -> list[Any]:
        return [build_context(uid, ImplicitVRLittleEndian) for uid in (ct, find)]

    def extended(information: bytes) -> pdu_primitives.SOPClassExtendedNegotiation:
        item = pdu_primitives.SOPClassExtendedNegotiation()
        item.sop_class_uid = find
        item.service_class_application_information = information
        return item

    accepted = pdu_primitives.UserIdentityNegotiation()
    accepted.server_response = b""
    asked = associate_request(
        contexts(),
        called="ARCHIVE",
        negotiation=[
            operations_window(5, 5),
            build_role(ct, scu_role=True, scp_role=True),
            extended(b"\x01\x01\x01\x01"),
            identity("invented-passcode"),
        ],
    )
    granted = associate_accept(
        contexts(),
        called="ARCHIVE",
        negotiation=[
            operations_window(3, 2),
            build_role(ct, scu_role=True, scp_role=False),
            extended(b"\x01\x01\x00\x00"),
            accepted,
        ],
    )

    def accept(wire: Wire) -> None:
        wire.receive(0x01)
        wire.send(granted)
        wire.receive(0x05)
        wire.send(RELEASE_RESPONSE)
        wire.close()

    with stage.recording(), accepting(accept):
        wire = Wire.connect()
        wire.send(asked)
        wire.receive(0x02)
        wire.send(RELEASE_REQUEST)
        wire.receive(0x06)
        wire.close()


@scenario(
    "identity-token",
    "user identity by JSON Web Token (an invented one), with a server response, then C-STORE",
    requestor="storescu",
    acceptor="pynetdicom",
)
def identity_token(stage: Stage) -> None:
    def check(event: Any) -> tuple[bool, bytes]:
        return event.primary_field == b"invented.jwt.token", b"invented-server-response"

    ae = AE("STORAGE")
    ae.add_supported_context(uid_of("CTImageStorage"))
    stage.host(ae, PORT, [(evt.EVT_USER_ID, check), (evt.EVT_C_STORE, lambda _event: 0x0000)])
    save(stage.folder / "ct.dcm", image("CT", size=32))
    (stage.folder / "token.txt").write_text("invented.jwt.token", "ascii")
    with stage.recording():
        send(stage, "-R", "--jwt", "token.txt", "-rsp", "ct.dcm")


@scenario(
    "identity-refused",
    "the wrong passcode: the association is rejected",
    requestor="pynetdicom",
    acceptor="pynetdicom",
)
def identity_refused(stage: Stage) -> None:
    identity_server(stage)
    with stage.recording():
        association = AE("FLC1270").associate(
            HOST,
            PORT,
            [build_context(uid_of("Verification"))],
            ae_title="ARCHIVE",
            ext_neg=[identity("invented-wrong-passcode")],
        )
        if not association.is_rejected:
            raise RecordingError("the association was not rejected")


PRIVATE_SYNTAX = UID("1.2.826.0.1.3680043.10.9999.1")
HTJ2K_LOSSLESS = UID("1.2.840.10008.1.2.4.201")


def store_with_syntax(stage: Stage, syntax: UID, objects: Sequence[Dataset]) -> None:
    """C-STORE ``objects`` between two pynetdicom AEs that both know ``syntax`` and nothing else."""

    def answer(_event: Any) -> int:
        return 0x0000

    ae = AE("STORAGE")
    ae.add_supported_context(uid_of("SecondaryCaptureImageStorage"), syntax)
    stage.host(ae, PORT, [(evt.EVT_C_STORE, answer)])
    contexts = [build_context(uid_of("SecondaryCaptureImageStorage"), syntax)]
    with stage.recording(), associated(HOST, contexts) as scu:
        for number, data in enumerate(objects, start=1):
            # Sent from the file, so that pynetdicom need not know how the syntax is encoded.
            path = save(stage.folder / f"{number}.dcm", data, syntax)
            expect(scu.send_c_store(path, msg_id=number), 0x0000)


@scenario(
    "private-syntax",
    "C-STORE in a private transfer syntax that both sides accept; it is Explicit VR Little "
    "Endian under another name, which nobody else can know",
    requestor="pynetdicom",
    acceptor="pynetdicom",
)
def private_syntax(stage: Stage) -> None:
    store_with_syntax(stage, PRIVATE_SYNTAX, [image("OT", number, size=32) for number in range(2)])


@scenario(
    "htj2k-syntax",
    "C-STORE in HTJ2K Lossless, younger than many decoders' tables; the one fragment begins "
    "like a codestream, and is none",
    requestor="pynetdicom",
    acceptor="pynetdicom",
)
def htj2k_syntax(stage: Stage) -> None:
    data = image("OT", size=32)
    start, end = bytes.fromhex("FF4FFF51"), bytes.fromhex("FFD9")
    data.PixelData = encapsulate([start + gradient(20, 20) + end])
    data["PixelData"].VR = "OB"
    data["PixelData"].is_undefined_length = True
    store_with_syntax(stage, HTJ2K_LOSSLESS, [data])

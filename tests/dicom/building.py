"""PDUs to decode, built from scratch or by pynetdicom, and what holds for every decoded one."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from pynetdicom import pdu as pynetdicom_pdu
from pynetdicom import pdu_primitives as primitives
from pynetdicom.presentation import build_context

from dicomsniff.dicom.pdu import decode, layout, secret_spans
from dicomsniff.dicom.reader import FAULTS_KEPT
from dicomsniff.model import AssociatePDU, Fault, Node

CT = "1.2.840.10008.5.1.4.1.1.2"
FIND = "1.2.840.10008.5.1.4.1.2.2.1"
IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
SECRET = b"hunter2-not-a-secret"


def item(kind: int, content: bytes = b"", length: int | None = None) -> bytes:
    size = len(content) if length is None else length
    return struct.pack(">BBH", kind, 0, size) + content


def pdu(kind: int, content: bytes, length: int | None = None) -> bytes:
    return struct.pack(">BBI", kind, 0, len(content) if length is None else length) + content


def counted(content: bytes) -> bytes:
    return struct.pack(">H", len(content)) + content


APPLICATION = item(0x10, b"1.2.840.10008.3.1.1.1")
MAXIMUM = item(0x51, b"\0\0\x40\0")
CLASS = item(0x52, b"1.2.276.0.7230010.3.0.3.6.7")
USER = item(0x50, MAXIMUM + CLASS)


def context(
    number: int = 1, abstract: tuple[str, ...] = (CT,), transfer: tuple[str, ...] = (IMPLICIT,)
) -> bytes:
    content = bytes((number, 0, 0, 0))
    content += b"".join(item(0x30, uid.encode()) for uid in abstract)
    content += b"".join(item(0x40, uid.encode()) for uid in transfer)
    return item(0x20, content)


def answer(number: int, result: int, transfer: tuple[str, ...] = (IMPLICIT,)) -> bytes:
    content = bytes((number, 0, result, 0))
    return item(0x21, content + b"".join(item(0x40, uid.encode()) for uid in transfer))


def associate(
    items: bytes,
    *,
    kind: int = 1,
    called: bytes = b"MOZI",
    calling: bytes = b"FLC1270",
    version: int = 1,
    length: int | None = None,
) -> bytes:
    fixed = struct.pack(">HH", version, 0) + called.ljust(16) + calling.ljust(16) + bytes(32)
    return pdu(kind, fixed + items, length)


def request(*, users: bytes = b"", items: bytes = b"") -> bytes:
    """A request that is in order but for ``users`` and ``items``."""
    return associate(APPLICATION + context() + item(0x50, MAXIMUM + CLASS + users) + items)


def decoded(data: bytes) -> AssociatePDU:
    result = decode(data)
    assert isinstance(result, AssociatePDU)
    return result


def texts(data: bytes) -> list[str]:
    return [fault.text for fault in decode(data).faults]


def walk(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children:
        yield from walk(child)


def named(data: bytes, name: str) -> list[Node]:
    return [node for node in walk(layout(data)) if node.name == name]


def everything() -> bytes:
    """An A-ASSOCIATE-RQ with every user information item, made by pynetdicom."""
    a = primitives.A_ASSOCIATE()
    a.application_context_name = "1.2.840.10008.3.1.1.1"
    a.calling_ae_title = "FLC1270"
    a.called_ae_title = "MOZI"
    contexts = [build_context(CT, [IMPLICIT, EXPLICIT]), build_context(FIND, [EXPLICIT])]
    for number, each in enumerate(contexts):
        each.context_id = 2 * number + 1
    a.presentation_context_definition_list = contexts
    maximum = primitives.MaximumLengthNotification()
    maximum.maximum_length_received = 16382
    implementation = primitives.ImplementationClassUIDNotification()
    implementation.implementation_class_uid = "1.2.826.0.1.3680043.9.3811.3.0.4"
    version = primitives.ImplementationVersionNameNotification()
    version.implementation_version_name = "PYNETDICOM_304"
    window = primitives.AsynchronousOperationsWindowNegotiation()
    window.maximum_number_operations_invoked = 5
    window.maximum_number_operations_performed = 7
    role = primitives.SCP_SCU_RoleSelectionNegotiation()
    role.sop_class_uid, role.scu_role, role.scp_role = CT, False, True
    extended = primitives.SOPClassExtendedNegotiation()
    extended.sop_class_uid = FIND
    extended.service_class_application_information = b"\1\0\1"
    common = primitives.SOPClassCommonExtendedNegotiation()
    common.sop_class_uid = CT
    common.service_class_uid = "1.2.840.10008.4.2"
    common.related_general_sop_class_identification = [
        "1.2.840.10008.5.1.4.1.1.4",
        "1.2.840.10008.5.1.4.1.1.7",
    ]
    identity = primitives.UserIdentityNegotiation()
    identity.user_identity_type = 2
    identity.primary_field = "Müller".encode()
    identity.secondary_field = SECRET
    identity.positive_response_requested = True
    a.user_information = [
        maximum,
        implementation,
        version,
        window,
        role,
        extended,
        common,
        identity,
    ]
    built = pynetdicom_pdu.A_ASSOCIATE_RQ()
    built.from_primitive(a)
    return bytes(built.encode())


def check_tree(data: bytes) -> None:
    """Spans lie in the input, children in their parents, siblings do not overlap."""
    root = layout(data)
    assert (root.start, root.end) == (0, len(data))
    for node in walk(root):
        at = node.start
        for child in node.children:
            assert at <= child.start <= child.end <= node.end, (node.name, child)
            if not node.name.startswith("Service class application"):
                at = child.end


def check(data: bytes) -> None:
    got = decode(data)
    for fault in got.faults:
        assert isinstance(fault, Fault)
        assert 0 <= fault.start <= fault.end <= len(data)
        assert "\n" not in fault.text
    assert len(got.faults) <= FAULTS_KEPT + 1
    check_tree(data)
    for start, end in secret_spans(data):
        assert 0 <= start < end <= len(data)

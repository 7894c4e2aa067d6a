# SPDX-License-Identifier: GPL-2.0-or-later
"""Peers in Python: pynetdicom as requestor, and by hand what no tool can be made to do."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from typing import Any

import pynetdicom
from pydicom import Dataset
from pydicom.uid import UID
from pynetdicom import AE, dimse_messages, dimse_primitives, pdu, pdu_primitives
from pynetdicom.dsutils import encode

from recording.invented import invent_uid, uid_of
from recording.stage import HOST, PORT, RUN_SECONDS, RecordingError

# A data set that is sent from a file goes out as it stands there.
pynetdicom._config.STORE_SEND_CHUNKED_DATASET = True


@contextlib.contextmanager
def associated(
    address: str,
    contexts: list[Any],
    *,
    port: int = PORT,
    calling: str = "FLC1270",
    called: str = "STORAGE",
    negotiation: Sequence[Any] = (),
    handlers: Sequence[Any] = (),
    tls: ssl.SSLContext | None = None,
) -> Iterator[Any]:
    """An association that pynetdicom requests, and releases afterwards."""
    ae = AE(calling)
    association = ae.associate(
        address,
        port,
        contexts,
        ae_title=called,
        ext_neg=list(negotiation),
        evt_handlers=list(handlers),
        tls_args=(tls, "invented.example") if tls else None,
    )
    if not association.is_established:
        raise RecordingError(f"{called} did not accept the association")
    try:
        yield association
        association.release()
    finally:
        if association.is_established:
            association.abort()


def expect(status: Dataset, code: int) -> None:
    """Raise RecordingError unless a response came, with status ``code``."""
    if status.get("Status") != code:
        raise RecordingError(f"status {code:04X}H was to come, not {status}")


class Wire:
    """One end of a TCP connection that carries PDUs."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        connection.settimeout(RUN_SECONDS)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @classmethod
    def connect(cls, port: int = PORT, host: str = HOST) -> Wire:
        """Connect to ``port``, on the loopback interface where no ``host`` is named."""
        return cls(socket.create_connection((host, port)))

    def send(self, *pdus: bytes) -> None:
        """Send each of ``pdus`` with a write of its own."""
        for data in pdus:
            self.connection.sendall(data)

    def receive(self, kind: int) -> bytes:
        """Read one PDU, which has to be of type ``kind``."""
        header = self._read(6)
        if header[0] != kind:
            raise RecordingError(f"PDU type {kind:02X}H was to come, not {header[0]:02X}H")
        return header + self._read(int.from_bytes(header[2:], "big"))

    def associate(self, contexts: list[Any], request: Sequence[bytes]) -> None:
        """A whole association for one request, which one PDU answers."""
        self.send(associate_request(contexts))
        self.receive(0x02)
        self.send(*request)
        self.receive(0x04)
        self.send(RELEASE_REQUEST)
        self.receive(0x06)

    def _read(self, length: int) -> bytes:
        data = b""
        while len(data) < length:
            part = self.connection.recv(length - len(data))
            if not part:
                raise RecordingError("the connection was closed too early")
            data += part
        return data

    def close(self, *, reset: bool = False) -> None:
        """Close with FIN, or with RST where ``reset``."""
        if reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()


@contextlib.contextmanager
def accepting(
    play: Callable[[Wire], None], port: int = PORT, receive_buffer: int = 0
) -> Iterator[None]:
    """Accept one connection on ``port`` in a thread, which runs ``play``; errors come back."""
    errors: list[BaseException] = []

    def accept() -> None:
        try:
            connection, _ = listener.accept()
            play(Wire(connection))
        except BaseException as error:
            errors.append(error)

    with socket.create_server((HOST, port)) as listener:
        if receive_buffer:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        listener.settimeout(RUN_SECONDS)
        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield
        thread.join(RUN_SECONDS)
    if errors:
        raise RecordingError(f"the acceptor failed: {errors[0]}")


def association_primitive(
    contexts: list[Any], calling: str, called: str, negotiation: Sequence[Any]
) -> pdu_primitives.A_ASSOCIATE:
    """What A-ASSOCIATE-RQ and -AC have in common."""
    primitive = pdu_primitives.A_ASSOCIATE()
    primitive.application_context_name = UID("1.2.840.10008.3.1.1.1")
    primitive.calling_ae_title = calling
    primitive.called_ae_title = called
    length = pdu_primitives.MaximumLengthNotification()
    length.maximum_length_received = 16384
    implementation = pdu_primitives.ImplementationClassUIDNotification()
    implementation.implementation_class_uid = invent_uid("implementation")
    implementation_version = pdu_primitives.ImplementationVersionNameNotification()
    implementation_version.implementation_version_name = "INVENTED_1"
    primitive.user_information = [length, implementation, implementation_version, *negotiation]
    for number, context in enumerate(contexts):
        context.context_id = 2 * number + 1
    return primitive


def associate_request(
    contexts: list[Any],
    *,
    calling: str = "FLC1270",
    called: str = "STORAGE",
    negotiation: Sequence[Any] = (),
) -> bytes:
    """An A-ASSOCIATE-RQ with contexts 1, 3, 5…"""
    primitive = association_primitive(contexts, calling, called, negotiation)
    primitive.presentation_context_definition_list = contexts
    request = pdu.A_ASSOCIATE_RQ()
    request.from_primitive(primitive)
    return request.encode()


def associate_accept(
    contexts: list[Any],
    *,
    calling: str = "FLC1270",
    called: str = "STORAGE",
    negotiation: Sequence[Any] = (),
) -> bytes:
    """An A-ASSOCIATE-AC that accepts each context with its first transfer syntax."""
    primitive = association_primitive(contexts, calling, called, negotiation)
    for context in contexts:
        context.result = 0x00
    primitive.presentation_context_definition_results_list = contexts
    primitive.result = 0x00
    primitive.result_source = 0x01
    accept = pdu.A_ASSOCIATE_AC()
    accept.from_primitive(primitive)
    return accept.encode()


def operations_window(
    invoked: int, performed: int
) -> pdu_primitives.AsynchronousOperationsWindowNegotiation:
    """How many operations may be outstanding in each direction."""
    window = pdu_primitives.AsynchronousOperationsWindowNegotiation()
    window.maximum_number_operations_invoked = invoked
    window.maximum_number_operations_performed = performed
    return window


RELEASE_REQUEST = bytes.fromhex("05 00 00000004 00000000")
RELEASE_RESPONSE = bytes.fromhex("06 00 00000004 00000000")


def message(primitive: Any, kind: str, context_id: int, max_pdu: int = 16384) -> list[bytes]:
    """The P-DATA-TF PDUs of one DIMSE message, e.g. ``kind`` "C_ECHO_RQ"."""
    dimse = getattr(dimse_messages, kind)()
    dimse.primitive_to_message(primitive)
    pdus = []
    for data in dimse.encode_msg(context_id, max_pdu):
        transfer = pdu.P_DATA_TF()
        transfer.from_primitive(data)
        pdus.append(transfer.encode())
    return pdus


def echo_messages(number: int) -> tuple[list[bytes], list[bytes]]:
    """C-ECHO-RQ and -RSP with message ID ``number`` on context 1."""
    request, response = dimse_primitives.C_ECHO(), dimse_primitives.C_ECHO()
    request.MessageID = response.MessageIDBeingRespondedTo = number
    request.AffectedSOPClassUID = response.AffectedSOPClassUID = uid_of("Verification")
    response.Status = 0x0000
    return message(request, "C_ECHO_RQ", 1), message(response, "C_ECHO_RSP", 1)


def store_messages(
    data: Dataset, number: int, context_id: int, *, max_pdu: int = 16384
) -> tuple[list[bytes], list[bytes]]:
    """C-STORE-RQ and -RSP with message ID ``number``, the data set in Explicit VR Little Endian."""
    encoded = encode(data, False, True)
    if encoded is None:
        raise RecordingError("an object cannot be encoded")
    request, response = dimse_primitives.C_STORE(), dimse_primitives.C_STORE()
    request.MessageID = response.MessageIDBeingRespondedTo = number
    request.AffectedSOPClassUID = response.AffectedSOPClassUID = data.SOPClassUID
    request.AffectedSOPInstanceUID = response.AffectedSOPInstanceUID = data.SOPInstanceUID
    request.Priority = 0x0000
    request.DataSet = BytesIO(encoded)
    response.Status = 0x0000
    return (
        message(request, "C_STORE_RQ", context_id, max_pdu),
        message(response, "C_STORE_RSP", context_id),
    )

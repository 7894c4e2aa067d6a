# SPDX-License-Identifier: GPL-2.0-or-later
"""Connections: how they end, what else runs over them, several at once."""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
import struct
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, build_context, dimse_primitives, evt
from pynetdicom.dsutils import encode

from recording.invented import image, invent_uid, save, uid_of
from recording.peers import (
    RELEASE_REQUEST,
    RELEASE_RESPONSE,
    Wire,
    accepting,
    associate_accept,
    associate_request,
    associated,
    echo_messages,
    expect,
    message,
    operations_window,
    store_messages,
)
from recording.stage import HOST, PORT, PORT_TLS, RecordingError, Stage, scenario
from recording.storage import storage_server


@scenario(
    "lost-reset",
    "the SCU's machine resets the connection (RST) in the middle of a C-STORE, half-way through "
    "a P-DATA-TF PDU",
    requestor="sockets",
    acceptor="storescp",
)
def lost_reset(stage: Stage) -> None:
    storage_server(stage)
    contexts = [build_context(uid_of("CTImageStorage"), ExplicitVRLittleEndian)]
    requests, _ = store_messages(image("CT"), 1, 1, max_pdu=4096)
    with stage.recording():
        wire = Wire.connect()
        wire.send(associate_request(contexts))
        wire.receive(0x02)
        wire.send(*requests[:2], requests[2][:1000])
        time.sleep(0.2)
        wire.close(reset=True)


@scenario(
    "lost-fin",
    "two connections that end with FIN: one after a C-ECHO, without release; one in the middle "
    "of a C-STORE, where the SCP still sends an A-ABORT into the closed connection (RST)",
    requestor="sockets",
    acceptor="storescp",
)
def lost_fin(stage: Stage) -> None:
    storage_server(stage)
    with stage.recording():
        wire = Wire.connect()
        wire.send(associate_request([build_context(uid_of("Verification"))]))
        wire.receive(0x02)
        wire.send(*echo_messages(1)[0])
        wire.receive(0x04)
        wire.close()
        time.sleep(0.2)
        contexts = [build_context(uid_of("CTImageStorage"), ExplicitVRLittleEndian)]
        requests, _ = store_messages(image("CT"), 1, 1, max_pdu=4096)
        wire = Wire.connect()
        wire.send(associate_request(contexts))
        wire.receive(0x02)
        wire.send(*requests[:2], requests[2][:1000])
        wire.close()


@scenario(
    "port-closed",
    "nothing listens on the port: SYN, answered by RST",
    requestor="echoscu",
    acceptor="nobody",
)
def port_closed(stage: Stage) -> None:
    with stage.recording():
        stage.run("echoscu", "-aet", "FLC1270", "-aec", "STORAGE", HOST, str(PORT), fails=True)


@scenario(
    "no-answer",
    "something listens on the port, and says nothing to the association request",
    requestor="echoscu",
    acceptor="sockets",
)
def no_answer(stage: Stage) -> None:
    with socket.create_server((HOST, PORT)), stage.recording():
        stage.run(
            *("echoscu", "-v", "-ta", "4", "-to", "4", "-aet", "FLC1270", "-aec", "STORAGE"),
            *(HOST, str(PORT)),
            fails=True,
        )


@scenario(
    "http-port",
    "an association request to a port on which a web server listens",
    requestor="echoscu",
    acceptor="sockets",
)
def http_port(stage: Stage) -> None:
    def play(wire: Wire) -> None:
        wire.receive(0x01)
        wire.send(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
        wire.close()

    with stage.recording(), accepting(play):
        stage.run(
            *("echoscu", "-v", "-aet", "FLC1270", "-aec", "STORAGE", HOST, str(PORT)), fails=True
        )


@scenario(
    "store-contradicts",
    "two objects: the first under another SOP Instance UID than its own, the second in Implicit VR "
    "where Explicit VR was agreed on",
    requestor="sockets",
    acceptor="pynetdicom",
)
def store_contradicts(stage: Stage) -> None:
    uid = uid_of("CTImageStorage")
    ae = AE("STORAGE")
    ae.add_supported_context(uid)
    stage.host(ae, PORT, [(evt.EVT_C_STORE, lambda _event: 0x0000)])
    contexts = [build_context(uid, ExplicitVRLittleEndian)]
    with stage.recording():
        wire = Wire.connect()
        wire.send(associate_request(contexts))
        wire.receive(0x02)
        for number, (instance, implicit) in enumerate(
            ((invent_uid("another"), False), (image("CT", 1).SOPInstanceUID, True))
        ):
            request = dimse_primitives.C_STORE()
            request.MessageID = number + 1
            request.AffectedSOPClassUID = uid
            request.AffectedSOPInstanceUID = instance
            request.Priority = 0x0000
            encoded = encode(image("CT", number), implicit, True)
            if encoded is None:
                raise RecordingError("an object cannot be encoded")
            request.DataSet = BytesIO(encoded)
            wire.send(*message(request, "C_STORE_RQ", 1))
            wire.receive(0x04)
        wire.send(RELEASE_REQUEST)
        wire.receive(0x06)
        wire.close()


@scenario(
    "receiver-full",
    "an acceptor that reads nothing for three seconds: its receive window closes",
    requestor="sockets",
    acceptor="sockets",
)
def receiver_full(stage: Stage) -> None:
    contexts = [build_context(uid_of("CTImageStorage"), ExplicitVRLittleEndian)]
    request, response = store_messages(image("CT", size=256), 1, 1)

    def play(wire: Wire) -> None:
        wire.receive(0x01)
        wire.send(associate_accept(contexts))
        time.sleep(3)
        for _ in request:
            wire.receive(0x04)
        wire.send(*response)
        wire.receive(0x05)
        wire.send(RELEASE_RESPONSE)
        wire.close()

    with stage.recording(), accepting(play, receive_buffer=8192):
        wire = Wire.connect()
        wire.associate(contexts, request)
        wire.close()


@scenario(
    "violations",
    "a requestor that breaks one rule on each of six associations, and what storescp makes of it: "
    "a command set whose group length is wrong; fragments of odd length; two requests with one "
    "message ID before either is answered; a message on a context that was refused; a PDU longer "
    "than the acceptor takes; a response that nobody asked for",
    requestor="sockets",
    acceptor="storescp",
)
def violations(stage: Stage) -> None:
    (stage.folder / "received").mkdir()
    stage.serve(
        *("storescp", "-pdu", "4096", "-aet", "STORAGE", "-od", "received", str(PORT)), port=PORT
    )
    verification, private = uid_of("Verification"), invent_uid("sop class")
    ct = uid_of("CTImageStorage")
    request, response = echo_messages(1)
    plain = associate_request([build_context(verification)])
    wrong_length = [each[:20] + b"\x01" + each[21:] for each in request]
    (whole,) = request
    command = whole[12:]
    halves = [command[:33], command[33:]]
    odd = [
        b"\x04\0" + struct.pack(">IIBB", len(half) + 6, len(half) + 2, 1, control) + half
        for half, control in zip(halves, (1, 3), strict=True)
    ]
    other = [each[:10] + b"\x03" + each[11:] for each in request]
    long_, _ = store_messages(image("CT"), 1, 1)
    two = [build_context(verification), build_context(private)]
    store = [build_context(ct, ExplicitVRLittleEndian)]
    with stage.recording():
        for opening, said in (
            (plain, wrong_length),
            (plain, [b"".join(odd)]),
            (plain, [*request, *request]),
            (associate_request(two), other),
            (associate_request(store), [b"".join(long_)]),
            (plain, response),
        ):
            wire = Wire.connect()
            wire.send(opening)
            try:
                wire.receive(0x02)
                wire.send(b"".join(said))
                for _ in range(len(said) // len(request)):
                    wire.receive(0x04)
                wire.send(RELEASE_REQUEST)
                wire.receive(0x06)
            except (RecordingError, OSError):
                pass  # what storescp answers is what this is about
            wire.close()
            time.sleep(0.2)


@scenario(
    "two-associations-one-connection",
    "two associations, one after the other, on one TCP connection: context 1 is Verification in "
    "the first, CT Image Storage in the second",
    requestor="sockets",
    acceptor="sockets",
)
def two_associations_one_connection(stage: Stage) -> None:
    first = [build_context(uid_of("Verification"), ImplicitVRLittleEndian)]
    second = [build_context(uid_of("CTImageStorage"), ExplicitVRLittleEndian)]
    echo_request, echo_response = echo_messages(1)
    store_request, store_response = store_messages(image("CT", size=32), 1, 1)

    def accept(wire: Wire) -> None:
        for contexts, count, response in (
            (first, len(echo_request), echo_response),
            (second, len(store_request), store_response),
        ):
            wire.receive(0x01)
            wire.send(associate_accept(contexts))
            for _ in range(count):
                wire.receive(0x04)
            wire.send(*response)
            wire.receive(0x05)
            wire.send(RELEASE_RESPONSE)
        wire.close()

    with stage.recording(), accepting(accept):
        wire = Wire.connect()
        for contexts, request in ((first, echo_request), (second, store_request)):
            wire.associate(contexts, request)
        wire.close()


@scenario(
    "async",
    "asynchronous operations (3 invoked, 3 performed): three C-STOREs outstanding, answered in "
    "the order 3, 1, 2, then two C-ECHOs answered 5, 4",
    requestor="sockets",
    acceptor="sockets",
)
def asynchronous(stage: Stage) -> None:
    def contexts() -> list[Any]:
        return [
            build_context(uid_of("Verification"), ExplicitVRLittleEndian),
            build_context(uid_of("CTImageStorage"), ExplicitVRLittleEndian),
        ]

    stores = {n: store_messages(image("CT", n, size=32), n, 3) for n in (1, 2, 3)}
    echoes = {n: echo_messages(n) for n in (4, 5)}

    def accept(wire: Wire) -> None:
        wire.receive(0x01)
        wire.send(associate_accept(contexts(), negotiation=[operations_window(3, 3)]))
        for exchanges, order in ((stores, (3, 1, 2)), (echoes, (5, 4))):
            for request, _ in exchanges.values():
                for _ in request:
                    wire.receive(0x04)
            for number in order:
                time.sleep(0.02)
                wire.send(*exchanges[number][1])
        wire.receive(0x05)
        wire.send(RELEASE_RESPONSE)
        wire.close()

    with stage.recording(), accepting(accept):
        wire = Wire.connect()
        wire.send(associate_request(contexts(), negotiation=[operations_window(3, 3)]))
        wire.receive(0x02)
        for exchanges in (stores, echoes):
            for request, _ in exchanges.values():
                wire.send(*request)
            for _ in exchanges:
                wire.receive(0x04)
        wire.send(RELEASE_REQUEST)
        wire.receive(0x06)
        wire.close()


@scenario(
    "concurrent",
    "five associations at once: four storescu with three images each, and a C-ECHO",
    requestor="storescu + echoscu",
    acceptor="storescp",
)
def concurrent(stage: Stage) -> None:
    storage_server(stage, "--fork")
    for study in range(4):
        for number in range(3):
            save(
                stage.folder / f"ct{study}{number}.dcm",
                image("CT", number, study=study, size=48),
            )
    with stage.recording():
        clients = [
            stage.start(
                *("storescu", "-R", "-aet", f"MODALITY{study + 1}", "-aec", "STORAGE"),
                *(HOST, str(PORT), *(f"ct{study}{number}.dcm" for number in range(3))),
            )
            for study in range(4)
        ]
        clients.append(stage.start("echoscu", "-aet", "FLC1270", HOST, str(PORT)))
        for client in clients:
            stage.finish(client)


@contextlib.contextmanager
def key_log(stage: Stage) -> Iterator[Path]:
    """A file for TLS secrets, kept beside the capture as <scenario>.keys."""
    path = stage.folder / "secrets.keys"
    yield path
    shutil.copyfile(path, stage.output / f"{stage.scene.name}.keys")


@scenario(
    "tls",
    "C-STORE over TLS 1.2 from storescu, then C-ECHO over TLS 1.3 from pynetdicom; the secrets "
    "are in tls.keys, in the SSLKEYLOGFILE format (the certificate was made for this recording "
    "and thrown away)",
    requestor="storescu + pynetdicom",
    acceptor="pynetdicom",
    ports=(PORT_TLS,),
    tools=("openssl",),
)
def tls(stage: Stage) -> None:
    stage.run(
        *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"),
        *("-subj", "/CN=invented.example", "-keyout", "key.pem", "-out", "certificate.pem"),
    )
    with key_log(stage) as secrets:
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(stage.folder / "certificate.pem", stage.folder / "key.pem")
        server.keylog_filename = str(secrets)
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client.minimum_version = ssl.TLSVersion.TLSv1_3
        client.check_hostname = False
        client.verify_mode = ssl.CERT_NONE
        ae = AE("STORAGE")
        ae.add_supported_context(uid_of("Verification"))
        ae.add_supported_context(uid_of("CTImageStorage"))
        stage.host(ae, PORT_TLS, [(evt.EVT_C_STORE, lambda _event: 0x0000)], tls=server)
        save(stage.folder / "ct.dcm", image("CT"))
        server.maximum_version = ssl.TLSVersion.TLSv1_2
        with stage.recording():
            stage.run(
                *("storescu", "-v", "-R", "-aet", "FLC1270", "-aec", "STORAGE", "+tla", "-ic"),
                *(HOST, str(PORT_TLS), "ct.dcm"),
            )
            server.maximum_version = ssl.TLSVersion.MAXIMUM_SUPPORTED
            contexts = [build_context(uid_of("Verification"))]
            with associated(HOST, contexts, port=PORT_TLS, tls=client) as scu:
                expect(scu.send_c_echo(), 0x0000)

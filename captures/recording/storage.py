# SPDX-License-Identifier: GPL-2.0-or-later
"""Verification and storage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydicom import Dataset
from pydicom.uid import ImplicitVRLittleEndian
from pynetdicom import AE, build_context, evt

from recording.invented import image, report, save, uid_of
from recording.peers import associated, expect
from recording.stage import HOST, PORT, PORT_SECOND, Stage, scenario


@scenario(
    "echo",
    "C-ECHO, and a second association with two more",
    requestor="echoscu",
    acceptor="storescp",
)
def echo(stage: Stage) -> None:
    stage.serve("storescp", "-aet", "STORAGE", str(PORT), port=PORT)
    call = ("echoscu", "-v", "-aet", "FLC1270", "-aec", "STORAGE")
    with stage.recording():
        stage.run(*call, HOST, str(PORT))
        stage.run(*call, "--repeat", "2", HOST, str(PORT))


@scenario(
    "echo-ipv6",
    "C-ECHO over IPv6 (::1)",
    requestor="pynetdicom",
    acceptor="pynetdicom",
)
def echo_ipv6(stage: Stage) -> None:
    ae = AE("STORAGE")
    ae.add_supported_context(uid_of("Verification"))
    stage.host(ae, PORT, [], "::1")
    with stage.recording(), associated("::1", [build_context(uid_of("Verification"))]) as scu:
        expect(scu.send_c_echo(), 0x0000)


def storage_server(stage: Stage, *options: str, port: int = PORT) -> Path:
    """Start storescp as STORAGE; returns the folder it writes to."""
    received = stage.folder / "received"
    received.mkdir(exist_ok=True)
    stage.serve(*("storescp", "-aet", "STORAGE", "-od", "received", *options, str(port)), port=port)
    return received


def send(stage: Stage, *words: str | Path, fails: bool = False) -> None:
    """Run storescu as FLC1270 with ``words`` (options, then files)."""
    options = [word for word in map(str, words) if not word.endswith(".dcm")]
    files = [word for word in map(str, words) if word.endswith(".dcm")]
    stage.run(
        *("storescu", "-v", "-aet", "FLC1270", "-aec", "STORAGE", *options),
        *(HOST, str(PORT), *files),
        fails=fails,
    )


@scenario(
    "store",
    "four SOP classes on one association (CT, MR, multi-frame US, Basic Text SR) after storescu "
    "has proposed everything it knows: 128 presentation contexts",
    requestor="storescu",
    acceptor="storescp",
)
def store(stage: Stage) -> None:
    save(stage.folder / "ct.dcm", image("CT"))
    save(stage.folder / "mr.dcm", image("MR"))
    save(stage.folder / "us.dcm", image("US", size=48))
    save(stage.folder / "sr.dcm", report())
    storage_server(stage)
    with stage.recording():
        send(stage, "ct.dcm", "mr.dcm", "us.dcm", "sr.dcm")


@scenario(
    "store-implicit",
    "two CT images where only Implicit VR Little Endian is proposed and accepted",
    requestor="storescu",
    acceptor="storescp",
)
def store_implicit(stage: Stage) -> None:
    for number in range(2):
        save(stage.folder / f"ct{number}.dcm", image("CT", number), ImplicitVRLittleEndian)
    storage_server(stage, "+xi")
    with stage.recording():
        send(stage, "-R", "-xi", "ct0.dcm", "ct1.dcm")


@scenario(
    "store-transfer-syntaxes",
    "six transfer syntaxes, an association each: Implicit VR Little Endian, Explicit VR Little "
    "Endian, Explicit VR Big Endian, Deflated Explicit VR Little Endian, JPEG Baseline, RLE "
    "Lossless; the files as storescp wrote them, bit for bit, are in objects/",
    requestor="storescu",
    acceptor="storescp",
    tools=("dcmconv", "dcmcjpeg", "dcmcrle"),
)
def store_transfer_syntaxes(stage: Stage) -> None:
    for number in range(6):
        save(stage.folder / f"plain{number}.dcm", image("OT", number))
    stage.prepare("dcmconv", "+ti", "plain0.dcm", "implicit.dcm")
    stage.prepare("dcmconv", "+te", "plain1.dcm", "explicit.dcm")
    stage.prepare("dcmconv", "+tb", "plain2.dcm", "big.dcm")
    stage.prepare("dcmconv", "+td", "plain3.dcm", "deflated.dcm")
    stage.prepare("dcmcjpeg", "+eb", "+un", "plain4.dcm", "jpeg.dcm")
    stage.prepare("dcmcrle", "+un", "plain5.dcm", "rle.dcm")
    received = storage_server(stage, "+xa", "+B")
    with stage.recording():
        send(stage, "-R", "-xi", "implicit.dcm")
        send(stage, "-R", "-xe", "explicit.dcm")
        send(stage, "-R", "-xb", "big.dcm")
        send(stage, "-R", "-xd", "deflated.dcm")
        send(stage, "-R", "-xy", "jpeg.dcm")
        send(stage, "-R", "-xr", "rle.dcm")
    stage.keep(received)


@scenario(
    "store-small-pdu",
    "the SCP takes PDUs of 4096 bytes at most: a CT image of 128x128 in nine P-DATA-TF PDUs",
    requestor="storescu",
    acceptor="storescp",
)
def store_small_pdu(stage: Stage) -> None:
    save(stage.folder / "ct.dcm", image("CT", size=128))
    storage_server(stage, "-pdu", "4096")
    with stage.recording():
        send(stage, "-R", "-pdu", "4096", "ct.dcm")


@scenario(
    "store-large-pdu",
    "both sides take PDUs of 131072 bytes: a CT image of 320x320 in two of them",
    requestor="storescu",
    acceptor="storescp",
)
def store_large_pdu(stage: Stage) -> None:
    save(stage.folder / "ct.dcm", image("CT", size=320))
    storage_server(stage, "-pdu", "131072")
    with stage.recording():
        send(stage, "-R", "-pdu", "131072", "ct.dcm")


@scenario(
    "store-refused",
    "the SCP refuses the association (A-ASSOCIATE-RJ)",
    requestor="storescu",
    acceptor="storescp",
)
def store_refused(stage: Stage) -> None:
    save(stage.folder / "ct.dcm", image("CT"))
    storage_server(stage, "--refuse")
    with stage.recording():
        send(stage, "-R", "ct.dcm", fails=True)


@scenario(
    "store-failed",
    "four C-STOREs answered with A700H Out of Resources, A900H Data Set does not match SOP "
    "Class (with an offending element), B000H Coercion of Data Elements and 0124H Not "
    "Authorized, the failures with an Error Comment",
    requestor="storescu",
    acceptor="pynetdicom",
)
def store_failed(stage: Stage) -> None:
    def answer(_event: Any) -> Dataset:
        status = Dataset()
        code, comment = answers.pop(0)
        status.Status = code
        if comment:
            status.ErrorComment = comment
        if code == 0xA900:
            status.OffendingElement = [0x00080060]
        return status

    answers = [
        (0xA700, "disk full (invented)"),
        (0xA900, "Modality does not fit (invented)"),
        (0xB000, ""),
        (0x0124, "no licence for this (invented)"),
    ]
    for number in range(4):
        save(stage.folder / f"ct{number}.dcm", image("CT", number, size=16))
    ae = AE("STORAGE")
    ae.add_supported_context(uid_of("CTImageStorage"))
    stage.host(ae, PORT, [(evt.EVT_C_STORE, answer)])
    with stage.recording():
        send(stage, "-R", "-nh", *(f"ct{number}.dcm" for number in range(4)))


@scenario(
    "store-aborted-by-scp",
    "the SCP aborts twice: once while it receives the C-STORE, once after it instead of answering",
    requestor="storescu",
    acceptor="storescp",
    ports=(PORT, PORT_SECOND),
)
def store_aborted_by_scp(stage: Stage) -> None:
    save(stage.folder / "ct.dcm", image("CT"))
    storage_server(stage, "--abort-during")
    storage_server(stage, "--abort-after", port=PORT_SECOND)
    with stage.recording():
        send(stage, "-R", "ct.dcm", fails=True)
        stage.run(
            *("storescu", "-v", "-aet", "FLC1270", "-aec", "STORAGE", "-R"),
            *(HOST, str(PORT_SECOND), "ct.dcm"),
            fails=True,
        )


@scenario(
    "store-aborted-by-scu",
    "the SCU aborts after a successful C-STORE instead of releasing",
    requestor="storescu",
    acceptor="storescp",
)
def store_aborted_by_scu(stage: Stage) -> None:
    save(stage.folder / "ct.dcm", image("CT"))
    storage_server(stage)
    with stage.recording():
        send(stage, "-R", "--abort", "ct.dcm")


VERIFICATION_ONLY = """\
[[TransferSyntaxes]]
[Uncompressed]
TransferSyntax1 = LocalEndianExplicit
TransferSyntax2 = OppositeEndianExplicit
TransferSyntax3 = LittleEndianImplicit
[[PresentationContexts]]
[VerificationOnly]
PresentationContext1 = VerificationSOPClass\\Uncompressed
[[Profiles]]
[Default]
PresentationContexts = VerificationOnly
"""


@scenario(
    "store-one-by-one",
    "storescu opens an association for each of ten images",
    requestor="storescu",
    acceptor="storescp",
)
def store_one_by_one(stage: Stage) -> None:
    for number in range(10):
        save(stage.folder / f"ct{number}.dcm", image("CT", number, size=16))
    storage_server(stage)
    with stage.recording():
        for number in range(10):
            send(stage, "-R", f"ct{number}.dcm")
        send(stage, "-R", "ct0.dcm", "ct1.dcm")


@scenario(
    "no-context",
    "an SCP that only knows Verification: the association is accepted, every presentation "
    "context for CT is not, and the SCU closes the connection without a word",
    requestor="storescu",
    acceptor="storescp",
)
def no_context(stage: Stage) -> None:
    save(stage.folder / "ct.dcm", image("CT"))
    (stage.folder / "verification-only.cfg").write_text(VERIFICATION_ONLY, "ascii")
    storage_server(stage, "-xf", "verification-only.cfg", "Default")
    with stage.recording():
        send(stage, "-R", "ct.dcm", fails=True)

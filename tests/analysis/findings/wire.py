"""Connections made by hand, packet by packet, for what no real tool can be brought to do.

A :class:`Wire` is a TCP connection between two invented hosts with a clock of its own; what it was
told to send goes through the pipeline as frames of Ethernet.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address
from typing import NamedTuple

from dicomsniff.analysis.pipeline import Listener, Pipeline
from dicomsniff.model import Association, Finding, Frame, Loss
from tests.dicom.building import APPLICATION, CLASS, CT, IMPLICIT, associate, context, item, pdu
from tests.dicom.building import answer as answered
from tests.output.build import command

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16

BEGAN = 1_767_600_900_000_000_000
TRIP = 200_000
"""Nanoseconds a packet takes to the other host, seen beside the client."""

ECHO = "1.2.840.10008.1.1"
Values = Mapping[int, int | str]


def echo(message_id: int = 1) -> dict[int, int | str]:
    """A C-ECHO request."""
    return {0x0002: ECHO, 0x0100: 0x0030, 0x0110: message_id, 0x0800: 0x0101}


def echoed(message_id: int = 1, status: int = 0) -> dict[int, int | str]:
    """Its response."""
    return {0x0002: ECHO, 0x0100: 0x8030, 0x0120: message_id, 0x0800: 0x0101, 0x0900: status}


def store(message_id: int = 1, flag: int = 0x0102) -> dict[int, int | str]:
    """A C-STORE request."""
    return {
        0x0002: CT,
        0x0100: 0x0001,
        0x0110: message_id,
        0x0700: 0,
        0x0800: flag,
        0x1000: instance(message_id),
    }


def stored(message_id: int = 1, status: int = 0) -> dict[int, int | str]:
    """Its response."""
    return {
        0x0002: CT,
        0x0100: 0x8001,
        0x0120: message_id,
        0x0800: 0x0101,
        0x0900: status,
        0x1000: instance(message_id),
    }


def value(content: bytes, control: int, number: int = 1) -> bytes:
    """A presentation data value."""
    return struct.pack(">IBB", len(content) + 2, number, control) + content


def requested(
    *contexts: bytes,
    maximum: int = 16384,
    users: bytes = b"",
    called: str = "STORAGE",
    calling: str = "FLC1270",
) -> bytes:
    """An A-ASSOCIATE-RQ."""
    items = b"".join(contexts or (context(1, (CT,)), context(3, (ECHO,))))
    user = item(0x50, item(0x51, struct.pack(">I", maximum)) + CLASS + users)
    return associate(APPLICATION + items + user, called=called.encode(), calling=calling.encode())


def accepted(*contexts: bytes, maximum: int = 16384, users: bytes = b"") -> bytes:
    """An A-ASSOCIATE-AC."""
    items = b"".join(contexts or (answered(1, 0), answered(3, 0)))
    user = item(0x50, item(0x51, struct.pack(">I", maximum)) + CLASS + users)
    return associate(APPLICATION + items + user, kind=2, called=b"STORAGE", calling=b"FLC1270")


def rejected(result: int, source: int, reason: int) -> bytes:
    """An A-ASSOCIATE-RJ."""
    return pdu(3, bytes((0, result, source, reason)))


def abort(source: int = 0, reason: int = 0) -> bytes:
    """An A-ABORT."""
    return pdu(7, bytes((0, 0, source, reason)))


RELEASE = pdu(5, bytes(4))
RELEASED = pdu(6, bytes(4))


def element(tag: int, content: bytes) -> bytes:
    """An element in implicit VR little endian."""
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(content)) + content


def image(number: int = 1, size: int = 2, sop_class: str = CT) -> bytes:
    """The CT image that :func:`store` announces, in implicit VR little endian."""
    return b"".join(
        (
            element(0x00080016, sop_class.encode() + b"\0" * (len(sop_class) % 2)),
            element(0x00080018, instance(number).encode()),
            element(0x00080060, b"CT"),
            element(0x7FE00010, bytes(size)),
        )
    )


def instance(number: int) -> str:
    """The SOP instance that a C-STORE with this message ID carries."""
    return f"1.2.3.{1000 + number}"


class Wire:
    """One connection. Side 0 opens it; the capture is made beside it."""

    def __init__(
        self,
        *,
        client: str = "192.0.2.1",
        server: str = "192.0.2.2",
        port: int = 11112,
        client_port: int = 40000,
        begin: float = 0.0,
    ) -> None:
        self.addresses = (IPv4Address(client).packed, IPv4Address(server).packed)
        self.ports = (client_port, port)
        self.seq = [1000, 5_000_000]
        self.time = BEGAN + round(begin * 1e9)
        self.sent: list[tuple[int, bytes]] = []

    def wait(self, seconds: float) -> Wire:
        """Let time pass."""
        self.time += round(seconds * 1e9)
        return self

    def segment(
        self,
        side: int,
        flags: int,
        data: bytes = b"",
        *,
        seq: int | None = None,
        ack: int | None = None,
        window: int = 60000,
    ) -> Wire:
        """Send a segment just now; time passes on the way of the server's."""
        at = self.seq[side] if seq is None else seq
        if ack is None:
            ack = self.seq[1 - side] if flags & ACK else 0
        header = struct.pack(
            ">HHIIBBHHH", self.ports[side], self.ports[1 - side], at, ack, 0x50, flags, window, 0, 0
        )
        source, destination = self.addresses[side], self.addresses[1 - side]
        total = 20 + len(header) + len(data)
        ip = struct.pack(">BBHHHBBH", 0x45, 0, total, 0, 0x4000, 64, 6, 0) + source + destination
        self.sent.append((self.time, bytes(12) + b"\x08\x00" + ip + header + data))
        self.time += 1000
        if seq is None:
            self.seq[side] = (at + len(data) + (flags & 1) + (flags >> 1 & 1)) & 0xFFFFFFFF
        return self

    def icmp(self, code: int, *, by: str, seq: int | None = None) -> Wire:
        """A message to the client that its segment could not be delivered: the latest SYN, or
        what began with ``seq``."""
        at = self.seq[0] - 1 if seq is None else seq
        head = struct.pack(">HHI", *self.ports, at)
        inner = struct.pack(">BBHHHBBH", 0x45, 0, 40, 0, 0x4000, 63, 6, 0)
        inner += self.addresses[0] + self.addresses[1] + head
        message = struct.pack(">BBHI", 3, code, 0, 0) + inner
        ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(message), 0, 0, 64, 1, 0)
        ip += IPv4Address(by).packed + self.addresses[0]
        self.sent.append((self.time, bytes(12) + b"\x08\x00" + ip + message))
        self.time += 1000
        return self

    def open(self) -> Wire:
        """The handshake."""
        self.segment(0, SYN).wait(TRIP / 1e9)
        return self.segment(1, SYN | ACK).segment(0, ACK)

    def say(self, side: int, data: bytes, *, acknowledged: bool = True) -> Wire:
        """Send bytes in one segment; the other side acknowledges."""
        self.segment(side, ACK | PSH, data).wait(TRIP / 1e9)
        return self.segment(1 - side, ACK) if acknowledged else self

    def message(
        self,
        side: int,
        values: Values,
        dataset: bytes | None = None,
        *,
        number: int = 1,
        control: int = 2,
    ) -> Wire:
        """A DIMSE message in one P-DATA-TF for each part."""
        self.say(side, pdu(4, value(command(values), 1 | control, number)))
        if dataset is not None:
            self.say(side, pdu(4, value(dataset, control, number)))
        return self

    def associate(self, request: bytes | None = None, answer: bytes | None = None) -> Wire:
        """Open the connection and the association."""
        self.open().say(0, request or requested())
        return self.say(1, answer or accepted())

    def release(self) -> Wire:
        """The proper end of both."""
        return self.say(0, RELEASE).say(1, RELEASED).close()

    def close(self) -> Wire:
        """Both sides close."""
        return self.segment(0, FIN | ACK).segment(1, FIN | ACK).segment(0, ACK)


class Ran(NamedTuple):
    """What came out."""

    associations: list[Association]
    findings: list[Finding]
    """Of the associations and of the capture."""

    def codes(self, *severities: str) -> list[str]:
        """Codes of the findings, in order."""
        return [f.code for f in self.findings if not severities or f.severity in severities]

    def only(self, code: str) -> Finding:
        """The one finding with this code."""
        found = [each for each in self.findings if each.code == code]
        assert len(found) == 1, self.codes()
        return found[0]


def run(*wires: Wire, until: float = 0.0, losses: Sequence[Loss] = ()) -> Ran:
    """What the pipeline makes of connections; the capture goes on ``until`` seconds after BEGAN
    where that is later than the last packet. ``losses``: when the kernel dropped packets."""
    packets = sorted(packet for wire in wires for packet in wire.sent)
    ran = Ran([], [])

    class Kept(Listener):
        def association_ended(self, association: Association) -> None:
            ran.associations.append(association)
            ran.findings.extend(association.findings)

    pipeline = Pipeline(listener=Kept())
    pipeline.info.source, pipeline.info.reader = "wire", "scapy"
    pipeline.info.losses.extend(losses)
    for number, (time, data) in enumerate(packets, 1):
        pipeline.feed(Frame(number, time, 1, data, len(data)))
    if until:
        idle = bytes(60)  # no TCP: only time passes
        pipeline.feed(Frame(len(packets) + 1, BEGAN + round(until * 1e9), 1, idle, len(idle)))
    pipeline.finish()
    ran.findings.extend(pipeline.findings)
    return ran


__all__ = ["CT", "ECHO", "IMPLICIT", "Ran", "Wire", "answered", "context", "item", "pdu", "run"]

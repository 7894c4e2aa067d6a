"""Packets made quickly: TCP connections between invented hosts, written as a pcap stream.

A packet is a pair (headers, payload); a connection yields packets, and what a capture holds is
put together from such streams. Times are made up by the writer: ten microseconds a packet.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from struct import Struct
from typing import BinaryIO

Packet = tuple[bytes, bytes]
"""Headers from Ethernet to TCP, and the payload."""

MASK = 0xFFFFFFFF
FIN, SYN, PSH, ACK = 1, 2, 8, 16

ETHERNET_MSS = 1448
"""Payload of a 1,500-byte IP packet beside TCP's timestamp option."""

OFFLOADED_MSS = 45 * ETHERNET_MSS
"""What a capture shows where the network card cuts segments: nearly 64 KiB."""

SERVER_PORT = 11112

_FILE_HEADER = Struct("<IHHiIII").pack(0xA1B2C3D4, 2, 4, 0, 0, 262_144, 1)
_RECORD = Struct("<IIII")
_IP = Struct(">BBHHHBBH4s4s")
_TCP = Struct(">IIHHHHIII")
_UDP = Struct(">HHHH")

_BEGAN = 1_767_600_900
"""Seconds since the epoch of the first packet: 2026-01-05T08:15:00Z."""

_STEP = 10
"""Microseconds from packet to packet."""

_GROUP = 1 << 20
"""Bytes of a message put together before they are cut into segments, and written at once."""


def write(packets: Iterable[Packet], stream: BinaryIO) -> int:
    """Write a pcap stream; how many bytes it took."""
    pack = _RECORD.pack
    out = [_FILE_HEADER]
    add = out.append
    waiting = written = 0
    seconds, micros = _BEGAN, 0
    for headers, payload in packets:
        length = len(headers) + len(payload)
        add(pack(seconds, micros, length, length))
        add(headers)
        add(payload)
        waiting += length
        micros += _STEP
        if micros >= 1_000_000:
            seconds += 1
            micros -= 1_000_000
        if waiting >= _GROUP:
            written += stream.write(b"".join(out))
            out.clear()
            waiting = 0
    written += stream.write(b"".join(out))
    stream.flush()
    return written


def _address(number: int) -> bytes:
    """10.x.y.z, unlike for every number."""
    return bytes((10, number >> 16 & 255, number >> 8 & 255, number & 255))


def _ip(source: bytes, destination: bytes, protocol: int, length: int) -> bytes:
    """Ethernet and IPv4 headers with a right checksum."""
    fields = (0x45, 0, 20 + length, 0, 0x4000, 64, protocol)
    header = _IP.pack(*fields, 0, source, destination)
    total = sum(int.from_bytes(header[at : at + 2], "big") for at in range(0, 20, 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    mac = b"\x02\x00" + destination + b"\x02\x00" + source + b"\x08\x00"
    return mac + _IP.pack(*fields, total ^ 0xFFFF, source, destination)


class Connection:
    """A TCP connection. Side 0 opens it."""

    def __init__(
        self,
        client: int = 1,
        server: int = 2,
        *,
        client_port: int = 40_000,
        server_port: int = SERVER_PORT,
        mss: int = ETHERNET_MSS,
        segments_per_ack: int = 2,
    ) -> None:
        """``client`` and ``server`` are numbers of hosts. Every second full segment is
        acknowledged, as RFC 1122 4.2.3.2 asks, unless told otherwise."""
        self._addresses = (_address(client), _address(server))
        self._ports = (client_port, server_port)
        self._mss = mss
        self._segments_per_ack = segments_per_ack
        self._seq = [(client * 7919 + client_port) & MASK, (server * 104_729 + client_port) & MASK]
        self._headers: dict[tuple[int, int], bytes] = {}
        self._clock = 1

    def _packet(self, side: int, flags: int, payload: bytes = b"") -> Packet:
        length = len(payload)
        head = self._headers.get((side, length))
        if head is None:
            ports = (self._ports[side] << 16 | self._ports[1 - side]).to_bytes(4, "big")
            addresses = self._addresses[side], self._addresses[1 - side]
            head = self._headers[side, length] = _ip(*addresses, 6, 32 + length) + ports
        seq = self._seq[side]
        ack = self._seq[1 - side] if flags & ACK else 0
        self._clock += 1
        # 0101080A: two no-operations, then the timestamp option.
        tcp = _TCP.pack(seq, ack, 0x8000 | flags, 65_535, 0, 0, 0x0101080A, self._clock & MASK, 1)
        self._seq[side] = (seq + length + (flags & 1) + (flags >> 1 & 1)) & MASK
        return head + tcp, payload

    def open(self) -> Iterator[Packet]:
        """The three-way handshake."""
        yield self._packet(0, SYN)
        yield self._packet(1, SYN | ACK)
        yield self._packet(0, ACK)

    def send(self, side: int, pieces: Iterable[bytes]) -> Iterator[Packet]:
        """One side sends; the other acknowledges."""
        mss = self._mss
        unacknowledged = 0
        rest = b""
        group: list[bytes] = []
        size = 0
        for piece in chain(pieces, (None,)):
            if piece is not None:
                group.append(piece)
                size += len(piece)
                if size < _GROUP:
                    continue
            data = b"".join((rest, *group))
            group.clear()
            size = 0
            whole = len(data) if piece is None else len(data) - len(data) % mss
            for at in range(0, whole, mss):
                yield self._packet(side, ACK, data[at : min(at + mss, whole)])
                unacknowledged += 1
                if unacknowledged == self._segments_per_ack:
                    unacknowledged = 0
                    yield self._packet(1 - side, ACK)
            rest = data[whole:]
        if unacknowledged:
            yield self._packet(1 - side, ACK)

    def close(self) -> Iterator[Packet]:
        """Both sides end it."""
        yield self._packet(0, FIN | ACK)
        yield self._packet(1, FIN | ACK)
        yield self._packet(0, ACK)


def datagram(source: int, destination: int, payload: bytes) -> Packet:
    """A UDP packet, which is nothing to us."""
    length = 8 + len(payload)
    head = _ip(_address(source), _address(destination), 17, length)
    return head + _UDP.pack(5004, 5004, length, 0), payload


def interleaved(streams: Iterable[Iterator[Packet]]) -> Iterator[Packet]:
    """A packet of each stream in turn."""
    turns = list(streams)
    while turns:
        left = []
        for stream in turns:
            packet = next(stream, None)
            if packet is not None:
                yield packet
                left.append(stream)
        turns = left


def disordered(packets: Iterable[Packet], share: float, *, by: int) -> Iterator[Packet]:
    """``share`` of the packets come ``by`` packets later than they were sent."""
    chance = random.Random(1).random
    late: list[tuple[int, Packet]] = []
    number = -1
    for number, packet in enumerate(packets):
        if chance() < share:
            late.append((number + by, packet))
        else:
            yield packet
        while late and late[0][0] <= number:
            yield late.pop(0)[1]
    yield from (packet for _, packet in late)


def repeated(make: Callable[[int], Iterator[Packet]], count: int) -> Iterator[Packet]:
    """``count`` streams, one after another; ``make`` is told which."""
    return chain.from_iterable(map(make, range(count)))

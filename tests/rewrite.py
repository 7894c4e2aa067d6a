"""Captures taken apart into TCP segments, changed, and put together again.

A recorded session is the oracle: whatever the network does to its packets (cuts, disorder,
repetition, other link layers, fragments), what was said stays the same. Nothing here uses the
package's own readers or dissectors, so that a fault in them cannot hide itself. All randomness
comes from a seeded generator that the caller passes.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from random import Random
from typing import NamedTuple

from dicomsniff.analysis.operations import OperationJoiner
from dicomsniff.dicom.conversation import Conversation
from dicomsniff.model import Association, Endpoint, Entry, Frame, Segment
from dicomsniff.tcp.connection import Connection
from dicomsniff.tcp.flows import Tracker

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16

ETHERNET, NULL, RAW, LINUX_SLL, LOOP, IPV4, IPV6, LINUX_SLL2 = 1, 0, 101, 113, 108, 228, 229, 276
"""LINKTYPE_… values, as tcpdump.org lists them."""


class Packet(NamedTuple):
    """A TCP segment with its addresses and time."""

    time: int
    source: bytes
    destination: bytes
    sport: int
    dport: int
    seq: int
    ack: int
    flags: int
    payload: bytes

    @property
    def flow(self) -> frozenset[tuple[bytes, int]]:
        """The connection, whichever direction."""
        return frozenset(((self.source, self.sport), (self.destination, self.dport)))

    @property
    def way(self) -> tuple[bytes, int, bytes, int]:
        """The direction."""
        return self.source, self.sport, self.destination, self.dport


# ---------------------------------------------------------------------------- captures in


def raw_frames(path: Path) -> Iterator[Frame]:
    """The frames of a pcap or pcapng file."""
    data = path.read_bytes()
    magic = data[:4]
    if magic == b"\x0a\x0d\x0d\x0a":
        yield from _pcapng(data)
        return
    order = "<" if magic[0] in (0xD4, 0x4D) else ">"
    scale = 1 if b"\x3c" in magic and b"\x4d" in magic else 1000
    (link,) = struct.unpack_from(order + "I", data, 20)
    at, number = 24, 0
    while at < len(data):
        seconds, part, kept, length = struct.unpack_from(order + "IIII", data, at)
        at += 16
        number += 1
        time = seconds * 1_000_000_000 + part * scale
        yield Frame(number, time, link & 0xFFFF, data[at : at + kept], length)
        at += kept


def _pcapng(data: bytes) -> Iterator[Frame]:
    order = "<" if data[8:12] == b"\x4d\x3c\x2b\x1a" else ">"
    interfaces: list[tuple[int, int]] = []
    at, number = 0, 0
    while at < len(data):
        kind, length = struct.unpack_from(order + "II", data, at)
        if kind == 1:
            (link,) = struct.unpack_from(order + "H", data, at + 8)
            unit, option = 1000, at + 16
            while option < at + length - 4:
                code, size = struct.unpack_from(order + "HH", data, option)
                if code == 9:  # if_tsresol
                    unit = 10 ** (9 - data[option + 4])
                if code == 0:
                    break
                option += 4 + (size + 3) // 4 * 4
            interfaces.append((link, unit))
        elif kind == 6:
            which, high, low, kept, wire = struct.unpack_from(order + "IIIII", data, at + 8)
            link, unit = interfaces[which]
            number += 1
            yield Frame(
                number, (high << 32 | low) * unit, link, data[at + 28 : at + 28 + kept], wire
            )
        at += length


def load(path: Path) -> list[Packet]:
    """The TCP segments of a capture on Ethernet or a loopback interface."""
    packets = []
    for frame in raw_frames(path):
        data = frame.data
        if frame.link_type == ETHERNET:
            at = 14
            (kind,) = struct.unpack_from(">H", data, 12)
        else:
            at = 4
            kind = 0x0800 if data[4] >> 4 == 4 else 0x86DD
        if kind == 0x0800:
            (total,) = struct.unpack_from(">H", data, at + 2)
            end = at + total if total else len(data)
            if data[at + 9] != 6:
                continue
            source, destination = data[at + 12 : at + 16], data[at + 16 : at + 20]
            at += (data[at] & 15) * 4
        elif kind == 0x86DD:
            (size,) = struct.unpack_from(">H", data, at + 4)
            end = at + 40 + size
            if data[at + 6] != 6:
                continue
            source, destination = data[at + 8 : at + 24], data[at + 24 : at + 40]
            at += 40
        else:
            continue
        sport, dport, seq, ack, offset, flags = struct.unpack_from(">HHIIBB", data, at)
        payload = data[at + (offset >> 4) * 4 : end]
        packets.append(
            Packet(frame.time, source, destination, sport, dport, seq, ack, flags & 31, payload)
        )
    return packets


# ---------------------------------------------------------------------------- packets changed


def timed(packets: Iterable[Packet], start: int, step: int = 1_000) -> list[Packet]:
    """The packets in this order, a microsecond apart: as a capture with disorder has them."""
    return [packet._replace(time=start + at * step) for at, packet in enumerate(packets)]


def cut(packets: Iterable[Packet], low: int, high: int, random: Random) -> list[Packet]:
    """Every payload in segments of ``low`` to ``high`` bytes; flags stay where they belong."""
    pieces: list[Packet] = []
    for packet in packets:
        payload = packet.payload
        if len(payload) <= low or packet.flags & SYN:
            pieces.append(packet)
            continue
        at = 0
        while at < len(payload):
            size = random.randint(low, high)
            part = payload[at : at + size]
            flags = packet.flags
            if at + size < len(payload):
                flags &= ~(FIN | PSH | RST)
            pieces.append(
                packet._replace(seq=(packet.seq + at) & 0xFFFFFFFF, payload=part, flags=flags)
            )
            at += size
    return pieces


def shuffled(packets: list[Packet], window: int, random: Random) -> list[Packet]:
    """Packets out of order within windows, as several capture queues leave them."""
    mixed: list[Packet] = []
    for at in range(0, len(packets), window):
        part = packets[at : at + window]
        random.shuffle(part)
        mixed.extend(part)
    return mixed


def repeated(packets: list[Packet], share: float, random: Random) -> list[Packet]:
    """Some packets a second time, a few places later; every other one of them overlapping its
    neighbour: a retransmission that begins in the middle or takes the next segment along."""
    behind: dict[int, list[Packet]] = {}
    out: list[Packet] = []
    following: dict[tuple[bytes, int, bytes, int], list[Packet]] = {}
    for packet in packets:
        if packet.payload:
            following.setdefault(packet.way, []).append(packet)
    carrying = [at for at, packet in enumerate(packets) if packet.payload]
    chosen = set(random.sample(carrying, max(1, round(share * len(carrying)))))
    place = {id(packet): at for way in following.values() for at, packet in enumerate(way)}
    for at, packet in enumerate(packets):
        out.append(packet)
        out.extend(behind.pop(at, ()))
        if at not in chosen:
            continue
        again = packet
        if random.random() < 0.5:
            way = following[packet.way]
            here = place[id(packet)]
            if random.random() < 0.5 and here + 1 < len(way):
                after = way[here + 1]
                if after.seq == (packet.seq + len(packet.payload)) & 0xFFFFFFFF:
                    again = packet._replace(
                        payload=packet.payload + after.payload[: random.randint(1, 40)],
                        ack=after.ack,
                        flags=packet.flags & ~FIN,
                    )
            elif len(packet.payload) > 1:
                skip = random.randint(1, len(packet.payload) - 1)
                again = packet._replace(
                    seq=(packet.seq + skip) & 0xFFFFFFFF, payload=packet.payload[skip:]
                )
        behind.setdefault(at + random.randint(1, 5), []).append(again)
    for late in behind.values():
        out.extend(late)
    return out


def shifted(packets: Iterable[Packet], last: int) -> list[Packet]:
    """Sequence numbers moved so that each direction wraps ``last`` bytes after it begins."""
    origins: dict[tuple[bytes, int, bytes, int], int] = {}
    moved: list[Packet] = []
    for packet in packets:
        way = packet.way
        if way not in origins or packet.flags & SYN:
            origins[way] = (-last - packet.seq) & 0xFFFFFFFF
        back = (packet.destination, packet.dport, packet.source, packet.sport)
        ack = packet.ack
        if packet.flags & ACK:
            if back not in origins:
                origins[back] = (-last - ack) & 0xFFFFFFFF
            ack = (ack + origins[back]) & 0xFFFFFFFF
        moved.append(packet._replace(seq=(packet.seq + origins[way]) & 0xFFFFFFFF, ack=ack))
    return moved


def without_handshake(packets: Iterable[Packet]) -> list[Packet]:
    """As if the capture had begun behind the SYNs and the acknowledgement of the second."""
    return [packet for packet in packets if not packet.flags & SYN]


def on_ipv6(packets: Iterable[Packet]) -> list[Packet]:
    """The same conversation between IPv6 addresses (documentation prefix 2001:db8::)."""
    prefix = bytes.fromhex("20010db8") + bytes(8)

    def address(old: bytes) -> bytes:
        return old if len(old) == 16 else prefix + old

    return [
        p._replace(source=address(p.source), destination=address(p.destination)) for p in packets
    ]


# ---------------------------------------------------------------------------- frames out


def tcp(packet: Packet) -> bytes:
    """A TCP header and its payload. Checksums are left out, as offloading leaves them."""
    return (
        struct.pack(
            ">HHIIBBHHH",
            packet.sport,
            packet.dport,
            packet.seq,
            packet.ack,
            0x50,
            packet.flags,
            0xFFFF,
            0,
            0,
        )
        + packet.payload
    )


def ip(packet: Packet) -> bytes:
    """An IP packet of the version that the addresses have."""
    body = tcp(packet)
    if len(packet.source) == 16:
        head = struct.pack(">IHBB", 0x60000000, len(body), 6, 64)
        return head + packet.source + packet.destination + body
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(body), 0, 0x4000, 64, 6, 0)
    return head + packet.source + packet.destination + body


def ip_fragments(packet: Packet, size: int, identification: int) -> list[bytes]:
    """The packet as IP fragments that carry ``size`` bytes (a multiple of 8)."""
    body = tcp(packet)
    if len(body) <= size:
        return [ip(packet)]
    out = []
    for at in range(0, len(body), size):
        part = body[at : at + size]
        more = at + size < len(body)
        if len(packet.source) == 16:
            extension = struct.pack(">BBHI", 6, 0, at | more, identification)
            head = struct.pack(">IHBB", 0x60000000, 8 + len(part), 44, 64)
            out.append(head + packet.source + packet.destination + extension + part)
        else:
            head = struct.pack(
                ">BBHHHBBH",
                0x45,
                0,
                20 + len(part),
                identification & 0xFFFF,
                (0x2000 if more else 0) | at // 8,
                64,
                6,
                0,
            )
            out.append(head + packet.source + packet.destination + part)
    return out


_MACS = bytes.fromhex("020000000002020000000001")


def link(link_type: int, data: bytes, *, tags: tuple[tuple[int, int], ...] = ()) -> bytes:
    """An IP packet behind a link-layer header. ``tags`` are VLAN tags: (EtherType, VLAN)."""
    version6 = data[0] >> 4 == 6
    kind = 0x86DD if version6 else 0x0800
    if link_type == ETHERNET:
        head = _MACS
        for ether_type, vlan in tags:
            head += struct.pack(">HH", ether_type, vlan)
        frame = head + struct.pack(">H", kind) + data
        # An Ethernet frame has at least 60 bytes; what fills it up is no payload.
        return frame + b"\x04" * (60 - len(frame))
    if link_type == LINUX_SLL:
        return struct.pack(">HHH8sH", 0, 1, 6, b"\x02\0\0\0\0\x01\0\0", kind) + data
    if link_type == LINUX_SLL2:
        return struct.pack(">HHIHBB8s", kind, 0, 1, 1, 0, 6, b"\x02\0\0\0\0\x01\0\0") + data
    if link_type == NULL:
        return struct.pack("<I", 30 if version6 else 2) + data
    if link_type == LOOP:
        return struct.pack(">I", 30 if version6 else 2) + data
    return data


def frames(
    packets: Iterable[Packet],
    link_type: int = ETHERNET,
    *,
    tags: tuple[tuple[int, int], ...] = (),
    fragment: int = 0,
) -> list[Frame]:
    """The packets as frames; ``fragment``: bytes an IP fragment carries, 0 for whole packets."""
    out: list[Frame] = []
    for number, packet in enumerate(packets, 1):
        parts = ip_fragments(packet, fragment, number) if fragment else [ip(packet)]
        for part in parts:
            data = link(link_type, part, tags=tags)
            out.append(Frame(len(out) + 1, packet.time, link_type, data, len(data)))
    return out


def pcap(frames: Iterable[Frame], *, nanoseconds: bool = False, big_endian: bool = False) -> bytes:
    """A pcap file; the link type is the first frame's."""
    listed = list(frames)
    order = ">" if big_endian else "<"
    magic, unit = (0xA1B23C4D, 1) if nanoseconds else (0xA1B2C3D4, 1000)
    out = [struct.pack(order + "IHHIIII", magic, 2, 4, 0, 0, 262144, listed[0].link_type)]
    for frame in listed:
        seconds, rest = divmod(frame.time, 1_000_000_000)
        out.append(
            struct.pack(order + "IIII", seconds, rest // unit, len(frame.data), frame.length)
        )
        out.append(frame.data)
    return b"".join(out)


def segments(packets: Iterable[Packet]) -> Iterator[Segment]:
    """The packets as the dissector hands them on, one frame each."""
    for number, p in enumerate(packets, 1):
        key = p.source + p.destination + struct.pack(">HH", p.sport, p.dport)
        yield Segment(number, p.time, key, p.seq, p.ack, p.flags, p.payload, len(p.payload))


# ---------------------------------------------------------------------------- rebuilt


class Rebuilt:
    """Associations rebuilt from segments, and a witness that its callers keep their promises."""

    def __init__(self, *, forced: bool = False) -> None:
        self.associations: list[Association] = []
        self.conversations: list[Conversation] = []
        self.tracker = Tracker(self._accept)
        self._forced = forced
        self._joiners: dict[int, OperationJoiner] = {}
        self._ended: set[int] = set()

    def _accept(self, connection: Connection) -> Conversation:
        first, second = connection.streams
        conversation = Conversation(
            _endpoints(first.key),
            from_start=first.syn or second.syn,
            forced=self._forced,
            listener=self,
            number=lambda: len(self.associations) + 1,
        )
        self.conversations.append(conversation)
        return conversation

    def association_began(self, association: Association) -> None:
        self.associations.append(association)
        self._joiners[association.id] = OperationJoiner(association)

    def entry_added(self, association: Association, entry: Entry) -> None:
        assert association.id not in self._ended, "an entry behind the end"
        assert association.timeline[-1] is entry
        assert entry.number == len(association.timeline)
        self._joiners[association.id].add(entry)

    def association_ended(self, association: Association) -> None:
        assert association.id not in self._ended, "ended twice"
        self._ended.add(association.id)

    def finish(self) -> list[Association]:
        """The capture ends."""
        self.tracker.finish()
        assert self._ended == {a.id for a in self.associations}, "an association never ended"
        return self.associations


def _endpoints(key: bytes) -> tuple[Endpoint, Endpoint]:
    size = (len(key) - 4) // 2
    sport, dport = struct.unpack(">HH", key[-4:])
    return Endpoint(key[:size].hex(), sport), Endpoint(key[size : 2 * size].hex(), dport)


def rebuild(packets: Iterable[Packet], *, forced: bool = False) -> list[Association]:
    """The associations in these packets."""
    rebuilt = Rebuilt(forced=forced)
    for segment in segments(packets):
        rebuilt.tracker.feed(segment)
    return rebuilt.finish()


def told(
    association: Association, info: Callable[[Association, Entry], str] | None = None
) -> list[tuple[object, ...]]:
    """What was said: each entry without its frames and times."""
    if info is None:
        from dicomsniff.output.info import info
    return [
        (
            entry.kind,
            entry.sender,
            info(association, entry),
            entry.complete,
            entry.length,
            entry.raw,
            *_message(entry),
        )
        for entry in association.timeline
    ]


def _message(entry: Entry) -> tuple[object, ...]:
    message = entry.message
    if message is None:
        return ()
    return (
        message.context_id,
        message.message_id,
        message.status,
        message.command_bytes,
        message.transfer_syntax,
        message.dataset,
    )


def story(associations: Iterable[Association]) -> dict[tuple[int, int, int], object]:
    """Everything that must not depend on how the packets came: by ports and turn."""
    out: dict[tuple[int, int, int], object] = {}
    for a in associations:
        turn = 0
        while (a.requestor.port, a.acceptor.port, turn) in out:
            turn += 1
        out[a.requestor.port, a.acceptor.port, turn] = (
            a.requestor.ae_title,
            a.acceptor.ae_title,
            a.outcome,
            a.outcome_detail,
            a.partial,
            a.contexts,
            a.requestor.bytes,
            a.acceptor.bytes,
            [(gap.sender, gap.offset, gap.length) for gap in a.gaps],
            told(a),
        )
    return out

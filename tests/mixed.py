"""Recorded sessions side by side, as the network of a hospital has them, and worse.

Every capture becomes connections between hosts of its own; they run at the same time, among hosts
that are scanned and datagrams that are nothing to us. What befalls a network is added on top:
disorder, loss, copies, clocks that are set back, tags, fragments.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from random import Random

from dicomsniff.model import Frame
from tests import rewrite
from tests.rewrite import ACK, ETHERNET, LINUX_SLL, RST, SYN, Packet

CAPTURES = Path(__file__).parent.parent / "captures"

_BEGAN = 1_767_600_900_000_000_000
_SECOND = 1_000_000_000


def sessions(random: Random, copies: int = 1, *, seconds: int = 40) -> list[Packet]:
    """Every recorded session, ``copies`` times, somewhere within so many seconds."""
    packets: list[Packet] = []
    number = 0
    for _ in range(copies):
        for path in sorted(CAPTURES.glob("*.pcapng")):
            recorded = rewrite.load(path)
            if not recorded:
                continue
            number += 1
            moved: dict[bytes, bytes] = {}
            begins = _BEGAN + random.randrange(seconds * _SECOND) - recorded[0].time
            for packet in recorded:
                for address in (packet.source, packet.destination):
                    if address not in moved:
                        added = struct.pack(">HB", number, len(moved))
                        moved[address] = address[:-3] + added
                packets.append(
                    packet._replace(
                        time=packet.time + begins,
                        source=moved[packet.source],
                        destination=moved[packet.destination],
                    )
                )
    packets.sort(key=lambda packet: packet.time)
    return packets


def scans(random: Random, count: int, *, seconds: int = 40) -> list[Packet]:
    """Ports that are tried out: one in two is closed, the others do not answer."""
    packets = []
    for number in range(count):
        time = _BEGAN + random.randrange(seconds * _SECOND)
        source, destination = bytes((10, 9, 9, 9)), bytes((10, 8, number >> 8 & 3, number & 255))
        sport, dport = 30_000 + number % 20_000, random.choice((104, 11112, 80, 4242))
        seq = random.randrange(1 << 32)
        syn = Packet(time, source, destination, sport, dport, seq, 0, SYN, b"")
        packets.append(syn)
        if random.random() < 0.5:
            back = syn._replace(time=time + 50_000, source=destination, destination=source)
            packets.append(
                back._replace(sport=dport, dport=sport, seq=0, ack=seq + 1, flags=RST | ACK)
            )
    return packets


def framed(
    packets: Iterable[Packet], link_type: int = ETHERNET, *, numbered: bool = True
) -> list[Frame]:
    """Frames of them in this order. Packets that are ``numbered`` have an IP identification."""
    out = []
    for number, packet in enumerate(packets, 1):
        data = rewrite.ip(packet)
        if numbered and data[0] >> 4 == 4:
            data = data[:4] + (number % 0xFFFF + 1).to_bytes(2, "big") + data[6:]
        data = rewrite.link(link_type, data)
        out.append(Frame(number, packet.time, link_type, data, len(data)))
    return out


def copied(frames: list[Frame], share: float, random: Random, *, most: int) -> list[Frame]:
    """``share`` of the frames a second time, up to ``most`` frames later."""
    behind: dict[int, list[Frame]] = {}
    out = []
    for at, frame in enumerate(frames):
        out.append(frame)
        out.extend(copy._replace(time=frame.time) for copy in behind.pop(at, ()))
        if random.random() < share:
            behind.setdefault(at + random.randint(1, most), []).append(frame)
    return out


def tagged(frames: Iterable[Frame], share: float, random: Random) -> list[Frame]:
    """``share`` of Ethernet frames with a VLAN tag."""
    return [
        frame._replace(
            data=frame.data[:12] + b"\x81\x00\x00\x05" + frame.data[12:], length=frame.length + 4
        )
        if random.random() < share
        else frame
        for frame in frames
    ]


def with_datagrams(frames: Iterable[Frame], random: Random) -> list[Frame]:
    """Among datagrams, and frames that are no IP at all."""
    out = []
    for frame in frames:
        if random.random() < 0.2:
            data = bytearray(frame.data)
            data[23] = 17
            out.append(frame._replace(data=bytes(data)))
        elif random.random() < 0.05:
            out.append(frame._replace(data=bytes(12) + b"\x08\x06" + bytes(46), length=60))
        out.append(frame)
    return out


def with_rejections(frames: Iterable[Frame], random: Random) -> list[Frame]:
    """One in two SYNs to a host that is scanned cannot be delivered, and ICMP says so, as it does
    of some other segments."""
    out = []
    for frame in frames:
        out.append(frame)
        ip = frame.data[14:]
        if ip[9] == 6 and random.random() < (0.5 if ip[33] & 0x12 == SYN else 0.02):
            router = bytes((10, 7, 7, random.randrange(4)))
            message = bytes((3, random.choice((1, 3, 10, 13)), 0, 0, 0, 0, 0, 0)) + ip[:28]
            head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(message), 1, 0, 64, 1, 0)
            data = bytes(12) + b"\x08\0" + head + router + ip[12:16] + message
            out.append(frame._replace(time=frame.time + 1000, data=data, length=len(data)))
    return out


def _wild_clock(frames: list[Frame], random: Random) -> Iterator[Frame]:
    for at, frame in enumerate(frames):
        back = 3_600 * _SECOND if at > len(frames) // 2 else 0
        yield frame._replace(time=frame.time - back + random.randrange(2 * _SECOND))


def _slower(frames: list[Frame], times: int) -> list[Frame]:
    """Spread over minutes, or days."""
    return [frame._replace(time=_BEGAN + (frame.time - _BEGAN) * times) for frame in frames]


def captures(random: Random, copies: int = 1) -> Iterator[tuple[str, list[Frame]]]:
    """All kinds, by name."""
    packets = sessions(random, copies)
    with_scans = sorted(packets + scans(random, 400), key=lambda packet: packet.time)

    def lost(share: float) -> list[Packet]:
        return [packet for packet in packets if random.random() > share]

    every: dict[str, Callable[[], list[Frame]]] = {
        "plain": lambda: framed(packets),
        "scanned": lambda: framed(with_scans),
        "shuffled": lambda: framed(rewrite.shuffled(with_scans, 8, random)),
        "lossy": lambda: framed(lost(0.03)),
        "cut": lambda: framed(rewrite.cut(packets, 40, 400, random)),
        "repeated": lambda: framed(rewrite.repeated(packets, 0.1, random)),
        "copied": lambda: copied(framed(with_scans), 0.4, random, most=20),
        "copied-late": lambda: copied(
            framed(rewrite.timed(packets, _BEGAN, 20_000)), 0.1, random, most=3_000
        ),
        "without-handshake": lambda: framed(rewrite.without_handshake(packets)),
        "ipv6": lambda: framed(rewrite.on_ipv6(packets)),
        "fragments": lambda: rewrite.frames(packets, fragment=256),
        "tagged": lambda: tagged(framed(with_scans), 0.5, random),
        "cooked": lambda: framed(packets, LINUX_SLL),
        "datagrams": lambda: with_datagrams(framed(with_scans), random),
        "rejected": lambda: copied(
            with_rejections(framed(with_scans), random), 0.2, random, most=20
        ),
        "clocks": lambda: list(_wild_clock(framed(with_scans), random)),
        "slow": lambda: _slower(framed(with_scans), 30),
        "days": lambda: _slower(framed(lost(0.05)), 6_000),
        "snapped": lambda: [frame._replace(data=frame.data[:200]) for frame in framed(packets)],
    }
    for name, make in every.items():
        yield name, [frame._replace(number=at) for at, frame in enumerate(make(), 1)]

"""A connection as its two ends know it, and what a capture in the middle may see of it.

The reference is as simple as can be: two strings. Whatever the network did to the segments, each
byte that was delivered must be the one its sender sent at that place, and each that was not must
be missing from every segment.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from random import Random

from tests.rewrite import ACK, FIN, PSH, RST, SYN, Packet

CLIENT, SERVER = b"\x0a\x00\x00\x01", b"\x0a\x00\x00\x02"
SIDES = (0, 1)
START = 1_700_000_000_000_000_000


@dataclass
class Talk:
    """What both sides say, turn by turn, and the segments that carry it in order."""

    ports: tuple[int, int] = (50_000, 104)
    first: tuple[int, int] = (1000, 9000)
    """Sequence number of each side's first byte."""
    turns: list[tuple[int, bytes]] = field(default_factory=list)

    def said(self, side: int) -> bytes:
        """Everything one side sent."""
        return b"".join(data for each, data in self.turns if each == side)

    def segments(self, random: Random, most: int, *, close: str = "fin") -> list[Packet]:
        """Handshake, data in pieces of random sizes, and an end."""
        at = [0, 0]
        out: list[Packet] = []

        def add(side: int, flags: int, data: bytes = b"", *, seq: int | None = None) -> None:
            here, there = (CLIENT, SERVER) if side == 0 else (SERVER, CLIENT)
            mine, other = self.ports if side == 0 else self.ports[::-1]
            number = self.first[side] + at[side] if seq is None else seq
            answered = self.first[1 - side] + at[1 - side] if flags & ACK else 0
            out.append(
                Packet(
                    START + len(out) * 100_000,
                    here,
                    there,
                    mine,
                    other,
                    number & 0xFFFFFFFF,
                    answered & 0xFFFFFFFF,
                    flags,
                    data,
                )
            )

        add(0, SYN, seq=self.first[0] - 1)
        add(1, SYN | ACK, seq=self.first[1] - 1)
        add(0, ACK)
        for side, data in self.turns:
            begun = 0
            while begun < len(data):
                size = random.randint(1, most)
                piece = data[begun : begun + size]
                add(side, ACK | PSH, piece)
                at[side] += len(piece)
                begun += len(piece)
            add(1 - side, ACK)
        if close == "fin":
            for side in SIDES:
                add(side, FIN | ACK)
                at[side] += 1
            add(1 - SIDES[0], ACK)
        elif close == "reset":
            add(1, RST | ACK)
        return out


def covered(packets: list[Packet], talk: Talk, side: int) -> list[bool]:
    """Which bytes of a side at least one segment carries."""
    there = [False] * len(talk.said(side))
    for packet in packets:
        if packet.payload and (packet.source == CLIENT) == (side == 0):
            begins = (packet.seq - talk.first[side]) & 0xFFFFFFFF
            for at in range(begins, min(begins + len(packet.payload), len(there))):
                there[at] = True
    return there


def conflicting(packet: Packet) -> Packet:
    """The same segment with other bytes, as an attacker or a broken device sends it."""
    return packet._replace(payload=bytes(each ^ 0x5A for each in packet.payload))


def key(talk: Talk, side: int) -> bytes:
    """The tracker's key of a direction."""
    ends = (CLIENT, SERVER) if side == 0 else (SERVER, CLIENT)
    ports = talk.ports if side == 0 else talk.ports[::-1]
    return ends[0] + ends[1] + struct.pack(">HH", *ports)

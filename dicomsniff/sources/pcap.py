"""pcap: a header of 24 bytes, and packets behind one another.

Nothing of it needs scapy, and importing scapy takes longer than all that is done with a small
capture: so this does without. Frame numbers, times and lengths are the ones tshark gives for the
same file, but for lengths that cannot be (:func:`believed`).

draft-ietf-opsawg-pcap.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import Final

from dicomsniff.model import Frame, Stretch, one_by_one
from dicomsniff.sources.stream import Stream

FRAME_LIMIT: Final = 262_144
"""Longest frame that is believed, as in Wireshark: a longer one is a damaged length."""


def believed(length: int, captured: int) -> int:
    """The length that a frame had on the wire, as its header claims, where that can be; else the
    bytes that were captured of it. In the loops over frames this stands inline."""
    return length if captured < length <= FRAME_LIMIT else captured


MAGICS: Final = {
    b"\xd4\xc3\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\xc3\xd4": (">", 1000),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
    b"\xa1\xb2\x3c\x4d": (">", 1),
}
"""The byte order, as ``struct`` spells it, and the nanoseconds in a unit of time, by the first four
bytes of a file."""

RAW_IP: Final = 101
RAW_IP_ALIASES: Final = frozenset((12, 14))
"""What systems call raw IP in files; LINKTYPE_RAW is the number meant for files, and tshark's."""

SECOND: Final = 1_000_000_000

_HEADER_SIZE: Final = 20
"""Version, time zone, accuracy and snap length, which say nothing here; the link type."""


class Damage(Exception):
    """The capture cannot be read on from here. The text says what is wrong."""


def link_type_of(number: int) -> int:
    """The LINKTYPE value for what a file says: without flags, one number for raw IP."""
    number &= 0xFFFF
    return RAW_IP if number in RAW_IP_ALIASES else number


class PcapReader:
    """Reads what follows the first four bytes of a file. Raises ``Damage`` where it ends within
    its header."""

    dropped: int | None = None
    """Nothing tells of lost packets, in this format."""

    def __init__(self, stream: Stream, magic: bytes) -> None:
        self.count = 0
        """Number of the last frame, once ``frames`` is done."""
        self.secrets: list[bytes] = []
        """There are none in this format; nor are there counts of lost packets:"""
        self.lost: dict[tuple[int, int], int] = {}
        self._stream = stream
        self._endian, self._unit = MAGICS[magic]
        header = stream.read(_HEADER_SIZE)
        if len(header) < _HEADER_SIZE:
            raise Damage("ends within its header")
        self._link_type = link_type_of(Struct(self._endian + "16xI").unpack(header)[0])

    def frames(self) -> Iterator[Frame]:
        """Every frame of the file. Raises ``Damage`` where it is cut off or corrupt."""
        return one_by_one(self.stretches())

    def stretches(self) -> Iterator[Stretch]:
        """The same, as many at once as are at hand."""
        stream = self._stream
        header = Struct(self._endian + "IIII")
        size = header.size
        unpack = header.unpack_from
        unit, link_type = self._unit, self._link_type
        number = 0
        try:
            while stream.fill(size):
                buffer, at, end = stream.buffer, stream.at, len(stream.buffer)
                places: list[tuple[int, int, int, int, int, int]] = []
                add = places.append
                captured = 0
                last = end - size
                while at <= last:
                    seconds, fraction, captured, length = unpack(buffer, at)
                    start = at + size
                    next_at = start + captured
                    if next_at > end:
                        break
                    number += 1
                    add(
                        (
                            number,
                            seconds * SECOND + fraction * unit,
                            link_type,
                            start,
                            next_at,
                            length if captured < length <= FRAME_LIMIT else captured,
                        )
                    )
                    at = next_at
                stream.at = at
                if places:
                    yield Stretch(buffer, places)
                if at <= last:
                    if captured > FRAME_LIMIT:
                        raise Damage(
                            f"a packet of {captured} bytes, more than {FRAME_LIMIT}; where this is "
                            "a variant of pcap, tshark reads it: leave out --reader scapy"
                        )
                    if not stream.fill(size + captured):
                        raise Damage("cut off in the middle of a packet")
            if stream.at < len(stream.buffer):
                raise Damage("cut off in the header of a packet")
        finally:
            self.count = number

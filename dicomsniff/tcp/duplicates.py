"""The same packet captured more than once.

A mirror port copies what comes in and what goes out, a capture on several interfaces sees a packet
on its way in and out again, and one at the end of a tunnel sees it inside and outside. Such copies
are no retransmissions: a host that sends bytes again makes a new packet, with another IP
identification (RFC 6864) or a later TCP timestamp (RFC 7323 3). Copies have the same, whatever
links, tags and tunnels are around them.
"""

from __future__ import annotations

from typing import Final

from dicomsniff.model import Frame, Segment

WINDOW_NS: Final = 100_000_000
"""Time between a packet and its copies: half of the least time after which hosts send again, and
much more than mirrors and tunnels take."""

FRAMES_KEPT: Final = 1024
BYTES_KEPT: Final = 1 << 20
"""Frames for which one generation is remembered, and bytes of those that hold TCP; there are two
of them."""

_TIMESTAMP: Final = b"\x08\x0a"
"""Kind and length of the TCP timestamps option."""

Signature = tuple[bytes, int, int, int]
"""The direction's key, sequence, acknowledgement, length."""

Place = tuple[int, bytes, int, int]
"""A packet's time, and where its frame stands: a buffer, its beginning and end in that."""


class Duplicates:
    """Recognises copies among the latest packets.

    What is looked up for each packet is open to :mod:`dicomsniff.tcp.lane`, which does it in its
    own loop.
    """

    __slots__ = ("bytes", "last", "older", "recent")

    def __init__(self) -> None:
        self.recent: dict[Signature, Place] = {}
        self.older: dict[Signature, Place] = {}
        self.bytes = 0
        """Of the frames since ``recent`` was empty, copies as well: when something is forgotten
        does not depend on what is a copy of what."""
        self.last = FRAMES_KEPT
        """Number of the last frame in this generation."""

    def seen(self, frame: Frame, segment: Segment) -> bool:
        """Whether this packet was captured before."""
        size = len(frame.data)
        if frame.number > self.last or self.bytes > BYTES_KEPT:
            self.forget(frame.number)
        self.bytes += size
        signature = (segment[2], segment[3], segment[4], segment[7])
        recent = self.recent
        before = recent[signature] if signature in recent else self.older.get(signature)
        if before is not None and same_packet(before, frame, segment):
            return True
        recent[signature] = (frame.time, frame.data, 0, size)
        return False

    def forget(self, number: int) -> None:
        """A new generation begins with a frame; the older one goes."""
        self.older = self.recent
        self.recent = {}
        self.bytes = 0
        self.last = number + FRAMES_KEPT


def same_packet(before: Place, frame: Frame, segment: Segment) -> bool:
    """Whether two frames whose segments look alike hold one packet."""
    time, buffer, start, end = before
    if not -WINDOW_NS <= frame.time - time <= WINDOW_NS:
        return False
    key = segment.key
    beginning = key[-4:] + segment.seq.to_bytes(4, "big") + segment.ack.to_bytes(4, "big")
    first, second = buffer[start:end], frame.data
    here, there = first.find(beginning), second.find(beginning)
    if here < 0 or there < 0:
        return False  # the rest of a fragmented datagram
    header = second[there + 12] >> 4 << 2 if len(second) > there + 12 else 0
    size = header + len(segment.payload)
    # All but the checksum, which offloading may leave to be filled in on the way.
    if (
        first[here + 12 : here + 16] != second[there + 12 : there + 16]
        or first[here + 18 : here + size] != second[there + 18 : there + size]
    ):
        return False
    if len(key) == 12:
        one, other = _identification(first, key, here), _identification(second, key, there)
        if one != other:
            return False  # or other addresses
        if one is not None and any(one):
            return True
    elif key[:32] not in first or key[:32] not in second:
        return False
    return _TIMESTAMP in second[there + 20 : there + header]


def _identification(data: bytes, key: bytes, end: int) -> bytes | None:
    """The identification of the IPv4 header in front of ``end``."""
    at = data.rfind(key[:8], 0, end)
    return data[at - 8 : at - 6] if at >= 12 else None

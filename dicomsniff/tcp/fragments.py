"""IP datagrams out of their fragments (RFC 791 3.2, RFC 8200 4.5), within bounds.

The first copy of a byte wins, as in the reassembly of streams. A datagram that never becomes
whole is forgotten when newer ones need its place.
"""

from __future__ import annotations

from typing import Final, NamedTuple

DATAGRAMS: Final = 256
"""Incomplete datagrams kept: fragments of one follow each other closely, so this many are only
open at once where fragments were lost or never meant to be completed."""

DATAGRAM_LIMIT: Final = 65_535
"""Bytes in a datagram: the length fields of IP have 16 bits. With ``DATAGRAMS`` this bounds the
memory to 16 MiB."""

FRAGMENTS: Final = 2048
"""Fragments of one datagram: enough for 65,535 bytes in the smallest that IPv4 allows (a
maximum transmission unit of 68 bytes leaves 48 for data)."""

LIFETIME: Final = 60_000_000_000
"""Nanoseconds an incomplete datagram is waited for (RFC 8200 4.5: 60 seconds). Identifiers are
reused: a stale fragment must not be joined with a new one."""


class Datagram(NamedTuple):
    """What follows the IP header, put together."""

    data: bytes
    """The captured bytes up to the first that is missing because a snap length cut it."""
    length: int
    """Bytes there were on the wire."""


class _Partial:
    """An incomplete datagram."""

    __slots__ = ("began", "covered", "length", "parts")

    def __init__(self, began: int) -> None:
        self.began = began
        self.parts: list[tuple[int, int, bytes]] = []
        """(start, end, captured bytes) without overlap, in order."""
        self.covered = 0
        self.length: int | None = None
        """Known from the last fragment."""

    def add(self, start: int, end: int, data: bytes) -> None:
        """Take what no earlier fragment brought."""
        parts = self.parts
        if not parts or start >= parts[-1][1]:
            parts.append((start, end, data))
            self.covered += end - start
            return
        free: list[tuple[int, int, bytes]] = []
        at = start
        for known_start, known_end, _ in parts:
            if known_end <= at:
                continue
            if known_start >= end:
                break
            if at < known_start:
                free.append((at, known_start, data[at - start : known_start - start]))
            at = known_end
        if at < end:
            free.append((at, end, data[at - start :]))
        if free:
            self.covered += sum(piece[1] - piece[0] for piece in free)
            parts.extend(free)
            parts.sort()

    def joined(self) -> bytes:
        """The bytes from the start on, as far as they were captured without a hole."""
        pieces = []
        at = 0
        for start, end, data in self.parts:
            if start != at:
                break
            pieces.append(data)
            at = end
            if len(data) < end - start:
                break
        return b"".join(pieces)


class Fragments:
    """The incomplete datagrams of a capture."""

    def __init__(self) -> None:
        self._partial: dict[bytes, _Partial] = {}
        self.dropped = 0
        """Datagrams that were given up: never completed, or not believable."""

    def add(
        self, key: bytes, time: int, start: int, length: int, more: bool, data: bytes
    ) -> Datagram | None:
        """Take a fragment; the datagram where it became whole by it.

        ``key`` names the datagram (addresses, identification, protocol). ``start`` is the offset
        in the datagram, ``length`` the bytes on the wire, ``data`` what was captured of them;
        ``more`` is the flag that others follow.
        """
        partials = self._partial
        partial = partials.get(key)
        if partial is not None and not 0 <= time - partial.began <= LIFETIME:
            del partials[key]
            self.dropped += 1
            partial = None
        end = start + length
        if end > DATAGRAM_LIMIT or (more and not length):
            return None
        if partial is None:
            if len(partials) >= DATAGRAMS:
                del partials[next(iter(partials))]
                self.dropped += 1
            partial = partials[key] = _Partial(time)
        if partial.length is None and not more:
            partial.length = end
            if partial.parts and partial.parts[-1][1] > end:
                # Fragments behind the last one: no datagram that anybody sent.
                del partials[key]
                self.dropped += 1
                return None
        if partial.length is not None and end > partial.length:
            return None
        if length:
            partial.add(start, end, data)
        if partial.length is None or partial.covered < partial.length:
            if len(partial.parts) > FRAGMENTS:
                del partials[key]
                self.dropped += 1
            return None
        del partials[key]
        return Datagram(partial.joined()[: partial.length], partial.length)

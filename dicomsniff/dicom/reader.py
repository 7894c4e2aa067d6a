"""A cursor over bytes that cannot fall off their end.

Every read gives a value or, where bytes are missing, None or fewer bytes, and a `Fault` that says
which field and where. Offsets are those of the whole input, in sub-readers too.

Two ends are kept apart. ``limit`` is where the enclosing length field says that a structure ends;
to read past it is a fault of the sender. ``end`` is where the bytes at hand end, before ``limit``
when the input was cut short; whoever found the cut has said so once, and the fields that are
missing because of it are not faults of their own.

Asked to record, a reader also leaves a `Node` for each field it reads, below its own ``node``.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

from dicomsniff.model import Fault, Node

FAULTS_KEPT: Final = 100
"""Faults kept of one input. Hostile bytes can hold one every four bytes; nobody reads past these,
and their number must not grow with the input."""

BYTES_SHOWN: Final = 32
"""Bytes that a node shows in hexadecimal before it ends in an ellipsis: one line of a tree."""

_U16: Final = struct.Struct(">H").unpack_from
_U32: Final = struct.Struct(">I").unpack_from


def hexadecimal(data: bytes) -> str:
    """Return bytes in hexadecimal, cut to what one line shows."""
    more = "…" if len(data) > BYTES_SHOWN else ""
    return data[:BYTES_SHOWN].hex(" ") + more


class Reader:
    """Reads big endian fields, one behind the other, from a part of some bytes."""

    __slots__ = ("data", "end", "faults", "limit", "node", "pos")

    def __init__(
        self,
        data: bytes,
        pos: int,
        limit: int,
        faults: list[Fault],
        node: Node | None = None,
        end: int | None = None,
    ) -> None:
        """Read ``data`` from ``pos`` up to ``limit``, or ``end`` (default: its length) if less.

        ``faults`` is shared with the sub-readers. ``node`` gets the fields as children; None
        records nothing.
        """
        if end is None:
            end = len(data)
        self.data = data
        self.pos = pos
        self.limit = limit
        self.end = limit if limit < end else end
        self.faults = faults
        self.node = node

    @property
    def remaining(self) -> int:
        """Bytes at hand that are not read yet."""
        return self.end - self.pos

    @property
    def cut(self) -> bool:
        """Whether the bytes at hand end before the structure does."""
        return self.end < self.limit

    def fault(self, text: str, start: int, end: int) -> None:
        """Note that something is malformed at ``start`` up to ``end``, kept inside the input."""
        faults = self.faults
        if len(faults) < FAULTS_KEPT:
            size = len(self.data)
            end = min(end, size)
            faults.append(Fault(text, min(start, end), end))
        elif len(faults) == FAULTS_KEPT:
            size = len(self.data)
            faults.append(Fault("Further faults are left out", min(start, size), size))

    def record(self, name: str, value: str, start: int, *, sensitive: bool = False) -> None:
        """Leave a node for what was read since ``start``, where nodes are asked for."""
        if self.node is not None:
            self.node.children.append(
                Node(name, value, start, max(start, self.pos), sensitive=sensitive)
            )

    def _number(
        self, name: str, value: int, start: int, meaning: Callable[[int], str] | None
    ) -> None:
        self.record(name, f"{value} ({meaning(value)})" if meaning else str(value), start)

    def _missing(self, name: str) -> None:
        """Skip a number that is not (wholly) there."""
        if not self.cut:
            self.fault(f"{name} is missing", self.pos, self.end)
        self.pos = self.end

    def u8(self, name: str, meaning: Callable[[int], str] | None = None) -> int | None:
        """Read one byte. ``meaning`` says in words what a number stands for, for the node."""
        pos = self.pos
        if pos >= self.end:
            self._missing(name)
            return None
        value = self.data[pos]
        self.pos = pos + 1
        if self.node is not None:
            self._number(name, value, pos, meaning)
        return value

    def u16(self, name: str, meaning: Callable[[int], str] | None = None) -> int | None:
        """Read two bytes, big endian."""
        pos = self.pos
        if pos + 2 > self.end:
            self._missing(name)
            return None
        value: int = _U16(self.data, pos)[0]
        self.pos = pos + 2
        if self.node is not None:
            self._number(name, value, pos, meaning)
        return value

    def u32(self, name: str, meaning: Callable[[int], str] | None = None) -> int | None:
        """Read four bytes, big endian."""
        pos = self.pos
        if pos + 4 > self.end:
            self._missing(name)
            return None
        value: int = _U32(self.data, pos)[0]
        self.pos = pos + 4
        if self.node is not None:
            self._number(name, value, pos, meaning)
        return value

    def fits(self, size: int, name: str) -> bool:
        """Tell whether ``size`` bytes more lie within the structure; if not, that is a fault.

        True also for bytes that only a cut took away.
        """
        if self.pos + size <= self.limit:
            return True
        self.fault(
            f"{name} has a length of {size}, {self.limit - self.pos} bytes are left",
            self.pos,
            self.end,
        )
        return False

    def take(self, size: int, name: str) -> bytes:
        """Take ``size`` bytes, or what there is of them. Leaves no node."""
        pos = self.pos
        stop = pos + size
        if stop > self.end:
            self.fits(size, name)
            stop = self.end
        self.pos = stop
        return self.data[pos:stop]

    def skip(self, size: int, name: str = "Reserved") -> None:
        """Pass over bytes that mean nothing, so that it matters not how many are there."""
        pos = self.pos
        if pos + size > self.end:
            size = self.end - pos
        self.pos = pos + size
        if self.node is not None and size:
            self.record(name, hexadecimal(self.data[pos : self.pos]), pos)

    def leftover(self, *, sensitive: bool = False) -> None:
        """Note what stands behind the last field of a structure: nothing should."""
        pos = self.pos
        size = self.end - pos
        if size > 0:
            self.fault(f"{size} bytes behind the last field", pos, self.end)
            self.pos = self.end
            if self.node is not None:
                value = (
                    f"{size} bytes, not shown"
                    if sensitive
                    else hexadecimal(self.data[pos : self.end])
                )
                self.record("Unexpected bytes", value, pos, sensitive=sensitive)

    def sub(self, length: int, node: Node | None = None) -> Reader:
        """Return a reader of the next ``length`` bytes, at most up to the end of this one.

        Moves on behind them. Says nothing where ``length`` is too long: `fits` does.
        """
        pos = self.pos
        limit = pos + length
        if limit > self.limit:
            limit = self.limit
        reader = Reader(self.data, pos, limit, self.faults, node, self.end)
        self.pos = reader.end
        return reader

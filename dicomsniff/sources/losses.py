"""Packets that a pcapng file says were lost: its interface statistics blocks (pcapng 4.6)."""

from __future__ import annotations

import os
from struct import Struct
from typing import IO, Final

from dicomsniff.sources.blocks import INTERFACE_STATISTICS, PACKETS, SECTION_HEADER, endian_of
from dicomsniff.sources.stream import BLOCK_LIMIT, GZIP_MAGIC, Gunzip, Stream

STATISTICS_LIMIT: Final = 1024
"""Blocks looked at behind the last packet; a capture has one for each interface."""

_OPTION_IFDROP: Final = 5
_OPTION_OSDROP: Final = 7


def lost_packets(path: str) -> int | None:
    """Packets that a pcapng file says were lost, None where it does not say.

    tshark leaves out the statistics blocks when it writes frames. They stand behind the last
    packet, so the file is walked from its end; a compressed one has to be read through.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(12)
            if head.startswith(GZIP_MAGIC):
                return _lost_in_compressed(file)
            if head[:4] != SECTION_HEADER.to_bytes(4, "big"):
                return None
            return _lost_at_end(file, endian_of(head))
    except OSError:
        return None


def _lost_in_compressed(file: IO[bytes]) -> int | None:
    from dicomsniff.sources.pcap import Damage
    from dicomsniff.sources.pcapfile import read_frames

    file.seek(0)
    try:
        reader = read_frames(Stream(Gunzip(file)))
        for _ in reader.frames():
            pass
    except Damage:
        return None
    return reader.dropped if reader.lost else None


def _lost_at_end(file: IO[bytes], endian: str) -> int | None:
    number = Struct(endian + "I").unpack
    lost: dict[int, int] = {}
    at = file.seek(0, os.SEEK_END)
    for _ in range(STATISTICS_LIMIT):
        if at < 12:
            break
        file.seek(at - 4)
        (length,) = number(file.read(4))
        if not 12 <= length <= min(at, BLOCK_LIMIT) or length & 3:
            break
        at -= length
        file.seek(at)
        block = file.read(length)
        (kind,) = number(block[:4])
        if block[4:8] != block[-4:] or kind in (*PACKETS, SECTION_HEADER):
            break
        if kind == INTERFACE_STATISTICS and length >= 24:
            counted = counted_losses(block[20:-4], endian)
            if counted is not None:
                # The latest block of an interface counts; the walk meets it first.
                lost.setdefault(number(block[8:12])[0], counted)
    return sum(lost.values()) if lost else None


def counted_losses(options: bytes, endian: str) -> int | None:
    """Packets lost, from the options of a statistics block."""
    head = Struct(endian + "HH").unpack_from
    value = Struct(endian + "Q").unpack_from
    counted: int | None = None
    at = 0
    while at + 4 <= len(options):
        code, length = head(options, at)
        if code == 0:
            break
        if code in (_OPTION_IFDROP, _OPTION_OSDROP) and length == 8 and at + 12 <= len(options):
            counted = (counted or 0) + value(options, at + 4)[0]
        at += 4 + length + (-length & 3)
    return counted

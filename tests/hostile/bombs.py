"""Sessions made to cost more than they are worth, and ways to measure what they cost."""

from __future__ import annotations

import struct
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from types import FrameType

from dicomsniff.analysis.pipeline import Pipeline
from dicomsniff.model import Frame
from tests import wire

ACK, SYN_ACK, SYN = 24, 18, 2
START = 1_700_000_000_000_000_000
CLIENT, SERVER = b"\x0a\x00\x00\x01", b"\xc0\xa8\x00\x01"


def frame(
    number: int,
    source: bytes,
    destination: bytes,
    ports: tuple[int, int],
    seq: int,
    ack: int,
    flags: int,
    data: bytes = b"",
) -> Frame:
    """A TCP segment in an Ethernet frame of its own."""
    total = 40 + len(data)
    raw = (
        b"\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02\x08\x00"
        + struct.pack(">BBHHHBBH", 0x45, 0, total, 0, 0, 64, 6, 0)
        + source
        + destination
        + struct.pack(">HHIIBBHHH", *ports, seq & 0xFFFFFFFF, ack, 0x50, flags, 0xFFFF, 0, 0)
        + data
    )
    return Frame(number, START + number * 1000, 1, raw, len(raw))


def handshake(number: int, client: bytes, port: int) -> Iterator[Frame]:
    """SYN and SYN-ACK; the next byte of the client has sequence number 1."""
    yield frame(number, client, SERVER, (port, 104), 0, 0, SYN)
    yield frame(number + 1, SERVER, client, (104, port), 0, 1, SYN_ACK)


def session(
    said: bytes, *, size: int = 1460, request: bytes | None = None, syntax: str = wire.EXPLICIT
) -> Iterator[Frame]:
    """An association in which the requestor then says these bytes, in segments of one size."""
    yield from handshake(1, CLIENT, 40000)
    if request is None:
        request = wire.request([(1, wire.CT, [syntax])])
    accept = wire.accept([(1, 0, syntax)])
    seq, number = 1, 3
    for at in range(0, len(request), 60_000):
        part = request[at : at + 60_000]
        yield frame(number, CLIENT, SERVER, (40000, 104), seq, 1, ACK, part)
        seq += len(part)
        number += 1
    yield frame(number, SERVER, CLIENT, (104, 40000), 1, seq, ACK, accept)
    for at in range(0, len(said), size):
        number += 1
        part = said[at : at + size]
        yield frame(number, CLIENT, SERVER, (40000, 104), seq, 1 + len(accept), ACK, part)
        seq += len(part)


def rebuilt(frames: Iterator[Frame], pipeline: Pipeline | None = None) -> Pipeline:
    """Everything that a capture of these frames goes through, rules included."""
    pipeline = pipeline or Pipeline()
    for each in frames:
        pipeline.feed(each)
    pipeline.finish()
    return pipeline


def calls(run: Callable[[], object]) -> int:
    """How many calls it takes, C functions included: the same on every machine."""
    count = 0

    def counter(_: FrameType, event: str, __: object) -> None:
        nonlocal count
        if event.endswith("call"):
            count += 1

    sys.setprofile(counter)
    try:
        run()
    finally:
        sys.setprofile(None)
    return count


def peak(run: Callable[[], object]) -> int:
    """Most bytes that were allocated at once beyond those allocated before."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        run()
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return most - before

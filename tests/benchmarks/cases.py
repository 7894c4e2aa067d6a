"""What is measured: a table of captures, each made by a generator."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from functools import cache
from itertools import chain, repeat
from typing import NamedTuple

from tests.benchmarks import dicom, traffic
from tests.benchmarks.traffic import Connection, Packet

IMAGE = 512 * 512 * 2
"""Bytes of pixels of an image of 512x512 in 16 bits."""

_STORAGE = dicom.Context(1, dicom.CT)
_ECHO = dicom.Context(1, dicom.VERIFICATION)
_WORKLIST = dicom.Context(1, dicom.WORKLIST)


@cache
def _noise(length: int) -> bytes:
    """Pixels that do not compress and never change."""
    return random.Random(1270).randbytes(length)


def _association(
    connection: Connection, context: dicom.Context, *parts: Iterator[Packet]
) -> Iterator[Packet]:
    """A whole association of one presentation context around ``parts``."""
    names = ("FLC1270", "MOZI")
    yield from connection.open()
    yield from connection.send(0, (dicom.request(*names, context),))
    yield from connection.send(1, (dicom.accept(*names, context),))
    for part in parts:
        yield from part
    yield from connection.send(0, (dicom.RELEASE_REQUEST,))
    yield from connection.send(1, (dicom.RELEASE_RESPONSE,))
    yield from connection.close()


def _store(connection: Connection, number: int, images: int = 1) -> Iterator[Packet]:
    """A C-STORE and its response; ``images`` of 512 KiB in one object."""
    instance = f"1.2.826.0.1.3680043.10.1270.1.1.{number + 1}"
    told = {"sop_class": dicom.CT, "sop_instance": instance}
    asks = dicom.command(0x0001, message_id=number % 65_535 + 1, priority=0, dataset=0, **told)
    header = dicom.ct_header(instance, number + 1, frames=images, length=images * IMAGE)
    pieces = chain((header,), repeat(_noise(IMAGE), images))
    yield from connection.send(0, chain(dicom.pdus(1, 1, (asks,)), dicom.pdus(1, 0, pieces)))
    answer = dicom.command(
        0x8001, responded=number % 65_535 + 1, dataset=dicom.NO_DATA_SET, status=0, **told
    )
    yield from connection.send(1, dicom.pdus(1, 1, (answer,)))


def _echo(connection: Connection) -> Iterator[Packet]:
    asks = dicom.command(
        0x0030, sop_class=dicom.VERIFICATION, message_id=1, dataset=dicom.NO_DATA_SET
    )
    answer = dicom.command(
        0x8030, sop_class=dicom.VERIFICATION, responded=1, dataset=dicom.NO_DATA_SET, status=0
    )
    yield from connection.send(0, dicom.pdus(1, 1, (asks,)))
    yield from connection.send(1, dicom.pdus(1, 1, (answer,)))


def _find(connection: Connection, answers: int) -> Iterator[Packet]:
    """A worklist query; an answer is a command and an identifier, a PDU each."""
    asks = dicom.command(0x0020, sop_class=dicom.WORKLIST, message_id=1, priority=0, dataset=1)
    yield from connection.send(
        0, chain(dicom.pdus(1, 1, (asks,)), dicom.pdus(1, 0, (dicom.worklist_query(),)))
    )
    told = {"sop_class": dicom.WORKLIST, "responded": 1}
    pending = dicom.command(0x8020, dataset=1, status=0xFF00, **told)
    success = dicom.command(0x8020, dataset=dicom.NO_DATA_SET, status=0, **told)
    for number in range(answers):
        item = dicom.worklist_item(number)
        yield from connection.send(
            1, chain(dicom.pdus(1, 1, (pending,)), dicom.pdus(1, 0, (item,)))
        )
    yield from connection.send(1, dicom.pdus(1, 1, (success,)))


# ---------------------------------------------------------------------------- the cases


def store(scale: float = 1) -> Iterator[Packet]:
    """300 C-STOREs on one association, 1,500-byte frames."""
    connection = Connection()
    stores = (_store(connection, number) for number in range(round(300 * scale)))
    return _association(connection, _STORAGE, *stores)


def offload(scale: float = 1) -> Iterator[Packet]:
    """The same, captured where the network card cuts the segments."""
    connection = Connection(mss=traffic.OFFLOADED_MSS, segments_per_ack=1)
    stores = (_store(connection, number) for number in range(round(300 * scale)))
    return _association(connection, _STORAGE, *stores)


def small(scale: float = 1) -> Iterator[Packet]:
    """Associations of a C-ECHO, or a C-FIND with three answers, in turn."""

    def association(number: int) -> Iterator[Packet]:
        connection = Connection(3 + number % 50, 2, client_port=20_000 + number // 50 % 40_000)
        if number & 1:
            return _association(connection, _WORKLIST, _find(connection, 3))
        return _association(connection, _ECHO, _echo(connection))

    return traffic.repeated(association, round(20_000 * scale))


def find(scale: float = 1) -> Iterator[Packet]:
    """One C-FIND, 100,000 answers."""
    connection = Connection()
    return _association(connection, _WORKLIST, _find(connection, round(100_000 * scale)))


def interleaved(scale: float = 1) -> Iterator[Packet]:
    """16 associations at once, a packet of each in turn, 2 % of them out of order."""

    def association(number: int) -> Iterator[Packet]:
        connection = Connection(3 + number, 2)
        stores = (_store(connection, image) for image in range(max(1, round(12 * scale))))
        return _association(connection, _STORAGE, *stores)

    # 40 packets later: two or three packets of the same connection.
    return traffic.disordered(traffic.interleaved(map(association, range(16))), 0.02, by=40)


def _web(number: int, bytes_: int) -> Iterator[Packet]:
    """TLS records of a web server: nothing of ours."""
    connection = Connection(100 + number, 99, server_port=443)
    record = b"\x17\x03\x03\x40\x00" + _noise(16_384)
    yield from connection.open()
    while True:
        yield from connection.send(0, (b"\x17\x03\x03\x01\x00" + _noise(256),))
        yield from connection.send(1, repeat(record, bytes_ // len(record)))


def _files(bytes_: int) -> Iterator[Packet]:
    """Plain downloads over HTTP."""
    connection = Connection(90, 91, server_port=8080)
    body = _noise(bytes_)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
    yield from connection.open()
    while True:
        yield from connection.send(0, (b"GET /update HTTP/1.1\r\nHost: files\r\n\r\n",))
        yield from connection.send(1, (head, body))


def _video() -> Iterator[Packet]:
    """A stream of datagrams."""
    payload = b"\x80\x60" + _noise(1300)
    return repeat(traffic.datagram(70, 71, payload))


def needle(scale: float = 1) -> Iterator[Packet]:
    """1 GB of traffic of which 1 % is DICOM."""
    connection = Connection(1, 2)
    images = max(1, round(20 * scale))
    stores = (_store(connection, number) for number in range(images))
    ours = _association(connection, _STORAGE, *stores)
    other = traffic.interleaved(
        [*(_web(number, 1 << 20) for number in range(6)), _files(1 << 22), _video()]
    )
    for packet in ours:
        yield packet
        # Acknowledgements are a third of our packets, and next to nothing of the bytes.
        for _ in range(99):
            yield next(other)


def huge(scale: float = 1) -> Iterator[Packet]:
    """One C-STORE of 2 GB."""
    connection = Connection()
    return _association(connection, _STORAGE, _store(connection, 0, images=round(4095 * scale)))


class Case(NamedTuple):
    """A capture to measure with."""

    what: str
    make: Callable[[float], Iterator[Packet]]
    stdin: bool = False
    """Too large for a disk: it is made while it is read, and only we read it."""
    scale: float = 1


CASES = {
    "store": Case("300 C-STOREs of 512x512x16 in 1,500-byte frames", store),
    "offload": Case("the same in segments of 64 KB", offload),
    "small": Case("20,000 associations of a C-ECHO or a C-FIND", small),
    "find": Case("a C-FIND with 100,000 responses", find),
    "interleaved": Case("16 associations at once, 2 % out of order", interleaved),
    "needle": Case("1 GB of which 1 % is DICOM", needle),
    "store-x10": Case("ten times the first, through stdin", store, stdin=True, scale=10),
    "huge": Case("one C-STORE of 2 GB, through stdin", huge, stdin=True),
}

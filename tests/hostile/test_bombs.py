"""Traffic made to cost: time grows with the input and no faster, memory has its limits."""

from __future__ import annotations

import struct
import time
import zlib
from collections.abc import Callable, Iterator

import pytest

from dicomsniff.analysis.pipeline import Listener, Pipeline
from dicomsniff.dicom import command, dataset, pdu, sieve
from dicomsniff.dicom.charset import TERMS_KEPT, character_set
from dicomsniff.dicom.dataset import decode
from dicomsniff.dicom.sieve import HELD_LIMIT, Sieve
from dicomsniff.model import Association, Entry, Frame
from dicomsniff.tcp import flows
from tests import wire
from tests.hostile.bombs import (
    ACK,
    CLIENT,
    SERVER,
    calls,
    frame,
    handshake,
    peak,
    rebuilt,
    session,
)

MB = 1024 * 1024


def _many(piece: bytes) -> Callable[[int], bytes]:
    return lambda count: piece * count


def _each(make: Callable[[int], bytes]) -> Callable[[int], bytes]:
    return lambda count: b"".join(make(number) for number in range(count))


def _store(number: int, dataset: bytes) -> bytes:
    return wire.command(1, 1, number & 0xFFFF, dataset=True) + wire.data(1, dataset)


def _find(number: int) -> bytes:
    level = wire.element(8, 0x52, "CS", b"STUDY ")
    return wire.command(1, 0x20, number & 0xFFFF, dataset=True) + wire.data(1, level)


_CONTEXT = [(1, wire.CT, [wire.EXPLICIT])]
_LEVEL = wire.data(1, wire.element(8, 0x52, "CS", b"STUDY "))
_ITEM = wire.element(0x40, 0x100, "SQ", b"")[:-4] + b"\xff" * 4 + b"\xfe\xff\x00\xe0" + b"\xff" * 4
_SETS = wire.element(8, 5, "CS", b"\\".join([b"ISO 2022 IR 58"] * 400))
_NAMES = wire.element(0x10, 0x10, "PN", b"\xff\xfe") * 40
_ESCAPES = wire.element(0x10, 0x10, "PN", b"\x1b$B\x1b(B\x1b$)C" * 500)

FLOODS: dict[str, Callable[[int], bytes]] = {
    "empty commands": _many(wire.pdata(wire.value(1, b"", 3))),
    "empty data sets": _many(wire.pdata(wire.value(1, b"", 2))),
    "empty values of one command": lambda n: wire.pdata(*[wire.value(1, b"", 1)] * n),
    "empty values of one data set": lambda n: wire.pdata(*[wire.value(1, b"", 0)] * n),
    "values on every context": _each(lambda n: wire.pdata(wire.value(n & 255, b"a", n & 1))),
    "empty PDUs": _many(wire.pdata()),
    "unknown PDUs": _many(wire.pdu(9, b"")),
    "releases": _many(wire.release()),
    "aborts": _many(wire.abort()),
    "rejections": _many(wire.reject()),
    "accepts": _many(wire.accept([(1, 0, wire.EXPLICIT)])),
    "requests": _many(wire.request(_CONTEXT)),
    "sessions": _many(wire.request(_CONTEXT) + wire.command(1, 0x30) + wire.release()),
    "echoes of one number": _many(wire.command(1, 0x30, 5)),
    "echoes": _each(lambda n: wire.command(1, 0x30, n & 0xFFFF)),
    "answers to nothing": _many(wire.command(1, 0x8030, 5, status=0)),
    "failures": _many(wire.command(1, 0x8001, 5, status=0xA700)),
    "answers without end": lambda n: (
        _find(5) + (wire.command(1, 0x8020, 5, status=0xFF00, dataset=True) + _LEVEL) * n
    ),
    "progress without end": lambda n: (
        wire.command(1, 0x21, 5)
        + wire.command(1, 0x8021, 5, status=0xFF00, counts=(1, 2, 3, 4)) * n
    ),
    "cancels": _many(wire.command(1, 0xFFF, 5)),
    "queries cancelled": _each(lambda n: _find(n) + wire.command(1, 0xFFF, n & 0xFFFF)),
    "data sets that do not come": _many(wire.command(1, 1, 5, dataset=True)),
    "data sets of nobody": _many(wire.data(1, b"abcd")),
    "stores of one object": _many(_store(1, wire.element(8, 0x18, "UI", b"1.2.3.4 "))),
    "stores": _each(lambda n: _store(n, wire.element(8, 0x18, "UI", b"1.2.3.%d" % n))),
    "junk": lambda n: b"\x09\x00\xff\xff\xff\xff" + b"abcdefgh" * n,
    "headers imitated": lambda n: (
        b"\x09\x00\xff\xff\xff\xff" + b"\x04\x00\x00\x0f\xff\xff\x00\x0f\xff\xfb\x01\x00" * n
    ),
    "nested sequences": lambda n: _store(1, _ITEM * n),
    "character sets": lambda n: _store(1, (_SETS + _NAMES) * (n // 40)),
    "escapes": lambda n: _store(1, _ESCAPES * (n // 100)),
}


def _calls_afresh(frames: list[Frame]) -> int:
    """Calls that rebuilding takes where nothing is remembered of bytes that came before."""
    for remembered in (command._remembered, dataset._remembered):
        remembered.cache_clear()
    pdu._known.clear()
    return calls(lambda: rebuilt(iter(frames)))


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
def test_the_work_grows_with_the_bytes_and_no_faster(flood: Callable[[int], bytes]) -> None:
    """All of it: frames, TCP, PDUs, messages, operations, links, and every rule."""
    small, large = list(session(flood(400))), list(session(flood(1600)))
    rebuilt(iter(small))  # what is imported or cached once is not counted
    few, many = (_calls_afresh(frames) for frames in (small, large))
    assert many <= 4.6 * few + 2000


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
def test_what_is_not_seen_in_calls_does_not_grow_faster_either(
    flood: Callable[[int], bytes],
) -> None:
    """Searching in lists and copying bytes are one call, however long. Quadratic would be 256."""
    times = []
    for count in (250, 4000):
        frames = list(session(flood(count)))
        began = time.process_time()
        rebuilt(iter(frames))
        times.append(time.process_time() - began)
    assert times[1] <= 64 * max(times[0], 0.02)


class Rows(Listener):
    """Counts rows and forgets them."""

    def __init__(self) -> None:
        self.rows = 0

    def entry_added(self, _association: Association, _entry: Entry) -> None:
        self.rows += 1


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
def test_rows_that_are_not_kept_cost_no_memory(flood: Callable[[int], bytes]) -> None:
    """As the timeline is printed: nothing of a row outlives it."""
    frames = list(session(flood(1500)))
    rebuilt(session(flood(100)), Pipeline(keep=False))
    assert peak(lambda: rebuilt(iter(frames), Pipeline(keep=False, listener=Rows()))) < 2 * MB


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
def test_rows_that_are_kept_cost_a_fixed_amount(flood: Callable[[int], bytes]) -> None:
    frames = list(session(flood(1500)))
    rebuilt(session(flood(100)))
    listener = Rows()
    most = peak(lambda: rebuilt(iter(frames), Pipeline(listener=listener)))
    carried = sum(len(each.data) for each in frames)
    assert most < 2 * MB + 4000 * listener.rows + 8 * carried


# ---------------------------------------------------------------------------- lengths that lie


@pytest.mark.parametrize("length", [0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF])
@pytest.mark.parametrize("kind", range(10))
def test_a_pdu_of_four_gigabytes(kind: int, length: int) -> None:
    said = struct.pack(">BBI", kind, 0, length) + b"\x77" * (2 * MB) + wire.command(1, 0x30)
    frames = list(session(said))
    assert peak(lambda: rebuilt(iter(frames), Pipeline(keep=False))) < 4 * MB


@pytest.mark.parametrize("length", [0x7FFFFFFF, 0xFFFFFFFF])
@pytest.mark.parametrize("control", range(4))
def test_a_value_of_four_gigabytes(length: int, control: int) -> None:
    value = struct.pack(">IBB", length, 1, control) + b"\x77" * (2 * MB)
    said = struct.pack(">BBI", 4, 0, 0xFFFFFFFF) + value
    frames = list(session(said))
    assert peak(lambda: rebuilt(iter(frames))) < 5 * MB


@pytest.mark.parametrize("vr", ["OB", "SQ", "UT", "UN", "OW"])
def test_an_element_of_four_gigabytes(vr: str) -> None:
    head = struct.pack("<HH2sHI", 0x7FE0, 0x10, vr.encode(), 0, 0xFFFFFFFE)
    said = wire.command(1, 1, dataset=True) + wire.data(1, head + b"\x77" * (2 * MB), last=False)
    frames = list(session(said))
    assert peak(lambda: rebuilt(iter(frames))) < 6 * MB


# ---------------------------------------------------------------------------- one of each


def test_128_contexts_with_megabytes_of_syntaxes() -> None:
    syntaxes = [f"1.2.{number}" for number in range(3000)]
    request = wire.request([(number, wire.CT, syntaxes) for number in range(1, 256, 2)])
    assert len(request) > 4 * MB, "longer than any A-ASSOCIATE that is collected"
    assert peak(lambda: rebuilt(session(b"", request=request))) < 12 * MB
    request = wire.request([(number, wire.CT, syntaxes) for number in range(1, 220, 2)])
    assert 3.5 * MB < len(request) < 4 * MB
    pipeline = Pipeline()
    assert peak(lambda: rebuilt(session(b"", request=request), pipeline)) < 80 * MB
    assert pipeline.associations == 1


@pytest.mark.parametrize("deep", [100_000])
def test_nested_a_hundred_thousand_deep(deep: int) -> None:
    frames = list(session(_store(1, _ITEM * deep)))
    rebuilt(session(_store(1, _ITEM)))
    assert peak(lambda: rebuilt(iter(frames))) < 8 * MB
    assert calls(lambda: rebuilt(iter(frames))) < 400_000


def test_a_million_empty_values() -> None:
    value = wire.value(1, b"", 0)
    said = wire.command(1, 1, dataset=True) + wire.pdata(value * 1_000_000)

    class Keeps(Rows):
        kept: list[Entry]

        def entry_added(self, association: Association, _entry: Entry) -> None:
            self.kept = association.timeline

    listener = Keeps()
    pipeline = Pipeline(listener=listener)
    rebuilt(session(said, size=60_000), pipeline)
    message = listener.kept[-1].message
    assert message is not None
    assert message.fragment_count == 1_000_001
    assert len(message.fragments) == 32
    few = list(session(said[:600_000], size=60_000))
    assert peak(lambda: rebuilt(iter(few))) < 2 * MB


def test_a_deflate_bomb_through_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sieve, "INFLATED_LIMIT", 32 * MB)
    packer = zlib.compressobj(9, wbits=-15)
    head = struct.pack("<HH2sHI", 0x7FE0, 0x10, b"OB", 0, 0xFFFFFFFE)
    bomb = packer.compress(head)
    bomb += b"".join(packer.compress(bytes(MB)) for _ in range(200)) + packer.flush()
    assert len(bomb) < 300_000
    said = wire.command(1, 1, dataset=True) + b"".join(
        wire.data(1, bomb[at : at + 16_000], last=False) for at in range(0, len(bomb), 16_000)
    )
    frames = list(session(said, syntax=wire.DEFLATED))
    assert peak(lambda: rebuilt(iter(frames))) < 4 * MB
    few = calls(lambda: rebuilt(session(wire.command(1, 0x30), syntax=wire.DEFLATED)))
    assert calls(lambda: rebuilt(iter(frames))) < few + 20_000


def test_a_deflate_bomb_of_attributes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sieve, "INFLATED_LIMIT", 32 * MB)
    packer = zlib.compressobj(9, wbits=-15)
    piece = wire.element(0x10, 0x20, "LO", b"") * 100_000
    bomb = b"".join(packer.compress(piece) for _ in range(60)) + packer.flush()
    held = Sieve(wire.DEFLATED)

    def run() -> None:
        held.feed(bomb)
        found = decode(held.finish(True), wire.DEFLATED)
        assert found.faults

    assert peak(run) < 64 * MB
    assert len(held.finish(True).held) <= HELD_LIMIT


def test_character_sets_without_end() -> None:
    found = character_set(tuple(["ISO 2022 IR 149", "ISO 2022 IR 58"] * 2000))
    assert found.extensions == ("gb2312", "euc_kr")
    assert len(found.label) < 500
    assert any(str(TERMS_KEPT) in note for note in found.notes)


@pytest.mark.parametrize("name", [b"\x1b$B", b"\x1b(B\x1b$)C", b"\x1b", b"\x1b$B\\^=", b"^=\\\xff"])
def test_escapes_without_end(name: bytes) -> None:
    def run(size: int) -> int:
        value = (name * (size // len(name)))[: size & ~1]
        body = wire.element(8, 5, "CS", b"\\ISO 2022 IR 87\\ISO 2022 IR 149 ")
        body += b"".join(wire.element(0x10, 0x10, "PN", value) for _ in range(4))
        held = Sieve(wire.EXPLICIT)
        held.feed(body)
        kept = held.finish(True)
        return calls(lambda: decode(kept, wire.EXPLICIT))

    run(1000)
    assert run(12_000) <= 4.4 * run(3000) + 200


# ---------------------------------------------------------------------------- what is no DICOM


@pytest.mark.parametrize("from_start", [True, False])
@pytest.mark.parametrize(
    "piece", [b"\x77" * 60_000, b"\x04\x00\x00\x0f\xff\xff\x00\x0f\xff\xfb\x01\x00" * 5000]
)
def test_a_long_stream_that_is_no_dicom(from_start: bool, piece: bytes) -> None:
    """Past the limit of the search a connection costs one look-up a segment, for ever."""

    def frames(count: int) -> Iterator[Frame]:
        if from_start:
            yield from handshake(1, CLIENT, 40000)
        seq = 1
        for number in range(count):
            yield frame(number + 3, CLIENT, SERVER, (40000, 104), seq, 1, ACK, piece)
            seq += len(piece)

    rebuilt(frames(3))
    assert peak(lambda: rebuilt(frames(30))) < 6 * MB
    few, many = calls(lambda: rebuilt(frames(80))), calls(lambda: rebuilt(frames(180)))
    assert (many - few) / 100 < 40


# ---------------------------------------------------------------------------- many connections


REQUEST = wire.request(_CONTEXT)
SAID: dict[str, list[tuple[int, bytes]] | None] = {
    "a SYN and no answer": None,
    "nothing": [],
    "another protocol": [(1, b"GET / HTTP/1.1\r\n")],
    "the first byte of a request": [(1, b"\x01")],
    "a ClientHello": [(1, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc")],
    "a hole": [(1, REQUEST[:10]), (2000, b"\x77" * 1400)],
    "a request": [(1, REQUEST)],
}


def connections(count: int, said: list[tuple[int, bytes]] | None) -> Iterator[Frame]:
    """Connections of as many hosts, none of which ends."""
    number = 1
    for each in range(count):
        client = b"\x0a" + each.to_bytes(3, "big")
        port = 1024 + each % 60_000
        if said is None:
            yield frame(number, client, SERVER, (port, 104), 0, 0, 2)
            number += 1
            continue
        yield from handshake(number, client, port)
        number += 2
        for seq, data in said:
            yield frame(number, client, SERVER, (port, 104), seq, 1, ACK, data)
            number += 1


@pytest.mark.parametrize("said", SAID.values(), ids=SAID)
def test_ten_times_the_limit_of_connections(
    said: list[tuple[int, bytes]] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory is bounded by the limit, so what holds at a tenth of it holds for a million."""
    monkeypatch.setattr(flows, "MAX_CONNECTIONS", 400)
    monkeypatch.setattr(flows, "MAX_HALF_OPEN", 200)
    rebuilt(connections(10, said))
    pipeline = Pipeline()
    most = 0

    def run() -> None:
        nonlocal most
        for each in connections(4000, said):
            pipeline.feed(each)
            most = max(most, len(pipeline._tracker))

    used = peak(run)
    assert most <= 400
    # 13 KB for one that has begun an association; what is given up waits to be collected.
    assert used < 400 * 45_000 + 4 * MB
    pipeline.finish()
    assert len(pipeline._tracker) == 0


def test_a_hundred_thousand_connections() -> None:
    said = SAID["another protocol"]
    rebuilt(connections(10, said))
    pipeline = Pipeline()
    began = time.process_time()
    frames = 0
    for each in connections(100_000, said):
        pipeline.feed(each)
        frames += 1
    assert len(pipeline._tracker) <= flows.MAX_CONNECTIONS
    pipeline.finish()
    assert time.process_time() - began < 300e-6 * frames

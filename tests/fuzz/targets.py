"""What is fuzzed, a function a decoder: bytes in, an exception where an invariant does not hold.

The invariants, the same everywhere:

- no bytes raise anything but the one error that the decoder promises to its user;
- whole or in any split, the result is the same;
- bytes in are bytes told: decoded, measured, or reported as not understood;
- a fault's span lies inside of what was decoded;
- the work is bounded by the input (libFuzzer's time-out and memory limit see to that).
"""

from __future__ import annotations

import io
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from itertools import chain

from dicomsniff.analysis import where
from dicomsniff.analysis.pipeline import Listener, Pipeline
from dicomsniff.analysis.shares import BeginAnew
from dicomsniff.analysis.where import FilterError
from dicomsniff.dicom import dataset
from dicomsniff.dicom.command import decode_command
from dicomsniff.model import Association, CaptureInfo, Entry, Frame
from dicomsniff.output.info import info
from dicomsniff.output.redact import Redactor
from dicomsniff.output.reload import ReloadError, read
from dicomsniff.output.timeline import row
from dicomsniff.output.transcript import TranscriptWriter
from dicomsniff.sources import SourceError
from dicomsniff.sources.pcapfile import CaptureFile
from dicomsniff.tcp.frames import Dissector
from dicomsniff.tcp.tls import Handshake
from tests.benchmarks import dicom, traffic
from tests.benchmarks.traffic import Connection, Packet
from tests.dicom.building import check
from tests.dicom.datasets import BIG, DEFLATED, EXPLICIT, IMPLICIT, sieved
from tests.dicom.test_conversation import converse
from tests.dicom.test_dataset import _check
from tests.dicom.test_framing import cut
from tests.local import alone, shared
from tests.tcp.test_flows import Play
from tests.tcp.test_lane import both
from tests.tcp.test_skim import BEGAN, STEP, hold

SYNTAXES = (EXPLICIT, IMPLICIT, BIG, DEFLATED, None, "1.2.840.10008.1.2.4.50")
LINKS = (1, 0, 9, 12, 101, 105, 108, 113, 127, 228, 229, 276, 500)
FRAMES = 2000
"""Frames read of one input: a file of a megabyte may hold 60,000 empty ones."""

CHANGES = 24
"""What ``ways`` does to a conversation, at most."""

UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029\ud800-\udfff]")


class Bites:
    """Takes numbers and pieces off the front of an input."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def byte(self) -> int:
        """The next byte, 0 behind the end."""
        return self.take(1)[0] if self else 0

    def number(self) -> int:
        """The next two bytes."""
        return self.byte() << 8 | self.byte()

    def take(self, count: int) -> bytes:
        """At most so many bytes."""
        piece = self._data[self._at : self._at + count]
        self._at += count
        return piece

    def rest(self) -> bytes:
        """All that is left."""
        return self.take(len(self._data))


def pdu(data: bytes) -> None:
    """A PDU, whole or cut short: decoded, and laid out with every field's span."""
    check(data)


def framing(data: bytes) -> None:
    """One direction: every byte in an event, in any split."""
    bites = Bites(data)
    sizes = [bites.byte() % 64 + 1 for _ in range(3)]
    stream = bites.rest()
    for each in (None, sizes, [1]):
        assert cut(stream, each).counted == len(stream)
    cut(stream, sizes, searching=True)


def conversation(data: bytes) -> None:
    """Both directions of a connection, with holes and endings: what is told was fed."""
    bites = Bites(data)
    options = bites.byte()
    steps: list[tuple[int, bytes | int | str]] = []
    while bites and len(steps) < 60:
        what = bites.byte()
        side = what & 1
        if what < 0xF0:
            piece = bites.take(bites.byte() << 3 | what >> 5)
            if piece:
                steps.append((side, piece))
        elif what < 0xFA:
            steps.append((side, bites.number() + 1))
        else:
            steps.append((side, "fin" if what < 0xFD else "reset"))
    heard = converse(*steps, from_start=not options & 1, forced=bool(options & 2))
    fed = sum(len(each) for _, each in steps if isinstance(each, bytes))
    lost = sum(each for _, each in steps if isinstance(each, int))
    entries = [(a, e) for a in heard.associations for e in a.timeline]
    assert sum(e.length for _, e in entries if e.kind != "GAP") <= fed
    assert sum(gap.length for a in heard.associations for gap in a.gaps) <= lost
    for association, entry in entries:
        assert not UNSAFE.search(info(association, entry))
        size = len(entry.message.command_bytes if entry.message is not None else entry.raw)
        for fault in entry.faults:
            assert 0 <= fault.start <= fault.end <= size


def command(data: bytes) -> None:
    """A command set: elements and faults lie in it."""
    elements, faults = decode_command(data)
    for element in elements.values():
        assert 0 <= element.start <= element.end <= len(data)
    for fault in faults:
        assert 0 <= fault.start <= fault.end <= len(data)


def data_set(data: bytes) -> None:
    """A data set through the sieve in any split, and decoded."""
    bites = Bites(data)
    options = bites.byte()
    syntax = SYNTAXES[options % len(SYNTAXES)]
    cuts = sorted({bites.number() for _ in range(options >> 5)})
    body = bites.rest()
    once = sieved(body, syntax)
    assert once.length == len(body)
    assert sieved(body, syntax, [at for at in cuts if at < len(body)]) == once
    if not once.inflated:
        assert len(once.held) + sum(skip.length for skip in once.skips) == len(body)
    _check(dataset.decode(once, syntax), len(once.held))
    short = sieved(body, syntax, complete=False)
    _check(dataset.decode(short, syntax), len(short.held))


def frames(data: bytes) -> None:
    """Frames of any link through one dissector: a payload lies in what was captured."""
    bites = Bites(data)
    link = LINKS[bites.byte() % len(LINKS)]
    dissector = Dissector()
    number = 0
    seen = b""
    while bites and number < 20:
        number += 1
        wire = bites.number()
        raw = bites.take(wire & 0x7FF)
        seen += raw
        segment = dissector.segment(Frame(number, number, link, raw, len(raw) + (wire >> 11)))
        if segment is not None:
            assert len(segment.payload) <= segment.length
            assert len(segment.payload) <= len(seen)
            assert len(segment.key) in (12, 36)


def tcp(data: bytes) -> None:
    """Segments in any order, with loss, overlap, endings: each receiver hears one end, last."""
    bites = Bites(data)
    play = Play()
    sent = 0
    while bites and play.frame < 300:
        what = bites.byte()
        at = bites.byte() - 4
        length = bites.byte()
        piece = bites.take(length & 0x3F)
        ack = None if what & 2 else bites.byte() - 4
        flags = (0, 0, 0, 0, 1, 2, 4, 5)[what >> 2 & 7]
        sent += len(piece)
        play.send(
            "cs"[what & 1],
            at * (1 if what & 32 else 37),
            piece,
            ack,
            flags,
            length=len(piece) + (length >> 6),
            after=(1, 1000, 10**9, 3 * 10**9)[what >> 6],
        )
    play.tracker.finish()
    told = 0
    for log in play.logs:
        assert [event[0] for event in log.events].count("end") == 1
        assert log.events[-1][0] == "end"
        told += len(log.said(0)) + len(log.said(1))
        for stream in log.connection.streams:
            assert not stream.pending
            assert stream.held == 0
    assert told <= sent


class _Kept(Listener):
    def __init__(self) -> None:
        self.rows: list[tuple[Association, Entry]] = []
        self.ended: list[Association] = []

    def entry_added(self, association: Association, entry: Entry) -> None:
        self.rows.append((association, entry))

    def association_ended(self, association: Association) -> None:
        self.ended.append(association)


def _one_line(error: Exception, position: int = 0, length: int = 0) -> None:
    """A refusal is a line that can be printed, at a place in what was refused."""
    assert str(error).isprintable(), repr(str(error))
    assert 0 <= position <= length


def _image(connection: Connection, pixels: int) -> Iterator[Packet]:
    """An association that stores one image."""
    context = dicom.Context(1, dicom.CT)
    names = ("FLC1270", "MOZI")
    told = {"sop_class": dicom.CT, "sop_instance": "1.2.3.4"}
    asks = dicom.command(0x0001, message_id=1, priority=0, dataset=0, **told)
    answer = dicom.command(0x8001, responded=1, dataset=dicom.NO_DATA_SET, status=0, **told)
    header = dicom.ct_header("1.2.3.4", 1, frames=1, length=pixels)
    store = chain(dicom.pdus(1, 1, (asks,)), dicom.pdus(1, 0, (header, bytes(pixels))))
    yield from connection.open()
    yield from connection.send(0, (dicom.request(*names, context),))
    yield from connection.send(1, (dicom.accept(*names, context),))
    yield from connection.send(0, store)
    yield from connection.send(1, dicom.pdus(1, 1, (answer,)))
    yield from connection.send(0, (dicom.RELEASE_REQUEST,))
    yield from connection.send(1, (dicom.RELEASE_RESPONSE,))
    yield from connection.close()


@cache
def _packets(which: int) -> tuple[Frame, ...]:
    """What is to be disturbed: an image in full segments or in short ones, alone or beside another
    and a page of the web, over IPv4 or IPv6."""
    size, pixels = ((1448, 100_000), (600, 40_000))[which & 1]
    streams = [_image(Connection(mss=size), pixels)]
    if which & 2:
        web = Connection(7, 8, client_port=50_000, server_port=80)
        page = b"HTTP/1.1 200 OK\r\n\r\n" + bytes(20_000)
        asked = web.send(0, [b"GET / HTTP/1.1\r\n\r\n"])
        streams.append(_image(Connection(3, 2, mss=size), pixels))
        streams.append(chain(web.open(), asked, web.send(1, [page]), web.close()))
    frames = []
    for headers, payload in traffic.interleaved(streams):
        data = headers + payload
        if which & 4:
            tcp = data[34:]
            addresses = bytes(12) + data[26:30] + bytes(12) + data[30:34]
            ip = b"\x60\0\0\0" + len(tcp).to_bytes(2, "big") + b"\6\x40" + addresses
            data = data[:12] + b"\x86\xdd" + ip + tcp
        time = BEGAN + len(frames) * STEP
        frames.append(Frame(len(frames) + 1, time, 1, data, len(data)))
    return tuple(frames)


def ways(data: bytes) -> None:
    """Packets one by one, many at once, shared by connection, and counted where they lie: the same
    is told."""
    bites = Bites(data)
    frames = list(_packets(bites.byte() & 7))
    size = bites.byte() % 40 + 1
    later = 0
    for _ in range(CHANGES):
        if not bites:
            break
        what = bites.byte()
        at = bites.byte() * len(frames) >> 8
        much = bites.byte()
        frame = frames[at]
        match what % 9:
            case 0:
                del frames[at : at + 1 + much % 4]
            case 1:
                frames.insert(min(len(frames), at + much % 16), frames.pop(at))
            case 2:  # a copy
                frames.insert(min(len(frames), at + much % 16), frame)
            case 3 | 4:  # sent again as another packet, or something in its headers is different
                changed = bytearray(frame.data)
                for _ in range(what >> 6):
                    place = bites.byte() % 96
                    if place < len(changed):
                        changed[place] = bites.byte()
                new = frame._replace(data=bytes(changed))
                if what % 9 == 3:
                    frames[at] = new
                else:
                    frames.insert(min(len(frames), at + much % 16), new)
            case 5:
                frames[at] = frame._replace(data=frame.data[: much << what // 64])
            case 6:  # a silence
                later = (1, 10**6, 10**9, 400 * 10**9)[what >> 6] * much
                frames[at:] = [f._replace(time=f.time + later) for f in frames[at:]]
            case 7:  # the clock is set back
                frames[at] = frame._replace(time=max(0, frame.time - much * 10 ** (what >> 5)))
            case _:  # a flag
                changed = bytearray(frame.data)
                place = 67 if len(changed) > 67 and changed[12] == 0x86 else 47
                if place < len(changed):
                    changed[place] = much
                frames[at] = frame._replace(data=bytes(changed))
        if not frames:
            return
    frames = [frame._replace(number=number) for number, frame in enumerate(frames, 1)]
    _, info = both(frames, size)
    with suppress(BeginAnew):
        assert shared(frames, 2, size) == alone(frames)
    # Copies of what was only counted are not known for copies (tcp.skim).
    if not info.duplicates:
        hold(frames)


@cache
def _file() -> str:
    folder = "/dev/shm" if os.path.isdir("/dev/shm") else None
    handle, path = tempfile.mkstemp(prefix="dicomsniff-fuzz-", dir=folder)
    os.close(handle)
    return path


def _frames(data: bytes) -> Iterator[Frame]:
    path = _file()
    with open(path, "wb") as file:
        file.write(data)
    source = CaptureFile(path)
    try:
        for frame in source:
            yield frame
            if frame.number >= FRAMES:
                return
    except SourceError as error:
        _one_line(error)
    finally:
        source.close()


def capture(data: bytes) -> None:
    """A pcap or pcapng file: read, rebuilt, checked by every rule, printed and transcribed."""
    listener = _Kept()
    pipeline = Pipeline(listener=listener)
    for frame in _frames(data):
        pipeline.feed(frame)
    pipeline.finish()
    for association, entry in listener.rows:
        assert not UNSAFE.search(row(association, entry, 0))
    out = io.BytesIO()
    told = CaptureInfo("fuzz", "scapy")
    with TranscriptWriter(out, Redactor(), info=told) as writer:
        for association in listener.ended:
            writer.association(association)
        writer.finish(told, pipeline.findings)
    json.loads(out.getvalue())
    read(io.BytesIO(out.getvalue()), "fuzz")


def pcap(data: bytes) -> None:
    """A pcap or pcapng file, frames alone."""
    last = 0
    for frame in _frames(data):
        # Blocks of other kinds have numbers too, as Wireshark counts.
        assert frame.number > last
        last = frame.number


def transcript(data: bytes) -> None:
    """A transcript that somebody gives us: read, or refused in one line."""
    try:
        read(io.BytesIO(data), "fuzz")
    except ReloadError as error:
        _one_line(error)


def filters(data: bytes) -> None:
    """A filter: understood and the same when written out, or refused at a place in it."""
    text = data.decode("utf-8", "surrogateescape")
    try:
        compiled = where.compile(text)
    except FilterError as error:
        _one_line(error, error.position, len(text))
    else:
        assert str(where.compile(str(compiled))) == str(compiled)
        for association, entry in _sample():
            compiled.matches(association, entry)
            compiled.matches(association)
    for cursor in (0, len(text) // 2, len(text)):
        where.complete(text, cursor)


@cache
def _sample() -> tuple[tuple[Association, Entry | None], ...]:
    from tests.tui.fake import hostile

    association = hostile()
    return ((association, None), *((association, entry) for entry in association.timeline))


def tls(data: bytes) -> None:
    """Both directions of a TLS handshake, certificates included, whole and in splits."""
    bites = Bites(data)
    handshake = Handshake(0)
    frame = 0
    while bites and frame < 60:
        frame += 1
        what = bites.byte()
        if what >= 0xFA:
            handshake.gap(what & 1, bites.number())
        else:
            handshake.feed(what & 1, bites.take(bites.byte() << 4 | what >> 4), frame, frame)


TARGETS: dict[str, Callable[[bytes], None]] = {
    "pdu": pdu,
    "framing": framing,
    "conversation": conversation,
    "command": command,
    "data-set": data_set,
    "frames": frames,
    "tcp": tcp,
    "ways": ways,
    "pcap": pcap,
    "capture": capture,
    "transcript": transcript,
    "filter": filters,
    "tls": tls,
}

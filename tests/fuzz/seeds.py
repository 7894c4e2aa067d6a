"""Inputs to begin with, made of the project's own captures: real traffic in each target's form."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from random import Random

from dicomsniff.analysis import where
from dicomsniff.model import Association, CaptureInfo, Entry
from dicomsniff.output.redact import Redactor
from dicomsniff.output.transcript import TranscriptWriter
from tests import rewrite
from tests.dicom.datasets import BIG, DEFLATED, EXPLICIT, IMPLICIT
from tests.support import CAPTURES

SMALL = 40_000
"""Bytes of the longest seed: what is larger slows everything down and shows nothing new."""

FOUND = Path(__file__).with_name("found")
"""A folder a target: inputs that broke an invariant once. They are tried first, for ever."""

_SYNTAXES = {EXPLICIT: 0, IMPLICIT: 1, BIG: 2, DEFLATED: 3}


def _captures() -> Iterator[Path]:
    for path in sorted(CAPTURES.glob("*.pcap*")):
        if path.stat().st_size < 20 * SMALL:
            yield path


def _entries() -> Iterator[tuple[Association, Entry]]:
    for path in _captures():
        for association in rewrite.rebuild(_load(path)):
            for entry in association.timeline:
                yield association, entry


def _load(path: Path) -> list[rewrite.Packet]:
    try:
        return rewrite.load(path)
    except (IndexError, ValueError, KeyError):
        return []  # a link type that only the package's own readers know


def _streams() -> Iterator[list[tuple[int, bytes]]]:
    """(side, bytes) of each connection."""
    for path in _captures():
        flows: dict[object, list[rewrite.Packet]] = {}
        for packet in _load(path):
            if packet.payload:
                flows.setdefault(packet.flow, []).append(packet)
        for packets in flows.values():
            yield [(int(p.way != packets[0].way), p.payload) for p in packets]


def _framed(pieces: list[tuple[int, bytes]], shift: int) -> bytes:
    """Pieces as ``conversation`` (shift 3) and ``tls`` (shift 4) take them."""
    out = bytearray()
    for side, data in pieces:
        most = (0x100 << shift) - 1
        for at in range(0, len(data), most):
            part = data[at : at + most]
            low = len(part) & ((1 << shift) - 1)
            first = side | low << (5 if shift == 3 else 4)
            if first >= 0xF0:
                part = part[: len(part) & ~((1 << shift) - 1)]
                first = side
            out += bytes((first, len(part) >> shift)) + part
    return bytes(out)


def found(target: str) -> list[Path]:
    """What broke a target before."""
    return sorted((FOUND / target).glob("*"))


def seeds(target: str) -> Iterator[bytes]:
    """The seeds of one target, of any size."""
    if target == "pdu":
        yield from (entry.raw for _, entry in _entries() if entry.raw)
    elif target == "framing":
        for pieces in _streams():
            for side in (0, 1):
                yield b"\x07\x1f\x3f" + b"".join(data for each, data in pieces if each == side)
    elif target == "conversation":
        for pieces in _streams():
            yield b"\0" + _framed(pieces, 3)
            yield b"\1" + _framed(pieces[2:], 3)
    elif target == "command":
        yield from (e.message.command_bytes for _, e in _entries() if e.message is not None)
    elif target == "data-set":
        for _, entry in _entries():
            message = entry.message
            if message is not None and message.dataset is not None:
                number = _SYNTAXES.get(message.transfer_syntax or "", 5)
                yield bytes((number,)) + message.dataset.held
                yield bytes((number + 42 * 2,)) + b"\0\x10\0\x21" * 2 + message.dataset.held
    elif target == "frames":
        for path in _captures():
            taken = b""
            link = 1
            for frame in rewrite.raw_frames(path):
                link = frame.link_type
                data = frame.data[:0x7FF]
                taken += len(data).to_bytes(2, "big") + data
                if len(taken) > 4000:
                    break
            yield bytes(({0: 1, 113: 7, 276: 11}.get(link, 0),)) + taken
    elif target == "tcp":
        for pieces in _streams():
            at = [4, 4]
            out = bytearray()
            for side, data in pieces:
                part = data[:20]
                if at[side] + 20 > 200:
                    break
                out += bytes((side | 32, at[side], len(part))) + part + bytes((at[1 - side],))
                at[side] += len(part)
            yield bytes(out)
    elif target == "ways":
        random = Random(7)
        for which in range(8):
            yield bytes((which, 7))
            for _ in range(6):
                yield bytes((which,)) + random.randbytes(40)
    elif target in ("pcap", "capture"):
        for path in _captures():
            data = path.read_bytes()
            if len(data) < SMALL:
                yield data
            packets = _load(path)[:60]
            if packets:
                yield rewrite.pcap(rewrite.frames(packets), nanoseconds=True)
                yield rewrite.pcap(rewrite.frames(packets), big_endian=True)
    elif target == "transcript":
        for path in _captures():
            for ndjson in (False, True):
                yield _transcript(rewrite.rebuild(_load(path)), ndjson)
    elif target == "filter":
        for word in where.WORDS:
            yield str(word.example).encode()
    elif target == "tls":
        for pieces in _streams():
            if pieces[0][1][:1] == b"\x16":
                yield _framed(pieces, 4)


def _transcript(associations: list[Association], ndjson: bool) -> bytes:
    stream = io.BytesIO()
    told = CaptureInfo("seed.pcapng", "scapy")
    with TranscriptWriter(stream, Redactor(), info=told, ndjson=ndjson) as writer:
        for association in associations:
            writer.association(association)
        writer.finish(told)
    return stream.getvalue()


def write(target: str, folder: Path) -> int:
    """Write a target's seeds into a folder; how many there are."""
    folder.mkdir(parents=True, exist_ok=True)
    unique = sorted({seed for seed in seeds(target) if seed and len(seed) <= SMALL})
    for number, seed in enumerate(unique):
        (folder / f"seed-{number:04}").write_bytes(seed)
    before = found(target)
    for path in before:
        (folder / f"found-{path.name}").write_bytes(path.read_bytes())
    return len(unique) + len(before)

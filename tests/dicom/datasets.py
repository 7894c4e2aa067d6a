"""Data sets for tests: pydicom's shipped files without their heads, and elements made by hand."""

from __future__ import annotations

import io
import random
import struct
import warnings
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_files
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import _read_file_meta_info, read_preamble
from pydicom.filewriter import write_dataset

from dicomsniff.dicom.encoding import LONG_VRS
from dicomsniff.dicom.sieve import Sieve
from dicomsniff.model import DataSetBytes

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
BIG = "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
UNDEFINED = 0xFFFFFFFF


def pydicom_files() -> Iterator[tuple[Path, str, bytes]]:
    """Every Part 10 file that pydicom's wheel holds: path, transfer syntax, data set as stored."""
    for name in sorted(get_testdata_files()):
        path = Path(name)
        if not path.is_file():
            continue
        raw = path.read_bytes()
        if raw[128:132] != b"DICM":
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            stream = io.BytesIO(raw)
            read_preamble(stream, False)
            try:
                meta = _read_file_meta_info(stream)
            except (EOFError, KeyError, ValueError):
                continue
        if "TransferSyntaxUID" in meta:
            yield path, str(meta.TransferSyntaxUID), raw[stream.tell() :]


def read(path: Path) -> Dataset:
    """What pydicom makes of a file, every value converted."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return dcmread(path, force=True)


def written(dataset: Dataset, transfer_syntax: str = EXPLICIT) -> bytes:
    """A data set as pydicom writes it."""
    stream = DicomBytesIO()
    stream.is_implicit_VR = transfer_syntax == IMPLICIT
    stream.is_little_endian = transfer_syntax != BIG
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write_dataset(stream, dataset)
    return stream.getvalue()


def explicit(tag: int, vr: str, value: bytes = b"", length: int | None = None) -> bytes:
    """An element in explicit VR little endian; ``length`` where the field shall say otherwise."""
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr.encode("latin_1")
    size = len(value) if length is None else length
    if vr.encode("latin_1") in LONG_VRS:
        return head + b"\0\0" + struct.pack("<L", size) + value
    return head + struct.pack("<H", size) + value


def implicit(tag: int, value: bytes = b"", length: int | None = None) -> bytes:
    """An element in implicit VR little endian."""
    size = len(value) if length is None else length
    return struct.pack("<HHL", tag >> 16, tag & 0xFFFF, size) + value


def item(value: bytes, length: int | None = None) -> bytes:
    """An item of defined length."""
    return implicit(0xFFFEE000, value, length)


def open_item(value: bytes) -> bytes:
    """An item of undefined length with its delimiter."""
    return implicit(0xFFFEE000, b"", UNDEFINED) + value + implicit(0xFFFEE00D)


SEQUENCE_END = implicit(0xFFFEE0DD)


def sieved(
    data: bytes,
    transfer_syntax: str | None = EXPLICIT,
    cuts: list[int] | None = None,
    *,
    count: bool = False,
    complete: bool = True,
    held_limit: int | None = None,
) -> DataSetBytes:
    """Feed ``data`` to a sieve, cut at the offsets given. ``count``: what may be skipped is
    counted and not fed, as the upper layer does."""
    sieve = (
        Sieve(transfer_syntax)
        if held_limit is None
        else Sieve(transfer_syntax, held_limit=held_limit)
    )
    edges = [0, *sorted(set(cuts or [])), len(data)]
    for start, end in pairwise(edges):
        while start < end:
            if count and sieve.skip:
                length = min(sieve.skip, end - start)
                sieve.skip -= length
                sieve.length += length
                start += length
            else:
                sieve.feed(data[start:end])
                start = end
    return sieve.finish(complete)


def random_cuts(length: int, seed: int, count: int = 40) -> list[int]:
    """Some offsets to cut at, the same for the same seed."""
    rng = random.Random(seed)
    return [rng.randrange(length + 1) for _ in range(count)]

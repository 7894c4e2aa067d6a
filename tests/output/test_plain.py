"""Data sets written at once are the same text as those that went the long way."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from pydicom import Dataset

from dicomsniff.analysis.pipeline import read
from dicomsniff.dicom.sieve import Sieve
from dicomsniff.model import DataSetBytes, Fault, Message, Skip
from dicomsniff.output import plain
from dicomsniff.output.lines import line
from dicomsniff.output.plain import Plain
from dicomsniff.output.pseudonyms import Pseudonyms
from dicomsniff.output.redact import Redactor
from dicomsniff.output.shapes import Shaper
from tests.dicom.datasets import (
    BIG,
    EXPLICIT,
    IMPLICIT,
    explicit,
    item,
    open_item,
    pydicom_files,
    written,
)
from tests.output import build
from tests.support import CAPTURES

OPTIONS = [
    {},
    {"keep_phi": True},
    {"mask_ae": True},
    {"keep_phi": True, "mask_ae": True},
]

PREFIX = "bulk:association/1/entry/1/"
"""Of the row that :func:`slowly` makes."""

Held = tuple[DataSetBytes, str | None]


def slowly(shaper: Shaper, data: DataSetBytes, syntax: str | None, compact: bool) -> str:
    """The text by way of a decoded data set."""
    message = build.store(build.association())
    message.dataset, message.transfer_syntax = data, syntax
    return line(_shape(shaper, message), compact)[1:-1]


def _shape(shaper: Shaper, message: Message) -> object:
    association = build.association()
    shape: dict[str, object] = {}
    shaper.dataset(shape, association, build.entry(association, message), message)  # type: ignore[arg-type]
    return shape


class Both:
    """Writes data sets in both ways, each with a redactor of its own."""

    def __init__(self, compact: bool = False, **options: bool) -> None:
        self.compact = compact
        self.slow = Shaper(Redactor(**options))
        self.quick = Shaper(Redactor(**options))
        self.plain = Plain(self.quick.redactor, compact=compact)
        self.taken = 0
        for shaper in (self.slow, self.quick):
            shaper.redactor.ae_title("FLC1270")

    def compare(self, data: DataSetBytes, syntax: str | None) -> None:
        found = self.plain.text(data, syntax, PREFIX)
        if found is not None:
            self.taken += 1
            told = found[0]
        else:
            told = slowly(self.quick, data, syntax, self.compact)
        assert told == slowly(self.slow, data, syntax, self.compact)
        told_of, expected = self.quick.redactor.summary(), self.slow.redactor.summary()
        # What went part of the way is counted twice where it could not be told apart.
        assert told_of.pop("indistinct", 0) >= expected.pop("indistinct", 0)  # type: ignore[operator]
        assert told_of == expected


@cache
def recorded() -> tuple[Held, ...]:
    """The data sets of our captures."""
    found: dict[Held, None] = {}
    for path in sorted(CAPTURES.glob("*.pcapng")):
        for association in read(str(path), reader="scapy", checks=False):
            for entry in association.timeline:
                message = entry.message
                if message is not None and message.dataset is not None:
                    found[message.dataset, message.transfer_syntax] = None
    return tuple(found)


def held(data: bytes, syntax: str) -> DataSetBytes:
    sieve = Sieve(syntax)
    sieve.feed(data)
    return sieve.finish(True)


def made() -> Iterator[tuple[DataSetBytes, str]]:
    """What no capture of ours has."""
    outer = Dataset()
    outer.SpecificCharacterSet = "ISO_IR 192"
    outer.PatientName = "Wang^XiaoDong=王^小东"
    outer.ImageType = ["ORIGINAL", "", "AXIAL"]
    outer.PatientWeight = "70.5"
    outer.InstanceNumber = "7"
    outer.Rows = 512
    outer.FrameIncrementPointer = 0x00181063
    outer.RealWorldValueIntercept = -0.0
    outer.SelectorFDValue = [0.0, -0.0, float("inf"), 1e300]
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator = "113100", "DCM"
    code.CodeMeaning = "Basic Application Confidentiality Profile"
    other = Dataset()
    other.CodeValue, other.CodingSchemeDesignator = "WANG", "99LOCAL"
    other.CodeMeaning = "Wang's"
    outer.ProcedureCodeSequence = [code, other, Dataset()]
    outer.PerformedProcessingApplicationsCodeSequence = []
    inside = Dataset()
    inside.SpecificCharacterSet = "GB18030"
    inside.PatientName = "王^小东"
    inside.ScheduledStationAETitle = "FLC1270"
    outer.ScheduledProcedureStepSequence = [inside]
    for undefined in (False, True):
        for element in outer:
            if element.VR == "SQ":
                element.is_undefined_length = undefined
                for item in element.value:
                    item.is_undefined_length_sequence_item = undefined
        for syntax in (EXPLICIT, IMPLICIT, BIG):
            yield held(written(outer, syntax), syntax), syntax


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("compact", [False, True])
def test_what_was_recorded(options: dict[str, bool], compact: bool) -> None:
    both = Both(compact, **options)
    for data, syntax in (*recorded(), *made(), *recorded(), *made()):
        both.compare(data, syntax)
    assert both.taken > len(recorded())


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_what_is_made_by_hand_is_taken(options: dict[str, bool]) -> None:
    both = Both(**options)
    for data, syntax in made():
        both.compare(data, syntax)
    # Of each syntax but big endian.
    assert both.taken == 4


def test_files() -> None:
    both = Both()
    for _, syntax, data in pydicom_files():
        if len(data) < 100_000:
            both.compare(held(data, syntax), syntax)


@pytest.mark.parametrize(
    "wrong",
    [
        {"complete": False},
        {"missing_at": 0},
        {"inflated": True},
        {"faults": (Fault("something is wrong", 0, 8),)},
        {"notes": ("something is odd",)},
    ],
    ids=str,
)
def test_what_is_told_of_a_data_set_as_a_whole(wrong: dict[str, Any]) -> None:
    both = Both()
    for data, syntax in made():
        both.compare(data._replace(**wrong), syntax)
    assert both.taken == 0


ODD = {
    "a text that looks like the preamble of a file": explicit(
        0x00204000, "LT", b"x" * 120 + b"DICM" + b"x" * 20
    ),
    "an odd length": explicit(0x00100010, "PN", b"Wang^Li"),
    "a sequence of odd length": explicit(
        0x00081032, "SQ", item(explicit(0x00100010, "PN", b"Wang^Li"))
    ),
    "an escape sequence": explicit(0x00100010, "PN", b"\x1b$)C\xb1\xe8"),
    "a character set by another name": explicit(0x00080005, "CS", b"UTF-8 "),
    "a character set too many": explicit(0x00080005, "CS", b"ISO_IR 192\\ISO_IR 100 "),
    "a character set that nobody knows": explicit(0x00080005, "CS", b"HOPPER"),
    "bytes that the character set does not have": explicit(0x00080005, "CS", b"ISO_IR 192")
    + explicit(0x00100010, "PN", b"Wa\xff\xff"),
    "bytes of no character set": explicit(0x00100010, "PN", b"Wa\xcd\xf5"),
    "a text that its VR does not allow": explicit(0x00080060, "CS", b"Wang^a"),
    "half a number": explicit(0x00081163, "FD", bytes(6)),
    "half a word": explicit(0x00420011, "OB", b"") + explicit(0x00660016, "OF", bytes(6)),
    "a private element": explicit(0x00090010, "LO", b"Hopper"),
    "an unknown VR": explicit(0x00100010, "UN", b"Hopper"),
    "another VR": explicit(0x00100010, "SH", b"Hopper"),
    "a group length": explicit(0x00080000, "UL", bytes(4)) + explicit(0x00080060, "CS", b"CT"),
    "a tag that stands twice": explicit(0x00080060, "CS", b"CT") * 2,
    "tags that do not ascend": explicit(0x00100020, "LO", b"12")
    + explicit(0x00080060, "CS", b"CT"),
    "a long value": explicit(0x00204000, "LT", b"Hopper" * 200),
    "a value that is cut": explicit(0x00080060, "CS", b"CT")
    + explicit(0x00100020, "LO", b"12", length=4),
    "an item that is cut": explicit(0x00081032, "SQ", item(b"", length=8)),
}


@pytest.mark.parametrize("raw", ODD.values(), ids=ODD)
def test_what_is_out_of_the_ordinary(raw: bytes) -> None:
    both = Both()
    both.compare(DataSetBytes(len(raw), raw), EXPLICIT)
    assert both.taken == 0


@pytest.mark.parametrize(("length", "there"), [(2000, 2000), (2001, 2001), (2002, 2000)])
def test_a_value_that_was_not_kept(length: int, there: int) -> None:
    """Only one that is there and of even length has nothing told of it."""
    both = Both()
    raw = explicit(0x7FE00010, "OB", length=length)
    both.compare(DataSetBytes(len(raw) + there, raw, (Skip(len(raw), there, 0),)), EXPLICIT)
    assert both.taken == (length == 2000)


def test_sequences_in_sequences() -> None:
    both = Both()
    raw = explicit(0x00100010, "PN", b"Li^Mei")
    for _ in range(plain.DEEPEST + 60):
        raw = explicit(0x0040A730, "SQ", item(raw))
        both.compare(DataSetBytes(len(raw), raw), EXPLICIT)
    assert both.taken == plain.DEEPEST


def test_an_item_that_ends_behind_its_sequence() -> None:
    """The last bytes of its delimiter are no longer of the sequence."""
    both = Both()
    one = open_item(explicit(0x00080100, "SH", b"Wang"))
    name = explicit(0x00100010, "PN", b"Li^Mei")
    for cut in range(0, 10, 2):
        body = one[: len(one) - cut]
        raw = explicit(0x00081032, "SQ", body) + one[len(body) :] + name
        both.compare(DataSetBytes(len(raw), raw), EXPLICIT)
    assert both.taken == 1


def test_what_is_known_but_longer_than_its_item() -> None:
    both = Both()
    known = explicit(0x00100020, "LO", b"Hopper")
    both.compare(DataSetBytes(len(known), known), EXPLICIT)
    body = item(known[:-2], length=len(known) - 2)
    raw = explicit(0x00081032, "SQ", body) + known[-2:]
    both.compare(DataSetBytes(len(raw), raw), EXPLICIT)
    assert both.taken == 1


@pytest.mark.parametrize("seed", range(8))
def test_bytes_that_are_wrong(seed: int) -> None:
    """A byte here, a cut there: what is told of it is told by the long way."""
    rng = random.Random(seed)
    both = Both(compact=bool(seed & 1), **OPTIONS[seed // 2 % 4])
    known = [(data, syntax) for data, syntax in (*recorded(), *made()) if len(data.held) < 10_000]
    for _ in range(400):
        data, syntax = rng.choice(known)
        raw = bytearray(data.held)
        for _ in range(rng.randrange(3)):
            if raw:
                at = rng.randrange(len(raw))
                raw[at] = rng.choice((0, 1, 8, 0x1B, 0x20, 0x41, 0x5C, 0xFF, rng.randrange(256)))
        if rng.random() < 0.3:
            del raw[rng.randrange(len(raw) + 1) :]
        skips = data.skips if rng.random() < 0.7 else ()
        if rng.random() < 0.2:
            at = rng.randrange(len(raw) + 1)
            skips = (*(skip for skip in skips if skip.at < at), Skip(at, rng.randrange(9), 0))
        skips = tuple(skip for skip in skips if skip.at <= len(raw))
        both.compare(DataSetBytes(len(raw), bytes(raw), skips), syntax)


@pytest.mark.parametrize("kept", [1, 7])
def test_little_room(kept: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain, "KEPT", kept)
    test_what_was_recorded({}, False)


def test_values_that_there_is_no_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dicomsniff.output.pseudonyms.DISTINCT_LIMIT", 40)
    both = Both()
    for data, syntax in (*recorded(), *made(), *recorded()):
        both.compare(data, syntax)
    assert both.quick.redactor.indistinct > 40


def test_a_title_that_was_heard_of_meanwhile_is_shown() -> None:
    both = Both()
    inner = Dataset()
    inner.ScheduledStationAETitle = "IZOM"
    data = held(written(inner, EXPLICIT), EXPLICIT)
    both.compare(data, EXPLICIT)
    for shaper in (both.slow, both.quick):
        shaper.redactor.ae_title("IZOM")
    both.compare(data, EXPLICIT)
    assert "IZOM" in (both.plain.text(data, EXPLICIT, PREFIX) or [""])[0]


def test_memory_is_bounded() -> None:
    writer = Plain(Redactor())
    for number in range(3 * plain.KEPT):
        one = Dataset()
        one.PatientID = str(number)
        assert writer.text(held(written(one, EXPLICIT), EXPLICIT), EXPLICIT, PREFIX) is not None
    kept = sum(map(len, writer._told.values()))
    assert kept <= plain.KEPT
    assert isinstance(writer.redactor._pseudonyms, Pseudonyms)

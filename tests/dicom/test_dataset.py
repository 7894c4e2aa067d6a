"""Data sets held against pydicom and dcmtk, then broken in every way that devices break them."""

from __future__ import annotations

import re
import subprocess
import threading
import time
import warnings
from collections.abc import Iterable
from pathlib import Path

import pydicom
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence

from dicomsniff.dicom.dataset import MAX_DEPTH, MAX_ELEMENTS, decode
from dicomsniff.dicom.elements import DataSet, Element, Item
from dicomsniff.model import DataSetBytes, Fault
from tests.dicom.datasets import (
    BIG,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    SEQUENCE_END,
    UNDEFINED,
    explicit,
    implicit,
    item,
    open_item,
    pydicom_files,
    read,
    sieved,
    written,
)
from tests.support import require


def made(data: bytes, syntax: str | None = EXPLICIT, complete: bool = True) -> DataSet:
    """Decode bytes that were held as they came."""
    return decode(DataSetBytes(len(data), data, complete=complete), syntax)


def only(data: DataSet, tag: int) -> Element:
    """The element of the outermost level that must be there."""
    found = data.get(tag)
    assert found is not None
    return found


def everything(data: DataSet) -> list[str]:
    """All that is said to be wrong, in order."""
    said = [fault.text for fault in data.faults]
    for _, element in data.walk():
        said += [fault.text for fault in element.faults] + element.notes
        for each in element.items:
            said += [fault.text for fault in each.faults]
    return said


# ---------------------------------------------------------------------------- oracle: pydicom


def _plain(value: object) -> tuple[object, ...]:
    """pydicom's value as ours: text, numbers, bytes."""
    if value is None or value == "" or value == b"":
        return ()
    values = list(value) if isinstance(value, MultiValue | list) else [value]
    plain: list[object] = []
    for one in values:
        if hasattr(one, "original_string") and one.original_string:
            plain.append(str(one.original_string).strip(" "))
        elif isinstance(one, int | float | bytes):
            plain.append(one)
        else:
            plain.append(str(one).rstrip(" "))
    return tuple(plain)


def _same(ours: Iterable[Element], theirs: Dataset, path: Path) -> int:
    count = 0
    mine = {element.tag: element for element in ours}
    assert set(mine) == {int(element.tag) for element in theirs}, path
    for element in theirs:
        own = mine[int(element.tag)]
        where = (path.name, str(element.tag))
        if isinstance(element.value, Sequence):
            assert own.vr == "SQ", where
            assert len(own.items) == len(element.value), where
            for one, other in zip(own.items, element.value, strict=True):
                count += _same(one.elements, other, path)
            continue
        if " or " in element.VR:
            assert own.vr in element.VR.split(" or ") or own.vr == "OW", where
            continue
        assert own.vr == element.VR, where
        count += 1
        if own.bulk_length is not None:
            continue
        if element.VR in ("OB", "OW", "UN", "OF", "OD", "OL", "OV"):
            assert own.values in ((element.value,), ()), where
        elif element.VR == "PN":
            names = element.value if isinstance(element.value, MultiValue) else [element.value]
            assert own.values == tuple(str(name).rstrip(" ") for name in names if str(name)), where
        else:
            mines = tuple(one.strip(" ") if isinstance(one, str) else one for one in own.values)
            others = tuple(
                one.strip(" ") if isinstance(one, str) else one for one in _plain(element.value)
            )
            assert mines == others, where
    return count


TRUNCATED = ("rtplan_truncated.dcm", "MR_truncated.dcm", "badVR.dcm")


def test_pydicom_reads_the_same() -> None:
    compared = files = 0
    for path, syntax, body in pydicom_files():
        if path.name in TRUNCATED:
            continue
        ours = decode(sieved(body, syntax), syntax)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compared += _same(ours.elements, read(path), path)
        files += 1
        assert not ours.faults, path
    assert files > 130
    assert compared > 5000


def test_nothing_of_pydicom_warns_and_its_settings_stay() -> None:
    before = vars(pydicom.config.settings).copy()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _, syntax, body in pydicom_files():
            decode(sieved(body, syntax), syntax)
    assert vars(pydicom.config.settings) == before


# ---------------------------------------------------------------------------- oracle: dcmtk

_LINE = re.compile(r"^( *)\(([0-9a-f]{4}),([0-9a-f]{4})\) (\S\S) .*# +(u/l|\d+),")


def _dumped(path: Path) -> list[tuple[int, int, str, str]]:
    """Depth, tag, VR and length of every line that dcmdump writes."""
    out = subprocess.run(
        [require("dcmdump"), "-q", "-M", "+L", str(path)],
        capture_output=True,
        timeout=60,
        check=False,
    ).stdout.decode("latin_1")
    lines = []
    for line in out.splitlines():
        found = _LINE.match(line)
        if found:
            tag = int(found[2] + found[3], 16)
            lines.append((len(found[1]) // 2, tag, found[4], found[5]))
    return lines


def _told(elements: list[Element], depth: int = 0) -> list[tuple[int, int, str, str]]:
    """The same of a data set of ours. dcmtk writes delimiters for defined lengths as well."""
    lines = []
    for element in elements:
        length = "u/l" if element.length is None else str(element.length)
        if element.vr != "SQ":
            lines.append((depth, element.tag, element.vr, length))
            continue
        lines.append((depth, element.tag, "SQ", length))
        for one in element.items:
            size = "u/l" if one.length is None else str(one.length)
            lines.append((depth + 1, 0xFFFEE000, "na", size))
            lines += _told(one.elements, depth + 2)
            lines.append((depth + 1, 0xFFFEE00D, "na", "0"))
        lines.append((depth, 0xFFFEE0DD, "na", "0"))
    return lines


NESTED = """
(0008,0005) CS ISO_IR 100
(0008,0016) UI 1.2.840.10008.5.1.4.1.1.7
(0008,0018) UI 1.2.3
(0010,0010) PN [Dump^Two]
(0040,0100) SQ (Sequence with undefined length #=2)
(fffe,e000) na (Item with undefined length #=3)
(0008,0060) CS [CT]
(0040,0002) DA [20240102]
(0040,0008) SQ (Sequence with undefined length #=1)
(fffe,e000) na (Item with undefined length #=2)
(0008,0100) SH [X1]
(0008,0104) LO [Some meaning]
(fffe,e00d) na (ItemDelimitationItem)
(fffe,e0dd) na (SequenceDelimitationItem)
(fffe,e00d) na (ItemDelimitationItem)
(fffe,e000) na (Item with undefined length #=0)
(fffe,e00d) na (ItemDelimitationItem)
(fffe,e0dd) na (SequenceDelimitationItem)
(0040,1001) SH [RP]
(0040,a730) SQ (Sequence with undefined length #=0)
(fffe,e0dd) na (SequenceDelimitationItem)
"""


@pytest.mark.parametrize("lengths", ["+e", "-e"])
@pytest.mark.parametrize("syntax", ["+ti", "+te", "+tb", "+td"])
def test_dcmtk_sees_the_same_nesting(tmp_path: Path, lengths: str, syntax: str) -> None:
    text, file = tmp_path / "in.dump", tmp_path / "out.dcm"
    text.write_text(NESTED)
    subprocess.run(
        [require("dump2dcm"), "-q", "+F", syntax, lengths, str(text), str(file)], check=True
    )
    meta = pydicom.filereader.read_file_meta_info(file)
    raw = file.read_bytes()
    with file.open("rb") as stream:
        pydicom.filereader.read_preamble(stream, False)
        pydicom.filereader._read_file_meta_info(stream)
        body = raw[stream.tell() :]
    ours = decode(sieved(body, str(meta.TransferSyntaxUID)), str(meta.TransferSyntaxUID))
    theirs = [line for line in _dumped(file) if line[1] >> 16 != 2]
    assert _told(ours.elements) == theirs
    assert len(theirs) > 20
    assert not everything(ours)
    for _, element in ours.walk():
        if element.vr == "SQ":
            assert element.delimited == (lengths == "-e")
            assert all(one.delimited == (lengths == "-e") for one in element.items)


# ---------------------------------------------------------------------------- transfer syntaxes


def _example() -> Dataset:
    data = Dataset()
    data.SpecificCharacterSet = "ISO_IR 192"
    data.Modality = "CT"
    data.PatientName = "Wáng^Xiǎo"
    data.Rows = 512
    data.RescaleSlope = "1.50"
    one = Dataset()
    one.CodeValue = "X"
    one.CodeMeaning = "Größe"
    data.ProcedureCodeSequence = [one]
    return data


def _values(data: DataSet) -> list[tuple[int, tuple[object, ...]]]:
    return [(element.tag, element.values) for _, element in data.walk()]


@pytest.mark.parametrize("sent", [EXPLICIT, IMPLICIT, BIG])
@pytest.mark.parametrize(
    "negotiated", [EXPLICIT, IMPLICIT, BIG, DEFLATED, None, "1.3.46.670589.33.1.4.1"]
)
def test_bytes_are_read_as_what_they_are(sent: str, negotiated: str | None) -> None:
    body = written(_example(), sent)
    expected = _values(made(body, sent))
    assert (0x00100010, ("Wáng^Xiǎo",)) in expected
    found = decode(sieved(body, negotiated), negotiated)
    if negotiated == DEFLATED and sent == IMPLICIT:
        return  # nothing tells implicit VR from deflated bytes
    assert _values(found) == expected
    unknown = negotiated is None or negotiated.startswith("1.3.46")
    assert found.guessed == unknown
    if unknown or negotiated == sent:
        assert not found.notes
    else:
        assert "the bytes are" in found.notes[0]
    assert found.transfer_syntax == sent


@pytest.mark.parametrize("sent", [EXPLICIT, BIG])
def test_a_film_session_begins_with_a_group_that_looks_turned_round(sent: str) -> None:
    film = Dataset()
    film.NumberOfCopies = 1  # (2000,0010)
    film.PrintPriority = "MED"
    found = made(written(film, sent), sent)
    assert _values(found) == [(0x20000010, ("1",)), (0x20000020, ("MED",))]
    assert not everything(found)


def test_an_empty_data_set() -> None:
    found = made(b"", IMPLICIT)
    assert found.elements == []
    assert found.faults == []
    assert found.transfer_syntax == IMPLICIT


def test_what_the_capture_cut_is_not_held_against_the_sender() -> None:
    body = (
        explicit(0x00081032, "SQ", b"", UNDEFINED)
        + implicit(0xFFFEE000, b"", UNDEFINED)
        + explicit(0x00080100, "SH", b"AB")
    )
    assert everything(made(body)) == ["no sequence delimiter ends it", "no item delimiter ends it"]
    data = sieved(body, complete=False)
    found = decode(data, EXPLICIT)
    assert everything(found) == ["bytes are missing from the capture here"]
    assert found.faults[0].start == len(body)
    measured = sieved(body + explicit(0x00080100, "SH", b"AB") * 1000, held_limit=9000)
    assert len(everything(decode(measured, EXPLICIT))) < 1000
    assert not any("delimiter" in text for text in everything(decode(measured, EXPLICIT)))


def test_a_part_10_file_sent_as_data_set() -> None:
    name = explicit(0x00100010, "PN", b"A^B ")
    meta = explicit(0x00020010, "UI", IMPLICIT.encode() + b"\0")
    for body in (
        bytes(128) + b"DICM" + meta + implicit(0x00100010, b"A^B "),
        meta + implicit(0x00100010, b"A^B "),
        bytes(128) + b"DICM" + meta + name,
    ):
        found = decode(sieved(body, IMPLICIT), IMPLICIT)
        assert only(found, 0x00100010).values == ("A^B",)
        assert any("file meta" in note for note in found.notes)


# ---------------------------------------------------------------------------- faults


def test_odd_length() -> None:
    found = made(explicit(0x00100010, "PN", b"ABC") + explicit(0x00100020, "LO", b"12"))
    name = only(found, 0x00100010)
    assert name.faults == [Fault("odd length 3", 0, 8)]
    assert only(found, 0x00100020).values == ("12",)


def test_a_length_that_is_no_multiple() -> None:
    found = made(
        explicit(0x00280010, "US", b"\1\0\2\0\3\0\4\0") + explicit(0x00280020, "UL", b"ab")
    )
    assert only(found, 0x00280010).values == (1, 2, 3, 4)
    assert "no multiple of the 4 bytes of UL" in only(found, 0x00280020).faults[0].text


def test_a_length_past_the_end() -> None:
    found = made(explicit(0x00100010, "PN", b"ABCD", 600))
    name = only(found, 0x00100010)
    assert name.values == ("ABCD",)
    assert name.faults == [Fault("length 600 runs 596 bytes past the end of the data set", 0, 12)]
    cut = only(made(explicit(0x00100010, "PN", b"ABCD", 600), complete=False), 0x00100010)
    assert cut.faults[0].text == "cut short: 4 of 600 bytes were captured"


def test_a_length_past_its_item() -> None:
    inner = explicit(0x00080100, "SH", b"AB", 20)
    body = explicit(0x00081032, "SQ", item(inner)) + explicit(0x00100020, "LO", b"12")
    found = made(body)
    code = only(found, 0x00081032).items[0].elements[0]
    assert code.values == ("AB",)
    assert "18 bytes past the end of the item" in code.faults[0].text
    assert only(found, 0x00100020).values == ("12",)


def test_an_item_longer_than_its_sequence() -> None:
    body = explicit(0x00081032, "SQ", item(explicit(0x00080100, "SH", b"AB"), 900))
    found = made(body + explicit(0x00100020, "LO", b"12"))
    one = only(found, 0x00081032).items[0]
    assert one.faults[0].text == "length 900 where 10 bytes are there"
    assert one.elements[0].values == ("AB",)
    assert only(found, 0x00100020).values == ("12",)


def test_unsorted_and_repeated_tags() -> None:
    found = made(
        explicit(0x00100020, "LO", b"12")
        + explicit(0x00100010, "PN", b"AB")
        + explicit(0x00100020, "LO", b"34")
        + explicit(0x00100020, "LO", b"56")
    )
    assert everything(found) == [
        "behind (0010,0020); tags must ascend",
        "(0010,0020) stands here a second time",
        "(0010,0020) stands here a second time",
    ]
    assert [element.values for element in found.elements] == [("12",), ("AB",), ("34",), ("56",)]


def test_a_vr_that_is_not_the_dictionarys() -> None:
    found = made(explicit(0x00100020, "SH", b"12"))
    assert only(found, 0x00100020).vr == "SH"
    assert only(found, 0x00100020).notes == ["the dictionary says LO"]


def test_un_of_a_known_tag_is_what_the_dictionary_says() -> None:
    inner = implicit(0x00080100, b"AB")
    found = made(
        explicit(0x00081032, "UN", item(inner))
        + explicit(0x00100020, "UN", b"12")
        + explicit(0x00280010, "UN", b"\0\2")
    )
    assert only(found, 0x00081032).items[0].elements[0].values == ("AB",)
    assert only(found, 0x00100020).values == ("12",)
    assert only(found, 0x00280010).values == (512,)
    assert only(found, 0x00280010).notes == ["sent as UN, read as US"]
    assert only(found, 0x00280010).vr_guessed


def test_un_of_undefined_length_is_an_implicit_sequence() -> None:
    inner = implicit(0x00100010, b"A^B ")
    body = explicit(0x00091010, "UN", b"", UNDEFINED) + open_item(inner) + SEQUENCE_END
    found = made(body + explicit(0x00100020, "LO", b"12"))
    assert only(found, 0x00091010).items[0].elements[0].values == ("A^B",)
    assert only(found, 0x00100020).values == ("12",)


def test_explicit_vr_inside_un() -> None:
    inner = explicit(0x00100010, "PN", b"A^B ")
    body = explicit(0x00091010, "UN", b"", UNDEFINED) + open_item(inner) + SEQUENCE_END
    found = made(body + explicit(0x00100020, "LO", b"12"))
    sequence = only(found, 0x00091010)
    assert sequence.items[0].elements[0].values == ("A^B",)
    assert "explicit VR inside UN" in sequence.notes
    assert only(found, 0x00100020).values == ("12",)


def test_long_vrs_of_later_editions() -> None:
    body = (
        explicit(0x00091001, "SV", b"\xff" * 8)
        + explicit(0x00091002, "UV", b"\xff" * 8)
        + explicit(0x00091003, "OV", b"\1" * 8)
        + explicit(0x00091004, "ZZ", b"\0\0\4\0\0\0abcd", 0)[:8].replace(b"ZZ\0\0", b"ZZ\0\0")
        + b"\4\0\0\0abcd"
        + explicit(0x00100020, "LO", b"12")
    )
    found = made(body)
    assert only(found, 0x00091001).values == (-1,)
    assert only(found, 0x00091002).values == (2**64 - 1,)
    assert only(found, 0x00091003).values == (b"\1" * 8,)
    unknown = only(found, 0x00091004)
    assert (unknown.vr, unknown.values) == ("UN", (b"abcd",))
    assert unknown.faults[0].text == "unknown VR ZZ"
    assert only(found, 0x00100020).values == ("12",)


def test_an_element_without_vr_amid_explicit_ones() -> None:
    found = made(
        explicit(0x00080060, "CS", b"CT")
        + implicit(0x00100010, b"A^B ")
        + explicit(0x00100020, "LO", b"12")
    )
    name = only(found, 0x00100010)
    assert (name.vr, name.values) == ("PN", ("A^B",))
    assert name.faults[0].text == "no VR; read as implicit VR"
    assert only(found, 0x00100020).values == ("12",)


def test_an_element_with_vr_amid_implicit_ones() -> None:
    found = made(
        implicit(0x00080060, b"CT")
        + explicit(0x00100010, "PN", b"A^B ")
        + implicit(0x00100020, b"12"),
        IMPLICIT,
    )
    assert only(found, 0x00100010).values == ("A^B",)
    assert "explicit VR where" in only(found, 0x00100010).faults[0].text
    assert only(found, 0x00100020).values == ("12",)


def test_delimiters_that_are_missing_or_too_many() -> None:
    inner = explicit(0x00080100, "SH", b"AB")
    end = explicit(0x00100020, "LO", b"12")
    no_item_end = (
        explicit(0x00081032, "SQ", b"", UNDEFINED)
        + implicit(0xFFFEE000, b"", UNDEFINED)
        + inner
        + SEQUENCE_END
    )
    found = made(no_item_end + end)
    assert everything(found) == ["no item delimiter ends it"]
    assert only(found, 0x00081032).delimited
    assert not only(found, 0x00081032).items[0].delimited
    assert only(found, 0x00100020).values == ("12",)
    no_end = explicit(0x00081032, "SQ", b"", UNDEFINED) + open_item(inner)
    assert "no sequence delimiter ends it" in everything(made(no_end))
    stray = made(SEQUENCE_END + end)
    assert stray.faults[0].text == "(FFFE,E0DD) where an element should be"
    assert only(stray, 0x00100020).values == ("12",)
    defined = explicit(0x00081032, "SQ", item(inner) + SEQUENCE_END) + end
    assert everything(made(defined)) == ["a sequence delimiter inside a sequence of defined length"]


def test_bytes_left_over() -> None:
    found = made(explicit(0x00100020, "LO", b"12") + b"\0\0\0")
    assert found.faults == [
        Fault("3 bytes are left over where an element should be (zero)", 10, 13)
    ]


def test_the_form_of_values() -> None:
    notes = {
        ("DA", b"2024-01-01"): "not what DA allows",
        ("DA", b"20240101-"): "",
        ("DA", b"20240101-20240131"): "",
        ("TM", b"2500"): "not what TM allows",
        ("TM", b"101112.123456"): "",
        ("UI", b"1.02.3\0"): "not what UI allows",
        ("UI", b"1.2.3 "): "padded with a space instead of NUL",
        ("IS", b"1.5 "): "not what IS allows",
        ("DS", b" 1.5E+2 "): "",
        ("CS", b"ct"): "not what CS allows",
        ("SH", b"x" * 18): "18 characters where SH allows 16",
        ("LO", b"abc\0"): "padded with NUL instead of a space",
    }
    for (vr, value), note in notes.items():
        element = made(explicit(0x00091001, vr, value)).elements[0]
        assert element.notes == ([note] if note else []), (vr, value)


def test_two_values_where_the_dictionary_has_one() -> None:
    found = made(explicit(0x00080060, "CS", b"CT\\MR "))
    assert only(found, 0x00080060).values == ("CT", "MR")
    assert only(found, 0x00080060).notes == ["2 values where one is allowed"]


def test_private_attributes_with_their_creator() -> None:
    for syntax, make in ((EXPLICIT, explicit), (IMPLICIT, None)):
        first = make or (lambda tag, _, value: implicit(tag, value))
        body = (
            first(0x00290010, "LO", b"SIEMENS CSA HEADER")
            + first(0x00290011, "LO", b"SOMEBODY")
            + first(0x00291008, "CS", b"IMAGE NUM 4 ")
            + first(0x00291101, "LO", b"A ")
        )
        found = made(body, syntax)
        known, unknown = only(found, 0x00291008), only(found, 0x00291101)
        assert known.private_creator == "SIEMENS CSA HEADER"
        assert (known.vr, known.values, known.name) == (
            "CS",
            ("IMAGE NUM 4",),
            "CSA Image Header Type",
        )
        assert unknown.private_creator == "SOMEBODY"
        assert unknown.vr == ("LO" if syntax == EXPLICIT else "UN")
        assert only(found, 0x00290010).name == "Private Creator"


def test_pixel_representation_decides_us_or_ss() -> None:
    for signed, vr, value in ((b"\1\0", "SS", -1), (b"\0\0", "US", 65535)):
        found = made(implicit(0x00280103, signed) + implicit(0x00280106, b"\xff\xff"), IMPLICIT)
        assert only(found, 0x00280106).vr == vr
        assert only(found, 0x00280106).values == (value,)
        assert not only(found, 0x00280106).vr_guessed
    guess = only(made(implicit(0x00280106, b"\xff\xff"), IMPLICIT), 0x00280106)
    assert (guess.vr, guess.vr_guessed) == ("US", True)


def test_encapsulated_pixel_data_held_as_it_came() -> None:
    head = explicit(0x7FE00010, "OB", b"", UNDEFINED)
    found = made(
        head + item(b"") + item(b"abcd") + SEQUENCE_END + explicit(0xFFFCFFFC, "OB", b"\0\0")
    )
    pixels = only(found, 0x7FE00010)
    assert (pixels.fragments, pixels.bulk_length, pixels.delimited) == (2, 28, True)
    assert only(found, 0xFFFCFFFC).values == (b"\0\0",)
    cut = only(made(head + item(b"") + item(b"abcd", 900)), 0x7FE00010)
    assert "short" in cut.faults[0].text


# ---------------------------------------------------------------------------- hostile


def _check(found: DataSet, size: int) -> None:
    """What holds for every data set, whatever the bytes."""

    def spans(elements: list[Element], start: int, end: int) -> None:
        at = start
        for element in elements:
            assert at <= element.start <= element.value_start <= element.end <= end
            at = element.end
            for fault in element.faults:
                assert 0 <= fault.start <= fault.end <= size
            inner = element.value_start
            for one in element.items:
                assert isinstance(one, Item)
                assert inner <= one.start <= one.end <= element.end
                spans(one.elements, one.start, one.end)
                inner = one.end
            for value in element.values:
                assert isinstance(value, str | int | float | bytes)
                assert not isinstance(value, bytes) or len(value) <= 1024

    spans(found.elements, 0, size)
    for path, element in found.walk():
        assert path[-1] == element.tag
        assert element.name


@given(
    st.binary(max_size=600),
    st.sampled_from([EXPLICIT, IMPLICIT, BIG, DEFLATED, None]),
    st.booleans(),
)
@settings(max_examples=300, deadline=None)
@example(b"\x08\x00\x05\x00CS\x00\x00\xfe\xff\x00\xe0", EXPLICIT, True)
def test_noise(body: bytes, syntax: str | None, complete: bool) -> None:
    _check(made(body, syntax, complete), len(body))
    data = sieved(body, syntax, complete=complete)
    _check(decode(data, syntax), len(data.held))


FILES = [(syntax, body[:3000]) for _, syntax, body in pydicom_files()][::4]


@given(
    st.sampled_from(FILES),
    st.lists(st.tuples(st.integers(0, 2999), st.integers(0, 255)), max_size=8),
    st.integers(0, 3000),
)
@settings(max_examples=300, deadline=None)
def test_real_data_sets_with_bytes_changed(
    file: tuple[str, bytes], changes: list[tuple[int, int]], end: int
) -> None:
    syntax, body = file
    broken = bytearray(body)
    for at, value in changes:
        if at < len(broken):
            broken[at] = value
    broken = broken[:end]
    _check(made(bytes(broken), syntax), len(broken))
    data = sieved(bytes(broken), syntax)
    _check(decode(data, syntax), len(data.held))


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
def test_nested_a_hundred_thousand_deep(syntax: str) -> None:
    sequence = explicit(0x00400100, "SQ", b"", UNDEFINED)
    if syntax == IMPLICIT:
        sequence = implicit(0x00400100, b"", UNDEFINED)
    body = explicit(0x00100020, "LO", b"12") if syntax == EXPLICIT else implicit(0x00100020, b"12")
    body += (sequence + implicit(0xFFFEE000, b"", UNDEFINED)) * 100_000
    data = sieved(body, syntax)
    began = time.process_time()
    found = decode(data, syntax)
    assert time.process_time() - began < 1
    deep = [element for _, element in found.walk() if element.faults]
    assert f"deeper than {MAX_DEPTH}" in deep[-1].faults[0].text
    assert only(found, 0x00100020).values == ("12",)


def test_nested_deep_with_defined_lengths() -> None:
    body = b""
    for _ in range(2000):
        body = explicit(0x00400100, "SQ", item(body))
    found = made(body + explicit(0x00401001, "SH", b"A "))
    assert only(found, 0x00401001).values == ("A",)
    assert sum(1 for _ in found.walk()) == MAX_DEPTH + 2


def test_a_megabyte_of_empty_elements() -> None:
    body = explicit(0x00100020, "LO") * 131_000
    began = time.process_time()
    found = made(body)
    assert time.process_time() - began < 5
    assert len(found.elements) == MAX_ELEMENTS
    assert "not decoded from here" in found.faults[0].text


@pytest.mark.parametrize("brick", [b"\0", b"\xff", b"\xfe\xff\x00\xe0\0\0\0\0", b"AB\x1b$B\\"])
def test_much_of_the_same(brick: bytes) -> None:
    body = brick * (200_000 // len(brick))
    began = time.process_time()
    for syntax in (EXPLICIT, IMPLICIT, None):
        data = sieved(body, syntax)
        _check(decode(data, syntax), len(data.held))
        _check(made(body, syntax), len(body))
    assert time.process_time() - began < 12


def test_threads_decode_side_by_side() -> None:
    files = [(syntax, sieved(body, syntax)) for _, syntax, body in pydicom_files()][:40]
    expected = [_values(decode(data, syntax)) for syntax, data in files]
    wrong: list[object] = []

    def work() -> None:
        for (syntax, data), known in zip(files, expected, strict=True):
            if _values(decode(data, syntax)) != known:
                wrong.append(data)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong

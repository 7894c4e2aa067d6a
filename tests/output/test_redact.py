"""Nothing of a person gets out, and what a debugger needs stays to be seen."""

from __future__ import annotations

import base64
import json
import re
import struct
import threading
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from dicomanonymizer.dicomfields_selector import dicom_anonymization_database_selector
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom._dicom_dict import DicomDictionary
from pydicom.uid import UID_dictionary

import dicomsniff
from dicomsniff.cli import main
from dicomsniff.dicom.dataset import decode
from dicomsniff.dicom.elements import DataSet, Element
from dicomsniff.dicom.encoding import VRS
from dicomsniff.model import CommandElement, DataSetBytes
from dicomsniff.output import allowed, pseudonyms
from dicomsniff.output.djson import dataset_json
from dicomsniff.output.pseudonyms import Pseudonyms
from dicomsniff.output.redact import Redactor
from tests.dicom.datasets import EXPLICIT, IMPLICIT, explicit, implicit, item, pydicom_files, sieved
from tests.support import capture


def made(data: bytes, syntax: str | None = EXPLICIT) -> DataSet:
    return decode(DataSetBytes(len(data), data), syntax)


def only(data: DataSet, tag: int) -> Element:
    found = data.get(tag)
    assert found is not None
    return found


def padded(vr: str, text: str, codec: str = "utf-8") -> bytes:
    raw = text.encode(codec)
    return raw + (b"\0" if vr in ("UI", "OB", "UN") else b" ") * (len(raw) % 2)


# ---------------------------------------------------------------------------- PS3.15


EDITIONS = ("dicomfields_2023", "dicomfields_2024b", "dicomfields_2026c")


def _profile() -> Iterator[tuple[int, ...]]:
    """Every attribute of PS3.15 table E.1-1 in each edition that dicom-anonymizer has: whatever
    the action (D, Z, X, U and the combinations), it must not be let through."""
    for edition in EDITIONS:
        tables = dicom_anonymization_database_selector(edition)
        for action, tags in tables.items():
            assert action.endswith("_TAGS")
            yield from tags


def test_no_attribute_of_the_confidentiality_profile_is_on_the_allow_list() -> None:
    checked = 0
    for tag in _profile():
        if len(tag) == 2:
            number = tag[0] << 16 | tag[1]
            assert not allowed.is_allowed(number), f"{number:08X}"
            checked += 1
        else:  # repeating groups: value, mask
            for group in (tag[0], tag[0] + 2, tag[0] + 30):
                assert not allowed.is_allowed(group << 16 | tag[1]), tag
    assert checked > 1800


def test_nothing_stays_inside_the_sequences_of_the_profile() -> None:
    checked = 0
    for tag in _profile():
        if len(tag) != 2:
            continue
        number = tag[0] << 16 | tag[1]
        entry = DicomDictionary.get(number)
        if entry is None or entry[0] != "SQ":
            continue
        inner = explicit(0x00080060, "CS", b"CT") + explicit(0x00280010, "US", b"\0\2")
        first = explicit(0x00080005, "CS", b"ISO_IR 192")
        found = made(first + explicit(number, "SQ", item(inner)))
        safe = only(Redactor().dataset(found), number).items[0].elements
        assert safe[0].values != ("CT",), f"{number:08X} {entry[4]}"
        assert safe[1].values != (512,), f"{number:08X} {entry[4]}"
        checked += 1
    assert checked > 150


# ---------------------------------------------------------------------------- planted words


WORD = "Xyzzyplugh"
HAN = "囍鑫淼"
UID = "1.2.3.730264119.5"
DATE = "19371123"
TIME = "132457.918273"
NUMBER = "7302641.19"


def _forms(word: str) -> set[str]:
    return {word, word.upper(), word.lower()}


def _leaks(text: str, words: list[str]) -> list[str]:
    """Which of the words can be found in a JSON text, as text, or in any bytes it holds."""
    found = []
    lower = text.lower()
    blobs = [base64.b64decode(blob) for blob in re.findall(r'"InlineBinary": "([^"]*)"', text)]
    for word in words:
        for form in _forms(word):
            if form.lower() in lower:
                found.append(form)
            for codec in ("utf-8", "utf-16-le", "utf-16-be", "gb18030", "shift_jis", "euc_kr"):
                try:
                    raw = form.encode(codec)
                except UnicodeEncodeError:
                    continue
                if any(raw in blob for blob in blobs):
                    found.append(f"{form} as {codec}")
                if base64.b64encode(raw).decode().rstrip("=")[:-1] in text:
                    found.append(f"{form} as base64 of {codec}")
    return found


def _planted(vr: str, word: str, codec: str = "utf-8") -> bytes:
    """A value of that VR with the word in it, or with a telling number, date or UID."""
    if vr in ("IS", "DS"):
        return padded(vr, NUMBER if vr == "DS" else NUMBER[:7])
    if vr == "UI":
        return padded(vr, UID)
    if vr == "DA":
        return padded(vr, DATE)
    if vr == "TM":
        return padded(vr, TIME)
    if vr == "DT":
        return padded(vr, DATE + TIME)
    if vr == "AS":
        return b"073Y"
    if vr in ("FL", "OF"):
        return struct.pack("<f", 7302641.0)
    if vr in ("FD", "OD"):
        return struct.pack("<d", 7302641.0)
    raw = word.encode(codec)
    size = {"AT": 4, "UL": 4, "SL": 4, "OL": 4, "SV": 8, "UV": 8, "OV": 8}.get(vr, 2)
    return raw + b" " * (-len(raw) % size)


TEXT_VRS = [
    "AE",
    "AS",
    "CS",
    "DA",
    "DS",
    "DT",
    "IS",
    "LO",
    "LT",
    "PN",
    "SH",
    "ST",
    "TM",
    "UC",
    "UI",
    "UR",
    "UT",
]
NUMBERS_ALLOWED = {"IS", "DS", "FL", "FD", "US", "SS", "UL", "SL", "SV", "UV", "AT"}


@pytest.mark.parametrize(("word", "codec"), [(WORD, "ascii"), (HAN, "utf-8"), (HAN, "gb18030")])
@pytest.mark.parametrize("nested", [False, True])
def test_a_word_in_every_attribute_of_the_dictionary(word: str, codec: str, nested: bool) -> None:
    """Every attribute that PS3.6 knows, with the word in it; a query's wildcards around it in a
    second one. Numbers stay where the allow-list names the attribute."""
    redactor = Redactor()
    charset = explicit(
        0x00080005, "CS", {"utf-8": b"ISO_IR 192", "gb18030": b"GB18030 "}.get(codec, b"")
    )
    planted = 0
    for tag, (vrs, _, _, _, keyword) in DicomDictionary.items():
        vr = vrs.split(" ")[0]
        if vr in ("SQ", "NONE") or not keyword or tag >> 16 == 0 or tag == 0x00080005:
            continue
        values = [_planted(vr, word, codec)]
        if vr in TEXT_VRS:
            values.append(padded(vr, f"*{word}?", codec))
            values.append(_planted(vr, f"A^{word}=B\\{word}", codec))
        for value in values:
            body = explicit(tag, vr, value)
            if nested:
                body = explicit(0x00400100, "SQ", item(explicit(0x00080060, "CS", b"CT") + body))
            text = json.dumps(dataset_json(made(charset + body), redactor), ensure_ascii=False)
            wanted = [word, UID, DATE, TIME]
            if not (allowed.is_allowed(tag) and vr in NUMBERS_ALLOWED):
                wanted += ["7302641"]
            assert not _leaks(text, wanted), (keyword, text)
            planted += 1
    assert planted > 8500


@pytest.mark.parametrize("vr", sorted(vr.decode() for vr in VRS - {b"SQ"}))
@pytest.mark.parametrize(("word", "codec"), [(WORD, "ascii"), (HAN, "utf-8"), (HAN, "gb18030")])
def test_a_word_in_every_vr(vr: str, word: str, codec: str) -> None:
    """In a private attribute, known and unknown creator, and under a public tag that has another
    VR: equipment, patient, a code, a file of meta information."""
    redactor = Redactor()
    value = _planted(vr, word, codec)
    for tag in (0x00091001, 0x00291008, 0x00100010, 0x00280010, 0x00080060, 0x00080100, 0x00020010):
        body = b""
        if tag >> 16 == 9:
            body = explicit(0x00090010, "LO", padded("LO", word, codec))
        if tag >> 16 == 0x29:
            body = explicit(0x00290010, "LO", b"SIEMENS CSA HEADER")
        body += explicit(tag, vr, value)
        for whole in (body, explicit(0x00400100, "SQ", item(body))):
            text = json.dumps(dataset_json(made(whole), redactor), ensure_ascii=False)
            wanted = [word, UID, DATE, TIME]
            if tag != 0x00280010:
                wanted.append("7302641")
            assert not _leaks(text, wanted), (vr, f"{tag:08X}", text)
    known = made(explicit(0x00290010, "LO", b"SIEMENS CSA HEADER"))
    assert redactor.dataset(known).elements[0].values == ("SIEMENS CSA HEADER",)


def test_a_word_in_implicit_vr_and_unknown_bytes() -> None:
    redactor = Redactor()
    for tag in (0x00091001, 0x00100010, 0x00104000, 0x7FE00010, 0x00420011, 0x00189999, 0x60003000):
        body = implicit(tag, padded("LO", f"Mr. {WORD} of {HAN}"))
        text = json.dumps(dataset_json(made(body, IMPLICIT), redactor), ensure_ascii=False)
        assert not _leaks(text, [WORD, HAN]), text


def test_a_word_that_nobody_declared_the_character_set_of() -> None:
    for codec in ("gb18030", "utf-8", "utf-16-le", "shift_jis"):
        word = "鑫淼" if codec != "shift_jis" else "太郎"
        found = made(explicit(0x00100010, "PN", word.encode(codec)))
        safe = Redactor().dataset(found)
        text = json.dumps(dataset_json(found, Redactor()), ensure_ascii=False) + repr(safe)
        assert not _leaks(text, [word])


def test_a_word_in_a_command_set_a_file_name_and_a_user_name() -> None:
    redactor = Redactor()
    for tag, vr in ((0x902, "LO"), (0x1000, "UI"), (0x2, "UI"), (0x10, "SH"), (0x4000, "LT")):
        element = CommandElement(tag, vr, f"found {WORD} {DATE}", 0, 0)
        shown = str(redactor.command_value(element))
        assert not _leaks(shown, [WORD, DATE])
        assert len(shown) == len(str(element.value))
    assert WORD.encode() not in bytes(
        redactor.command_value(CommandElement(9, "UN", WORD.encode(), 0, 0))
    )  # type: ignore[arg-type]
    for name in (
        f"{WORD}.pcapng",
        f"ct-{WORD}-2.pcap",
        f"{HAN}.pcapng",
        f"{WORD} {HAN}_{DATE}.cap",
    ):
        shown = redactor.file_name(name)
        assert not _leaks(shown, [WORD, HAN, DATE])
        assert shown.rsplit(".")[-1] == name.rsplit(".")[-1]
    assert not _leaks(redactor.user_name(WORD), [WORD])
    assert not _leaks(redactor.text(WORD), [WORD])
    assert not _leaks(str(redactor.value(0x00100010, "PN", WORD)), [WORD])
    assert not _leaks(json.dumps(redactor.summary()), [WORD, HAN, DATE])


def test_faults_and_notes_hold_no_value() -> None:
    body = (
        explicit(0x00080005, "CS", padded("CS", WORD))
        + explicit(0x00080060, "CS", padded("CS", WORD * 3))
        + explicit(0x00100010, "PN", padded("PN", HAN, "gb18030"))
        + explicit(0x00100020, "IS", padded("IS", WORD))
        + explicit(0x00100030, "DA", padded("DA", WORD), 500)
    )
    found = made(body)
    said = [fault.text for fault in found.faults] + found.notes
    for _, element in found.walk():
        said += [fault.text for fault in element.faults] + element.notes
    assert len(said) > 5
    assert not _leaks("\n".join(said), [WORD, HAN])
    assert not _leaks(repr(Redactor().dataset(found)), [WORD, HAN])


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
@pytest.mark.parametrize("short", range(2, 12))
def test_a_wrong_length_does_not_make_tags_of_a_name(syntax: str, short: int) -> None:
    """The walk goes on in the middle of a name: its letters look like tags and lengths."""
    name = "WXYZ^KLMNOPQRSTUVWXYZ^KLMNOPQRSTUVWXYZ^KLMNOPQR"
    element = explicit if syntax == EXPLICIT else (lambda tag, _, *rest: implicit(tag, *rest))
    body = (
        element(0x00080060, "CS", b"CT")
        + element(0x00100010, "PN", padded("PN", name), short)
        + element(0x00100020, "LO", b"0815")
    )
    for whole in (body, element(0x00400100, "SQ", item(body))):
        found = made(whole, syntax)
        safe = Redactor().dataset(found)
        written = json.dumps(dataset_json(found, Redactor()))
        told = written + repr(safe.faults)
        for _, one in safe.walk():
            told += f" {one.tag:08X} {one.faults} {[each.faults for each in one.items]}"
        for start in range(len(name) - 3):
            four = name[start : start + 4].encode()
            little = struct.unpack("<HH", four)
            assert f"{little[0]:04X}{little[1]:04X}" not in told
            assert f"({little[0]:04X},{little[1]:04X})" not in told
            assert f"{struct.unpack('<L', four)[0]:,}" not in told


# ---------------------------------------------------------------------------- what stays


def test_equipment_and_protocol_stay() -> None:
    body = (
        explicit(0x00080005, "CS", b"ISO_IR 192")
        + explicit(0x00080008, "CS", b"ORIGINAL\\PRIMARY\\AXIAL ")
        + explicit(0x00080016, "UI", b"1.2.840.10008.5.1.4.1.1.2\0")
        + explicit(0x00080052, "CS", b"STUDY ")
        + explicit(0x00080060, "CS", b"CT")
        + explicit(0x00080070, "LO", b"GE MEDICAL SYSTEMS")
        + explicit(0x00081090, "LO", b"SOMATOM Force ")
        + explicit(0x00180015, "CS", b"CHEST ")
        + explicit(0x00180050, "DS", b"1.250 ")
        + explicit(0x00180060, "DS", b"120 ")
        + explicit(0x00181020, "LO", b"VA48A_02_P12 ")
        + explicit(0x00181151, "IS", b"80")
        + explicit(0x00185100, "CS", b"HFS ")
        + explicit(0x00200013, "IS", b"7 ")
        + explicit(0x00280002, "US", b"\1\0")
        + explicit(0x00280004, "CS", b"MONOCHROME2 ")
        + explicit(0x00280009, "AT", b"\x18\0\x63\x10")
        + explicit(0x00280030, "DS", b"0.5\\0.5 ")
        + explicit(0x00400020, "CS", b"SCHEDULED ")
        + explicit(0x00401003, "SH", b"HIGH")
    )
    found = made(body)
    safe = Redactor().dataset(found)
    for before, after in zip(found.elements[:-1], safe.elements[:-1], strict=True):
        assert before.values == after.values, before.name


@pytest.mark.parametrize(
    "number", ["19770703", "7777777", "77777", "P0077777", "1.2.826.0.77777.1"]
)
@pytest.mark.parametrize(
    ("tag", "vr"), [(0x00080070, "LO"), (0x00181020, "LO"), (0x00080060, "CS")]
)
def test_a_long_number_is_neither_a_version_nor_a_term(tag: int, vr: str, number: str) -> None:
    """A patient ID or a birth date that a device writes where it does not belong."""
    safe = Redactor().dataset(made(explicit(tag, vr, padded(vr, number))))
    assert safe.elements[0].values != (number,)
    assert number not in str(safe.elements[0].values)


@pytest.mark.parametrize(
    "version",
    ["syngo CT VA48A_02_P12", "3.6.7", "1.2.826.0.1", "R12_M4.2023.05", "2.0b3"],
)
def test_a_version_stays(version: str) -> None:
    safe = Redactor().dataset(made(explicit(0x00181020, "LO", padded("LO", version))))
    assert safe.elements[0].values == (version,)


def test_codes_of_the_standard_stay_and_those_of_a_site_do_not() -> None:
    def code(value: str, scheme: str, meaning: str) -> bytes:
        return item(
            explicit(0x00080100, "SH", padded("SH", value))
            + explicit(0x00080102, "SH", padded("SH", scheme))
            + explicit(0x00080104, "LO", padded("LO", meaning))
        )

    body = explicit(
        0x00081032,
        "SQ",
        code("113691", "DCM", "IEC Body Dosimetry Phantom")
        + code("113691", "DCM", f"Phantom of {WORD}")
        + code("T-D3000", "SRT", "Chest")
        + code("CT-77", f"99{WORD[:6].upper()}", "CT of the chest")
        + code(WORD, "DCM", WORD),
    )
    items = only(Redactor().dataset(made(body)), 0x00081032).items
    values = [[element.values for element in each.elements] for each in items]
    assert values[0] == [("113691",), ("DCM",), ("IEC Body Dosimetry Phantom",)]
    assert values[1][:2] == [("113691",), ("DCM",)]
    assert not _leaks(str(values[1]), [WORD])
    assert values[2][:2] == [("T-D3000",), ("SRT",)]
    assert values[3][0] != ("CT-77",)
    assert "chest" not in str(values[3])
    assert values[4][1] == ("DCM",)
    assert not _leaks(str(values), [WORD, WORD[:6]])


@pytest.mark.parametrize("repeated", [False, True])
def test_a_text_beside_a_code_of_the_standard_is_no_code(repeated: bool) -> None:
    """In the other element for codes, or in the same one that stands twice, of which the first is
    written."""
    known = explicit(0x00080100 if repeated else 0x00080119, "SH" if repeated else "UC", b"113100")
    scheme = explicit(0x00080102, "SH", b"DCM ")
    for text in (b"Hopper", b"Hopper\\Grace", b"113100\\Grace "):
        told = explicit(0x00080100, "SH", text)
        parts = (told, known, scheme) if repeated else (told, scheme, known)
        raw = explicit(0x00081032, "SQ", item(b"".join(parts)))
        shown = str(
            dataset_json(decode(DataSetBytes(len(raw), raw), EXPLICIT), Redactor())
        ).casefold()
        assert "hopper" not in shown
        assert "grace" not in shown
        assert repeated or "'113100'" in shown


def test_structure_stays() -> None:
    for path, syntax, body in pydicom_files():
        found = decode(sieved(body, syntax), syntax)
        safe = Redactor().dataset(found)
        for (where, one), (there, other) in zip(found.walk(), safe.walk(), strict=True):
            assert (where, one.vr, one.length, one.start, one.end, one.bulk_length) == (
                there,
                other.vr,
                other.length,
                other.start,
                other.end,
                other.bulk_length,
            ), path
            assert len(one.values) == len(other.values), path
            for mine, theirs in zip(one.values, other.values, strict=True):
                assert type(mine) is type(theirs)
                if isinstance(mine, str) and one.vr != "UI":
                    assert len(mine) == len(str(theirs)), (path, one.name)
                if isinstance(mine, bytes):
                    assert len(mine) == len(bytes(theirs))  # type: ignore[call-overload]


def test_keep_phi_keeps_everything() -> None:
    redactor = Redactor(keep_phi=True)
    found = made(explicit(0x00100010, "PN", b"DOE^JOHN"))
    assert redactor.dataset(found) is found
    assert redactor.file_name("DOE.pcap") == "DOE.pcap"
    assert redactor.uid("1.2.3") == "1.2.3"
    assert redactor.summary()["applied"] is False


# ---------------------------------------------------------------------------- pseudonyms


def test_the_same_value_has_the_same_pseudonym_everywhere() -> None:
    redactor = Redactor()
    key = made(
        explicit(0x00080018, "UI", b"1.2.3.4.5.6.7.8\0")
        + explicit(0x00100010, "PN", b"DOE^*")
        + explicit(0x00100020, "LO", b"0042")
        + explicit(0x00400002, "DA", b"20240102-20240131 ")
    )
    answer = made(
        explicit(0x00080018, "UI", b"1.2.3.4.5.6.7.8\0")
        + explicit(0x00100010, "PN", b"Doe^John=")
        + explicit(0x00100020, "LO", b"42")
        + explicit(0x00400002, "DA", b"20240102")
    )
    asked, told = redactor.dataset(key).elements, redactor.dataset(answer).elements
    family, star = str(asked[1].values[0]).split("^")
    assert star == "*"
    assert str(told[1].values[0]).split("^")[0] == family.capitalize()
    assert asked[2].values == (f"00{told[2].values[0]}",)
    assert str(asked[3].values[0]).split("-")[0] == told[3].values[0]
    instance = told[0].values[0]
    element = CommandElement(0x00001000, "UI", "1.2.3.4.5.6.7.8", 0, 0)
    assert redactor.command_value(element) == instance == redactor.uid("1.2.3.4.5.6.7.8")
    assert redactor.value(0x00100020, "LO", "42") == told[2].values[0]


def test_empty_stays_empty_and_wildcards_stay() -> None:
    redactor = Redactor()
    for tag, vr in ((0x00100010, "PN"), (0x00100020, "LO"), (0x00080050, "SH"), (0x00104000, "UT")):
        assert only(redactor.dataset(made(explicit(tag, vr))), tag).values == ()
        assert redactor.value(tag, vr, "") == ""
    for text in ("*", "?", "**", "^", "=", "^^*", "-", " "):
        assert redactor.value(0x00100010, "PN", text) == text
    assert re.fullmatch(r"\d{8}-", str(redactor.value(0x00100030, "DA", "20240102-")))
    assert re.fullmatch(r"-\d{8}", str(redactor.value(0x00100030, "DA", "-20240102")))


def test_dates_and_times_stay_what_they_were_in_form_only() -> None:
    redactor = Redactor()

    def date(text: str) -> str:
        return str(redactor.value(0x00100030, "DA", text))

    assert date("19800101") != "19800101"
    assert date("19800101") == date("19800101") != date("19800102")
    assert "1900" <= date("19800101")[:4] <= "1999"
    assert date("1980.01.01") != "1980.01.01"
    assert re.fullmatch(r"\d{4}\.\d\d\.\d\d", date("1980.01.01"))
    assert date("00000000") == "00000000"
    clock = str(redactor.value(0x00100032, "TM", "131415.5"))
    assert re.fullmatch(r"([01]\d|2[0-3])[0-5]\d[0-5]\d\.\d", clock)
    assert not clock.startswith("1314")
    assert redactor.value(0x00400003, "TM", "000000-235959") == "000000-235959"
    stamp = str(redactor.value(0x00404005, "DT", "19800101131415.5+0800"))
    assert stamp[:8] == date("19800101")
    assert re.fullmatch(r"\d{14}\.\d\+\d{4}", stamp)
    assert re.fullmatch(r"\d{3}Y", str(redactor.value(0x00101010, "AS", "045Y")))


def test_uids() -> None:
    redactor = Redactor()
    for uid in (*UID_dictionary, "1.2.840.10008.1.2.4.999"):
        assert redactor.uid(uid) == uid
    for uid in ("1.2.840.10008.5.1.4.1.1.2.19800101", "1.2.840.10008.1.2.4.50.1234"):
        assert redactor.uid(uid) != uid
    seen = set()
    for length in range(9, 65):
        uid = ("1.2.840.113619.2.55.3.604688119.971.1234567890.12.1.7.1.9.1.1.1.12.1")[
            :length
        ].rstrip(".")
        shown = redactor.uid(uid)
        assert re.fullmatch(r"(0|[1-9]\d*)(\.(0|[1-9]\d*))+", shown)
        assert shown.startswith("2.25.")
        assert len(shown) == len(uid)
        seen.add(shown)
    assert len(seen) == len({redactor.uid(shown) for shown in seen})
    private = "1.3.12.2.1107.5.9.1"
    body = explicit(0x00080016, "UI", padded("UI", private))
    assert only(redactor.dataset(made(body)), 0x00080016).values != (private,)
    assert redactor.class_uid(private) == private
    assert only(redactor.dataset(made(body)), 0x00080016).values == (private,)
    instance = explicit(0x00080018, "UI", padded("UI", private))
    assert only(redactor.dataset(made(instance)), 0x00080018).values != (private,)


def test_ae_titles() -> None:
    redactor = Redactor()
    body = explicit(0x00080054, "AE", b"MOZI\\OTHER1 ")
    assert redactor.ae_title("MOZI") == "MOZI"
    assert redactor.command_value(CommandElement(0x600, "AE", "STORE3", 0, 0)) == "STORE3"
    mozi, other = only(redactor.dataset(made(body)), 0x00080054).values
    assert mozi == "MOZI"
    assert other != "OTHER1"
    masked = Redactor(mask_ae=True)
    shown = masked.ae_title("FLC1270")
    assert re.fullmatch(r"[A-Z]{3}\d{4}", shown)
    assert shown not in ("FLC1270", masked.ae_title("FLC1271"))
    assert shown == masked.ae_title("FLC1270")
    command = CommandElement(0x600, "AE", "FLC1270", 0, 0)
    assert masked.command_value(command) == shown
    assert only(
        masked.dataset(made(explicit(0x00400001, "AE", b"FLC1270 "))), 0x00400001
    ).values == (shown,)
    keeping = Redactor(keep_phi=True, mask_ae=True)
    assert keeping.command_value(command) == shown
    assert keeping.value(0x00400001, "AE", "FLC1270") == shown
    step = explicit(0x00100010, "PN", b"A^B ") + explicit(
        0x00400100, "SQ", item(explicit(0x00400001, "AE", b"FLC1270\\"))
    )
    kept = keeping.dataset(made(step))
    assert only(kept, 0x00100010).values == ("A^B",)
    assert only(kept, 0x00400100).items[0].elements[0].values == (shown, "")


def test_addresses() -> None:
    assert Redactor().address("10.1.2.3") == "10.1.2.3"
    redactor = Redactor(mask_addresses=True)
    shown = [redactor.address(f"10.0.{n // 256}.{n % 256}") for n in range(1000)]
    assert shown[0] == "192.0.2.1"
    assert len(set(shown)) == 1000
    assert not any(each.startswith("10.") for each in shown)
    assert redactor.address("10.0.0.0") == "192.0.2.1"
    assert redactor.address("fe80::1").startswith("2001:db8:")


def test_the_people_in_the_certificate_of_a_host() -> None:
    redactor = Redactor()
    kept = "CN=pacs.example, OU=Radiology, O=Hospital\\, North, C=DE"
    assert redactor.host_name(kept) == kept
    assert redactor.host_name("pacs.example") == "pacs.example"
    shown = redactor.host_name(
        "emailAddress=z.quoin@example.org+CN=pacs.example, OID.550404=Quoin\\, Z, "
        "OU=quoin@example.org"
    )
    assert "CN=pacs.example" in shown
    assert shown.count("=") == 4
    assert "quoin" not in shown.lower()
    assert "quoin" not in redactor.host_name("quoin@example.org")
    assert "z.quoin" in Redactor(keep_phi=True).host_name("emailAddress=z.quoin@example.org")
    assert "pacs" not in Redactor(mask_addresses=True).host_name(kept)


def test_words_of_file_names_that_name_nobody() -> None:
    redactor = Redactor()
    for name in (
        "worklist.pcapng",
        "store-small-pdu.pcapng",
        "eth0",
        "lo",
        "stdin",
        "ct_1.pcap.gz",
    ):
        assert redactor.file_name(name) == name
    assert redactor.file_name("zhangsan-ct.pcapng").endswith("-ct.pcapng")


def test_numbers() -> None:
    redactor = Redactor()
    weight = str(redactor.value(0x00101030, "DS", "72.50"))
    assert weight != "72.50"
    assert re.fullmatch(r"\d\d\.\d\d", weight)
    pregnancy = redactor.value(0x001021C0, "US", 4)
    assert isinstance(pregnancy, int)
    assert pregnancy == redactor.value(0x001021C0, "US", 4) != redactor.value(0x001021C0, "US", 3)
    assert redactor.value(0x00280010, "US", 512) == 512
    assert isinstance(redactor.value(0x00091001, "FD", 1.5), float)


def _kind(char: str) -> str:
    if char.isascii():
        return (
            "9"
            if char.isdigit()
            else char
            if not char.isalpha()
            else "A"
            if char.isupper()
            else "a"
        )
    name = unicodedata.name(char, "?").split()[0]
    return {"CJK": "han", "IDEOGRAPHIC": "han"}.get(name, name)


LETTERS = st.text("abcXYZ0179王明张三山田やヤﾔ김홍ЛюΔיب -._,'", min_size=4, max_size=40)


@given(st.lists(LETTERS, max_size=12))
@settings(max_examples=200, deadline=None)
def test_what_can_still_be_seen(texts: list[str]) -> None:
    names = Pseudonyms()
    again = Pseudonyms()
    for text in texts:
        shown = names.text(text)
        assert again.text(text) == shown == names.text(text)
        assert len(shown) == len(text)
        if text.count(" ") < 2:
            assert [_kind(char) for char in shown] == [_kind(char) for char in text]
        letters = [char for char in text if char.isalnum()]
        if len(letters) > 3:
            assert shown.lower() != text.lower()


@pytest.mark.parametrize("shape", ["ABC^DEF", "A12345", "王小明", "ab", "9999"])
def test_different_values_have_different_pseudonyms(shape: str) -> None:
    names = Pseudonyms()
    alphabets = {"A": "ABCDEFGHIJ", "a": "abcdefghij", "9": "123456789"}
    values = set()
    for number in range(500):
        value = ""
        for index, char in enumerate(shape):
            kind = _kind(char)
            digit = number // 10**index % 9
            if kind == "han":
                value += chr(0x5000 + number * 3 + index)
            else:
                value += alphabets.get(kind, char)[digit] if kind in alphabets else char
        values.add(value)
    shown = {names.text(value) for value in values}
    assert len(shown) == len(values)


def test_there_is_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pseudonyms, "DISTINCT_LIMIT", 100)
    redactor = Redactor()
    shown = {redactor.text(f"NAME{number:04}") for number in range(300)}
    assert 90 < len(shown) <= 102
    assert redactor.summary()["indistinct"] == 200
    assert redactor.uid("1.2.3.4.5.6").startswith("2.25.")


def test_the_summary_counts_kinds_and_names_no_value() -> None:
    redactor = Redactor(mask_addresses=True)
    redactor.dataset(
        made(explicit(0x00100010, "PN", b"DOE^JOHN") + explicit(0x00100020, "LO", b"4711"))
    )
    redactor.address("10.0.0.1")
    assert redactor.summary() == {
        "applied": True,
        "rule": allowed.RULE,
        "ae_titles": "kept",
        "addresses": "pseudonyms",
        "secrets": "never kept",
        "bulk": "never shown",
        "replaced": {"address": 1, "person": 1, "text": 1},
        "indistinct": 0,
    }


def test_threads_share_one_redactor() -> None:
    redactor = Redactor()
    found = made(explicit(0x00100010, "PN", b"DOE^JOHN") + explicit(0x00100020, "LO", b"4711"))
    shown: list[object] = []

    def work() -> None:
        shown.extend(repr(redactor.dataset(found)) for _ in range(200))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(shown) == 800
    assert len(set(shown)) == 1


@given(st.binary(max_size=400), st.sampled_from([EXPLICIT, IMPLICIT, None]))
@settings(max_examples=200, deadline=None)
def test_any_data_set_can_be_redacted(body: bytes, syntax: str | None) -> None:
    found = made(body, syntax)
    one, two = Redactor(), Redactor()
    assert repr(one.dataset(found)) == repr(two.dataset(found))


# ---------------------------------------------------------------------------- real conversations


def _people(path: Path) -> tuple[set[str], set[str]]:
    """What a capture says of people: values of the attributes that PS3.15 lists. And the AE titles
    that the transcript shows anyway."""
    listed = {tag[0] << 16 | tag[1] for tag in _profile() if len(tag) == 2}
    found: set[str] = set()
    shown: set[str] = set()
    for association in dicomsniff.read(str(path), reader="scapy"):
        shown |= {str(association.requestor.ae_title), str(association.acceptor.ae_title)}
        for entry in association.timeline:
            if entry.message is None:
                continue
            shown |= {str(one.value) for one in entry.message.command.values() if one.vr == "AE"}
            if entry.message.dataset is None:
                continue
            decoded = decode(entry.message.dataset, entry.message.transfer_syntax)
            for _, element in decoded.walk():
                if element.tag not in listed:
                    continue
                for value in element.values:
                    if isinstance(value, str):
                        found |= {part.strip() for part in re.split(r"[\^=*?]", value)}
    return found, shown


CAPTURES_OF_PEOPLE = ("worklist", "worklist-gbk-undeclared", "store", "move", "query-study", "mpps")


@pytest.mark.parametrize("name", CAPTURES_OF_PEOPLE)
def test_no_transcript_of_a_real_conversation_names_anybody(name: str, tmp_path: Path) -> None:
    path = capture(f"{name}.pcapng")
    found, shown = _people(path)
    telling = {
        value
        for value in found - shown
        if (len(value) > 4 or (len(value) > 1 and not value.isascii()))
        and value not in UID_dictionary
    }
    assert len(telling) > 3
    for option, expected in (([], False), (["--keep-phi"], True)):
        out = tmp_path / "out.json"
        assert main(["transcript", "--reader", "scapy", *option, "-o", str(out), str(path)]) == 0
        text = out.read_text(encoding="utf-8")
        told = {value for value in telling if value in text}
        assert bool(told) == expected, told

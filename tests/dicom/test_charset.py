"""Character sets held against pydicom's codec tables, and bytes that nobody declared."""

from __future__ import annotations

import warnings
from pathlib import Path

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.charset import convert_encodings, decode_bytes, encode_string, python_encoding
from pydicom.data import get_charset_files
from pydicom.valuerep import PersonName

from dicomsniff.dicom.charset import character_set
from dicomsniff.dicom.dataset import decode
from dicomsniff.dicom.elements import DataSet, Element
from dicomsniff.dicom.repertoire import doubt, guess
from dicomsniff.model import DataSetBytes
from tests.dicom.datasets import EXPLICIT, explicit, item

TEXTS = {
    "ISO_IR 100": "Äneas^Rüdiger",
    "ISO_IR 101": "Łukasz^Żółć",
    "ISO_IR 109": "Ħal^Ġorġ",
    "ISO_IR 110": "Ģirts^Šķēle",
    "ISO_IR 126": "Διονυσιος",
    "ISO_IR 127": "قباني^لنزار",
    "ISO_IR 138": "שרון^דבורה",
    "ISO_IR 144": "Люкceмбypг",
    "ISO_IR 148": "Çavuş^Ğül",
    "ISO_IR 166": "นามสกุล^ชื่อ",
    "ISO_IR 13": "ﾔﾏﾀﾞ^ﾀﾛｳ",
    "ISO_IR 192": "Wang^XiaoDong=王^小东=",
    "GB18030": "Wang^XiaoDong=王^小东=",
    "GBK": "王^小明",
}


def made(*elements: bytes) -> DataSet:
    body = b"".join(elements)
    return decode(DataSetBytes(len(body), body), EXPLICIT)


def only(data: DataSet, tag: int) -> Element:
    found = data.get(tag)
    assert found is not None
    return found


def test_every_file_of_pydicom() -> None:
    names = get_charset_files()
    assert len(names) > 15
    for name in names:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = pydicom.dcmread(name, force=True)
            theirs.decode()
        raw = Path(name).read_bytes()
        start = 132 if raw[128:132] == b"DICM" else 0
        body = raw[start:] if start else raw
        ours = decode(DataSetBytes(len(body), body), EXPLICIT)
        shown = [
            str(e.values[0]).rstrip("=") for _, e in ours.walk() if e.tag == 0x00100010 and e.values
        ]
        expected = [str(e.value) for e in theirs.iterall() if e.tag == 0x00100010]
        assert shown == expected, name
        assert not [note for _, e in ours.walk() for note in e.notes if "decode" in note], name


@pytest.mark.parametrize("term", [term for term in python_encoding if term in TEXTS])
def test_single_sets(term: str) -> None:
    text = TEXTS[term]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # pydicom writes no halfwidth katakana beside a delimiter.
        raw = (
            text.encode("shift_jis")
            if term == "ISO_IR 13"
            else encode_string(text, convert_encodings(term))
        )
    assert character_set((term,)).decode(raw, True) == (text, "")
    assert character_set((term,)).notes == ()


def test_every_term_of_pydicom_is_understood() -> None:
    for term in python_encoding:
        if term:
            assert character_set((term,)).notes in (
                (),
                ("(0008,0005) does not have the defined term " + character_set((term,)).label,),
            ), term


@pytest.mark.parametrize(
    ("terms", "text"),
    [
        (("", "ISO 2022 IR 149"), "Hong^Gildong=洪^吉洞=홍^길동"),
        (("", "ISO 2022 IR 87"), "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        (("ISO 2022 IR 13", "ISO 2022 IR 87"), "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう"),
        (("", "ISO 2022 IR 87", "ISO 2022 IR 159"), "A^B=山田^鷗=やまだ"),
        (("ISO 2022 IR 100", "ISO 2022 IR 144"), "Люкceмбypг=Äneas"),
        (("ISO 2022 IR 100", "ISO 2022 IR 126"), "Äneas=Διονυσιος"),
    ],
)
def test_code_extensions(terms: tuple[str, ...], text: str) -> None:
    encodings = convert_encodings(list(terms))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        raw = PersonName(text).encode(encodings)
        assert str(PersonName(raw, encodings)) == text
    assert character_set(terms).decode(raw, True) == (text, "")


def test_the_standards_example_of_gb_2312() -> None:
    # PS3.5 K.2: pydicom writes no such escape sequences.
    raw = b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab="
    decoded = character_set(("", "ISO 2022 IR 58")).decode(raw, True)
    assert decoded == ("Zhang^XiaoDong=张^小东=", "")


@given(st.binary(max_size=40), st.sampled_from(sorted(python_encoding)))
@settings(max_examples=300, deadline=None)
def test_any_bytes_decode_to_something(raw: bytes, term: str) -> None:
    for terms in ((term,), ("", term), ("ISO 2022 IR 13", "ISO 2022 IR 87", term)):
        for is_name in (False, True):
            text, problem = character_set(terms).decode(raw, is_name)
            text.encode("utf-8")
            if "\ufffd" in text:
                assert problem
    guess([raw])
    doubt(character_set((term,)), [raw])


@given(st.text("abcäöüßÀéñ ^=山田太郎やまだ홍길동Люк", max_size=20))
@settings(max_examples=200, deadline=None)
def test_what_pydicom_encodes(text: str) -> None:
    terms = ["ISO 2022 IR 100", "ISO 2022 IR 87", "ISO 2022 IR 149", "ISO 2022 IR 144"]
    encodings = convert_encodings(terms)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        raw = encode_string(text, encodings)
        if decode_bytes(raw, encodings, set()) != text:
            return
    ours = character_set(tuple(terms)).decode(raw)
    # A delimiter ends an escape for us, as the standard wants; pydicom lets some go on.
    assert ours.text == text or any(each in text for each in "^=")


def test_a_backslash_inside_a_character_is_no_delimiter() -> None:
    # 誠 in GB18030 ends in 5CH; 表 in Shift JIS does.
    text = "誠^一"
    assert b"\\" in text.encode("gb18030")
    found = made(
        explicit(0x00080005, "CS", b"GB18030 "), explicit(0x00100010, "PN", text.encode("gb18030"))
    )
    assert only(found, 0x00100010).values == (text,)
    raw = b"\x1b$B" + "彙".encode("iso2022_jp")[3:-3] + b"\x1b(B"
    assert character_set(("", "ISO 2022 IR 87")).decode(raw, True).text == "彙"


def test_items_may_have_their_own() -> None:
    inner = explicit(0x00080005, "CS", b"ISO_IR 192") + explicit(
        0x00080104, "LO", "größer".encode() + b" "
    )
    found = made(
        explicit(0x00080005, "CS", b"ISO_IR 100"),
        explicit(0x00081032, "SQ", item(inner) + item(explicit(0x00080104, "LO", b"gr\xf6\xdfer"))),
        explicit(0x00100010, "PN", b"M\xfcller"),
    )
    first, second = only(found, 0x00081032).items
    assert first.elements[1].values == ("größer",)
    assert second.elements[0].values == ("größer",)
    assert only(found, 0x00100010).values == ("Müller",)
    assert found.character_sets == ("ISO_IR 100",)


# ---------------------------------------------------------------------------- mistakes


UNDECLARED = [
    ("GB18030", "gbk", ["王^小明", "胸部平扫", "李^四"]),
    ("GB18030", "gb18030", ["赵^敏"]),
    ("ISO_IR 192", "utf-8", ["王^小明"]),
    ("ISO_IR 192", "utf-8", ["Müller^Jörg"]),
    ("ISO 2022 IR 149", "euc_kr", ["김^희중", "흉부 엑스선"]),
    ("ISO_IR 13", "shift_jis", ["山田^太郎", "やまだ^たろう"]),
    ("ISO_IR 100", "latin_1", ["Müller^Jörg", "Größe"]),
]


@pytest.mark.parametrize(("label", "codec", "texts"), UNDECLARED)
def test_undeclared_bytes(label: str, codec: str, texts: list[str]) -> None:
    raws = [text.encode(codec) for text in texts]
    assert guess(raws) == label
    found = made(
        *(
            explicit(0x00091001 + number, "LO", raw + b" " * (len(raw) % 2))
            for number, raw in enumerate(raws)
        )
    )
    assert found.notes == [f"(0008,0005) is missing for bytes above 7F; {label} would decode them"]
    for element, text in zip(found.elements, texts, strict=True):
        assert element.values == (text,)
        assert element.charset == label
        assert element.notes == [f"undeclared bytes above 7F; {label} would decode them"]
        assert not any(char in note for note in element.notes for char in text if char > "\x7f")


def test_undeclared_bytes_that_nothing_decodes() -> None:
    found = made(explicit(0x00100010, "PN", b"\xff\x80\x81\xfe\xff\x00"))
    element = only(found, 0x00100010)
    assert element.charset is None
    assert any("declares nothing for them" in note for note in element.notes)
    assert "\ufffd" in str(element.values[0])


def test_utf_8_declared_and_gbk_sent() -> None:
    found = made(
        explicit(0x00080005, "CS", b"ISO_IR 192"),
        explicit(0x00100010, "PN", "王^小明".encode("gbk") + b" "),
        explicit(0x00101040, "LO", "北京".encode()),
    )
    name = only(found, 0x00100010)
    assert name.notes == ["not all bytes decode as ISO_IR 192", "GB18030 would decode it"]
    assert only(found, 0x00101040).values == ("北京",)
    assert not only(found, 0x00101040).notes


@pytest.mark.parametrize(("label", "codec"), [("GB18030", "gbk"), ("ISO_IR 192", "utf-8")])
def test_latin_declared_and_something_else_sent(label: str, codec: str) -> None:
    raw = "王^小明".encode(codec)
    found = made(
        explicit(0x00080005, "CS", b"ISO_IR 100"),
        explicit(0x00100010, "PN", raw + b" " * (len(raw) % 2)),
    )
    said = only(found, 0x00100010).notes + found.notes
    assert any(label in note for note in said), said


def test_descriptions_in_gbk_that_are_declared_as_latin() -> None:
    """No surnames among them: what tells is that all are characters of daily use."""
    raw = "消化道造影".encode("gbk")
    found = made(explicit(0x00080005, "CS", b"ISO_IR 100"), explicit(0x00321060, "LO", raw))
    assert "looks like GB18030" in only(found, 0x00321060).notes
    short = "造影".encode("gbk")
    found = made(explicit(0x00080005, "CS", b"ISO_IR 100"), explicit(0x00321060, "LO", short))
    assert not found.notes


def test_cyrillic_is_not_doubted() -> None:
    for text in ("Иванова^Анна", "Кабинет № 4", "ГРУДНАЯ КЛЕТКА", "Павлова"):
        raw = text.encode("iso8859_5")
        found = made(
            explicit(0x00080005, "CS", b"ISO_IR 144"),
            explicit(0x00100010, "PN", raw + b" " * (len(raw) % 2)),
        )
        assert not found.notes, text


def test_latin_is_not_doubted() -> None:
    for text in (
        *("Müller^Jörg", "Håkan Åström", "Désirée^Noël", "Größe über Maß"),
        *("ÄÖÜ^ÉÈ", "créée^Aÿé", "«ÀÉ» ÇÀÉÈ", "ÅÄÖ ÅÄÖ"),
    ):
        found = made(
            explicit(0x00080005, "CS", b"ISO_IR 100"),
            explicit(0x00100010, "PN", text.encode("latin_1") + b" " * (len(text) % 2)),
        )
        assert not found.notes, text
        assert not only(found, 0x00100010).notes, text


def test_escape_sequences_that_were_forgotten() -> None:
    found = made(
        explicit(0x00080005, "CS", b"\\ISO 2022 IR 149"),
        explicit(0x00100010, "PN", "홍^길동".encode("euc_kr") + b" "),
    )
    name = only(found, 0x00100010)
    assert name.values == ("홍^길동",)
    assert name.notes == ["no escape sequence before bytes above 7F"]


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ("ISO-IR 100", "ISO_IR 100"),
        ("ISO IR 192", "ISO_IR 192"),
        ("UTF-8", "ISO_IR 192"),
        ("ISO_IR_144", "ISO_IR 144"),
        ("ISO2022IR149", "ISO 2022 IR 149"),
        ("GB2312", "GBK"),
    ],
)
def test_terms_that_are_nearly_right(sent: str, meant: str) -> None:
    found = character_set((sent,))
    assert found.label == meant
    assert found.notes == (f"(0008,0005) does not have the defined term {meant}",)


def test_a_term_that_means_nothing() -> None:
    found = made(explicit(0x00080005, "CS", b"KLINGON "), explicit(0x00100010, "PN", b"M\xfcller"))
    assert "does not know" in only(found, 0x00080005).notes[0]
    assert only(found, 0x00100010).values == ("Müller",)
    assert only(found, 0x00100010).charset == "ISO_IR 100"

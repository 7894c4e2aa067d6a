"""DICOM JSON held against pydicom: what it loads, and what it writes itself."""

from __future__ import annotations

import json
import math
import struct
import subprocess
import warnings
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset

from dicomsniff.dicom.dataset import decode
from dicomsniff.dicom.elements import DataSet
from dicomsniff.model import CommandElement, DataSetBytes, Message
from dicomsniff.output.djson import INLINE_LIMIT, bulk_length, command_json, dataset_json
from dicomsniff.output.redact import Redactor
from tests.dicom.datasets import (
    BIG,
    EXPLICIT,
    IMPLICIT,
    SEQUENCE_END,
    UNDEFINED,
    explicit,
    item,
    open_item,
    pydicom_files,
    read,
    sieved,
)
from tests.support import require

OPEN = Redactor(keep_phi=True)


def made(data: bytes, syntax: str | None = EXPLICIT) -> DataSet:
    return decode(DataSetBytes(len(data), data), syntax)


def loaded(written: dict[str, object]) -> Dataset:
    """What pydicom makes of it, by way of a text that any JSON reader takes."""
    text = json.dumps(written, ensure_ascii=False, allow_nan=False)
    text.encode("utf-8")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Dataset.from_json(text)


def _comparable(model: dict[str, Any], other: dict[str, Any]) -> tuple[int, list[str]]:
    """Attributes in which two models agree, and those in which they do not."""
    agreed, differ = 0, []
    for tag, theirs in other.items():
        if tag[4:] == "0000":
            continue
        ours = model[tag]
        if (
            "BulkDataURI" in ours
            or " or " in theirs["vr"]
            or (ours["vr"], theirs["vr"]) == ("OW", "OB or OW")
        ):
            continue
        if theirs["vr"] == "SQ":
            for one, two in zip(ours.get("Value", []), theirs.get("Value", []), strict=True):
                count, wrong = _comparable(one, two)
                agreed += count
                differ += [f"{tag}.{each}" for each in wrong]
            continue
        if _loose(ours) == _loose(theirs):
            agreed += 1
        else:
            differ.append(f"{tag} {ours} {theirs}")
    return agreed, differ


def _loose(attribute: dict[str, Any]) -> object:
    """Without what both may write as they like: an empty value, spaces, 1 or 1.0."""
    values = [
        value.strip(" ") if isinstance(value, str) else value
        for value in attribute.get("Value", [])
        if value not in (None, "", {})
    ]
    return attribute["vr"], values, attribute.get("InlineBinary") or None


def test_pydicom_writes_the_same() -> None:
    agreed = 0
    for path, syntax, body in pydicom_files():
        if "truncated" in path.name or path.name == "badVR.dcm":
            continue
        ours = dataset_json(decode(sieved(body, syntax), syntax), OPEN)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = read(path).to_json_dict(suppress_invalid_tags=True)
        if syntax == BIG:
            # pydicom writes the words of big endian as they are, dcmtk as PS3.18 F.2.7 wants them.
            run = [require("dcm2json"), "-q", str(path)]
            dcmtk = json.loads(subprocess.run(run, capture_output=True, check=True).stdout)
            words = {key: each for key, each in dcmtk.items() if "InlineBinary" in each}
            theirs |= {key: words[key] for key in words.keys() & theirs.keys()}
        count, differ = _comparable(ours, theirs)
        assert not differ, path
        agreed += count
    assert agreed > 5000


def test_pydicom_loads_every_file_and_finds_the_same_in_it() -> None:
    for redactor in (OPEN, Redactor()):
        for _, syntax, body in pydicom_files():
            ours = decode(sieved(body, syntax), syntax)
            back = loaded(dataset_json(ours, redactor))
            for element in ours.elements:
                if element.tag & 0xFFFF:
                    assert element.tag in back


def test_bulk_has_an_address_with_its_length() -> None:
    body = (
        explicit(0x00081030, "LO", b"A ")
        + explicit(0x00880200, "SQ", item(b"") + item(explicit(0x7FE00010, "OB", b"\1" * 2000)))
        + explicit(0x0040A160, "UT", b"t" * 1026)
        + explicit(0x00420011, "OB", b"\2" * INLINE_LIMIT)
        + explicit(0x7FE00010, "OB", b"", UNDEFINED)
        + item(b"")
        + item(b"\3" * 20_000)
        + SEQUENCE_END
    )
    written = dataset_json(decode(sieved(body), EXPLICIT), OPEN, "bulk:entry/12/")
    icon: Any = written["00880200"]
    assert icon["Value"][0] == {}
    assert icon["Value"][1]["7FE00010"] == {
        "vr": "OB",
        "BulkDataURI": "bulk:entry/12/00880200/1/7FE00010?length=2000",
    }
    assert written["0040A160"] == {
        "vr": "UT",
        "BulkDataURI": "bulk:entry/12/0040A160?length=1026",
    }
    assert "InlineBinary" in str(written["00420011"])
    uri = "bulk:entry/12/7FE00010?length=20024&fragments=2"
    assert written["7FE00010"] == {"vr": "OB", "BulkDataURI": uri}
    assert bulk_length(uri) == (20024, 2)
    assert bulk_length("bulk:0040A160?length=1026") == (1026, 0)
    assert bulk_length("https://example.org/") == (0, 0)
    loaded(written)


def test_numbers_that_are_none() -> None:
    body = (
        explicit(0x00200011, "IS", b"1\\x ")
        + explicit(0x00200013, "IS", b"12\\ 7")
        + explicit(0x00281052, "DS", b"1E999 ")
        + explicit(0x00281053, "DS", b"-1.50 ")
        + explicit(0x00281054, "DS", b"1\\\\2.5 ")
        + explicit(0x00189087, "FD", struct.pack("<dd", math.nan, -math.inf))
    )
    written = dataset_json(made(body), OPEN)
    assert written["00200011"] == {"vr": "LO", "Value": ["1", "x"]}
    assert written["00200013"] == {"vr": "IS", "Value": [12, 7]}
    assert written["00281052"] == {"vr": "LO", "Value": ["1E999"]}
    assert written["00281053"] == {"vr": "DS", "Value": [-1.5]}
    assert written["00281054"] == {"vr": "DS", "Value": [1, None, 2.5]}
    assert written["00189087"] == {"vr": "FD", "Value": ["NaN", "-Infinity"]}
    back = loaded(written)
    assert math.isnan(back[0x00189087].value[0])


def test_empty_and_repeated_and_group_lengths() -> None:
    body = (
        explicit(0x00100000, "UL", b"\4\0\0\0")
        + explicit(0x00100010, "PN", b"A^B ")
        + explicit(0x00100010, "PN", b"C^D ")
        + explicit(0x00100020, "LO")
        + explicit(0x00100030, "DA", b"  ")
        + explicit(0x00400100, "SQ")
    )
    assert dataset_json(made(body), OPEN) == {
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": "A^B"}]},
        "00100020": {"vr": "LO"},
        "00100030": {"vr": "DA"},
        "00400100": {"vr": "SQ"},
    }


def test_names_with_three_groups_and_tags() -> None:
    body = (
        explicit(0x00080005, "CS", b"ISO_IR 192")
        + explicit(0x00100010, "PN", "Wang=王^小东=".encode() + b" ")
        + explicit(0x00280009, "AT", b"\x18\0\x63\x10")
    )
    written = dataset_json(made(body), OPEN)
    assert written["00100010"] == {
        "vr": "PN",
        "Value": [{"Alphabetic": "Wang", "Ideographic": "王^小东"}],
    }
    assert written["00280009"] == {"vr": "AT", "Value": ["00181063"]}


def test_unknown_vrs_are_written_as_un() -> None:
    body = explicit(0x00091004, "ZZ") + b"\4\0\0\0abcd"
    assert dataset_json(made(body), OPEN) == {"00091004": {"vr": "UN", "InlineBinary": "YWJjZA=="}}


@given(st.binary(max_size=400), st.sampled_from([EXPLICIT, IMPLICIT, None]), st.booleans())
@settings(max_examples=300, deadline=None)
def test_pydicom_loads_noise(body: bytes, syntax: str | None, keep_phi: bool) -> None:
    found = made(body, syntax)
    loaded(dataset_json(found, Redactor(keep_phi=keep_phi)))


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                [
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
                    "FD",
                    "FL",
                    "US",
                    "AT",
                    "UN",
                ]
            ),
            st.binary(max_size=40),
        ),
        max_size=8,
    ),
    st.sampled_from(["", "ISO_IR 192", "GB18030", "\\ISO 2022 IR 87", "ISO_IR 13", "rot13"]),
    st.booleans(),
)
@settings(max_examples=400, deadline=None)
def test_pydicom_loads_any_values(
    values: list[tuple[str, bytes]], charset: str, keep_phi: bool
) -> None:
    body = explicit(0x00080005, "CS", charset.encode())
    inner = b"".join(
        explicit(0x00091001 + number, vr, raw) for number, (vr, raw) in enumerate(values)
    )
    body += explicit(0x00081032, "SQ", b"", UNDEFINED) + open_item(inner) + SEQUENCE_END + inner
    written = dataset_json(made(body), Redactor(keep_phi=keep_phi))
    back = loaded(written)
    assert set(back.keys()) == {int(tag, 16) for tag in written}


def _message(*elements: CommandElement) -> Message:
    return Message(
        kind="C-MOVE-RSP",
        service="C-MOVE",
        is_request=False,
        context_id=1,
        command={element.tag: element for element in elements},
        command_bytes=b"",
        dataset=None,
        abstract_syntax=None,
        transfer_syntax=None,
    )


def test_a_command_set() -> None:
    message = _message(
        CommandElement(0x00000000, "UL", 80, 0, 0),
        CommandElement(0x00000002, "UI", "1.2.840.10008.5.1.4.1.2.2.2", 0, 0),
        CommandElement(0x00000100, "US", 0x8021, 0, 0),
        CommandElement(0x00000600, "AE", "STORE1", 0, 0),
        CommandElement(0x00000901, "AT", (0x00100020, 0x00100010), 0, 0),
        CommandElement(0x00000902, "LO", "no patient JOHN DOE here", 0, 0),
        CommandElement(0x00001000, "UI", "1.2.3.4.5.6.7", 0, 0),
        CommandElement(0x00000004, "??", b"\1\2", 0, 0),
        CommandElement(0x00001020, "US", None, 0, 0),
    )
    written = command_json(message, OPEN)
    assert written == {
        "00000000": {"vr": "UL", "Value": [80]},
        "00000002": {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.2.2.2"]},
        "00000100": {"vr": "US", "Value": [0x8021]},
        "00000600": {"vr": "AE", "Value": ["STORE1"]},
        "00000901": {"vr": "AT", "Value": ["00100020", "00100010"]},
        "00000902": {"vr": "LO", "Value": ["no patient JOHN DOE here"]},
        "00001000": {"vr": "UI", "Value": ["1.2.3.4.5.6.7"]},
        "00000004": {"vr": "UN", "InlineBinary": "AQI="},
        "00001020": {"vr": "US"},
    }
    assert loaded(written).CommandField == 0x8021
    hidden = command_json(message, Redactor())
    for tag in ("00000902", "00001000", "00000004"):
        assert hidden[tag] != written[tag]
        assert len(str(hidden[tag])) == len(str(written[tag]))
    assert {
        tag: hidden[tag] for tag in hidden if tag not in ("00000902", "00001000", "00000004")
    } == {tag: written[tag] for tag in written if tag not in ("00000902", "00001000", "00000004")}
    loaded(hidden)


@pytest.mark.parametrize("raw", [b"\x83\x36\xc7\x38", b"\xed\xa0\x80\xed\xb0\x80"])
def test_half_characters_never_get_out(raw: bytes) -> None:
    for charset in (b"GB18030 ", b"ISO_IR 192", b""):
        body = explicit(0x00080005, "CS", charset) + explicit(0x00100010, "PN", raw)
        loaded(dataset_json(made(body), OPEN))

"""What a message is about, held against pydicom and against the full decoder."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomsniff.analysis import about
from dicomsniff.model import DataSetBytes
from tests.dicom.datasets import (
    EXPLICIT,
    IMPLICIT,
    UNDEFINED,
    explicit,
    implicit,
    pydicom_files,
    read,
    sieved,
)

WANTED = frozenset((about.SOP_CLASS, about.SOP_INSTANCE, about.ACCESSION, about.STUDY))
FILES = list(pydicom_files())


@pytest.mark.parametrize(("path", "syntax", "body"), FILES, ids=[each[0].name for each in FILES])
def test_the_head_of_real_objects(path: Path, syntax: str, body: bytes) -> None:
    expected = {}
    known = read(path)
    for tag in WANTED:
        value = str(known[tag].value or "").strip() if tag in known else ""
        if value and value.isascii():
            expected[tag] = value
    assert about.head(sieved(body, syntax), syntax, WANTED, about.STUDY) == expected


def test_a_sequence_of_undefined_length_in_front() -> None:
    body = explicit(0x00081110, "SQ", b"", UNDEFINED) + implicit(0xFFFEE0DD)
    body += explicit(about.STUDY, "UI", b"2.25.1")
    assert about.head(sieved(body), EXPLICIT, WANTED, about.STUDY) == {about.STUDY: "2.25.1"}


def test_a_large_value_that_was_not_kept() -> None:
    body = implicit(0x00090010, b"ABC ") + implicit(0x00091001, bytes(100_000))
    body += implicit(about.STUDY, b"2.25.1")
    data = sieved(body, IMPLICIT)
    assert data.skips
    assert about.head(data, IMPLICIT, WANTED, about.STUDY) == {about.STUDY: "2.25.1"}


@given(st.binary(max_size=200), st.sampled_from([EXPLICIT, IMPLICIT, None]))
def test_noise(data: bytes, syntax: str | None) -> None:
    found = about.head(DataSetBytes(len(data), data), syntax, WANTED, about.STUDY)
    assert set(found) <= WANTED
    assert all(value.isascii() for value in found.values())

"""pydicom's tables, held against pydicom itself."""

from __future__ import annotations

from dicomsniff.dicom import tables
from dicomsniff.dicom.elements import entry


def test_they_are_pydicoms() -> None:
    from pydicom._dicom_dict import DicomDictionary, RepeatersDictionary
    from pydicom._private_dict import private_dictionaries
    from pydicom._uid_dict import UID_dictionary
    from pydicom.datadict import keyword_dict
    from pydicom.sr._concepts_dict import concepts
    from pydicom.sr._snomed_dict import mapping

    assert tables.elements() == DicomDictionary
    assert tables.repeating() == RepeatersDictionary
    assert tables.private() == private_dictionaries
    assert tables.uids() == UID_dictionary
    assert tables.concepts() == concepts
    assert tables.retired_snomed() == mapping["SRT"]
    assert {k: v for k, v in keyword_dict.items() if k} == tables.by_keyword()


def test_repeating_groups_are_found_as_pydicom_finds_them() -> None:
    from pydicom.datadict import RepeatersDictionary, mask_match

    for tag in (
        *range(0x60000000, 0x60200000, 0x1_0010),
        *(0x50FE3000, 0x60003000, 0x601E3000, 0x60013000, 0x70530010, 0x002031FF, 0x00203100),
        *(0x0028040F, 0x00280410, 0x7F000010, 0x7FFE0010, 0x10000010, 0x1000FFF5, 0x10100040),
    ):
        mask = mask_match(tag)
        found = entry(tag)
        assert (found is not None) == (mask is not None or tag in tables.elements()), hex(tag)
        if found is not None and mask is not None and tag not in tables.elements():
            assert found.keyword == RepeatersDictionary[mask][4]

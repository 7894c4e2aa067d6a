"""Where keys of a worklist belong."""

from __future__ import annotations

import pytest

from dicomsniff.analysis.findings.nesting import home

STEP, CODE, MODALITY, PATIENT_ID = 0x00400100, 0x00400008, 0x00080060, 0x00100020


@pytest.mark.parametrize(
    ("path", "belongs"),
    [
        ((MODALITY,), (STEP, MODALITY)),
        ((STEP, MODALITY), None),
        ((STEP, CODE, MODALITY), (STEP, MODALITY)),
        ((0x00321064, MODALITY), (STEP, MODALITY)),
        ((0x00321064, STEP, MODALITY), (STEP, MODALITY)),
        ((PATIENT_ID,), None),
        ((STEP, PATIENT_ID), (PATIENT_ID,)),
        # What other sequences hold of a patient is their own affair.
        ((0x00101002, PATIENT_ID), None),
        ((STEP, CODE, 0x00080100), None),
        ((0x00080005,), None),
    ],
)
def test_home(path: tuple[int, ...], belongs: tuple[int, ...] | None) -> None:
    assert home(path) == belongs

# SPDX-License-Identifier: GPL-2.0-or-later
"""Patients, worklists, images and reports that nobody has."""

from __future__ import annotations

import struct
import uuid
from pathlib import Path

from pydicom import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import UID, ExplicitVRLittleEndian
from pynetdicom import sop_class


def invent_uid(*words: object) -> UID:
    """A UID under 2.25 that is always the same for the same words."""
    name = "/".join(["dicomsniff captures", *map(str, words)])
    return UID(f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, name).int}")


def uid_of(keyword: str) -> UID:
    """The SOP class with this keyword of the standard, e.g. ``CTImageStorage``."""
    return UID(getattr(sop_class, keyword))


# Names, sexes and birth dates of people who do not exist: "test, A", "test, B" and so on, common
# names with no one behind them, and one with a rare character that GB18030 writes in four bytes.
PATIENTS = (
    ("Ceshi^Jia=测试^甲", "F", "19700101"),
    ("Ceshi^Yi=测试^乙", "M", "19710202"),
    ("Ceshi^Bing=测试^丙", "F", "19720303"),
    ("Wang^Xiaoming=王^小明", "M", "19730404"),
    ("Zhang^San=张^三", "M", "19740505"),
    ("Li^Si=李^四", "F", "19750606"),
    ("Zhao^Liu=赵^六", "M", "19760707"),
    ("Yang^Hui=杨^\u36c3", "F", "19770808"),
)
PROCEDURES = (
    "消化道造影",
    "食管吞钡检查",
    "下肢血管造影",
    "胃肠钡餐检查",
    "子宫输卵管造影",
    "静脉肾盂造影",
    "胸部透视",
    "排粪造影",
)


def save(path: Path, dataset: Dataset, syntax: UID = ExplicitVRLittleEndian) -> Path:
    """Write ``dataset`` as a Part 10 file."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.get("SOPClassUID", UID("1.2.276.0.7230010.3.1.0.1"))
    meta.MediaStorageSOPInstanceUID = dataset.get("SOPInstanceUID", invent_uid("file", path.name))
    meta.TransferSyntaxUID = syntax
    dataset.file_meta = meta
    path.parent.mkdir(parents=True, exist_ok=True)
    if syntax.is_private:
        dataset.save_as(path, implicit_vr=False, little_endian=True, enforce_file_format=True)
    else:
        dataset.save_as(path, enforce_file_format=True)
    return path


def worklist_item(number: int, charset: str | None = "GB18030") -> Dataset:
    """Worklist entry ``number`` (0 to 7), as the RIS of an invented hospital would hold it.

    Without ``charset`` the names are still GB18030 bytes, but nothing says so.
    """

    def text(value: str) -> str | bytes:
        return value if charset else value.encode("gb18030")

    name, sex, born = PATIENTS[number]
    item = Dataset()
    if charset:
        item.SpecificCharacterSet = charset
    item.AccessionNumber = f"TEST-A{number + 1:04}"
    item.ReferringPhysicianName = text("Yisheng^Ceshi=医生^测试")
    item.PatientName = text(name)
    item.PatientID = f"TEST-{number + 1:04}"
    item.PatientBirthDate = born
    item.PatientSex = sex
    item.PatientWeight = str(50 + number)
    item.MedicalAlerts = ""
    item.Allergies = text("青霉素") if number == 2 else ""
    item.PregnancyStatus = 4
    item.StudyInstanceUID = invent_uid("worklist", "study", number)
    item.RequestingPhysician = text("Yisheng^Ceshi=医生^测试")
    item.RequestedProcedureDescription = text(PROCEDURES[number])
    item.AdmissionID = f"TEST-V{number + 1:04}"
    item.CurrentPatientLocation = text("放射科")
    step = Dataset()
    step.Modality = "RF"
    step.ScheduledStationAETitle = "FLC1270"
    step.ScheduledProcedureStepStartDate = "20260105"
    step.ScheduledProcedureStepStartTime = f"{8 + number:02}3000"
    step.ScheduledPerformingPhysicianName = text("Jishi^Ceshi=技师^测试")
    step.ScheduledProcedureStepDescription = text(PROCEDURES[number])
    step.ScheduledProcedureStepID = f"SPS{number + 1:04}"
    step.ScheduledStationName = text("二号机房")
    step.ScheduledProcedureStepLocation = text("放射科二楼")
    item.ScheduledProcedureStepSequence = Items([step])
    item.RequestedProcedureID = f"RP{number + 1:04}"
    item.RequestedProcedurePriority = "ROUTINE"
    return item


def worklist_query(charset: str | None = "GB18030", **keys: str) -> Dataset:
    """The question a fluoroscopy unit asks: all of today's RF steps on its own AE title."""
    query = worklist_item(0, "ISO_IR 6")
    for element in query:
        if element.VR != "SQ":
            element.value = None
    step = query.ScheduledProcedureStepSequence[0]
    for element in step:
        element.value = None
    if charset:
        query.SpecificCharacterSet = charset
    else:
        del query.SpecificCharacterSet
    step.Modality = "RF"
    step.ScheduledStationAETitle = "FLC1270"
    step.ScheduledProcedureStepStartDate = "20260105"
    for keyword, value in keys.items():
        setattr(step if keyword in step else query, keyword, value)
    return query


def gradient(rows: int, columns: int, *, seed: int = 0, width: int = 1) -> bytes:
    """Pixels of ``width`` bytes that are neither flat nor random: an image that compresses."""
    step = 16 if width == 2 else 2
    values = (
        ((x * y // 8) + step * (x ^ y) + 37 * seed) % (4096 if width == 2 else 256)
        for y in range(rows)
        for x in range(columns)
    )
    return struct.pack(f"<{rows * columns}{'H' if width == 2 else 'B'}", *values)


def image(
    kind: str,
    number: int = 0,
    *,
    size: int = 64,
    study: int = 0,
    charset: str = "GB18030",
    name: str | None = None,
) -> Dataset:
    """An image of an invented patient: CT, MR, US (four RGB frames) or OT (secondary capture)."""
    classes = {
        "CT": uid_of("CTImageStorage"),
        "MR": uid_of("MRImageStorage"),
        "US": uid_of("UltrasoundMultiFrameImageStorage"),
        "OT": uid_of("SecondaryCaptureImageStorage"),
    }
    patient, sex, born = PATIENTS[study % len(PATIENTS)]
    data = Dataset()
    data.SpecificCharacterSet = charset
    data.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    data.SOPClassUID = classes[kind]
    data.SOPInstanceUID = invent_uid(kind, study, number, size)
    data.StudyDate = f"202601{5 + study % 20:02}"
    data.SeriesDate = data.StudyDate
    data.ContentDate = data.StudyDate
    data.StudyTime = f"{8 + study % 10:02}1500"
    data.ContentTime = f"{8 + study % 10:02}16{number % 60:02}"
    data.AccessionNumber = f"TEST-A{study + 1:04}"
    data.Modality = kind
    data.Manufacturer = "Invented Imaging"
    data.InstitutionName = "Invented Hospital"
    data.ReferringPhysicianName = "Doctor^Invented"
    data.StudyDescription = "Invented study"
    data.SeriesDescription = f"Invented {kind} series"
    data.PatientName = name or patient
    data.PatientID = f"TEST-{study + 1:04}"
    data.PatientBirthDate = born
    data.PatientSex = sex
    data.StudyInstanceUID = invent_uid("study", study)
    data.SeriesInstanceUID = invent_uid("series", study, kind)
    data.StudyID = f"S{study + 1}"
    data.SeriesNumber = "1"
    data.InstanceNumber = str(number + 1)
    colour = kind == "US"
    deep = kind in ("CT", "MR")
    data.SamplesPerPixel = 3 if colour else 1
    data.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    data.Rows = data.Columns = size
    data.BitsAllocated = 16 if deep else 8
    data.BitsStored = 12 if deep else 8
    data.HighBit = 11 if deep else 7
    data.PixelRepresentation = 0
    if kind == "CT":
        data.RescaleIntercept, data.RescaleSlope = "-1024", "1"
    if kind == "OT":
        data.ConversionType = "WSD"
    if colour:
        data.PlanarConfiguration = 0
        data.NumberOfFrames = "4"
        data.FrameTime = "40"
        data.FrameIncrementPointer = 0x00181063
        grey = b"".join(gradient(size, size, seed=frame) for frame in range(4))
        data.PixelData = bytes(part for value in grey for part in (value, value // 2, 255 - value))
    else:
        data.PixelData = gradient(size, size, seed=number, width=2 if deep else 1)
    data["PixelData"].VR = "OW" if deep else "OB"
    return data


def report(number: int = 0, study: int = 0) -> Dataset:
    """A Basic Text SR with a Chinese sentence in it."""
    data = image("OT", number, study=study)
    for element in list(data):
        if element.tag.group == 0x0028 or element.tag == 0x7FE00010:
            del data[element.tag]
    for keyword in ("ImageType", "ConversionType"):
        del data[keyword]

    def code(value: str, scheme: str, meaning: str) -> Items:
        item = Dataset()
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
        return Items([item])

    finding = Dataset()
    finding.RelationshipType = "CONTAINS"
    finding.ValueType = "TEXT"
    finding.ConceptNameCodeSequence = code("121071", "DCM", "Finding")
    finding.TextValue = "未见异常。Nothing remarkable in this invented patient."
    data.SOPClassUID = uid_of("BasicTextSRStorage")
    data.SOPInstanceUID = invent_uid("SR", study, number)
    data.SeriesInstanceUID = invent_uid("series", study, "SR")
    data.SeriesDescription = "Invented SR series"
    data.Modality = "SR"
    data.CompletionFlag = "COMPLETE"
    data.VerificationFlag = "UNVERIFIED"
    data.ValueType = "CONTAINER"
    data.ContinuityOfContent = "SEPARATE"
    data.ConceptNameCodeSequence = code("126000", "DCM", "Imaging Report")
    data.ContentSequence = Items([finding])
    data.ReferencedPerformedProcedureStepSequence = Items([])
    data.PerformedProcedureCodeSequence = Items([])
    return data

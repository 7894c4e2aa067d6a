"""UIDs: their names (PS3.6 annex A) and the services that SOP classes belong to (PS3.4)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from dicomsniff.dicom import tables

_STANDARD_ROOT = "1.2.840.10008."
_STORAGE_ROOT = "1.2.840.10008.5.1.4.1.1."

_COMMON = {
    "1.2.840.10008.1.1": "Verification SOP Class",
    "1.2.840.10008.3.1.1.1": "DICOM Application Context Name",
    "1.2.840.10008.1.2": "Implicit VR Little Endian",
    "1.2.840.10008.1.2.1": "Explicit VR Little Endian",
    "1.2.840.10008.1.2.1.99": "Deflated Explicit VR Little Endian",
    "1.2.840.10008.1.2.2": "Explicit VR Big Endian",
    "1.2.840.10008.1.2.4.50": "JPEG Baseline (Process 1)",
    "1.2.840.10008.1.2.4.51": "JPEG Extended (Process 2 and 4)",
    "1.2.840.10008.1.2.4.57": "JPEG Lossless, Non-Hierarchical (Process 14)",
    "1.2.840.10008.1.2.4.70": (
        "JPEG Lossless, Non-Hierarchical, First-Order Prediction (Process 14 [Selection Value 1])"
    ),
    "1.2.840.10008.1.2.4.80": "JPEG-LS Lossless Image Compression",
    "1.2.840.10008.1.2.4.81": "JPEG-LS Lossy (Near-Lossless) Image Compression",
    "1.2.840.10008.1.2.4.90": "JPEG 2000 Image Compression (Lossless Only)",
    "1.2.840.10008.1.2.4.91": "JPEG 2000 Image Compression",
    "1.2.840.10008.1.2.4.100": "MPEG2 Main Profile / Main Level",
    "1.2.840.10008.1.2.4.102": "MPEG-4 AVC/H.264 High Profile / Level 4.1",
    "1.2.840.10008.1.2.4.201": "High-Throughput JPEG 2000 Image Compression (Lossless Only)",
    "1.2.840.10008.1.2.4.202": (
        "High-Throughput JPEG 2000 with RPCL Options Image Compression (Lossless Only)"
    ),
    "1.2.840.10008.1.2.4.203": "High-Throughput JPEG 2000 Image Compression",
    "1.2.840.10008.1.2.5": "RLE Lossless",
    "1.2.840.10008.5.1.4.1.1.1": "Computed Radiography Image Storage",
    "1.2.840.10008.5.1.4.1.1.1.1": "Digital X-Ray Image Storage - For Presentation",
    "1.2.840.10008.5.1.4.1.1.1.1.1": "Digital X-Ray Image Storage - For Processing",
    "1.2.840.10008.5.1.4.1.1.1.2": "Digital Mammography X-Ray Image Storage - For Presentation",
    "1.2.840.10008.5.1.4.1.1.1.2.1": "Digital Mammography X-Ray Image Storage - For Processing",
    "1.2.840.10008.5.1.4.1.1.2": "CT Image Storage",
    "1.2.840.10008.5.1.4.1.1.2.1": "Enhanced CT Image Storage",
    "1.2.840.10008.5.1.4.1.1.3.1": "Ultrasound Multi-frame Image Storage",
    "1.2.840.10008.5.1.4.1.1.4": "MR Image Storage",
    "1.2.840.10008.5.1.4.1.1.4.1": "Enhanced MR Image Storage",
    "1.2.840.10008.5.1.4.1.1.6.1": "Ultrasound Image Storage",
    "1.2.840.10008.5.1.4.1.1.7": "Secondary Capture Image Storage",
    "1.2.840.10008.5.1.4.1.1.7.4": "Multi-frame True Color Secondary Capture Image Storage",
    "1.2.840.10008.5.1.4.1.1.11.1": "Grayscale Softcopy Presentation State Storage",
    "1.2.840.10008.5.1.4.1.1.12.1": "X-Ray Angiographic Image Storage",
    "1.2.840.10008.5.1.4.1.1.12.2": "X-Ray Radiofluoroscopic Image Storage",
    "1.2.840.10008.5.1.4.1.1.13.1.3": "Breast Tomosynthesis Image Storage",
    "1.2.840.10008.5.1.4.1.1.20": "Nuclear Medicine Image Storage",
    "1.2.840.10008.5.1.4.1.1.77.1.4": "VL Photographic Image Storage",
    "1.2.840.10008.5.1.4.1.1.77.1.6": "VL Whole Slide Microscopy Image Storage",
    "1.2.840.10008.5.1.4.1.1.88.11": "Basic Text SR Storage",
    "1.2.840.10008.5.1.4.1.1.88.22": "Enhanced SR Storage",
    "1.2.840.10008.5.1.4.1.1.88.33": "Comprehensive SR Storage",
    "1.2.840.10008.5.1.4.1.1.88.59": "Key Object Selection Document Storage",
    "1.2.840.10008.5.1.4.1.1.88.67": "X-Ray Radiation Dose SR Storage",
    "1.2.840.10008.5.1.4.1.1.104.1": "Encapsulated PDF Storage",
    "1.2.840.10008.5.1.4.1.1.128": "Positron Emission Tomography Image Storage",
    "1.2.840.10008.5.1.4.1.1.481.1": "RT Image Storage",
    "1.2.840.10008.5.1.4.1.1.481.2": "RT Dose Storage",
    "1.2.840.10008.5.1.4.1.1.481.3": "RT Structure Set Storage",
    "1.2.840.10008.5.1.4.1.1.481.5": "RT Plan Storage",
    "1.2.840.10008.1.20.1": "Storage Commitment Push Model SOP Class",
    "1.2.840.10008.1.20.1.1": "Storage Commitment Push Model SOP Instance",
    "1.2.840.10008.3.1.2.3.3": "Modality Performed Procedure Step SOP Class",
    "1.2.840.10008.5.1.4.31": "Modality Worklist Information Model - FIND",
    "1.2.840.10008.5.1.4.34.6.1": "Unified Procedure Step - Push SOP Class",
    "1.2.840.10008.5.1.1.1": "Basic Film Session SOP Class",
    "1.2.840.10008.5.1.1.2": "Basic Film Box SOP Class",
    "1.2.840.10008.5.1.1.4": "Basic Grayscale Image Box SOP Class",
    "1.2.840.10008.5.1.1.4.1": "Basic Color Image Box SOP Class",
    "1.2.840.10008.5.1.1.9": "Basic Grayscale Print Management Meta SOP Class",
    "1.2.840.10008.5.1.1.14": "Print Job SOP Class",
    "1.2.840.10008.5.1.1.16": "Printer SOP Class",
    "1.2.840.10008.5.1.1.17": "Printer SOP Instance",
    "1.2.840.10008.5.1.1.18": "Basic Color Print Management Meta SOP Class",
    "1.2.840.10008.5.1.1.23": "Presentation LUT SOP Class",
    "1.2.840.10008.5.1.4.1.2.1.1": "Patient Root Query/Retrieve Information Model - FIND",
    "1.2.840.10008.5.1.4.1.2.1.2": "Patient Root Query/Retrieve Information Model - MOVE",
    "1.2.840.10008.5.1.4.1.2.1.3": "Patient Root Query/Retrieve Information Model - GET",
    "1.2.840.10008.5.1.4.1.2.2.1": "Study Root Query/Retrieve Information Model - FIND",
    "1.2.840.10008.5.1.4.1.2.2.2": "Study Root Query/Retrieve Information Model - MOVE",
    "1.2.840.10008.5.1.4.1.2.2.3": "Study Root Query/Retrieve Information Model - GET",
}
"""What a common capture names, so that showing it needs no dictionary of 480 UIDs and the 0.2 s
that importing it takes."""

_LATER = {
    "1.2.840.10008.1.2.4.110": "JPEG XL Lossless",
    "1.2.840.10008.1.2.4.111": "JPEG XL JPEG Recompression",
    "1.2.840.10008.1.2.4.112": "JPEG XL",
    "1.2.840.10008.1.2.8.1": "Deflated Image Frame Compression",
}
"""Transfer syntaxes that PS3.6 has and pydicom 3.0 does not; its own names go first."""

_all_names: Mapping[str, str] | None = None


_FORM = re.compile(r"[0-9.]{1,64}[ \0]*", re.ASCII)


def is_uid(text: str) -> bool:
    """True for digits and dots, as a UID has them (PS3.5 9.1), padded or not. Anything else in the
    place of a UID is a text, and may say anything."""
    return _FORM.fullmatch(text) is not None


def uid_name(uid: str) -> str | None:
    """Return the name PS3.6 gives to a UID, None where it gives none (private UIDs).

    pydicom's dictionary is loaded at the first UID of the standard that the table of common ones
    does not hold.
    """
    name = _COMMON.get(uid)
    if name is not None or not uid.startswith(_STANDARD_ROOT):
        return name
    global _all_names
    if _all_names is None:
        known = {uid: entry[0] for uid, entry in tables.uids().items() if entry[0]}
        _all_names = _LATER | known
    return _all_names.get(uid)


_SERVICES = {
    "Verification": ("1.2.840.10008.1.1",),
    "Storage": (
        "1.2.840.10008.4.2",
        "1.2.840.10008.5.1.1.27",
        "1.2.840.10008.5.1.1.29",
        "1.2.840.10008.5.1.1.30",
        "1.2.840.10008.5.1.4.34.1",
        "1.2.840.10008.5.1.4.34.7",
        "1.2.840.10008.5.1.4.34.10",
    ),
    "Non-Patient Object Storage": (
        "1.2.840.10008.5.1.4.1.1.200.1",
        "1.2.840.10008.5.1.4.1.1.200.3",
        "1.2.840.10008.5.1.4.1.1.200.7",
        "1.2.840.10008.5.1.4.1.1.201.1",
        "1.2.840.10008.5.1.4.38.1",
        "1.2.840.10008.5.1.4.39.1",
        "1.2.840.10008.5.1.4.43.1",
        "1.2.840.10008.5.1.4.44.1",
        "1.2.840.10008.5.1.4.45.1",
    ),
    "Query/Retrieve - Patient Root": (
        "1.2.840.10008.5.1.4.1.2.1.1",
        "1.2.840.10008.5.1.4.1.2.1.2",
        "1.2.840.10008.5.1.4.1.2.1.3",
    ),
    "Query/Retrieve - Study Root": (
        "1.2.840.10008.5.1.4.1.2.2.1",
        "1.2.840.10008.5.1.4.1.2.2.2",
        "1.2.840.10008.5.1.4.1.2.2.3",
    ),
    "Query/Retrieve - Patient/Study Only": (
        "1.2.840.10008.5.1.4.1.2.3.1",
        "1.2.840.10008.5.1.4.1.2.3.2",
        "1.2.840.10008.5.1.4.1.2.3.3",
    ),
    "Query/Retrieve - Composite Instance Root": (
        "1.2.840.10008.5.1.4.1.2.4.2",
        "1.2.840.10008.5.1.4.1.2.4.3",
    ),
    "Query/Retrieve - Composite Instance Without Bulk Data": ("1.2.840.10008.5.1.4.1.2.5.3",),
    "Repository Query": ("1.2.840.10008.5.1.4.1.1.201.6",),
    "Hanging Protocol Query/Retrieve": (
        "1.2.840.10008.5.1.4.38.2",
        "1.2.840.10008.5.1.4.38.3",
        "1.2.840.10008.5.1.4.38.4",
    ),
    "Color Palette Query/Retrieve": (
        "1.2.840.10008.5.1.4.39.2",
        "1.2.840.10008.5.1.4.39.3",
        "1.2.840.10008.5.1.4.39.4",
    ),
    "Implant Template Query/Retrieve": (
        "1.2.840.10008.5.1.4.43.2",
        "1.2.840.10008.5.1.4.43.3",
        "1.2.840.10008.5.1.4.43.4",
        "1.2.840.10008.5.1.4.44.2",
        "1.2.840.10008.5.1.4.44.3",
        "1.2.840.10008.5.1.4.44.4",
        "1.2.840.10008.5.1.4.45.2",
        "1.2.840.10008.5.1.4.45.3",
        "1.2.840.10008.5.1.4.45.4",
    ),
    "Defined Procedure Protocol Query/Retrieve": (
        "1.2.840.10008.5.1.4.20.1",
        "1.2.840.10008.5.1.4.20.2",
        "1.2.840.10008.5.1.4.20.3",
    ),
    "Protocol Approval Query/Retrieve": (
        "1.2.840.10008.5.1.4.1.1.200.4",
        "1.2.840.10008.5.1.4.1.1.200.5",
        "1.2.840.10008.5.1.4.1.1.200.6",
    ),
    "Inventory Query/Retrieve": (
        "1.2.840.10008.5.1.4.1.1.201.2",
        "1.2.840.10008.5.1.4.1.1.201.3",
        "1.2.840.10008.5.1.4.1.1.201.4",
    ),
    "Storage Management": ("1.2.840.10008.5.1.4.1.1.201.5",),
    "Modality Worklist": ("1.2.840.10008.5.1.4.31",),
    "MPPS": (
        "1.2.840.10008.3.1.2.3.3",
        "1.2.840.10008.3.1.2.3.4",
        "1.2.840.10008.3.1.2.3.5",
    ),
    "Storage Commitment": (
        "1.2.840.10008.1.20.1",
        "1.2.840.10008.1.20.1.1",
        "1.2.840.10008.1.20.2",
        "1.2.840.10008.1.20.2.1",
    ),
    "Print": (
        "1.2.840.10008.5.1.1.1",
        "1.2.840.10008.5.1.1.2",
        "1.2.840.10008.5.1.1.4",
        "1.2.840.10008.5.1.1.4.1",
        "1.2.840.10008.5.1.1.4.2",
        "1.2.840.10008.5.1.1.9",
        "1.2.840.10008.5.1.1.9.1",
        "1.2.840.10008.5.1.1.14",
        "1.2.840.10008.5.1.1.15",
        "1.2.840.10008.5.1.1.16",
        "1.2.840.10008.5.1.1.16.376",
        "1.2.840.10008.5.1.1.18",
        "1.2.840.10008.5.1.1.18.1",
        "1.2.840.10008.5.1.1.22",
        "1.2.840.10008.5.1.1.23",
        "1.2.840.10008.5.1.1.24",
        "1.2.840.10008.5.1.1.24.1",
        "1.2.840.10008.5.1.1.26",
        "1.2.840.10008.5.1.1.31",
        "1.2.840.10008.5.1.1.32",
    ),
    "Media Creation": ("1.2.840.10008.5.1.1.33",),
    "Media Storage": ("1.2.840.10008.1.3.10",),
    "Display System": ("1.2.840.10008.5.1.1.40",),
    "Instance Availability Notification": ("1.2.840.10008.5.1.4.33",),
    "UPS": (
        "1.2.840.10008.5.1.4.34.4",
        "1.2.840.10008.5.1.4.34.4.1",
        "1.2.840.10008.5.1.4.34.4.2",
        "1.2.840.10008.5.1.4.34.4.3",
        "1.2.840.10008.5.1.4.34.4.4",
        "1.2.840.10008.5.1.4.34.6",
        "1.2.840.10008.5.1.4.34.6.1",
        "1.2.840.10008.5.1.4.34.6.2",
        "1.2.840.10008.5.1.4.34.6.3",
        "1.2.840.10008.5.1.4.34.6.4",
        "1.2.840.10008.5.1.4.34.6.5",
    ),
    "RT Machine Verification": (
        "1.2.840.10008.5.1.4.34.2",
        "1.2.840.10008.5.1.4.34.3",
        "1.2.840.10008.5.1.4.34.8",
        "1.2.840.10008.5.1.4.34.9",
    ),
    "Relevant Patient Information Query": (
        "1.2.840.10008.5.1.4.37.1",
        "1.2.840.10008.5.1.4.37.2",
        "1.2.840.10008.5.1.4.37.3",
    ),
    "Substance Administration Query": (
        "1.2.840.10008.5.1.4.41",
        "1.2.840.10008.5.1.4.42",
    ),
    "Application Event Logging": (
        "1.2.840.10008.1.40",
        "1.2.840.10008.1.42",
    ),
    "Real-Time Communication": (
        "1.2.840.10008.10.1",
        "1.2.840.10008.10.2",
        "1.2.840.10008.10.3",
        "1.2.840.10008.10.4",
    ),
    # Retired services, still spoken by old systems.
    "Study Content Notification": ("1.2.840.10008.1.9",),
    "Patient Management": (
        "1.2.840.10008.3.1.2.1.1",
        "1.2.840.10008.3.1.2.1.4",
        "1.2.840.10008.3.1.2.2.1",
    ),
    "Study Management": (
        "1.2.840.10008.3.1.2.3.1",
        "1.2.840.10008.3.1.2.3.2",
        "1.2.840.10008.3.1.2.5.5",
    ),
    "Results Management": (
        "1.2.840.10008.3.1.2.5.1",
        "1.2.840.10008.3.1.2.5.4",
        "1.2.840.10008.3.1.2.6.1",
    ),
    "General Purpose Worklist": (
        "1.2.840.10008.5.1.4.32",
        "1.2.840.10008.5.1.4.32.1",
        "1.2.840.10008.5.1.4.32.2",
        "1.2.840.10008.5.1.4.32.3",
    ),
}
"""SOP, Meta SOP and service class UIDs by service. Storage has the ones outside its root here;
every other UID below that root is Storage too."""

_SERVICE_OF = {uid: service for service, uids in _SERVICES.items() for uid in uids}


def service_name(sop_class: str) -> str | None:
    """Return the service a SOP class belongs to (``Storage``, ``Modality Worklist``, ``MPPS``…).

    None for private SOP classes, and for UIDs that name no SOP class.
    """
    service = _SERVICE_OF.get(sop_class)
    if service is None and sop_class.startswith(_STORAGE_ROOT):
        return "Storage"
    return service


def is_storage(uid: str) -> bool:
    """Tell whether a C-STORE may carry instances of this SOP class (PS3.4 B.5, GG.3).

    Private storage classes are not known here: nothing in a UID tells what it is for.
    """
    return service_name(uid) in ("Storage", "Non-Patient Object Storage")

"""Statuses (0000,0900): what a code means for the service that answered with it.

The same code means different things: B000H is coerced elements from a C-STORE, failed
sub-operations from a C-MOVE. So there is a table for each service and, where the standard says
more, for each service class: PS3.4 B.2.3 (storage), C.4 (query/retrieve), F.7, F.8 (MPPS), H.4
(print), K.4 (worklist), P (event logging), Q (relevant patient), S (media creation), V
(substance administration), CC.2 (UPS), DD (RT machine verification), GG (non-patient objects),
KK (storage management); behind them the codes that every service has, PS3.7 annex C.
"""

from __future__ import annotations

from typing import NamedTuple

from dicomsniff.dicom.names.uids import service_name


class Status(NamedTuple):
    """A status code with its meaning."""

    code: int
    category: str
    """``Success``, ``Pending``, ``Cancel``, ``Warning`` or ``Failure``."""
    meaning: str
    """One line; of a code that the service does not define ``Not defined for …``."""


_Codes = dict[int, tuple[str, str]]
_Ranges = tuple[tuple[int, int, str, str], ...]


class _Table(NamedTuple):
    """Codes of one service, and ranges (first, last, category, meaning) behind them."""

    codes: _Codes
    ranges: _Ranges = ()


_S, _P, _C, _W, _F = "Success", "Pending", "Cancel", "Warning", "Failure"

_GENERAL: _Codes = {
    0x0000: (_S, "Success"),
    0x0105: (_F, "No Such Attribute"),
    0x0106: (_F, "Invalid Attribute Value"),
    0x0107: (_W, "Attribute List Error"),
    0x0110: (_F, "Processing Failure"),
    0x0111: (_F, "Duplicate SOP Instance"),
    0x0112: (_F, "No Such SOP Instance"),
    0x0113: (_F, "No Such Event Type"),
    0x0114: (_F, "No Such Argument"),
    0x0115: (_F, "Invalid Argument Value"),
    0x0116: (_W, "Attribute Value Out of Range"),
    0x0117: (_F, "Invalid SOP Instance"),
    0x0118: (_F, "No Such SOP Class"),
    0x0119: (_F, "Class-Instance Conflict"),
    0x0120: (_F, "Missing Attribute"),
    0x0121: (_F, "Missing Attribute Value"),
    0x0122: (_F, "Refused: SOP Class Not Supported"),
    0x0123: (_F, "No Such Action Type"),
    0x0124: (_F, "Refused: Not Authorized"),
    0x0210: (_F, "Duplicate Invocation"),
    0x0211: (_F, "Unrecognized Operation"),
    0x0212: (_F, "Mistyped Argument"),
    0x0213: (_F, "Resource Limitation"),
    0xFE00: (_C, "Cancelled"),
}
"""PS3.7 annex C: every service has these."""

_OUT_OF_RESOURCES = "Refused: Out of Resources"
_WRONG_CLASS = "Data Set Does Not Match SOP Class"
_WRONG_IDENTIFIER = "Identifier Does Not Match SOP Class"
_OPTIONAL_ATTRIBUTES: _Codes = {0x0001: (_W, "Requested Optional Attributes Are Not Supported")}

_STORE = _Table(
    {
        0xB000: (_W, "Coercion of Data Elements"),
        0xB006: (_W, "Elements Discarded"),
        0xB007: (_W, _WRONG_CLASS),
    },
    (
        (0xA700, 0xA7FF, _F, _OUT_OF_RESOURCES),
        (0xA900, 0xA9FF, _F, _WRONG_CLASS),
        (0xC000, 0xCFFF, _F, "Cannot Understand"),
    ),
)
_STORE_NON_PATIENT = _Table(
    {
        0xA700: (_F, _OUT_OF_RESOURCES),
        0xA900: (_F, _WRONG_CLASS),
        0xC000: (_F, "Cannot Understand"),
    }
)

_UNABLE: _Ranges = ((0xC000, 0xCFFF, _F, "Unable to Process"),)
_FIND_CODES: _Codes = {
    0xA700: (_F, _OUT_OF_RESOURCES),
    0xA900: (_F, _WRONG_IDENTIFIER),
    0xFE00: (_C, "Matching Terminated Due to Cancel Request"),
    0xFF00: (_P, "Matches Are Continuing"),
    0xFF01: (_P, "Matches Are Continuing, Optional Keys Not Supported"),
}
_FIND = _Table(
    _FIND_CODES
    | {
        0xA710: (_F, "Invalid Prior Record Key"),
        0xB001: (_W, "Matching Reached Response Limit, Subsequent Request May Return More"),
    },
    _UNABLE,
)
_FIND_WORKLIST = _Table(_FIND_CODES, _UNABLE)
_FIND_SUBSTANCE = _Table(_FIND_CODES | {0xA900: (_F, _WRONG_CLASS)}, _UNABLE)
_FIND_RELEVANT_PATIENT = _Table(
    {
        0xA700: (_F, _OUT_OF_RESOURCES),
        0xA900: (_F, _WRONG_IDENTIFIER),
        0xC000: (_F, "Unable to Process"),
        0xC100: (_F, "More Than One Match Found"),
        0xC200: (_F, "Unable to Support Requested Template"),
        0xFE00: (_C, "Matching Terminated Due to Cancel Request"),
        0xFF00: (_P, "Current Match Is Supplied"),
    }
)

_GET_CODES: _Codes = {
    0xA701: (_F, "Refused: Out of Resources - Unable to Calculate Number of Matches"),
    0xA702: (_F, "Refused: Out of Resources - Unable to Perform Sub-operations"),
    0xA900: (_F, _WRONG_IDENTIFIER),
    0xAA00: (_F, "None of the Frames Requested Were Found in the SOP Instance"),
    0xAA01: (_F, "Unable to Create New Object for This SOP Class"),
    0xAA02: (_F, "Unable to Extract Frames"),
    0xAA03: (_F, "Time-based Request for a Non-time-based Original SOP Instance"),
    0xAA04: (_F, "Invalid Request"),
    0xB000: (_W, "Sub-operations Complete - One or More Failures or Warnings"),
    0xFE00: (_C, "Sub-operations Terminated Due to Cancel Indication"),
    0xFF00: (_P, "Sub-operations Are Continuing"),
}
_GET = _Table(_GET_CODES, _UNABLE)
_MOVE = _Table(_GET_CODES | {0xA801: (_F, "Move Destination unknown")}, _UNABLE)

_MPPS = _Table(_OPTIONAL_ATTRIBUTES)
_MPPS_SET = _Table(
    _OPTIONAL_ATTRIBUTES
    | {0x0110: (_F, "Processing Failure: Performed Procedure Step May No Longer Be Updated")}
)

_PRINT = _Table(
    {
        0xB600: (_W, "Memory Allocation Not Supported"),
        0xB601: (_W, "Film Session Printing (Collation) Is Not Supported"),
        0xB602: (_W, "Film Session Holds No Image Box (Empty Page)"),
        0xB603: (_W, "Film Box Holds No Image Box (Empty Page)"),
        0xB604: (_W, "Image Larger Than Image Box, Demagnified to Fit"),
        0xB605: (_W, "Requested Min or Max Density Outside of Printer's Operating Range"),
        0xB609: (_W, "Image Larger Than Image Box, Cropped to Fit"),
        0xB60A: (_W, "Image or Combined Print Image Larger Than Image Box, Decimated to Fit"),
        0xC600: (_F, "Film Session Holds No Film Box"),
        0xC601: (_F, "Unable to Create Print Job; Print Queue Is Full (Film Session)"),
        0xC602: (_F, "Unable to Create Print Job; Print Queue Is Full (Film Box)"),
        0xC603: (_F, "Image Larger Than Image Box"),
        0xC605: (_F, "Insufficient Memory in Printer to Store the Image"),
        0xC613: (_F, "Combined Print Image Larger Than Image Box"),
        0xC616: (_F, "An Existing Film Box Has Not Been Printed and Must Be First"),
    }
)

_EVENT_LOGGING = _Table(
    {
        0xB101: (_W, "Synchronization Frame of Reference UID Does Not Match the SCP's"),
        0xB102: (_W, "Study Instance UID Coerced; Event Logged Under Another Study"),
        0xB104: (_W, "IDs Inconsistent in Matching a Current Study; Event Logged"),
        0xC101: (_F, "Procedural Logging Not Available for This Study Instance UID"),
        0xC102: (_F, "Event Information Does Not Match Template"),
        0xC103: (_F, "Cannot Match Event to a Current Study"),
        0xC104: (_F, "IDs Inconsistent in Matching a Current Study; Event Not Logged"),
        0xC10E: (_F, "Operator Not Authorized to Add to Medication Administration Record"),
        0xC110: (_F, "Patient Cannot Be Identified from Patient ID or Admission ID"),
        0xC111: (_F, "Update of Medication Administration Record Failed"),
    }
)

_MEDIA_CREATION = _Table(
    _OPTIONAL_ATTRIBUTES
    | {
        0xA510: (_F, "Initiate Media Creation Already Received for This SOP Instance"),
        0xC201: (_F, "Media Creation Request Already Completed"),
        0xC202: (_F, "Media Creation Request in Progress, Cannot Be Interrupted"),
        0xC203: (_F, "Cancellation Denied for Unspecified Reason"),
    }
)

_UPS = _Table(
    _OPTIONAL_ATTRIBUTES
    | {
        0xB300: (_W, "The UPS Was Created with Modifications"),
        0xB301: (_W, "Deletion Lock Not Granted"),
        0xB304: (_W, "The UPS Is Already in the Requested State of CANCELED"),
        0xB305: (_W, "Coerced Invalid Values to Valid Values"),
        0xB306: (_W, "The UPS Is Already in the Requested State of COMPLETED"),
        0xC300: (_F, "The UPS May No Longer Be Updated"),
        0xC301: (_F, "The Correct Transaction UID Was Not Provided"),
        0xC302: (_F, "The UPS Is Already IN PROGRESS"),
        0xC303: (_F, "The UPS May Only Become SCHEDULED via N-CREATE"),
        0xC304: (_F, "The UPS Has Not Met Final State Requirements"),
        0xC307: (_F, "No Such UPS Instance Managed by This SCP"),
        0xC308: (_F, "Receiving AE Title Is Unknown to This SCP"),
        0xC309: (_F, "The Provided Value of UPS State Was Not SCHEDULED"),
        0xC310: (_F, "The UPS Is Not Yet in the IN PROGRESS State"),
        0xC311: (_F, "The UPS Is Already COMPLETED"),
        0xC312: (_F, "The Performer Cannot Be Contacted"),
        0xC313: (_F, "Performer Chooses Not to Cancel"),
        0xC314: (_F, "Specified Action Is Not Appropriate for Specified Instance"),
        0xC315: (_F, "SCP Does Not Support Event Reports"),
    }
)

_RT_VERIFICATION = _Table(
    {
        0xC112: (_F, "Applicable Machine Verification Instance Not Found"),
        0xC221: (_F, "Referenced Fraction Group Number Not in the Referenced Plan"),
        0xC222: (_F, "No Beams Exist Within the Referenced Fraction Group"),
        0xC223: (_F, "SCU Already Verifying and Cannot Process This Request"),
        0xC224: (_F, "Referenced Beam Number Not Found Within the Fraction Group"),
        0xC225: (_F, "Referenced Device or Accessory Not Supported"),
        0xC226: (_F, "Referenced Device or Accessory Not Found Within the Beam"),
        0xC227: (_F, "Referenced RT Plan Not Found"),
    }
)

_STORAGE_MANAGEMENT = _Table(
    {0xB010: (_W, "Attribute List Error: Key Attributes Not Supported for Matching")}
)

_N_ANY = _Table(
    _OPTIONAL_ATTRIBUTES
    | _PRINT.codes
    | _EVENT_LOGGING.codes
    | _MEDIA_CREATION.codes
    | _UPS.codes
    | _RT_VERIFICATION.codes
    | _STORAGE_MANAGEMENT.codes
)
"""For an N- message whose SOP class is not known. No code means two things in them."""

_TABLES: dict[tuple[str, str | None], _Table] = {
    ("C-STORE", None): _STORE,
    ("C-STORE", "Non-Patient Object Storage"): _STORE_NON_PATIENT,
    ("C-FIND", None): _FIND,
    ("C-FIND", "Modality Worklist"): _FIND_WORKLIST,
    ("C-FIND", "UPS"): _FIND_WORKLIST,
    ("C-FIND", "Substance Administration Query"): _FIND_SUBSTANCE,
    ("C-FIND", "Relevant Patient Information Query"): _FIND_RELEVANT_PATIENT,
    ("C-GET", None): _GET,
    ("C-MOVE", None): _MOVE,
    ("N-SET", "MPPS"): _MPPS_SET,
    ("N", None): _N_ANY,
    ("N", "MPPS"): _MPPS,
    ("N", "Print"): _PRINT,
    ("N", "Application Event Logging"): _EVENT_LOGGING,
    ("N", "Media Creation"): _MEDIA_CREATION,
    ("N", "UPS"): _UPS,
    ("N", "RT Machine Verification"): _RT_VERIFICATION,
    ("N", "Storage Management"): _STORAGE_MANAGEMENT,
}
_NOTHING = _Table({})


def _table(service: str, sop_class: str | None) -> _Table:
    name = service_name(sop_class) if sop_class else None
    table = _TABLES.get((service, name))
    if table is None and service.startswith("N-"):
        # A class that defines nothing of its own must not borrow the codes of others.
        table = _TABLES.get(("N", name)) if name or not sop_class else _NOTHING
    elif table is None:
        table = _TABLES.get((service, None))
    return table or _NOTHING


def _category(code: int) -> str:
    """Return the category that PS3.7 annex C gives to a code by its range.

    What lies outside of all ranges is a failure too: nobody may take it for anything better.
    """
    if code == 0x0000:
        return _S
    if code in (0xFF00, 0xFF01):
        return _P
    if code == 0xFE00:
        return _C
    if code in (0x0001, 0x0107, 0x0116) or code >> 12 == 0xB:
        return _W
    return _F


def status(service: str, sop_class: str | None, code: int) -> Status:
    """Return what a status means in a response of ``service`` (``C-STORE``, ``N-SET``…).

    ``sop_class`` is the UID of the affected or requested SOP class, or the context's abstract
    syntax; None where unknown, which takes the service's usual table.
    """
    table = _table(service, sop_class)
    found = table.codes.get(code)
    if found is None:
        for first, last, category, meaning in table.ranges:
            if first <= code <= last:
                return Status(code, category, meaning)
        found = _GENERAL.get(code)
    if found is None:
        return Status(code, _category(code), f"Not defined for {service or 'this message'}")
    return Status(code, *found)

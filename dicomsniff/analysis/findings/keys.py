"""Keys of queries, as PS3.4 lists them: what may be matched, what has to come back. No rules here.

A key of the worklist has a matching key type (R required, O optional) and a return key type: 1 has
a value, 2 is there and may be empty, 3 may be missing; 1C and 2C depend on a condition, which is
mostly whether the server knows something, so that nothing can be demanded of them from outside
(PS3.4 K.2.2.1, K.6.1.2.2). A key of query/retrieve is unique (U), required (R) or optional (O) at
its level (C.2.2.1).

Tables of our own, by tag; names come from the dictionary.
"""

from __future__ import annotations

from typing import Final

SPECIFIC_CHARACTER_SET: Final = 0x00080005
QUERY_RETRIEVE_LEVEL: Final = 0x00080052
MODALITY: Final = 0x00080060
STUDY_INSTANCE_UID: Final = 0x0020000D
STEP_SEQUENCE: Final = 0x00400100
STATION_AE_TITLE: Final = 0x00400001
STEP_START_DATE: Final = 0x00400002

WORKLIST_FIND: Final = "1.2.840.10008.5.1.4.31"

STEP: Final[dict[int, str]] = {
    0x00400001: "1",  # Scheduled Station AE Title
    0x00400002: "1",  # Scheduled Procedure Step Start Date
    0x00400003: "1",  # … Start Time
    0x00400004: "3",  # … End Date
    0x00400005: "3",  # … End Time
    0x00080060: "1",  # Modality
    0x00400006: "2",  # Scheduled Performing Physician's Name
    0x0040000B: "3",  # Scheduled Performing Physician Identification Sequence
    0x00400007: "1C",  # Scheduled Procedure Step Description, or the code sequence
    0x00400008: "1C",  # Scheduled Protocol Code Sequence
    0x00400009: "1",  # Scheduled Procedure Step ID
    0x00400010: "2",  # Scheduled Station Name
    0x00400011: "2",  # Scheduled Procedure Step Location
    0x00400012: "2C",  # Pre-Medication
    0x00400020: "3",  # Scheduled Procedure Step Status
    0x00321070: "2C",  # Requested Contrast Agent
    0x00400400: "3",  # Comments on the Scheduled Procedure Step
}
"""Return key types inside the items of Scheduled Procedure Step Sequence (PS3.4 table K.6-1)."""

STEP_ONLY: Final = frozenset(STEP) - {0x00400400}
"""Keys that mean nothing outside of the sequence in a worklist. (Comments are sent at the top level
by so many that nobody reads them inside.)"""

WORKLIST: Final[dict[int, str]] = {
    STEP_SEQUENCE: "1",
    0x00401001: "1",  # Requested Procedure ID
    0x00321060: "1C",  # Requested Procedure Description, or the code sequence
    0x00321064: "1C",  # Requested Procedure Code Sequence
    0x0020000D: "1",  # Study Instance UID
    0x00081110: "2",  # Referenced Study Sequence
    0x00401003: "2",  # Requested Procedure Priority
    0x00401004: "2",  # Patient Transport Arrangements
    0x00080050: "2",  # Accession Number
    0x00321032: "2",  # Requesting Physician
    0x00080090: "2",  # Referring Physician's Name
    0x00380010: "2",  # Admission ID
    0x00380300: "2",  # Current Patient Location
    0x00081120: "2",  # Referenced Patient Sequence
    0x00100010: "1",  # Patient's Name
    0x00100020: "1",  # Patient ID
    0x00100030: "2",  # Patient's Birth Date
    0x00100040: "2",  # Patient's Sex
    0x00101030: "2",  # Patient's Weight
    0x00403001: "2",  # Confidentiality Constraint on Patient Data Description
    0x00380500: "2",  # Patient State
    0x001021C0: "2",  # Pregnancy Status
    0x00102000: "2",  # Medical Alerts
    0x00102110: "2",  # Allergies
    0x00380050: "2",  # Special Needs
}
"""Return key types at the top level of a worklist answer (PS3.4 table K.6-1). What is not listed
is of type 3."""

EITHER: Final = (
    ((0x00321060,), (0x00321064,)),
    ((STEP_SEQUENCE, 0x00400007), (STEP_SEQUENCE, 0x00400008)),
)
"""Keys of type 1C of which one at least has a value: the description or the code sequence, of the
requested procedure and of the step (PS3.4 table K.6-1)."""

TOP_ONLY: Final = frozenset(tag for tag, kind in WORKLIST.items() if kind in ("1", "1C", "2")) - {
    STEP_SEQUENCE,
    0x00081110,
    0x00081120,
}
"""Keys of patient, visit, order and requested procedure, which mean nothing inside of a step. (The
referenced sequences may stand anywhere.)"""

MATCHED: Final = frozenset(
    {(STEP_SEQUENCE, tag) for tag in (0x00400001, 0x00400002, 0x00400003, 0x00400006, 0x00080060)}
    | {(tag,) for tag in (0x00100010, 0x00100020)}
)
"""Keys of matching key type R in a worklist: station AE title, start date and time, physician and
modality of the step, name and ID of the patient (PS3.4 table K.6-1). By the others a server need
not match."""

LEVELS: Final = ("PATIENT", "STUDY", "SERIES", "IMAGE")
"""Of Query/Retrieve Level (0008,0052), from the top down (PS3.4 C.3)."""

UNIQUE: Final = {
    "PATIENT": 0x00100020,
    "STUDY": 0x0020000D,
    "SERIES": 0x0020000E,
    "IMAGE": 0x00080018,
}
"""The unique key of each level: it has one value in every answer, and a query below its level
names it (PS3.4 C.4.1.2.1)."""

REQUIRED: Final[dict[str, tuple[int, ...]]] = {
    "PATIENT": (0x00100010,),
    "STUDY": (0x00080020, 0x00080030, 0x00080050, 0x00200010),
    "SERIES": (0x00080060, 0x00200011),
    "IMAGE": (0x00200013,),
}
"""Keys that every server has to support at each level (PS3.4 tables C.6-1 to C.6-4); in Study Root
the level STUDY has those of PATIENT too (table C.6-5)."""

PATIENT_ROOT: Final = frozenset(f"1.2.840.10008.5.1.4.1.2.1.{number}" for number in (1, 2, 3))
STUDY_ROOT: Final = frozenset(f"1.2.840.10008.5.1.4.1.2.2.{number}" for number in (1, 2, 3))
PATIENT_STUDY_ONLY: Final = frozenset(f"1.2.840.10008.5.1.4.1.2.3.{number}" for number in (1, 2, 3))
"""FIND, MOVE and GET of each query/retrieve information model."""

MODELS: Final = PATIENT_ROOT | STUDY_ROOT | PATIENT_STUDY_ONLY

UNASKED: Final = frozenset(
    {
        SPECIFIC_CHARACTER_SET,
        QUERY_RETRIEVE_LEVEL,
        0x00080054,  # Retrieve AE Title
        0x00080056,  # Instance Availability
        0x00080201,  # Timezone Offset From UTC
        0x00880130,  # Storage Media File-Set ID
        0x00880140,  # Storage Media File-Set UID
    }
)
"""What an answer may hold without having been asked for (PS3.4 C.4.1.1.3.2, K.4.1.1.3.2)."""

NO_WILDCARD: Final = frozenset(("DA", "TM", "DT", "UI", "SL", "SS", "US", "UL", "FL", "FD", "AS"))
"""VRs in which ``*`` and ``?`` match nothing (PS3.4 C.2.2.2.4)."""


def levels(model: str | None) -> tuple[str, ...]:
    """The levels of an information model, none for what is no query/retrieve model."""
    if model in PATIENT_ROOT:
        return LEVELS
    if model in STUDY_ROOT:
        return LEVELS[1:]
    if model in PATIENT_STUDY_ONLY:
        return LEVELS[:2]
    return ()


def optional(model: str | None, level: str, path: tuple[int, ...]) -> bool:
    """Whether a server need not match by a key. It then treats it as if nothing had been asked for
    there (PS3.4 C.2.2.1.3). False for models that have no table here."""
    if model == WORKLIST_FIND:
        return path not in MATCHED
    known = levels(model)
    if level not in known:
        return False
    above = {UNIQUE[each] for each in known[: known.index(level)]}
    return len(path) > 1 or path[0] not in above.union(required(model, level))


def required(model: str | None, level: str) -> tuple[int, ...]:
    """The unique key of a level and the keys that every server supports at it."""
    if level not in UNIQUE:
        return ()
    keys = (UNIQUE[level], *REQUIRED[level])
    if level == "STUDY" and model in STUDY_ROOT:
        keys += (UNIQUE["PATIENT"], *REQUIRED["PATIENT"])
    return keys

"""Names against the dictionaries of pydicom, pynetdicom and Wireshark."""

from __future__ import annotations

import subprocess
import sys

import pytest
from pydicom._dicom_dict import DicomDictionary
from pydicom._uid_dict import UID_dictionary
from pynetdicom import sop_class as sop_classes
from pynetdicom import status as statuses
from pynetdicom.dimse_messages import _MESSAGE_TYPES

from dicomsniff.dicom import names
from dicomsniff.dicom.names import uids

CT = "1.2.840.10008.5.1.4.1.1.2"
HANGING_PROTOCOL = "1.2.840.10008.5.1.4.38.1"
FIND = "1.2.840.10008.5.1.4.1.2.2.1"
MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
GET = "1.2.840.10008.5.1.4.1.2.2.3"
WORKLIST = "1.2.840.10008.5.1.4.31"
MPPS = "1.2.840.10008.3.1.2.3.3"
UPS = "1.2.840.10008.5.1.4.34.6.1"

# pynetdicom keeps one table where we keep one a DIMSE service: a code has to be in one of them.
TABLES = {
    "GENERAL_STATUS": [("C-ECHO", None), ("N-SET", "1.2.3")],
    "VERIFICATION_SERVICE_CLASS_STATUS": [("C-ECHO", "1.2.840.10008.1.1")],
    "STORAGE_SERVICE_CLASS_STATUS": [("C-STORE", CT)],
    "QR_FIND_SERVICE_CLASS_STATUS": [("C-FIND", FIND)],
    "QR_MOVE_SERVICE_CLASS_STATUS": [("C-MOVE", MOVE)],
    "QR_GET_SERVICE_CLASS_STATUS": [("C-GET", GET)],
    "MODALITY_WORKLIST_SERVICE_CLASS_STATUS": [("C-FIND", WORKLIST)],
    "RELEVANT_PATIENT_SERVICE_CLASS_STATUS": [("C-FIND", "1.2.840.10008.5.1.4.37.1")],
    "SUBSTANCE_ADMINISTRATION_SERVICE_CLASS_STATUS": [("C-FIND", "1.2.840.10008.5.1.4.41")],
    "NON_PATIENT_SERVICE_CLASS_STATUS": [("C-STORE", HANGING_PROTOCOL)],
    "PROCEDURE_STEP_STATUS": [("N-GET", MPPS), ("N-SET", MPPS), ("N-CREATE", MPPS)],
    "PRINT_JOB_MANAGEMENT_SERVICE_CLASS_STATUS": [("N-ACTION", "1.2.840.10008.5.1.1.1")],
    "STORAGE_COMMITMENT_SERVICE_CLASS_STATUS": [("N-ACTION", "1.2.840.10008.1.20.1")],
    "STORAGE_MANAGEMENT_SERVICE_CLASS_STATUS": [("N-CREATE", "1.2.840.10008.5.1.4.1.1.201.5")],
    "APPLICATION_EVENT_LOGGING_SERVICE_CLASS_STATUS": [("N-EVENT-REPORT", "1.2.840.10008.1.40")],
    "MEDIA_CREATION_MANAGEMENT_SERVICE_CLASS_STATUS": [("N-ACTION", "1.2.840.10008.5.1.1.33")],
    "UNIFIED_PROCEDURE_STEP_SERVICE_CLASS_STATUS": [("N-ACTION", UPS), ("C-FIND", UPS)],
    "RT_MACHINE_VERIFICATION_SERVICE_CLASS_STATUS": [("N-CREATE", "1.2.840.10008.5.1.4.34.8")],
}


def test_every_table_of_pynetdicom_is_compared() -> None:
    theirs = {name for name in dir(statuses) if name.endswith(("_STATUS", "STATUS"))}
    tables = {name for name in theirs if isinstance(getattr(statuses, name), dict)}
    assert tables == set(TABLES)


@pytest.mark.parametrize("table", sorted(TABLES))
def test_status_codes_and_categories_are_those_of_pynetdicom(table: str) -> None:
    for code, (category, _) in getattr(statuses, table).items():
        ours = [names.status(service, uid, code) for service, uid in TABLES[table]]
        assert {status.category for status in ours} == {category}, hex(code)
        assert {status.code for status in ours} == {code}
        assert any(not s.meaning.startswith("Not defined") for s in ours), hex(code)


@pytest.mark.parametrize("table", sorted(TABLES))
def test_status_defines_nothing_that_pynetdicom_does_not(table: str) -> None:
    theirs = getattr(statuses, table)
    for code in range(0x10000):
        if code not in theirs:
            for service, uid in TABLES[table]:
                if service == "C-FIND" and uid == UPS and code in (0xFF00, 0xFF01):
                    continue
                assert names.status(service, uid, code).meaning == f"Not defined for {service}"


@pytest.mark.parametrize(
    ("service", "uid", "code", "category", "meaning"),
    [
        ("C-MOVE", MOVE, 0xA801, "Failure", "Move Destination unknown"),
        ("C-STORE", CT, 0xB000, "Warning", "Coercion of Data Elements"),
        (
            "C-MOVE",
            MOVE,
            0xB000,
            "Warning",
            "Sub-operations Complete - One or More Failures or Warnings",
        ),
        ("C-STORE", CT, 0x0124, "Failure", "Refused: Not Authorized"),
        ("C-STORE", None, 0xA7AB, "Failure", "Refused: Out of Resources"),
        ("C-STORE", HANGING_PROTOCOL, 0xA7AB, "Failure", "Not defined for C-STORE"),
        ("C-STORE", "1.3.12.2.1107.5.9.1", 0xC123, "Failure", "Cannot Understand"),
        ("C-FIND", WORKLIST, 0xC123, "Failure", "Unable to Process"),
        ("C-FIND", WORKLIST, 0xB001, "Warning", "Not defined for C-FIND"),
        ("C-FIND", FIND, 0xFF00, "Pending", "Matches Are Continuing"),
        ("C-FIND", FIND, 0xFE00, "Cancel", "Matching Terminated Due to Cancel Request"),
        ("C-ECHO", None, 0xFE00, "Cancel", "Cancelled"),
        ("C-ECHO", None, 0xC123, "Failure", "Not defined for C-ECHO"),
        ("N-CREATE", MPPS, 0x0110, "Failure", "Processing Failure"),
        (
            "N-SET",
            MPPS,
            0x0110,
            "Failure",
            "Processing Failure: Performed Procedure Step May No Longer Be Updated",
        ),
        ("N-CREATE", MPPS, 0xC616, "Failure", "Not defined for N-CREATE"),
        ("N-SET", "1.2.826.0.1.3680043.2.1", 0xB605, "Warning", "Not defined for N-SET"),
        ("C-FIND", FIND, 0x1234, "Failure", "Not defined for C-FIND"),
        ("", None, 0x0000, "Success", "Success"),
        ("", None, 0xD000, "Failure", "Not defined for this message"),
    ],
)
def test_status_has_the_meaning_of_its_service(
    service: str, uid: str | None, code: int, category: str, meaning: str
) -> None:
    assert names.status(service, uid, code) == (code, category, meaning)


def test_status_of_an_unknown_class_is_looked_up_in_all_n_services() -> None:
    assert names.status("N-SET", None, 0xB605).meaning.startswith("Requested Min or Max Density")
    assert names.status("N-ACTION", None, 0xC300).meaning == "The UPS May No Longer Be Updated"


def test_every_code_has_one_of_five_categories_and_a_meaning() -> None:
    categories = {"Success", "Pending", "Cancel", "Warning", "Failure"}
    for code in range(0x10000):
        status = names.status("C-GET", GET, code)
        assert status.category in categories
        theirs = statuses.code_to_category(code)
        assert status.category == (theirs if theirs != "Unknown" else "Failure"), hex(code)
        assert status.meaning


def test_common_uids_are_pydicoms() -> None:
    assert {uid: UID_dictionary[uid][0] for uid in uids._COMMON} == uids._COMMON


def test_every_uid_of_the_standard_has_its_name() -> None:
    for uid, entry in UID_dictionary.items():
        assert names.uid_name(uid) == (entry[0] or None)
    assert names.uid_name("1.2.276.0.7230010.3.0.3.6.7") is None
    assert names.uid_name("1.2.840.10008.99") is None
    assert names.uid_name("") is None


def test_transfer_syntaxes_newer_than_pydicom_have_their_name() -> None:
    assert names.uid_name("1.2.840.10008.1.2.8.1") == "Deflated Image Frame Compression"
    assert names.uid_name("1.2.840.10008.1.2.4.110") == "JPEG XL Lossless"
    for uid, name in uids._LATER.items():
        assert UID_dictionary.get(uid, (name,))[0] == name


def test_names_need_neither_pydicom_nor_pynetdicom() -> None:
    code = (
        "import sys; from dicomsniff.dicom import names;"
        f"assert names.uid_name('{CT}') == 'CT Image Storage';"
        f"names.uid_name('1.2.3'); names.status('C-STORE', '{CT}', 0xB000);"
        "assert names.uid_name('1.2.840.10008.1.2.4.110x') is None;"
        "assert names.uid_name('1.2.840.10008.1.4.1.2') == 'SPM2 T1 Frame of Reference';"
        "assert not {'pydicom', 'pynetdicom'} & set(sys.modules), 'imported'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_storage_is_what_pydicom_calls_storage() -> None:
    not_over_the_network = {"Media Storage Directory Storage", "Storage Service Class"}
    for uid, (name, kind, *_) in UID_dictionary.items():
        if kind == "SOP Class" and name and name not in not_over_the_network:
            expected = "Storage" in name and "Commitment" not in name
            assert names.is_storage(uid) == expected, name


# pynetdicom's service class, and the services it covers in ours.
SERVICES = {
    "ApplicationEventLoggingServiceClass": {"Application Event Logging"},
    "BasicWorklistManagementServiceClass": {"Modality Worklist"},
    "ColorPaletteQueryRetrieveServiceClass": {"Color Palette Query/Retrieve"},
    "DefinedProcedureProtocolQueryRetrieveServiceClass": {
        "Defined Procedure Protocol Query/Retrieve"
    },
    "DisplaySystemManagementServiceClass": {"Display System"},
    "HangingProtocolQueryRetrieveServiceClass": {"Hanging Protocol Query/Retrieve"},
    "ImplantTemplateQueryRetrieveServiceClass": {"Implant Template Query/Retrieve"},
    "InstanceAvailabilityNotificationServiceClass": {"Instance Availability Notification"},
    "InventoryQueryRetrieveServiceClass": {"Inventory Query/Retrieve"},
    "MediaCreationManagementServiceClass": {"Media Creation"},
    "NonPatientObjectStorageServiceClass": {"Non-Patient Object Storage"},
    "PrintManagementServiceClass": {"Print"},
    "ProcedureStepServiceClass": {"MPPS"},
    "ProtocolApprovalQueryRetrieveServiceClass": {"Protocol Approval Query/Retrieve"},
    "QueryRetrieveServiceClass": {
        "Query/Retrieve - Patient Root",
        "Query/Retrieve - Study Root",
        "Query/Retrieve - Patient/Study Only",
        "Query/Retrieve - Composite Instance Root",
        "Query/Retrieve - Composite Instance Without Bulk Data",
        "Repository Query",
    },
    "RTMachineVerificationServiceClass": {"RT Machine Verification"},
    "RelevantPatientInformationQueryServiceClass": {"Relevant Patient Information Query"},
    "ServiceClass": {"Media Storage"},
    "StorageCommitmentServiceClass": {"Storage Commitment"},
    "StorageManagementServiceClass": {"Storage Management"},
    "StorageServiceClass": {"Storage"},
    "SubstanceAdministrationQueryServiceClass": {"Substance Administration Query"},
    "UnifiedProcedureStepServiceClass": {"UPS"},
    "VerificationServiceClass": {"Verification"},
}


def test_services_are_those_of_pynetdicom() -> None:
    found: dict[str, set[str | None]] = {}
    for group in [g for g in dir(sop_classes) if g.endswith("_CLASSES") and g.startswith("_")]:
        for uid in getattr(sop_classes, group).values():
            if isinstance(uid, str):
                theirs = sop_classes.uid_to_service_class(uid).__name__
                found.setdefault(theirs, set()).add(names.service_name(uid))
    assert found == SERVICES


def test_every_sop_class_has_a_service_and_nothing_else_has() -> None:
    for uid, (name, kind, *_) in UID_dictionary.items():
        if name and kind in ("SOP Class", "Meta SOP Class"):
            assert names.service_name(uid), name
        elif kind == "Transfer Syntax":
            assert names.service_name(uid) is None
    assert names.service_name("1.3.12.2.1107.5.9.1") is None
    assert not names.is_storage("1.3.12.2.1107.5.9.1")


def test_command_elements_are_group_0000_of_pydicom() -> None:
    theirs = {
        tag: (entry[0], entry[4], entry[2])
        for tag, entry in DicomDictionary.items()
        if tag >> 16 == 0
    }
    assert theirs == names.COMMAND_ELEMENTS


def test_command_fields_are_pynetdicoms() -> None:
    assert {code: name for code, (name, _) in _MESSAGE_TYPES.items()} == names.COMMAND_FIELDS


def test_service_of() -> None:
    assert names.service_of("C-FIND-RSP") == "C-FIND"
    assert names.service_of("N-EVENT-REPORT-RQ") == "N-EVENT-REPORT"
    assert names.service_of("C-CANCEL-RQ") == "C-CANCEL"
    for kind in ("UNDECODED", "GAP", "A-ASSOCIATE-RQ", "CONNECTION-LOST", ""):
        assert names.service_of(kind) == ""

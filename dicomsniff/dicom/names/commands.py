"""Command sets: command fields, priorities and the elements of group 0000 (PS3.7 9.3, 10.3, E)."""

from __future__ import annotations

from functools import lru_cache

COMMAND_FIELDS = {
    0x0001: "C-STORE-RQ",
    0x8001: "C-STORE-RSP",
    0x0010: "C-GET-RQ",
    0x8010: "C-GET-RSP",
    0x0020: "C-FIND-RQ",
    0x8020: "C-FIND-RSP",
    0x0021: "C-MOVE-RQ",
    0x8021: "C-MOVE-RSP",
    0x0030: "C-ECHO-RQ",
    0x8030: "C-ECHO-RSP",
    0x0FFF: "C-CANCEL-RQ",
    0x0100: "N-EVENT-REPORT-RQ",
    0x8100: "N-EVENT-REPORT-RSP",
    0x0110: "N-GET-RQ",
    0x8110: "N-GET-RSP",
    0x0120: "N-SET-RQ",
    0x8120: "N-SET-RSP",
    0x0130: "N-ACTION-RQ",
    0x8130: "N-ACTION-RSP",
    0x0140: "N-CREATE-RQ",
    0x8140: "N-CREATE-RSP",
    0x0150: "N-DELETE-RQ",
    0x8150: "N-DELETE-RSP",
}
"""Command Field (0000,0100): what a message is."""

PRIORITIES = {0x0000: "MEDIUM", 0x0001: "HIGH", 0x0002: "LOW"}
"""Priority (0000,0700)."""

COMMAND_ELEMENTS = {
    0x0000: ("UL", "CommandGroupLength", "Command Group Length"),
    0x0001: ("UL", "CommandLengthToEnd", "Command Length to End"),
    0x0002: ("UI", "AffectedSOPClassUID", "Affected SOP Class UID"),
    0x0003: ("UI", "RequestedSOPClassUID", "Requested SOP Class UID"),
    0x0010: ("SH", "CommandRecognitionCode", "Command Recognition Code"),
    0x0100: ("US", "CommandField", "Command Field"),
    0x0110: ("US", "MessageID", "Message ID"),
    0x0120: ("US", "MessageIDBeingRespondedTo", "Message ID Being Responded To"),
    0x0200: ("AE", "Initiator", "Initiator"),
    0x0300: ("AE", "Receiver", "Receiver"),
    0x0400: ("AE", "FindLocation", "Find Location"),
    0x0600: ("AE", "MoveDestination", "Move Destination"),
    0x0700: ("US", "Priority", "Priority"),
    0x0800: ("US", "CommandDataSetType", "Command Data Set Type"),
    0x0850: ("US", "NumberOfMatches", "Number of Matches"),
    0x0860: ("US", "ResponseSequenceNumber", "Response Sequence Number"),
    0x0900: ("US", "Status", "Status"),
    0x0901: ("AT", "OffendingElement", "Offending Element"),
    0x0902: ("LO", "ErrorComment", "Error Comment"),
    0x0903: ("US", "ErrorID", "Error ID"),
    0x1000: ("UI", "AffectedSOPInstanceUID", "Affected SOP Instance UID"),
    0x1001: ("UI", "RequestedSOPInstanceUID", "Requested SOP Instance UID"),
    0x1002: ("US", "EventTypeID", "Event Type ID"),
    0x1005: ("AT", "AttributeIdentifierList", "Attribute Identifier List"),
    0x1008: ("US", "ActionTypeID", "Action Type ID"),
    0x1020: ("US", "NumberOfRemainingSuboperations", "Number of Remaining Sub-operations"),
    0x1021: ("US", "NumberOfCompletedSuboperations", "Number of Completed Sub-operations"),
    0x1022: ("US", "NumberOfFailedSuboperations", "Number of Failed Sub-operations"),
    0x1023: ("US", "NumberOfWarningSuboperations", "Number of Warning Sub-operations"),
    0x1030: (
        "AE",
        "MoveOriginatorApplicationEntityTitle",
        "Move Originator Application Entity Title",
    ),
    0x1031: ("US", "MoveOriginatorMessageID", "Move Originator Message ID"),
    0x4000: ("LT", "DialogReceiver", "Dialog Receiver"),
    0x4010: ("LT", "TerminalType", "Terminal Type"),
    0x5010: ("SH", "MessageSetID", "Message Set ID"),
    0x5020: ("SH", "EndMessageID", "End Message ID"),
    0x5110: ("LT", "DisplayFormat", "Display Format"),
    0x5120: ("LT", "PagePositionID", "Page Position ID"),
    0x5130: ("CS", "TextFormatID", "Text Format ID"),
    0x5140: ("CS", "NormalReverse", "Normal/Reverse"),
    0x5150: ("CS", "AddGrayScale", "Add Gray Scale"),
    0x5160: ("CS", "Borders", "Borders"),
    0x5170: ("IS", "Copies", "Copies"),
    0x5180: ("CS", "CommandMagnificationType", "Command Magnification Type"),
    0x5190: ("CS", "Erase", "Erase"),
    0x51A0: ("CS", "Print", "Print"),
    0x51B0: ("US", "Overlays", "Overlays"),
}
"""Elements of group 0000 by tag: VR, keyword, name (PS3.7 E.1, and the retired ones of E.2)."""


@lru_cache(maxsize=64)  # the same string for all messages of a kind
def service_of(kind: str) -> str:
    """Return the DIMSE service of a message kind: ``C-FIND`` for ``C-FIND-RSP``, else empty."""
    service, _, direction = kind.rpartition("-")
    return service if direction in ("RQ", "RSP") and service[:2] in ("C-", "N-") else ""

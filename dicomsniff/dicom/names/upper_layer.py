"""Texts of the upper layer protocol: types, results, sources, reasons (PS3.8 9.3).

Where Wireshark has words for a result, a source or a reason and they are right, these are its
words, so that the two can be read side by side.
"""

from __future__ import annotations

PDU_TYPES = {
    0x01: "A-ASSOCIATE-RQ",
    0x02: "A-ASSOCIATE-AC",
    0x03: "A-ASSOCIATE-RJ",
    0x04: "P-DATA-TF",
    0x05: "A-RELEASE-RQ",
    0x06: "A-RELEASE-RP",
    0x07: "A-ABORT",
}
"""PDU types, PS3.8 9.3.1."""

ITEM_TYPES = {
    0x10: "Application Context",
    0x20: "Presentation Context (RQ)",
    0x21: "Presentation Context (AC)",
    0x30: "Abstract Syntax",
    0x40: "Transfer Syntax",
    0x50: "User Information",
    0x51: "Maximum Length",
    0x52: "Implementation Class UID",
    0x53: "Asynchronous Operations Window",
    0x54: "SCP/SCU Role Selection",
    0x55: "Implementation Version Name",
    0x56: "SOP Class Extended Negotiation",
    0x57: "SOP Class Common Extended Negotiation",
    0x58: "User Identity (RQ)",
    0x59: "User Identity (AC)",
}
"""Items and sub-items of A-ASSOCIATE PDUs, PS3.8 9.3.2 and 9.3.3, annex D; PS3.7 D.3.3."""

USER_IDENTITY_TYPES = {
    1: "Username",
    2: "Username and passcode",
    3: "Kerberos service ticket",
    4: "SAML assertion",
    5: "JSON Web Token",
}
"""User identity types, PS3.7 D.3.3.7.1."""

_QUERY_FIELDS = {
    0: "Relational queries",
    1: "Combined date-time matching",
    2: "Fuzzy semantic matching of person names",
    3: "Timezone query adjustment",
    4: "Enhanced multi-frame image conversion",
}
_STORAGE_FIELDS = {0: "Level of support", 2: "Level of digital signature", 4: "Element coercion"}


def extended_fields(service: str | None) -> dict[int, str]:
    """Return what the bytes of a SOP class extended negotiation (56H) stand for, by offset.

    PS3.4 annex B for storage, annexes C and K for queries, which share one numbering. Empty where
    no service is named, or one that is not among these.
    """
    if service == "Storage":
        return _STORAGE_FIELDS
    if service is not None and (
        service.startswith("Query/Retrieve") or service == "Modality Worklist"
    ):
        return _QUERY_FIELDS
    return {}


_CONTEXT_RESULTS = (
    "acceptance",
    "user-rejection",
    "no-reason",
    "abstract-syntax-not-supported",
    "transfer-syntaxes-not-supported",
)

_REJECT_RESULTS = {1: "Reject Permanent", 2: "Reject Transient"}
_REJECT_SOURCES = {1: "User", 2: "Provider (ACSE)", 3: "Provider (Presentation)"}
_REJECT_REASONS = {
    (1, 1): "No reason given",
    (1, 2): "Application context name not supported",
    (1, 3): "Calling AE title not recognized",
    (1, 7): "Called AE title not recognized",
    (2, 1): "No reason given",
    (2, 2): "Protocol version not supported",
    (3, 1): "Temporary congestion",
    (3, 2): "Local limit exceeded",
}
_REJECT_RESERVED = {(1, 4), (1, 5), (1, 6), (1, 8), (1, 9), (1, 10)} | {
    (3, reason) for reason in (0, 3, 4, 5, 6, 7)
}

_ABORT_SOURCES = {0: "User", 1: "Reserved (1)", 2: "Provider"}
_ABORT_REASONS = {
    0: "Not specified",
    1: "Unrecognized PDU",
    2: "Unexpected PDU",
    3: "Reserved (3)",
    4: "Unrecognized PDU parameter",
    5: "Unexpected PDU parameter",
    6: "Invalid PDU parameter value",
}


def _undefined(number: int) -> str:
    return f"Undefined ({number})"


def reject_text(result: int, source: int, reason: int) -> tuple[str, str, str]:
    """Return result, source and reason of an A-ASSOCIATE-RJ in words (PS3.8 table 9-21).

    What a reason means depends on its source. A number the table keeps for later reads
    ``Reserved (n)``, one it does not list ``Undefined (n)``.
    """
    text = _REJECT_REASONS.get((source, reason))
    if text is None:
        reserved = (source, reason) in _REJECT_RESERVED
        text = f"Reserved ({reason})" if reserved else _undefined(reason)
    return (
        _REJECT_RESULTS.get(result) or _undefined(result),
        _REJECT_SOURCES.get(source) or _undefined(source),
        text,
    )


def abort_text(source: int, reason: int) -> tuple[str, str]:
    """Return source and reason of an A-ABORT in words (PS3.8 table 9-26).

    A reason has a meaning only when the provider aborts; from the user it is ``N/A``.
    """
    who = _ABORT_SOURCES.get(source) or _undefined(source)
    if source == 0:
        return who, "N/A"
    return who, _ABORT_REASONS.get(reason) or _undefined(reason)


def context_result(result: int) -> str:
    """Return the result of a presentation context in the standard's words (PS3.8 table 9-18).

    A number the table does not list reads ``undefined (n)``.
    """
    if 0 <= result < len(_CONTEXT_RESULTS):
        return _CONTEXT_RESULTS[result]
    return f"undefined ({result})"

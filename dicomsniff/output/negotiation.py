"""What two sides negotiated, as the transcript's JSON values, redacted on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dicomsniff.dicom import names
from dicomsniff.model import ContextItem, PresentationContext, UserInformation
from dicomsniff.output.redact import Redactor

if TYPE_CHECKING:
    from dicomsniff.output import schema
    from dicomsniff.output.schema import ContextResult

_CONTEXT_RESULTS: Final[tuple[ContextResult, ...]] = (
    "acceptance",
    "user-rejection",
    "no-reason",
    "abstract-syntax-not-supported",
    "transfer-syntaxes-not-supported",
)
"""PS3.8 table 9-18."""

EXTENDED_NEGOTIATION_KNOWN: Final = 6
"""Bytes of service class application information that PS3.4 gives a meaning, at most."""

_QUERY_FIELDS: Final = (
    "relational_queries",
    "combined_date_time_matching",
    "fuzzy_semantic_matching_of_person_names",
    "timezone_query_adjustment",
    "enhanced_multi_frame_image_conversion",
)
"""PS3.4 table C.5.1.1-1 and C.5.2.1-1, a byte each."""

_STORAGE_FIELDS: Final = (
    "level_of_support",
    "reserved",
    "level_of_digital_signature_support",
    "reserved",
    "element_coercion",
)
"""PS3.4 table B.3-1, a byte each."""

UIDS_REMEMBERED: Final = 4096
"""UIDs kept with their shape. The few of a negotiation come again in every message; more than this
many are instances that came once."""


def _identity_type(number: int) -> str:
    return names.USER_IDENTITY_TYPES.get(number, f"undefined ({number})")


class Negotiation:
    """Makes the shapes of UIDs, AE titles, presentation contexts and user information."""

    def __init__(self, redactor: Redactor) -> None:
        self.redactor = redactor
        self._classes: dict[str, schema.Uid] = {}

    def class_uid(self, uid: str | None) -> schema.Uid | None:
        """A UID of the negotiation, with its name."""
        return None if uid is None else self.negotiated(uid)

    def negotiated(self, uid: str) -> schema.Uid:
        """The same for one that is there."""
        shape = self._classes.get(uid)
        if shape is None:
            if len(self._classes) >= UIDS_REMEMBERED:
                self._classes.clear()
            shape = {"uid": self.redactor.class_uid(uid), "name": names.uid_name(uid)}
            self._classes[uid] = shape
        return shape

    def sop_class(self, uid: str | None) -> schema.Uid | None:
        """A SOP class of a message. One that nobody negotiated and PS3.6 does not know may be
        anything."""
        if uid is None:
            return None
        known = self._classes.get(uid)
        return known or {"uid": self.redactor.uid(uid), "name": names.uid_name(uid)}

    def coded(self, number: int, text: str) -> schema.Coded:
        """A number of the protocol with its text."""
        return {"number": number, "text": text}

    def ae_title(self, title: str | None) -> str | None:
        """An application entity title."""
        return None if title is None else self.redactor.ae_title(title)

    def implementation(self, uid: str | None) -> schema.Uid | None:
        """An implementation class UID: it names a product, so it stays as it is."""
        return None if uid is None else self.negotiated(uid)

    def presentation_context(self, context: PresentationContext) -> schema.PresentationContext:
        """A presentation context as it was proposed and answered."""
        number = context.result
        known = number is not None and 0 <= number < len(_CONTEXT_RESULTS)
        return {
            "id": context.id,
            "abstract_syntax": self.class_uid(context.abstract_syntax),
            "proposed_transfer_syntaxes": [
                self.negotiated(uid) for uid in context.proposed_transfer_syntaxes
            ],
            "result": _CONTEXT_RESULTS[number or 0] if known else None,
            "result_number": number,
            "transfer_syntax": self.class_uid(context.transfer_syntax),
        }

    def user_information(self, told: UserInformation | None) -> schema.UserInformation | None:
        """User information of one side, each of its sub-items."""
        if told is None:
            return None
        window, identity = told.asynchronous_operations_window, told.user_identity
        return {
            "maximum_length": told.maximum_length,
            "implementation_class_uid": self.implementation(told.implementation_class_uid),
            "asynchronous_operations_window": None
            if window is None
            else {"invoked": window[0], "performed": window[1]},
            "role_selections": [
                {
                    "sop_class": self.negotiated(role.sop_class_uid),
                    "scu_role": role.scu_role,
                    "scp_role": role.scp_role,
                }
                for role in told.role_selections
            ],
            "implementation_version_name": told.implementation_version_name,
            "extended_negotiations": [
                self.extended_negotiation(item.sop_class_uid, item.application_information)
                for item in told.extended_negotiations
            ],
            "common_extended_negotiations": [
                {
                    "sop_class": self.negotiated(item.sop_class_uid),
                    "service_class": self.negotiated(item.service_class_uid),
                    "related_general_sop_classes": [
                        self.negotiated(uid) for uid in item.related_general_sop_class_uids
                    ],
                }
                for item in told.common_extended_negotiations
            ],
            "user_identity": None
            if identity is None
            else {
                "type": self.coded(identity.type, _identity_type(identity.type)),
                "positive_response_requested": identity.positive_response_requested,
                "username": None
                if identity.username is None
                else self.redactor.user_name(identity.username),
                "primary_length": identity.primary_length,
                "secondary_length": identity.secondary_length,
            },
            "user_identity_response_length": told.user_identity_response_length,
            "unknown_items": self.unknown_items(told.unknown_items),
        }

    def extended_negotiation(self, uid: str, told: bytes) -> schema.ExtendedNegotiation:
        """Service class application information, by name where the service class is known.

        What a private SOP class means by its bytes nobody knows, so they are only measured where
        values are masked.
        """
        service = names.service_name(uid) or ""
        fields: tuple[str, ...] = ()
        if service == "Storage":
            fields = _STORAGE_FIELDS
        elif service.startswith("Query/Retrieve"):
            fields = _QUERY_FIELDS
        named = names.uid_name(uid) is not None and len(told) <= EXTENDED_NEGOTIATION_KNOWN
        return {
            "sop_class": self.negotiated(uid),
            "length": len(told),
            "application_information": told.hex() if named or self.redactor.keep_phi else None,
            "fields": {
                name: value for name, value in zip(fields, told, strict=False) if name != "reserved"
            },
        }

    def unknown_items(self, items: tuple[tuple[int, bytes], ...]) -> list[schema.UnknownItem]:
        """Items that no standard names, measured: what they hold may be anything."""
        return [{"type": f"0x{kind:02X}", "length": len(content)} for kind, content in items]

    def context_item(self, item: ContextItem) -> schema.ContextItem:
        """A presentation context item as the PDU has it."""
        shape: schema.ContextItem = {
            "id": item.id,
            "transfer_syntaxes": [self.negotiated(uid) for uid in item.transfer_syntaxes],
        }
        if item.result is None:
            shape["abstract_syntax"] = self.class_uid(item.abstract_syntax)
        else:
            shape["result"] = self.coded(item.result, names.context_result(item.result))
        return shape

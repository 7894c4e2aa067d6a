"""Associations as text, in the layout of the logs that dcmtk and pynetdicom write.

Who reads such logs every day finds everything where it always is. Two things differ: a passive
observer is neither *us* nor *them*, so the sides are called Requestor and Acceptor; and every
block says when it was sent, by whom, in which frames. Values go through the redactor, and nothing
reaches a terminal unescaped.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from dicomsniff.dicom import names
from dicomsniff.dicom.dataset import decode
from dicomsniff.model import (
    AssociatePDU,
    Association,
    Entry,
    Message,
    PresentationContext,
    Side,
    UserInformation,
)
from dicomsniff.output.dump_dataset import dataset_lines
from dicomsniff.output.info import escape
from dicomsniff.output.redact import Redactor
from dicomsniff.output.shapes import Shaper
from dicomsniff.output.times import time_text
from dicomsniff.output.tls import facts

WIDTH: Final = 65
"""Columns of the lines that begin and end a block, in dcmtk's logs."""

_LABEL: Final = 30
"""Columns of a label in a DIMSE message."""

_ROLES: Final = {(0, 0): "None", (0, 1): "SCP", (1, 0): "SCU", (1, 1): "SCU/SCP"}

_COMMAND: Final = (
    (0x0110, "Message ID"),
    (0x0120, "Message ID Being Responded To"),
    (0x0002, "Affected SOP Class UID"),
    (0x0003, "Requested SOP Class UID"),
    (0x1000, "Affected SOP Instance UID"),
    (0x1001, "Requested SOP Instance UID"),
    (0x1002, "Event Type ID"),
    (0x1008, "Action Type ID"),
    (0x1005, "Attribute Identifier List"),
    (0x1020, "Remaining Suboperations"),
    (0x1021, "Completed Suboperations"),
    (0x1022, "Failed Suboperations"),
    (0x1023, "Warning Suboperations"),
    (0x0600, "Move Destination"),
    (0x1030, "Move Originator AE Title"),
    (0x1031, "Move Originator ID"),
)
"""Elements of a command set and their labels, in the order of dcmtk's logs."""

_LAST: Final = ((0x0901, "Offending Element"), (0x0902, "Error Comment"), (0x0903, "Error ID"))
"""Those that stand behind the status."""

_TOLD: Final = frozenset(
    (0x0000, 0x0100, 0x0700, 0x0800, 0x0900, *(tag for tag, _ in (*_COMMAND, *_LAST)))
)


def dump(association: Association, redactor: Redactor) -> Iterator[str]:
    """An association that has ended, as lines of text without their ends."""
    return _Dump(association, redactor).lines()


def dump_entry(association: Association, entry: Entry, redactor: Redactor) -> Iterator[str]:
    """One row of an association, as :func:`dump` has it."""
    return _Dump(association, redactor).entry(entry)


class _Dump:
    """One association."""

    def __init__(self, association: Association, redactor: Redactor) -> None:
        self.association = association
        self.redactor = redactor
        self.shaper = Shaper(redactor)
        for context in association.contexts.values():
            self.shaper.presentation_context(context)  # so that its classes are known

    def lines(self) -> Iterator[str]:
        association = self.association
        requestor, acceptor = association.requestor, association.acceptor
        yield _rule(f"ASSOCIATION {association.id}")
        for side, peer in (("Requestor", requestor), ("Acceptor", acceptor)):
            title = self.title(peer.ae_title) if peer.ae_title is not None else "(not captured)"
            address = self.redactor.address(peer.address)
            yield f"{side + ':':<11}{title} at {address} port {peer.port}"
        yield f"Began:     {time_text(association.started)}"
        seconds = association.duration / 1_000_000_000
        yield f"Ended:     {time_text(association.ended)} ({seconds:.6f} s)"
        outcome: str = association.outcome
        if association.outcome_detail:
            outcome += f" ({escape(association.outcome_detail)})"
        yield f"Outcome:   {outcome}"
        if association.partial and not association.opaque:
            yield "Its beginning was not captured."
        if association.tls is not None:
            redactor = self.redactor
            for label, text in facts(association.tls, redactor.host_name, redactor.user_name):
                yield f"{label + ': ':<11}{text}"
        for entry in association.timeline:
            yield ""
            yield from self.entry(entry)
        yield ""
        yield _rule(f"END ASSOCIATION {association.id}")
        yield ""

    def entry(self, entry: Entry) -> Iterator[str]:
        """A row of the timeline, and the block that dcmtk would log for it."""
        association = self.association
        elapsed = (entry.time - association.started) / 1_000_000_000
        shown = self.shaper.info(association, entry)
        frames = _frames(entry)
        yield f"{time_text(entry.time)} {elapsed:+.6f} s, {frames}, {entry.sender}: {shown}"
        if entry.message is not None:
            yield from self.message(entry, entry.message)
        elif isinstance(entry.pdu, AssociatePDU):
            yield from self.parameters(entry.pdu)
        for fault in entry.faults:
            yield f"W: {escape(fault.text)} (bytes {fault.start} to {fault.end})"

    # ------------------------------------------------------------------ parameters

    def parameters(self, pdu: AssociatePDU) -> Iterator[str]:
        """What was asked for; in an answer, what both sides have agreed on so far."""
        association = self.association
        answered = pdu.kind == "A-ASSOCIATE-AC"
        told: dict[Side, UserInformation | None] = {
            "requestor": association.requestor.user_information if answered else None,
            "acceptor": None,
        }
        told["acceptor" if answered else "requestor"] = pdu.user_information
        yield _rule(f"BEGIN {pdu.kind}")
        for side, name in (("requestor", "Requestor"), ("acceptor", "Acceptor")):
            info = told[side]  # type: ignore[index]
            uid = info.implementation_class_uid if info else None
            version = info.implementation_version_name if info else None
            yield _pair(f"{name} Implementation Class UID:", self.plain_uid(uid))
            yield _pair(f"{name} Implementation Version Name:", escape(version or ""))
        yield _pair("Application Context Name:", self.plain_uid(pdu.application_context))
        yield _pair("Calling Application Name:", self.title(pdu.calling_ae_title))
        yield _pair("Called Application Name:", self.title(pdu.called_ae_title))
        for side, name in (("requestor", "Requestor"), ("acceptor", "Acceptor")):
            info = told[side]  # type: ignore[index]
            size = info.maximum_length if info else None
            yield _pair(f"{name} Max PDU Receive Size:", "" if size is None else str(size))
        yield "Presentation Contexts:"
        for item in pdu.contexts:
            context = association.contexts.get(item.id)
            if answered and context is not None:
                yield from self.answered(context, told)
            elif answered:
                yield f"  Context ID:        {item.id} (Answered, Never Proposed)"
            else:
                proposed = PresentationContext(
                    item.id, item.abstract_syntax, item.transfer_syntaxes
                )
                yield from self.proposed(proposed, told["requestor"])
        yield from self.items("Requested", told["requestor"])
        yield from self.items("Accepted", told["acceptor"])
        yield from self.identity(told["requestor"], told["acceptor"])
        yield _rule(f"END {pdu.kind}")

    def proposed(self, context: PresentationContext, info: UserInformation | None) -> Iterator[str]:
        """A context of a request."""
        yield f"  Context ID:        {context.id} (Proposed)"
        yield f"    Abstract Syntax: {self.uid(context.abstract_syntax)}"
        yield f"    Proposed SCP/SCU Role: {_role(info, context.abstract_syntax)}"
        yield "    Proposed Transfer Syntax(es):"
        for uid in context.proposed_transfer_syntaxes:
            yield f"      {self.uid(uid)}"

    def answered(
        self, context: PresentationContext, told: dict[Side, UserInformation | None]
    ) -> Iterator[str]:
        """A context and the answer to it."""
        result = context.result
        if result == 0:
            word = "Accepted"
        elif result is None:
            word = "Not Answered"
        else:
            word = f"Rejected: {names.context_result(result)}"
        yield f"  Context ID:        {context.id} ({word})"
        yield f"    Abstract Syntax: {self.uid(context.abstract_syntax)}"
        syntax = context.abstract_syntax
        yield f"    Proposed SCP/SCU Role: {_role(told['requestor'], syntax)}"
        if result == 0:
            yield f"    Accepted SCP/SCU Role: {_role(told['acceptor'], syntax)}"
            yield f"    Accepted Transfer Syntax: {self.uid(context.transfer_syntax)}"

    def items(self, word: str, info: UserInformation | None) -> Iterator[str]:
        """What user information holds beside the roles."""
        window = info.asynchronous_operations_window if info else None
        if window is not None:
            invoked, performed = (str(count) if count else "unlimited" for count in window)
            yield f"{word} Asynchronous Operations Window: {invoked} invoked, {performed} performed"
        extended = info.extended_negotiations if info else ()
        yield f"{word} Extended Negotiation:{'' if extended else ' none'}"
        for item in extended:
            shape = self.shaper.extended_negotiation(
                item.sop_class_uid, item.application_information
            )
            yield f"  SOP Class: {self.uid(item.sop_class_uid)}"
            said = shape["application_information"]
            yield f"    {shape['length']} bytes{'' if said is None else ': ' + said}"
            for name, value in shape["fields"].items():
                yield f"    {name.replace('_', ' ')}: {value}"
        common = info.common_extended_negotiations if info else ()
        if common:
            yield f"{word} Common Extended Negotiation:"
        for one in common:
            yield f"  SOP Class: {self.uid(one.sop_class_uid)}"
            yield f"    Service Class: {self.uid(one.service_class_uid)}"
            for uid in one.related_general_sop_class_uids:
                yield f"    Related General SOP Class: {self.uid(uid)}"

    def identity(
        self, asked: UserInformation | None, answered: UserInformation | None
    ) -> Iterator[str]:
        """Who the user is said to be; never the proof."""
        identity = asked.user_identity if asked else None
        yield f"Requested User Identity Negotiation:{' none' if identity is None else ''}"
        if identity is not None:
            word = names.USER_IDENTITY_TYPES.get(identity.type, "undefined")
            yield f"  Authentication mode {identity.type}: {word}"
            if identity.username is not None:
                yield f"  Username: [{escape(self.redactor.user_name(identity.username))}]"
            else:
                yield f"  Primary field: {identity.primary_length} bytes, never shown"
            if identity.secondary_length:
                yield f"  Passcode: {identity.secondary_length} bytes, never shown"
            positive = "Yes" if identity.positive_response_requested else "No"
            yield f"  Positive Response requested: {positive}"
        length = answered.user_identity_response_length if answered else None
        shown = "none" if length is None else f"{length} bytes, never shown"
        yield f"User Identity Negotiation Response:  {shown}"

    # ------------------------------------------------------------------ messages

    def message(self, entry: Entry, message: Message) -> Iterator[str]:
        """A DIMSE message with its data set."""
        side = "REQUESTOR" if entry.sender == "requestor" else "ACCEPTOR"
        command = self.shaper.command(message)
        yield _rule(f"DIMSE MESSAGE FROM THE {side}")
        yield _pair("Message Type", " ".join(message.kind.rsplit("-", 1)), ":")
        yield _pair("Presentation Context ID", str(message.context_id), ":")
        for tag, label in _COMMAND:
            yield from self.element(command, tag, label)
        present = "none" if message.dataset is None else "present"
        yield _pair("Data Set", present, ":")
        priority = message.command.get(0x0700)
        if priority is not None and isinstance(priority.value, int):
            word = names.PRIORITIES.get(priority.value, f"0x{priority.value:04x}").lower()
            yield _pair("Priority", word, ":")
        if message.status is not None:
            status = names.status(message.service, message.sop_class, message.status)
            text = f"0x{message.status:04x}: {status.category}"
            if status.meaning != status.category:
                text += f": {status.meaning}"
            yield _pair("DIMSE Status", text, ":")
        for tag, label in _LAST:
            yield from self.element(command, tag, label)
        for tag in message.command:
            if tag not in _TOLD:
                known = names.COMMAND_ELEMENTS.get(tag)
                label = known[2] if known else f"({tag >> 16:04x},{tag & 0xFFFF:04x})"
                yield from self.element(command, tag, label)
        yield _rule("END DIMSE MESSAGE")
        if message.dataset is not None:
            yield ""
            yield from dataset_lines(
                decode(message.dataset, message.transfer_syntax), message.dataset, self.redactor
            )

    def element(self, command: dict[str, Any], tag: int, label: str) -> Iterator[str]:
        """An element of the command set, redacted already."""
        element = command.get(f"{tag:08X}")
        if element is None:
            return
        values = element.get("Value", [])
        if element["vr"] == "UI":
            shown = ", ".join(names.uid_name(str(value)) or str(value) for value in values)
        else:
            shown = "\\".join(map(str, values))
        if "InlineBinary" in element or "BulkDataURI" in element:
            shown = "(bytes)"
        yield _pair(label, escape(shown) or "(empty)", ":")

    # ------------------------------------------------------------------ values

    def title(self, title: str) -> str:
        """An AE title."""
        return escape(self.redactor.ae_title(title))

    def plain_uid(self, uid: str | None) -> str:
        """A UID that the logs show as it is."""
        return "" if uid is None else escape(self.redactor.class_uid(uid))

    def uid(self, uid: str | None) -> str:
        """A UID of the negotiation: its name where it has one, as the logs have it."""
        if uid is None:
            return "(not captured)"
        name = names.uid_name(uid)
        return f"={name}" if name is not None else escape(self.redactor.class_uid(uid))


def _rule(text: str) -> str:
    return f" {text} ".center(WIDTH, "=")


def _pair(label: str, value: str, sign: str = "") -> str:
    if sign:
        return f"{label:<{_LABEL}}{sign} {value}"
    return f"{label:<41}{value}".rstrip()


def _role(info: UserInformation | None, sop_class: str | None) -> str:
    """The roles selected for a SOP class (54H), as dcmtk names them."""
    for role in info.role_selections if info else ():
        if role.sop_class_uid == sop_class:
            return _ROLES.get((role.scu_role, role.scp_role), f"{role.scu_role}/{role.scp_role}")
    return "Default"


def _frames(entry: Entry) -> str:
    if entry.frame_count <= 1:
        return f"frame {entry.last_frame}"
    first = entry.frames[0] if entry.frames else entry.last_frame
    return f"frames {first} to {entry.last_frame} ({entry.frame_count})"

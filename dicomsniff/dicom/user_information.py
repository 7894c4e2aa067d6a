"""User information item (50H) with its sub-items 51H to 59H: PS3.8 9.3.2.3, D.1; PS3.7 D.3.3.

The secrets of a user identity (58H, 59H) are measured, never kept, and no node shows them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from dicomsniff.dicom.items import (
    aligned,
    counted_uid,
    hidden,
    items,
    uid_field,
    unknown_item,
)
from dicomsniff.dicom.names.uids import service_name
from dicomsniff.dicom.names.upper_layer import (
    ITEM_TYPES,
    USER_IDENTITY_TYPES,
    extended_fields,
)
from dicomsniff.dicom.reader import Reader, hexadecimal
from dicomsniff.model import (
    CommonExtendedNegotiation,
    ExtendedNegotiation,
    Node,
    RoleSelection,
    UserIdentity,
    UserInformation,
)

VERSION_NAME_LENGTH: Final = 16
"""Longest implementation version name (PS3.7 D.3.3.2.3)."""

_ODD_NAME: Final = re.compile(r"[^ -~]").search
_OUTER_TYPES: Final = frozenset((0x10, 0x20, 0x21, 0x50))
_SUB_TYPES: Final = frozenset(range(0x51, 0x60))


class UserItems:
    """What the user information items of a PDU say, while they are being read."""

    def __init__(self) -> None:
        self.seen: set[int] = set()
        self.maximum_length: int | None = None
        self.implementation_class_uid: str | None = None
        self.implementation_version_name: str | None = None
        self.window: tuple[int, int] | None = None
        self.roles: dict[str, RoleSelection] = {}
        self.extended: dict[str, ExtendedNegotiation] = {}
        self.common_extended: dict[str, CommonExtendedNegotiation] = {}
        self.identity: UserIdentity | None = None
        self.identity_response: int | None = None
        self.unknown: list[tuple[int, bytes]] = []
        self.misfit = False
        """The lengths within a user identity do not fit the item."""
        self.outer_checked = False
        self.spoilt = False
        """The items behind a user identity are none: they are the rest of its secret."""

    def once(self, kind: int, item: Reader, start: int) -> bool:
        """Tell whether an item that may come once comes for the first time; if not, a fault."""
        if kind not in self.seen:
            self.seen.add(kind)
            return True
        item.fault(f"{ITEM_TYPES[kind]} item comes more than once", start, item.end)
        return False

    def read(self, item: Reader, outer: Reader) -> None:
        """Read the sub-items of a user information item that stands in ``outer``."""
        checked = False
        for kind, start, sub in items(item, _second_byte):
            handler = _SUB_ITEMS.get(kind)
            if handler is None:
                unknown_item(self.unknown, kind, start, sub)
                continue
            handler(self, start, sub)
            if kind in (0x58, 0x59) and not checked:
                # Once for each chain is enough: what is read from here on is that very chain.
                checked = True
                if not self._in_order(item, outer):
                    self.spoilt = True
                    item.fault(
                        "Lengths around a user identity are wrong: what follows is not decoded",
                        start,
                        item.end,
                    )
                    hidden(item, "Behind the user identity")
                    return

    def _in_order(self, item: Reader, outer: Reader) -> bool:
        """Tell whether items stand behind a user identity, rather than the rest of its secret.

        One length too small anywhere around it, and the passcode's tail would be taken for items,
        decoded and shown.
        """
        if self.misfit and outer.cut:
            return False
        if not aligned(item, _SUB_TYPES):
            return False
        if not self.outer_checked:
            self.outer_checked = True
            return aligned(outer, _OUTER_TYPES)
        return True

    def result(self) -> UserInformation:
        """Return what was read."""
        return UserInformation(
            self.maximum_length,
            self.implementation_class_uid,
            self.implementation_version_name,
            self.window,
            tuple(self.roles.values()),
            tuple(self.extended.values()),
            tuple(self.common_extended.values()),
            self.identity,
            self.identity_response,
            tuple(self.unknown),
        )


def _second_byte(kind: int) -> str:
    return "Sub-item version" if kind == 0x57 else "Reserved"


def _maximum_length(state: UserItems, start: int, item: Reader) -> None:
    """51H, PS3.8 D.1.1."""
    value = item.u32("Maximum length received", lambda n: "bytes" if n else "no limit")
    item.leftover()
    if state.once(0x51, item, start):
        state.maximum_length = value


def _implementation_class(state: UserItems, start: int, item: Reader) -> None:
    """52H, PS3.7 D.3.3.2.1."""
    uid = uid_field(item, item.limit - item.pos, "Implementation class UID")
    if state.once(0x52, item, start):
        state.implementation_class_uid = uid


def _operations_window(state: UserItems, start: int, item: Reader) -> None:
    """53H, PS3.7 D.3.3.3."""

    def meaning(number: int) -> str:
        return "operations" if number else "no limit"

    invoked = item.u16("Maximum number operations invoked", meaning)
    performed = item.u16("Maximum number operations performed", meaning)
    item.leftover()
    if state.once(0x53, item, start) and invoked is not None and performed is not None:
        state.window = (invoked, performed)


def _role_selection(state: UserItems, start: int, item: Reader) -> None:
    """54H, PS3.7 D.3.3.4."""
    uid = counted_uid(item, "SOP class UID")
    scu = item.u8("SCU role")
    scp = item.u8("SCP role")
    if scu is not None and scp is not None and (scu | scp) > 1:
        item.fault("A role is neither 0 nor 1", item.pos - 2, item.pos)
    item.leftover()
    if uid is None or scu is None or scp is None:
        return
    if uid in state.roles:
        item.fault("Role selection of one SOP class comes more than once", start, item.end)
    else:
        state.roles[uid] = RoleSelection(uid, scu, scp)


def _implementation_version(state: UserItems, start: int, item: Reader) -> None:
    """55H, PS3.7 D.3.3.2.3."""
    begin = item.pos
    text = item.take(item.limit - begin, "Implementation version name").decode("latin-1")
    name = text.strip(" \0")
    item.record("Implementation version name", name, begin)
    if item.cut:
        return
    if not 1 <= len(text) <= VERSION_NAME_LENGTH:
        item.fault(
            f"Implementation version name is {len(text)} characters long, not 1 to "
            f"{VERSION_NAME_LENGTH}",
            begin,
            item.end,
        )
    elif _ODD_NAME(text):
        item.fault(
            "Implementation version name holds characters that are not printable ASCII",
            begin,
            item.end,
        )
    if state.once(0x55, item, start):
        state.implementation_version_name = name


def _extended_negotiation(state: UserItems, start: int, item: Reader) -> None:
    """56H, PS3.7 D.3.3.5."""
    uid = counted_uid(item, "SOP class UID")
    begin = item.pos
    information = item.take(item.remaining, "Service class application information")
    if information and item.node is not None:
        name = "Service class application information"
        item.record(name, hexadecimal(information), begin)
        fields = extended_fields(service_name(uid) if uid else None)
        item.node.children[-1].children = [
            Node(field, str(information[at]), begin + at, begin + at + 1)
            for at, field in fields.items()
            if at < len(information)
        ]
    if uid is None:
        return
    if uid in state.extended:
        item.fault("Extended negotiation of one SOP class comes more than once", start, item.end)
    else:
        state.extended[uid] = ExtendedNegotiation(uid, information)


def _common_extended_negotiation(state: UserItems, start: int, item: Reader) -> None:
    """57H, PS3.7 D.3.3.6."""
    uid = counted_uid(item, "SOP class UID")
    service = counted_uid(item, "Service class UID")
    size = item.u16("Related general SOP class identification length")
    related: list[str] = []
    if size is not None:
        item.fits(size, "Related general SOP class identification")
        node = None
        if item.node is not None:
            node = Node("Related general SOP class identification", "", item.pos, item.pos)
            item.node.children.append(node)
        inner = item.sub(size, node)
        while inner.remaining > 0:
            general = counted_uid(inner, "Related general SOP class UID")
            if general is not None:
                related.append(general)
        if node is not None:
            node.end = inner.end
    # Behind the last field stands a part that the standard reserves for itself.
    item.skip(item.remaining)
    if uid is None:
        return
    if uid in state.common_extended:
        item.fault(
            "Common extended negotiation of one SOP class comes more than once", start, item.end
        )
    else:
        state.common_extended[uid] = CommonExtendedNegotiation(uid, service or "", tuple(related))


def _secret(item: Reader, name: str) -> tuple[int, bool]:
    """Measure and pass over a secret behind its two-byte length: its length, and does it fit."""
    size = item.u16(f"{name} length")
    if size is None:
        # Where the capture ends, nothing can spill; where only the item does, something may.
        return 0, item.cut
    fits = item.fits(size, name)
    start = item.pos
    item.pos = min(start + size, item.end)
    if size:
        item.record(name, f"{size} bytes, not shown", start, sensitive=True)
    return size, fits


def _user_identity(state: UserItems, start: int, item: Reader) -> None:
    """58H, PS3.7 D.3.3.7.1. Keeps a user name (types 1 and 2) and lengths, nothing else."""
    kind = item.u8("User identity type", lambda n: USER_IDENTITY_TYPES.get(n, "not defined"))
    if kind is not None and kind not in USER_IDENTITY_TYPES:
        item.fault(f"User identity type {kind} is not defined", start + 4, start + 5)
    requested = item.u8("Positive response requested", lambda n: "yes" if n == 1 else "no")
    name = None
    if kind in (1, 2):
        length = item.u16("Primary field length")
        size = length or 0
        # A name that runs over its item may have a passcode in it.
        fits = item.cut if length is None else item.fits(length, "Primary field")
        whole = length is not None and item.pos + length <= item.end
        begin = item.pos
        if whole:
            name = item.take(size, "Primary field").decode("utf-8", "replace")
            item.record("Primary field (user name)", name, begin)
        else:
            item.pos = min(begin + size, item.end)
            if size:
                item.record("Primary field", f"{size} bytes, not shown", begin, sensitive=True)
    else:
        size, fits = _secret(item, "Primary field")
    secondary, secondary_fits = _secret(item, "Secondary field")
    if kind == 2 and not secondary and secondary_fits and not item.cut:
        item.fault("A passcode is announced and the secondary field is empty", start, item.end)
    elif kind != 2 and secondary:
        item.fault(f"A secondary field comes with user identity type {kind}", start, item.end)
    if not (fits and secondary_fits):
        state.misfit = True
    item.leftover(sensitive=True)
    if state.once(0x58, item, start) and kind is not None:
        state.identity = UserIdentity(kind, requested == 1, name, size, secondary)


def _user_identity_response(state: UserItems, start: int, item: Reader) -> None:
    """59H, PS3.7 D.3.3.7.2."""
    size, fits = _secret(item, "Server response")
    if not fits:
        state.misfit = True
    item.leftover(sensitive=True)
    if state.once(0x59, item, start):
        state.identity_response = size


_SUB_ITEMS: Final[dict[int, Callable[[UserItems, int, Reader], None]]] = {
    0x51: _maximum_length,
    0x52: _implementation_class,
    0x53: _operations_window,
    0x54: _role_selection,
    0x55: _implementation_version,
    0x56: _extended_negotiation,
    0x57: _common_extended_negotiation,
    0x58: _user_identity,
    0x59: _user_identity_response,
}

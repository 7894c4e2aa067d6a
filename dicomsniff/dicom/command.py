"""Command sets: their elements, and the message that one makes (PS3.7 6.3, E).

A capture may hold millions of messages, and a decoded command set takes ten times the memory of
its bytes. So a message keeps the bytes, and :class:`CommandSet` reads an element when it is asked
for.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, Mapping, ValuesView
from functools import lru_cache
from struct import Struct
from typing import Any, NamedTuple

from dicomsniff.dicom.names import COMMAND_ELEMENTS, COMMAND_FIELDS, service_of
from dicomsniff.model import CommandElement, Fault, Message, PresentationContext

REMEMBERED = 512
"""Different command sets whose meaning is kept: all pending answers to a query have the same bytes,
and so has what devices ask again and again."""

REMEMBERED_LENGTH = 1024
"""Bytes of the longest command set kept so; one without long lists has 100 to 300."""

_ELEMENT = Struct("<HHI")
_US = Struct("<H")
_UL = Struct("<I")
_TAG = Struct("<HH")


class CommandSet(Mapping[int, CommandElement]):
    """The elements of a command set by tag, in order of appearance; a mapping over its bytes.

    Of an element that stands twice the first one counts, as in :func:`decode_command`.
    """

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data

    def __getitem__(self, tag: int) -> CommandElement:
        element = self._find(tag)
        if element is None:
            raise KeyError(tag)
        return element

    def get(self, tag: int, default: Any = None) -> Any:
        """The element of a tag, or ``default``."""
        element = self._find(tag)
        return default if element is None else element

    def _find(self, tag: int) -> CommandElement | None:
        data = self.data
        if not 0 <= tag <= 0xFFFFFFFF or _TAG.pack(tag >> 16, tag & 0xFFFF) not in data:
            return None  # most that are asked for are not there, and this is quick
        at, size = 0, len(data)
        while at + 8 <= size:
            group, element, length = _ELEMENT.unpack_from(data, at)
            end = at + 8 + length
            if group << 16 | element == tag:
                end = min(end, size)
                vr = _vr(group, element)
                return CommandElement(tag, vr, _command_value(vr, data[at + 8 : end])[0], at, end)
            at = end
        return None

    def __contains__(self, tag: object) -> bool:
        return isinstance(tag, int) and self._find(tag) is not None

    def __iter__(self) -> Iterator[int]:
        return iter(decode_command(self.data)[0])

    def __len__(self) -> int:
        return len(decode_command(self.data)[0])

    def __bool__(self) -> bool:
        return len(self.data) >= _ELEMENT.size

    def items(self) -> ItemsView[int, CommandElement]:
        """Tags and elements, decoded once."""
        return decode_command(self.data)[0].items()

    def values(self) -> ValuesView[CommandElement]:
        """Elements, decoded once."""
        return decode_command(self.data)[0].values()

    def __repr__(self) -> str:
        return repr(decode_command(self.data)[0])


def _vr(group: int, element: int) -> str:
    return COMMAND_ELEMENTS[element][0] if group == 0 and element in COMMAND_ELEMENTS else "UN"


def decode_command(data: bytes) -> tuple[dict[int, CommandElement], list[Fault]]:
    """Decode a command set: group 0000 in implicit VR little endian (PS3.7 6.3.1).

    Never raises; elements outside group 0000, unknown ones and repeated ones are kept or told.
    """
    elements: dict[int, CommandElement] = {}
    faults: list[Fault] = []
    at = 0
    size = len(data)
    before = -1
    while at + 8 <= size:
        group, element, length = _ELEMENT.unpack_from(data, at)
        end = at + 8 + length
        tag = group << 16 | element
        if end > size:
            faults.append(
                Fault(
                    f"({group:04X},{element:04X}) is {length} bytes long, {size - at - 8} are left",
                    at,
                    size,
                )
            )
            end = size
        vr = _vr(group, element)
        if group:
            faults.append(
                Fault(f"({group:04X},{element:04X}) does not belong into a command set", at, end)
            )
        if tag in elements:
            faults.append(Fault(f"({group:04X},{element:04X}) stands twice", at, end))
        elif tag < before:
            faults.append(Fault(f"({group:04X},{element:04X}) is not in ascending order", at, end))
        before = tag
        if tag not in elements:
            value, wrong = _command_value(vr, data[at + 8 : end])
            if wrong:
                faults.append(Fault(f"({group:04X},{element:04X}) {wrong}", at, end))
            elements[tag] = CommandElement(tag, vr, value, at, end)
        at = end
    if at < size:
        faults.append(Fault(f"{size - at} bytes behind the last element", at, size))
    group_length = elements.get(0)
    if group_length is None:
        if elements:
            faults.append(Fault("no Command Group Length (0000,0000)", 0, min(8, size)))
    elif group_length.value != size - group_length.end:
        faults.append(
            Fault(
                f"Command Group Length says {group_length.value!r}, "
                f"{size - group_length.end} bytes follow",
                group_length.start,
                group_length.end,
            )
        )
    return elements, faults


def _command_value(vr: str, raw: bytes) -> tuple[int | str | tuple[int, ...] | bytes | None, str]:
    """A command element's value, and what is wrong with it."""
    if not raw:
        return None, ""
    if vr == "US":
        if len(raw) == 2:
            return _US.unpack(raw)[0], ""
        if len(raw) % 2:
            return raw, f"is a number of {len(raw)} bytes"
        return tuple(number for (number,) in _US.iter_unpack(raw)), ""
    if vr == "UL":
        if len(raw) == 4:
            return _UL.unpack(raw)[0], ""
        return raw, f"is a number of {len(raw)} bytes"
    if vr == "AT":
        if len(raw) % 4:
            return raw, f"is a list of tags of {len(raw)} bytes"
        return tuple(group << 16 | element for group, element in _TAG.iter_unpack(raw)), ""
    if vr == "UN":
        return raw, ""
    wrong = f"is {len(raw)} bytes long, an odd number" if len(raw) % 2 else ""
    text = raw.rstrip(b"\0 ") if vr != "UI" else raw.rstrip(b"\0 ").lstrip(b" ")
    if vr == "AE":
        text = text.strip(b" ")
    return _text(text), wrong


def _text(raw: bytes) -> str:
    """Text of a command set, which has no character set of its own (PS3.5 6.1.2.1)."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _number(command: Mapping[int, CommandElement], *tags: int) -> int | None:
    for tag in tags:
        element = command.get(tag)
        if element is not None and isinstance(element.value, int):
            return element.value
    return None


def _string(command: Mapping[int, CommandElement], *tags: int) -> str | None:
    for tag in tags:
        element = command.get(tag)
        if element is not None and isinstance(element.value, str):
            return element.value or None
    return None


class Meaning(NamedTuple):
    """What a command set says of its message."""

    command: CommandSet
    kind: str
    service: str
    is_request: bool
    message_id: int | None
    status: int | None
    sop_class: str | None
    sop_instance: str | None
    dataset_type: CommandElement | None
    """Command Data Set Type (0000,0800)."""
    faults: tuple[Fault, ...]


def read_command(data: bytes) -> Meaning:
    """Read a command set. Never raises."""
    return _remembered(data) if len(data) <= REMEMBERED_LENGTH else _read(data)


def _read(data: bytes) -> Meaning:
    command, faults = decode_command(data)
    return _meaning(command, data, tuple(faults))


_remembered = lru_cache(maxsize=REMEMBERED)(_read)


def _meaning(
    command: Mapping[int, CommandElement], data: bytes, faults: tuple[Fault, ...]
) -> Meaning:
    field = _number(command, 0x0100)
    kind = COMMAND_FIELDS.get(field, "UNDECODED") if field is not None else "UNDECODED"
    is_request = field is None or not field & 0x8000
    identifiers = (0x0110, 0x0120) if is_request and kind != "C-CANCEL-RQ" else (0x0120, 0x0110)
    return Meaning(
        CommandSet(data),
        kind,
        service_of(kind) or "",
        is_request,
        _number(command, *identifiers),
        _number(command, 0x0900),
        _string(command, 0x0002, 0x0003),
        _string(command, 0x1000, 0x1001),
        command.get(0x0800),
        faults,
    )


def make_message(
    context_id: int,
    command: Mapping[int, CommandElement],
    command_bytes: bytes,
    context: PresentationContext | None,
) -> Message:
    """A message from its decoded command set."""
    return message_of(context_id, _meaning(command, command_bytes, ()), context)


def message_of(context_id: int, meaning: Meaning, context: PresentationContext | None) -> Message:
    """A message from the meaning of its command set."""
    (command, kind, service, is_request, message_id, status, sop_class, sop_instance, _, _) = (
        meaning
    )
    abstract_syntax = transfer_syntax = None
    if context is not None:
        abstract_syntax, transfer_syntax = context.abstract_syntax, context.transfer_syntax
        if sop_class == abstract_syntax:
            sop_class = abstract_syntax  # one string for a million messages
    return Message(
        kind,
        service,
        is_request,
        context_id,
        command,
        command.data,
        None,
        abstract_syntax,
        transfer_syntax,
        False,
        message_id,
        status,
        sop_class,
        sop_instance,
    )

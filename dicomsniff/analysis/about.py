"""What a message is about: the UIDs and numbers by which operations of several associations belong
together. Read as cheaply as can be, since every stored object is looked at.

Nothing of this leaves the analysis but as a reason in words; the values may be somebody's.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from dicomsniff.dicom.dataset import decode
from dicomsniff.dicom.elements import Element, Item
from dicomsniff.dicom.encoding import LONG_VRS, SHORT_VRS, UNDEFINED, choose
from dicomsniff.model import DataSetBytes, Message

MPPS: Final = frozenset(
    ("1.2.840.10008.3.1.2.3.3", "1.2.840.10008.3.1.2.3.4", "1.2.840.10008.3.1.2.3.5")
)
"""Modality Performed Procedure Step, its Retrieve and its Notification."""
COMMITMENT: Final = "1.2.840.10008.1.20.1"
WORKLIST: Final = "1.2.840.10008.5.1.4.31"

SOP_CLASS: Final = 0x00080016
SOP_INSTANCE: Final = 0x00080018
ACCESSION: Final = 0x00080050
STUDY: Final = 0x0020000D

_STEP_SEQUENCE: Final = 0x00400100
_STEP_ID: Final = 0x00400009
_SCHEDULED: Final = 0x00400270
_STATE: Final = 0x00400252
_SERIES: Final = 0x00400340
_IMAGES: Final = 0x00081140
_NON_IMAGES: Final = 0x00400220
_REFERENCED: Final = 0x00081199
_FAILED: Final = 0x00081198
_REFERENCED_INSTANCE: Final = 0x00081155
_REASON: Final = 0x00081197
_TRANSACTION: Final = 0x00081195

_HEADERS: Final = {True: struct.Struct("<HH2sH"), False: struct.Struct(">HH2sH")}
_LENGTHS: Final = {True: struct.Struct("<L"), False: struct.Struct(">L")}

INSTANCES_READ: Final = 20_000
"""Instances read of one list: a study of thin slices has thousands."""


class Keys(NamedTuple):
    """What joins an answer, an object or a step with others."""

    studies: tuple[str, ...] = ()
    accessions: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    """Scheduled Procedure Step ID, of which several may go into one performed step."""


class Step(NamedTuple):
    """A performed procedure step, as a message of MPPS tells of it."""

    keys: Keys
    state: str
    """``IN PROGRESS``, ``COMPLETED``, ``DISCONTINUED``; empty where it says nothing of it."""
    instances: tuple[str, ...]
    """SOP Instance UIDs of what was made."""


class Commitment(NamedTuple):
    """A list of instances that are to be committed, or were."""

    transaction: str
    instances: tuple[str, ...]
    failed: tuple[tuple[str, int | None], ...]
    """SOP Instance UIDs with Failure Reason (0008,1197)."""


# ---------------------------------------------------------------------------- quickly


def head(
    data: DataSetBytes, transfer_syntax: str | None, wanted: frozenset[int], last: int
) -> dict[int, str]:
    """Values of elements of the outermost level, as ASCII text, up to the tag ``last``.

    What is not ASCII is left out: it joins nothing. A sequence of undefined length in front of
    ``last`` costs a whole decoding.
    """
    held = data.held
    if not held or held[128:132] == b"DICM":
        return _slowly(data, transfer_syntax, wanted)
    encoding, _ = choose(held, 0, None if data.inflated else transfer_syntax)
    explicit, little = encoding
    header = _HEADERS[little].unpack_from
    long = _LENGTHS[little].unpack_from
    # Up to the first value that was not kept, offsets are those of the wire.
    end = min((skip.at for skip in data.skips), default=len(held))
    found: dict[int, str] = {}
    pos = 0
    while end - pos >= 8:
        group, number, vr, length = header(held, pos)
        tag = group << 16 | number
        if tag > last:
            return found
        value = pos + 8
        if not explicit:
            length = long(held, pos + 4)[0]
        elif vr in LONG_VRS and end - pos >= 12:
            length = long(held, value)[0]
            value += 4
        elif vr not in SHORT_VRS:
            return _slowly(data, transfer_syntax, wanted)
        if length == UNDEFINED:
            return _slowly(data, transfer_syntax, wanted)
        pos = value + length
        if tag in wanted and pos <= end:
            _keep(found, tag, held[value:pos])
    return _slowly(data, transfer_syntax, wanted) if data.skips else found


def _keep(found: dict[int, str], tag: int, raw: bytes) -> None:
    if raw.isascii():
        text = raw.decode("ascii").strip("\0 ")
        if text:
            found.setdefault(tag, text)


def _slowly(
    data: DataSetBytes, transfer_syntax: str | None, wanted: frozenset[int]
) -> dict[int, str]:
    found: dict[int, str] = {}
    for element in decode(data, transfer_syntax).elements:
        if element.tag in wanted and element.values:
            text = "\\".join(map(str, element.values)).strip("\0 ")
            if text.isascii() and text:
                found.setdefault(element.tag, text)
    return found


_OBJECT: Final = frozenset((SOP_CLASS, SOP_INSTANCE, ACCESSION, STUDY))


_OWN: Final = frozenset((SOP_CLASS, SOP_INSTANCE))


def instance(message: Message) -> dict[int, str]:
    """SOP Class and Instance UID of what a C-STORE carries, by tag: a few elements from its
    beginning."""
    if message.dataset is None:
        return {}
    return head(message.dataset, message.transfer_syntax, _OWN, SOP_INSTANCE)


def stored(message: Message) -> dict[int, str]:
    """SOP Class and Instance UID, accession number and Study Instance UID of what a C-STORE
    carries, by tag."""
    if message.dataset is None:
        return {}
    return head(message.dataset, message.transfer_syntax, _OBJECT, STUDY)


# ---------------------------------------------------------------------------- by service


def worklist_item(message: Message) -> Keys:
    """The keys of an answer of the modality worklist."""
    if message.dataset is None:
        return Keys()
    elements = decode(message.dataset, message.transfer_syntax).elements
    return _keys(elements, _STEP_SEQUENCE)


def performed(message: Message) -> Step:
    """What an N-CREATE or N-SET of MPPS says."""
    if message.dataset is None:
        return Step(Keys(), "", ())
    elements = decode(message.dataset, message.transfer_syntax).elements
    instances: list[str] = []
    for series in _items(elements, _SERIES):
        for sequence in (_IMAGES, _NON_IMAGES):
            instances.extend(
                _text(item.elements, _REFERENCED_INSTANCE)
                for item in _items(series.elements, sequence)
            )
    return Step(
        _keys([*elements, *_inside(elements, _SCHEDULED)], _STEP_SEQUENCE),
        _text(elements, _STATE),
        tuple(filter(None, instances))[:INSTANCES_READ],
    )


def commitment(message: Message) -> Commitment:
    """What an N-ACTION or N-EVENT-REPORT of storage commitment lists."""
    if message.dataset is None:
        return Commitment("", (), ())
    elements = decode(message.dataset, message.transfer_syntax).elements
    instances = [
        _text(item.elements, _REFERENCED_INSTANCE) for item in _items(elements, _REFERENCED)
    ]
    failed: list[tuple[str, int | None]] = []
    for item in _items(elements, _FAILED)[:INSTANCES_READ]:
        reason = next((each for each in item.elements if each.tag == _REASON), None)
        code = reason.values[0] if reason is not None and reason.values else None
        failed.append(
            (_text(item.elements, _REFERENCED_INSTANCE), code if isinstance(code, int) else None)
        )
    return Commitment(
        _text(elements, _TRANSACTION),
        tuple(filter(None, instances))[:INSTANCES_READ],
        tuple(failed),
    )


def _keys(elements: list[Element], steps: int) -> Keys:
    """Keys of the outermost level, and step IDs of the sequence ``steps`` too."""
    return Keys(
        _all(elements, STUDY),
        _all(elements, ACCESSION),
        _all([*elements, *_inside(elements, steps)], _STEP_ID),
    )


def _all(elements: list[Element], tag: int) -> tuple[str, ...]:
    texts = (_text([each], tag) for each in elements if each.tag == tag)
    return tuple(dict.fromkeys(filter(None, texts)))


def _inside(elements: list[Element], tag: int) -> list[Element]:
    return [element for item in _items(elements, tag) for element in item.elements]


def _items(elements: list[Element], tag: int) -> list[Item]:
    for element in elements:
        if element.tag == tag:
            return element.items
    return []


def _text(elements: list[Element], tag: int) -> str:
    for element in elements:
        if element.tag == tag:
            return str(element.values[0]).strip("\0 ") if element.values else ""
    return ""

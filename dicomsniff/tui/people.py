"""Masking people on the screen, for looking at it together with others.

The rule is that of the transcript (:mod:`dicomsniff.output.redact`): what is not known to be
harmless gets a pseudonym, equal ones for equal values, so that rows can still be compared. Rows,
faults and findings hold no values of people to begin with; only trees and bytes do.
"""

from __future__ import annotations

import re

from dicomsniff.dicom.elements import DataSet, Element
from dicomsniff.model import Association, CommandElement, Node
from dicomsniff.output.redact import Redactor

OPEN_FIELDS = frozenset({"Called AE title", "Calling AE title", "Implementation version name"})
"""Texts of a PDU that name equipment (PS3.8 9.3.2, PS3.7 D.3.3.2)."""

HARMLESS = re.compile(
    r"\d{1,10}(?: \([^()]*\))?"  # a number, with its meaning
    r"|[0-9A-F]{2}H"
    r"|0[01](?: 0[01])*"  # reserved bytes, and what extended negotiation says yes and no with
    r"|(?:[0-9]+\.)+[0-9]+(?: \(.*\))?"  # a UID: of a class, a syntax, an implementation
    r"|\d+ bytes, not shown"
)
"""Values of a PDU's other fields that say nothing of a person. What stands there instead may."""

ITEM_HEADER = 8
"""Bytes of an item's tag and length (PS3.5 7.5)."""


class People:
    """Whether people are masked, and how."""

    def __init__(self) -> None:
        self.on = False
        self.redactor = Redactor()
        self._heard: set[tuple[object, ...]] = set()

    def hear(self, association: Association) -> None:
        """Take over AE titles and classes of an association, which stay as they are."""
        known = (
            association.id,
            association.requestor.ae_title,
            association.acceptor.ae_title,
            len(association.contexts),
        )
        if known in self._heard:
            return
        self._heard.add(known)
        for peer in (association.requestor, association.acceptor):
            if peer.ae_title:
                self.redactor.ae_title(peer.ae_title)
        for context in association.contexts.values():
            for uid in (context.abstract_syntax, *context.proposed_transfer_syntaxes):
                if uid:
                    self.redactor.class_uid(uid)

    def command(self, element: CommandElement) -> CommandElement:
        """An element of a command set, its value masked where it has to be."""
        if not self.on:
            return element
        return element._replace(value=self.redactor.command_value(element))

    def dataset(self, dataset: DataSet) -> DataSet:
        """A data set as it may be shown."""
        return self.redactor.dataset(dataset) if self.on else dataset

    def text(self, text: str) -> str:
        """Text that may name anybody."""
        return self.redactor.text(text) if self.on else text

    def hides(self, node: Node) -> bool:
        """Whether the value of a PDU's field is masked: that of an item where one in it is."""
        if not self.on or not node.value:
            return False
        if node.children:
            return any(map(self.hides, node.children))
        return node.name not in OPEN_FIELDS and HARMLESS.fullmatch(node.value) is None

    def hidden_fields(self, nodes: list[Node], size: int) -> list[tuple[int, int]]:
        """Spans of a PDU's bytes that are not shown: all but fields that say nothing of a person.
        ``nodes`` are its fields, none where it is not one."""
        if not self.on:
            return []
        open_: list[tuple[int, int]] = []
        waiting = list(nodes)
        while waiting:
            node = waiting.pop()
            if node.children:
                waiting += node.children
            elif not self.hides(node) and "not shown" not in node.value:
                open_.append((node.start, node.end))
        return _complement(open_, size)

    def hidden(self, original: DataSet, shown: DataSet, size: int) -> list[tuple[int, int]]:
        """Spans of a data set's bytes that are not shown: all but headers and equal values."""
        if not self.on:
            return []
        open_: list[tuple[int, int]] = []
        _open_spans(original.elements, shown.elements, open_)
        return _complement(open_, size)


def _complement(spans: list[tuple[int, int]], size: int) -> list[tuple[int, int]]:
    """What of ``size`` bytes is in none of the spans."""
    others: list[tuple[int, int]] = []
    at = 0
    for start, end in sorted(spans):
        if start > at:
            others.append((at, start))
        at = max(at, end)
    if at < size:
        others.append((at, size))
    return others


def _open_spans(
    originals: list[Element], shown: list[Element], spans: list[tuple[int, int]]
) -> None:
    """Spans that say nothing of a person. What was taken for an element and is none is not shown,
    its header included."""
    places = {element.start: element for element in shown}
    for original in originals:
        masked = places.get(original.start)
        if masked is None:
            continue
        spans.append((original.start, original.value_start))
        if original.items:
            for item, masked_item in zip(original.items, masked.items, strict=True):
                spans.append((item.start, item.start + ITEM_HEADER))
                _open_spans(item.elements, masked_item.elements, spans)
        elif original.bulk_length is None and original.values == masked.values:
            spans.append((original.value_start, original.end))

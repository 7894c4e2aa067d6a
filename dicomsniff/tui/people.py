"""Masking people on the screen, for looking at it together with others.

The rule is that of the transcript (:mod:`dicomsniff.output.redact`): what is not known to be
harmless gets a pseudonym, equal ones for equal values, so that rows can still be compared. Rows,
faults and findings hold no values of people to begin with; only trees and bytes do.
"""

from __future__ import annotations

from dicomsniff.dicom.elements import DataSet, Element
from dicomsniff.model import Association, CommandElement
from dicomsniff.output.redact import Redactor

USER_FIELDS = frozenset({"Primary field", "User name", "Username"})
"""Fields of an association request that may name a person (PS3.7 D.3.3.7)."""

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

    def hides_field(self, name: str) -> bool:
        """Whether the value of a PDU's field is masked."""
        return self.on and name in USER_FIELDS

    def hidden(self, original: DataSet, shown: DataSet, size: int) -> list[tuple[int, int]]:
        """Spans of a data set's bytes that are not shown: all but headers and equal values."""
        if not self.on:
            return []
        open_: list[tuple[int, int]] = []
        _open_spans(original.elements, shown.elements, open_)
        hidden: list[tuple[int, int]] = []
        at = 0
        for start, end in sorted(open_):
            if start > at:
                hidden.append((at, start))
            at = max(at, end)
        if at < size:
            hidden.append((at, size))
        return hidden


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

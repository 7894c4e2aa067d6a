"""What a filter looks at: one row of an association, with its operation and its data set."""

from __future__ import annotations

from array import array
from collections import OrderedDict
from typing import Final, Literal

from dicomsniff.dicom.dataset import DataSet, decode
from dicomsniff.model import Association, DataSetBytes, Entry, Message, Operation, Side

DATA_SETS_KEPT: Final = 16
"""Decoded data sets remembered. A filter asks for one several times while it looks at a row, and
hardly ever again; a decoded one may take a hundred times its bytes."""

_NO_OPERATION: Final = -1
_Key = tuple[Side, int, int | None]


class DataSets:
    """Data sets, decoded when first asked for; the last few are remembered."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        # The bytes are kept beside what they decode to, so that no other object gets their id.
        self._kept: OrderedDict[int, tuple[DataSetBytes, str | None, DataSet]] = OrderedDict()

    def get(self, message: Message) -> DataSet | None:
        """The data set of a message, None where it has none."""
        data = message.dataset
        if data is None:
            return None
        syntax = message.transfer_syntax
        key = id(data)
        known = self._kept.get(key)
        if known is not None and known[1] == syntax:
            return known[2]
        decoded = decode(data, syntax)
        self._kept[key] = (data, syntax, decoded)
        if len(self._kept) > DATA_SETS_KEPT:
            self._kept.popitem(last=False)
        return decoded


class Joined:
    """Which operation each row of one association belongs to, kept up while it grows."""

    __slots__ = (
        "_at",
        "_counted",
        "_gaps",
        "_messages",
        "_missing",
        "_open",
        "_operations",
        "_orphans",
        "_rows",
    )

    def __init__(self) -> None:
        self._at = array("i")
        """Place of the operation in the association's list, by entry number less 1."""
        self._operations = 0
        """Operations looked at."""
        self._open: dict[int, int] = {}
        """Operations without final response, by place: responses looked at."""
        self._orphans: dict[_Key, int] = {}
        """Operations whose request was not whole yet, by place; the last one of each key."""
        self._rows = 0
        """Rows that are certain to be joined by now."""
        self._counted = 0
        self._messages = 0
        self._gaps = 0
        self._missing = 0

    def messages(self, association: Association) -> int:
        """DIMSE messages in the timeline."""
        timeline = association.timeline
        count = len(timeline)
        for place in range(self._counted, count):
            self._messages += timeline[place].message is not None
        self._counted = count
        return self._messages

    def missing(self, association: Association) -> int:
        """Bytes in gaps."""
        gaps = association.gaps
        count = len(gaps)
        for place in range(self._gaps, count):
            self._missing += gaps[place].length
        self._gaps = count
        return self._missing

    def operation(self, association: Association, entry: Entry) -> Operation | None:
        """The operation of a row, None where it belongs to none."""
        place = entry.number - 1
        at = self._at
        if place >= self._rows and (place >= len(at) or at[place] == _NO_OPERATION):
            self._update(association)
        if not 0 <= place < len(at) or at[place] == _NO_OPERATION:
            self._adopt(association, entry)
        if not 0 <= place < len(at) or at[place] == _NO_OPERATION:
            return None
        return association.operations[at[place]]

    def _update(self, association: Association) -> None:
        """Take over what was added since."""
        # A reader in another thread adds a row before it joins it, so the last one may still
        # become part of an operation. It adds a response before it sets the status.
        rows = len(association.timeline) - 1
        operations, still_open = association.operations, self._open
        count = len(operations)
        for place in range(self._operations, count):
            request = operations[place].request
            if request is not None:
                self._note(request, place)
            else:
                operation = operations[place]
                key = (operation.invoked_by, operation.context_id, operation.message_id)
                before = self._orphans.get(key)
                found = operations[before].request if before is not None else None
                if before is not None and found is not None:
                    self._note(found, before)
                self._orphans[key] = place
            still_open[place] = 0
        self._operations = count
        for place in list(still_open):
            operation = operations[place]
            final = operation.status is not None
            responses = operation.responses
            heard = len(responses)
            for number in range(still_open[place], heard):
                self._note(responses[number], place)
            if final:
                del still_open[place]
            else:
                still_open[place] = heard
        self._rows = max(rows, 0)

    def _adopt(self, association: Association, entry: Entry) -> None:
        """Join a request to the operation that was answered before the request was whole."""
        message = entry.message
        if message is None or not message.is_request or not self._orphans:
            return
        key = (entry.sender, message.context_id, message.message_id)
        place = self._orphans.get(key)
        if place is not None and association.operations[place].request is entry:
            self._note(entry, place)
            del self._orphans[key]

    def _note(self, entry: Entry, place: int) -> None:
        at = self._at
        missing = entry.number - len(at)
        if missing > 0:
            at.extend([_NO_OPERATION] * missing)
        if entry.number > 0:
            at[entry.number - 1] = place


class Row:
    """A row as the words see it. ``entry`` None: the association before anything was said."""

    __slots__ = ("_joined", "_operation", "association", "data_sets", "entry", "message")

    def __init__(
        self, association: Association, entry: Entry | None, joined: Joined, data_sets: DataSets
    ) -> None:
        self.association = association
        self.entry = entry
        self.message = entry.message if entry is not None else None
        self.data_sets = data_sets
        self._joined = joined
        self._operation: Operation | Literal[False] | None = False

    @property
    def messages(self) -> int:
        """DIMSE messages of the association."""
        return self._joined.messages(self.association)

    @property
    def missing(self) -> int:
        """Bytes of the association that were not captured."""
        return self._joined.missing(self.association)

    @property
    def operation(self) -> Operation | None:
        """The operation that the row's message belongs to."""
        found = self._operation
        if found is False:
            found = None
            if self.message is not None and self.entry is not None:
                found = self._joined.operation(self.association, self.entry)
            self._operation = found
        return found

    @property
    def data_set(self) -> DataSet | None:
        """The decoded data set of the row's message."""
        return self.data_sets.get(self.message) if self.message is not None else None

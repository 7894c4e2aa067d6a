"""C-STORE: refused, coerced, contradictory, twice, and how long it took."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from dicomsniff.analysis import about
from dicomsniff.analysis.findings import (
    STORES,
    Rule,
    View,
    finding,
    rule,
    watch,
)
from dicomsniff.analysis.findings.asked import whole
from dicomsniff.analysis.findings.data import OBJECTS_READ
from dicomsniff.analysis.findings.telling import call, key, keys, places, title
from dicomsniff.analysis.findings.words import OTHER, count, listed, named, seconds, share
from dicomsniff.dicom.names import status
from dicomsniff.model import Association, CaptureInfo, Entry, Finding, Operation, Side

INSTANCES_KEPT: Final = 65_536
"""Stored instances remembered to know them again: two full days of one CT scanner."""
PAIRS_KEPT: Final = 256
"""Pairs of AEs whose associations are followed."""

EACH_NOTED: Final = 5
"""Associations in a row with one image each that are told of."""
EACH_COSTLY: Final = 10
"""So many of them are a warning, where more time goes into associations than into images."""
EACH_APART_NS: Final = 60_000_000_000
"""A pause after which the next association is another matter."""

THROUGHPUT_OBJECTS: Final = 5
THROUGHPUT_BYTES: Final = 1_000_000
"""What has to be transferred before a rate says anything."""

_OFFENDING: Final = 0x0901
_PIXEL_DATA: Final = 0x7FE00010
_NATIVE: Final = frozenset(
    (
        "1.2.840.10008.1.2",
        "1.2.840.10008.1.2.1",
        "1.2.840.10008.1.2.2",
        "1.2.840.10008.1.2.1.99",
    )
)
_JPIP: Final = frozenset(f"1.2.840.10008.1.2.4.{number}" for number in (94, 95, 204, 205))
"""Pixel data is elsewhere."""

_ADVICE: Final[tuple[tuple[int, int, str], ...]] = (
    (
        0xA700,
        0xA7FF,
        "On {receiver}: its disk or database is full, or it takes no more at the moment; make room,"
        " then have {sender} send again.",
    ),
    (
        0xA900,
        0xA9FF,
        "The data set does not fit its SOP class in the eyes of {receiver}: compare the object with"
        " the attributes that the class requires, on {sender}.",
    ),
    (
        0xC000,
        0xCFFF,
        "{receiver} could not make sense of the object: its log says where. Mostly the encoding or"
        " a value is wrong, which is to be mended on {sender}.",
    ),
    (0x0111, 0x0111, "{receiver} has this instance already: was it sent before, or changed?"),
    (
        0x0117,
        0x0117,
        "{receiver} takes the SOP Instance UID for invalid: on {sender}, see how UIDs are made.",
    ),
    (
        0x0122,
        0x0122,
        "{receiver} accepted the presentation context and then refused its SOP class: its"
        " configuration contradicts itself.",
    ),
    (
        0x0124,
        0x0124,
        "On {receiver}: {sender} may not store there; see its list of permitted AE titles and its"
        " licence.",
    ),
)
_OTHERWISE: Final = "The log of {receiver} has to tell why; its Error Comment may say more."


def _stores(view: View) -> Iterator[tuple[Operation, Entry]]:
    for operation in view.operations("C-STORE"):
        if operation.request is not None:
            yield operation, operation.request


@rule(
    "store-failed",
    "error",
    "storage",
    "Objects were refused, with the meaning of the status for storage and the elements that "
    "offended.",
    "PS3.4 B.2.3",
    when=STORES,
)
def store_failed(view: View) -> Iterator[Finding]:
    """Failures, by status."""
    yield from _statuses(view, "Failure", "store-failed")


@rule(
    "store-coerced",
    "warning",
    "storage",
    "Objects were stored with a warning: elements coerced or discarded, or a data set that does "
    "not match its SOP class.",
    "PS3.4 B.2.3",
    when=STORES,
)
def store_coerced(view: View) -> Iterator[Finding]:
    """Warnings, by status."""
    yield from _statuses(view, "Warning", "store-coerced")


def _statuses(view: View, category: str, code: str) -> Iterator[Finding]:
    association = view.association
    groups: dict[tuple[int, Side], list[Operation]] = {}
    total: dict[Side, int] = {}
    for operation in view.operations("C-STORE"):
        total[operation.invoked_by] = total.get(operation.invoked_by, 0) + 1
        number = operation.status
        if number is None:
            continue
        if status("C-STORE", operation.sop_class, number).category == category:
            groups.setdefault((number, operation.invoked_by), []).append(operation)
    for (number, side), operations in groups.items():
        answers = [operation.responses[-1] for operation in operations]
        view.told.update(entry.number for entry in answers)
        meaning = status("C-STORE", operations[0].sop_class, number).meaning
        sender, receiver = title(association, side), title(association, OTHER[side])
        offending = _offending(answers)
        classes = listed(named(operation.sop_class) for operation in operations)
        detail = (
            f"{number:04X}H, {meaning}: {len(operations)} of "
            f"{count(total[side], 'object')} ({places(answers)}), {classes}."
        )
        if offending:
            detail += f" Offending elements: {keys(offending)}."
        if category == "Failure":
            advice = next(
                (text for first, last, text in _ADVICE if first <= number <= last), _OTHERWISE
            ).format(sender=call(association, side), receiver=call(association, OTHER[side]))
            headline = f"{receiver} refuses {count(len(operations), 'object')}: {meaning}"
        else:
            advice = (
                f"What {receiver} holds is not what {sender} sent: check on "
                f"{call(association, OTHER[side])} which elements it changes (patient and study "
                "data taken from its own records, as a rule), and that this is wanted."
            )
            headline = f"{receiver} stored {count(len(operations), 'object')} with a warning: " + (
                meaning
            )
        requests = [each.request for each in operations if each.request is not None]
        evidence = sorted((*requests, *answers), key=lambda entry: entry.number)
        yield finding(code, headline, detail, advice, *evidence)


def _offending(answers: list[Entry]) -> list[int]:
    """Tags of Offending Element (0000,0901)."""
    tags: dict[int, None] = {}
    for entry in answers:
        element = entry.message.command.get(_OFFENDING) if entry.message is not None else None
        value = element.value if element is not None else None
        for tag in value if isinstance(value, tuple) else (value,):
            if isinstance(tag, int):
                tags[tag] = None
    return list(tags)


# ---------------------------------------------------------------------------- contradictions


@rule(
    "store-uid-contradicts",
    "error",
    "storage",
    "The data set of a C-STORE has another SOP Class or Instance UID than its command.",
    "PS3.4 B.2.1, PS3.7 9.1.1.1",
    when=STORES,
)
def uid_contradicts(view: View) -> Iterator[Finding]:
    """What the command says and what the object says."""
    association = view.association
    groups: dict[tuple[Side, tuple[str, ...]], list[Entry]] = {}
    for operation, request in _stores(view):
        message = request.message
        if message is None or not whole(request):
            continue
        found = about.instance(message)
        wrong = []
        for tag, said in (
            (about.SOP_CLASS, message.sop_class),
            (about.SOP_INSTANCE, message.sop_instance),
        ):
            there = found.get(tag)
            if said and there and said.strip("\0 ") != there:
                wrong.append(key(tag))
        if wrong:
            groups.setdefault((operation.invoked_by, tuple(wrong)), []).append(request)
    for (side, names), entries in groups.items():
        yield finding(
            "store-uid-contradicts",
            f"{title(association, side)} stores objects under another UID than their own",
            f"{listed(names)} of the data set differs from that of the command in "
            f"{count(len(entries), 'C-STORE-RQ')} ({places(entries)}).",
            f"On {call(association, side)}: both have to be the same. An archive files the object "
            "under the one or the other, and later cannot find it or commit to it.",
            *entries,
        )


@rule(
    "store-pixel-data",
    "error",
    "storage",
    "Pixel data is encapsulated in an uncompressed transfer syntax, or the other way round.",
    "PS3.5 A.4, 8.2",
    when=STORES,
)
def pixel_data(view: View) -> Iterator[Finding]:
    """Pixel data against the transfer syntax."""
    association = view.association
    groups: dict[tuple[Side, str, bool], list[Entry]] = {}
    read = 0
    for operation, request in _stores(view):
        message = request.message
        if message is None or not whole(request) or message.transfer_syntax is None:
            continue
        syntax = message.transfer_syntax
        compressed = (
            syntax.startswith("1.2.840.10008.1.2.4.") and syntax not in _JPIP
        ) or syntax == "1.2.840.10008.1.2.5"
        if not compressed and syntax not in _NATIVE:
            continue
        read += 1
        if read > OBJECTS_READ:
            break
        data = view.dataset(message)
        element = data.get(_PIXEL_DATA) if data is not None and not data.guessed else None
        if element is None:
            continue
        encapsulated = element.length is None
        if encapsulated != compressed:
            place = (operation.invoked_by, syntax, encapsulated)
            groups.setdefault(place, []).append(request)
    for (side, syntax, encapsulated), entries in groups.items():
        yield finding(
            "store-pixel-data",
            f"{title(association, side)} sends pixel data that its transfer syntax does not have",
            f"{named(syntax)} was agreed on; {key(_PIXEL_DATA)} is "
            f"{'encapsulated (compressed)' if encapsulated else 'not encapsulated'} in "
            f"{count(len(entries), 'C-STORE-RQ')} ({places(entries)}).",
            f"On {call(association, side)}: it has to "
            f"{'decompress' if encapsulated else 'compress'} the object, or to propose the "
            "transfer syntax it is in. Viewers show such objects as noise, or not at all.",
            *entries,
        )


# ---------------------------------------------------------------------------- across associations

DUPLICATE = Rule(
    "store-duplicate",
    "note",
    "storage",
    "Instances that had been stored successfully were sent once more to the same place.",
    "PS3.4 B.2.3",
)
ONE_EACH = Rule(
    "store-one-association-each",
    "warning",
    "storage",
    "One association after the other with a single image each, where one would have done; a "
    "warning where more time went into associations than into images, else a note.",
    "PS3.8 7.1",
)


@dataclass(slots=True)
class _Run:
    """Associations in a row, with one object each."""

    sender: str
    receiver: str
    context: tuple[str | None, str | None]
    associations: list[int] = field(default_factory=list)
    frames: list[int] = field(default_factory=list)
    count: int = 0
    ended: int = 0
    time: int = 0
    storing: int = 0


@watch(DUPLICATE, ONE_EACH)
class Stored:
    """What was stored where, and on how many associations."""

    def __init__(self) -> None:
        self._instances: OrderedDict[int, tuple[int, int]] = OrderedDict()
        """Hash of receiver and SOP Instance UID to the association that stored it, and when."""
        self._runs: OrderedDict[tuple[str, str, int], _Run] = OrderedDict()
        self._done: list[_Run] = []

    def association(self, view: View) -> Iterator[Finding]:
        """Look at the stored instances of one association."""
        association = view.association
        again: dict[Side, list[Entry]] = {}
        before: dict[int, None] = {}
        for operation, request in _stores(view):
            message = request.message
            uid = message.sop_instance if message is not None else None
            if uid is None or operation.status is None:
                continue
            category = status("C-STORE", operation.sop_class, operation.status).category
            if category not in ("Success", "Warning"):
                continue
            receiver = association.other(operation.invoked_by)
            place = hash((receiver.ae_title, receiver.address, uid))
            known = self._instances.get(place)
            # What the capture misses a part of may be told late.
            if known is not None and known[1] <= request.time:
                again.setdefault(operation.invoked_by, []).append(request)
                before[known[0]] = None
            self._instances[place] = association.id, request.time
            self._instances.move_to_end(place)
            if len(self._instances) > INSTANCES_KEPT:
                self._instances.popitem(last=False)
        for side, entries in again.items():
            yield finding(
                "store-duplicate",
                f"{title(association, side)} stores {count(len(entries), 'instance')} that "
                f"{title(association, OTHER[side])} has already",
                f"{count(len(entries), 'C-STORE-RQ')} ({places(entries)}) with SOP Instance UIDs "
                f"that were stored before in association{'s' if len(before) > 1 else ''} "
                f"{listed(map(str, before))}.",
                f"If nobody sent them twice on purpose: on {call(association, side)}, look for a "
                "retry after an answer that came late, or for two rules that send the same.",
                *entries,
            )
        self._follow(association)

    def finish(self, info: CaptureInfo) -> Iterator[Finding]:  # noqa: ARG002
        """Runs of associations are told at the end."""
        for run in [*self._done, *self._runs.values()]:
            if run.count < EACH_NOTED:
                continue
            around = max(0, run.time - run.storing)
            costly = run.count >= EACH_COSTLY and around > run.storing
            numbers = listed(map(str, run.associations))
            yield finding(
                "store-one-association-each",
                f"{run.sender} opens an association for each image",
                f"{run.count} associations in a row to {run.receiver} ({numbers}"
                f"{' …' if run.count > len(run.associations) else ''}), each with one C-STORE of "
                f"{named(run.context[0])}. They took {seconds(run.time)}, of which "
                f"{share(around, run.time)} went into opening and closing.",
                f"On {run.sender}: send all images of a series on one association; that is mostly "
                "a setting.",
                severity="warning" if costly else "note",
                frames=run.frames,
                ae_titles=[run.sender, run.receiver],
            )

    def _follow(self, association: Association) -> None:
        stores = [each for each in association.operations if each.service == "C-STORE"]
        place = (
            association.requestor.ae_title or association.requestor.address,
            association.acceptor.address,
            association.acceptor.port,
        )
        run = self._runs.get(place)
        alone = len(stores) == 1 and len(association.operations) == 1
        only = stores[0] if alone else None
        if (
            only is None
            or only.request is None
            or only.status is None
            or association.outcome != "released"
            or association.partial
        ):
            if stores:
                self._end(place, run)
            return
        context = association.contexts.get(only.context_id)
        same = (
            context.abstract_syntax if context is not None else None,
            context.transfer_syntax if context is not None else None,
        )
        if run is not None and (
            run.context != same or association.started - run.ended > EACH_APART_NS
        ):
            self._end(place, run)
            run = None
        if run is None:
            run = self._runs[place] = _Run(
                place[0], association.acceptor.ae_title or association.acceptor.address, same
            )
            if len(self._runs) > PAIRS_KEPT:
                self._runs.popitem(last=False)
        run.count += 1
        run.ended = association.ended
        run.time += association.duration
        run.storing += only.duration or 0
        if len(run.associations) < EACH_NOTED:
            run.associations.append(association.id)
            run.frames.append(only.request.last_frame)

    def _end(self, place: tuple[str, str, int], run: _Run | None) -> None:
        self._runs.pop(place, None)
        if run is not None and run.count >= EACH_NOTED and len(self._done) < PAIRS_KEPT:
            self._done.append(run)


# ---------------------------------------------------------------------------- time


@rule(
    "store-throughput",
    "note",
    "storage",
    "How fast objects were stored on an association, and what the time went into.",
    when=STORES,
)
def throughput(view: View) -> Iterator[Finding]:
    """Objects and bytes a second."""
    association = view.association
    for side in ("requestor", "acceptor"):
        done = [
            (operation, request)
            for operation, request in _stores(view)
            if operation.invoked_by == side
            and operation.status is not None
            and request.complete
            and operation.first_response is not None
        ]
        sent = sum(
            request.message.dataset.length
            for _, request in done
            if request.message is not None and request.message.dataset is not None
        )
        if len(done) < THROUGHPUT_OBJECTS or sent < THROUGHPUT_BYTES or association.gaps:
            continue
        first, last = done[0][1], done[-1][0].responses[-1]
        took = last.time - first.began
        if took <= 0:
            continue
        sending = sum(request.time - request.began for _, request in done)
        waiting = sum(max(0, operation.first_response or 0) for operation, _ in done)
        between = max(0, took - sending - waiting)
        sender, receiver = title(association, side), title(association, OTHER[side])
        yield finding(
            "store-throughput",
            f"{sender} stored {sent / 1e6:,.1f} MB at {sent / took * 1e3:,.2f} MB/s",
            f"{count(len(done), 'object')} in {seconds(took)}, "
            f"{len(done) / took * 1e9:,.1f} a second. Of the time, {share(sending, took)} went "
            f"into sending, {share(waiting, took)} into waiting for {receiver} to answer, "
            f"{share(between, took)} into waiting for {sender} to send the next.",
            "Sending: network and window sizes. Waiting for the receiver: its disk and database. "
            "Waiting for the sender: how it reads its files; asynchronous operations, or several "
            "associations, fill the gaps.",
            first,
            last,
        )

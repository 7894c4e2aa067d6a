"""One entry as a tree, each branch with the bytes it was read from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from dicomsniff.dicom import names
from dicomsniff.dicom.elements import DataSet, Element, Item, tag_text
from dicomsniff.model import (
    Association,
    CommandElement,
    Endpoint,
    Entry,
    Fault,
    Message,
    Node,
    Skip,
    Tls,
    UnknownPDU,
)
from dicomsniff.output.tls import facts
from dicomsniff.tui.people import People
from dicomsniff.tui.summary import name_of
from dicomsniff.tui.text import Cell, Role, date, duration, endpoint, join, safe, size

DECODE_AT_ONCE = 64 * 1024
"""Bytes of a data set that are decoded without leaving the event loop: some 20 ms of work."""

VALUES_SHOWN = 16
"""Values of one element on a line; the rest is counted. Copying takes all of them."""


@dataclass(slots=True, eq=False)
class Section:
    """Bytes that an entry was read from."""

    name: str
    data: bytes
    skips: tuple[Skip, ...] = ()
    hidden: list[tuple[int, int]] = field(default_factory=list)
    """Spans that are not shown: secrets, and people while these are masked."""
    chunks: tuple[tuple[int, int], ...] = ()
    """(offset, frame): from which frame the bytes came."""
    frames: tuple[int, ...] = ()

    def frame_at(self, offset: int) -> int | None:
        """The frame that brought the byte at ``offset``."""
        frame = self.frames[0] if len(self.frames) == 1 else None
        for start, number in self.chunks:
            if start > offset:
                break
            frame = number
        return frame


@dataclass(slots=True, eq=False)
class Branch:
    """A line of the tree with what is below it."""

    key: str
    """Names it among its siblings, the same for the same thing in another entry: what is open
    stays open when the next entry is shown."""
    cells: tuple[Cell, ...]
    children: list[Branch] | Callable[[], list[Branch]] = field(default_factory=list)
    section: int | None = None
    start: int = 0
    end: int = 0
    open: bool = False
    value: str = ""
    """What copying the value takes."""

    def below(self) -> list[Branch]:
        """The branches below it, made when they are first asked for."""
        if not isinstance(self.children, list):
            self.children = self.children()
        return self.children

    @property
    def has_below(self) -> bool:
        """Whether it can be opened; a maker of branches is taken at its word."""
        return not isinstance(self.children, list) or bool(self.children)


@dataclass(slots=True)
class Detail:
    """All that the detail and the bytes pane show of an entry."""

    branches: list[Branch]
    sections: list[Section]

    def find(self, section: int, offset: int) -> list[Branch]:
        """The path to the innermost branch that was read from a byte."""
        path: list[Branch] = []
        level = self.branches
        while True:
            for branch in level:
                if branch.section == section and branch.start <= offset < branch.end:
                    path.append(branch)
                    level = branch.below()
                    break
                if branch.section is None and branch.has_below:
                    inner = Detail(branch.below(), self.sections).find(section, offset)
                    if inner:
                        return [*path, branch, *inner]
            else:
                return path

    def walk(self) -> Iterator[tuple[list[Branch], Branch]]:
        """Every branch with the path above it, whether open or not."""

        def below(path: list[Branch], level: list[Branch]) -> Iterator[tuple[list[Branch], Branch]]:
            for branch in level:
                yield path, branch
                if branch.has_below:
                    yield from below([*path, branch], branch.below())

        yield from below([], self.branches)


def build(
    association: Association, entry: Entry, dataset: DataSet | None, people: People
) -> Detail:
    """The tree of an entry. ``dataset``: that of its message, decoded, where there is one."""
    people.hear(association)
    sections: list[Section] = []
    branches = [_entry(association, entry)]
    if entry.detail:
        branches.append(Branch("detail", ((safe(entry.detail), "warn"),)))
    if association.tls is not None and (entry.kind == "TLS" or entry.number == 1):
        branches.append(_tls(association.tls, people))
    branches += [_fault(f"fault{i}", fault, 0) for i, fault in enumerate(entry.faults)]
    message = entry.message
    if message is not None:
        branches += _message(entry, message, dataset, people, sections)
    elif entry.raw:
        branches += _raw(entry, people, sections)
    return Detail(branches, sections)


# ---------------------------------------------------------------------------- entry and PDU


def _entry(association: Association, entry: Entry) -> Branch:
    """Who sent it, when, in which frames."""
    sender, receiver = association.peer(entry.sender), association.other(entry.sender)
    other = "acceptor" if entry.sender == "requestor" else "requestor"
    frames = ", ".join(map(str, entry.frames))
    if entry.frame_count > len(entry.frames):
        frames += f" … ({entry.frame_count} in all)"
    lines: list[tuple[str, str]] = [
        ("Association", f"{association.id}, entry {entry.number}"),
        ("Time", date(entry.time)),
        ("Since association began", duration(entry.time - association.started)),
        ("First to last byte", duration(entry.time - entry.began)),
        (
            "From",
            f"{name_of(association, entry.sender)}, {entry.sender},"
            f" {endpoint(Endpoint(sender.address, sender.port))}",
        ),
        (
            "To",
            f"{name_of(association, other)}, {other},"
            f" {endpoint(Endpoint(receiver.address, receiver.port))}",
        ),
        ("Frames", frames),
        ("Length", f"{entry.length} bytes"),
    ]
    branches = [
        Branch(name, ((name + " ", "key"), (value, "")), value=value) for name, value in lines
    ]
    for operation in association.operations:
        numbers = [e.number for e in operation.responses]
        if operation.request is entry or entry.number in numbers:
            text = f"{operation.service} ID={operation.message_id}"
            if operation.first_response is not None:
                text += f", first response after {duration(operation.first_response)}"
            if operation.duration is not None:
                text += f", {duration(operation.duration)} in all"
            branches.append(Branch("Operation", (("Operation ", "key"), (safe(text), ""))))
            for link in operation.linked:
                text = f"association {link.association}, entry {link.operation}: {link.why}"
                branches.append(Branch("Linked", (("Linked ", "key"), (safe(text), "mark"))))
            break
    whole = "" if entry.complete else " ▲ incomplete"
    head = f", frame {entry.last_frame}, {entry.length} bytes"
    return Branch("Entry", ((safe(entry.kind), "name"), (head, "dim"), (whole, "warn")), branches)


def _tls(tls: Tls, people: People) -> Branch:
    """What is known of the TLS connection that an association is inside of."""
    redactor = people.redactor
    names = (redactor.host_name, redactor.user_name) if people.on else (str, str)
    (_, head), *rest = facts(tls, *names)
    branches = [
        Branch(f"{label}{number}", ((label + " ", "key"), (safe(text), "")), value=text)
        for number, (label, text) in enumerate(rest)
    ]
    return Branch("TLS", (("TLS ", "name"), (safe(head.removeprefix("TLS ")), "dim")), branches)


def _fault(key: str, fault: Fault, section: int | None) -> Branch:
    return Branch(
        key, (("! ", "bad"), (safe(fault.text), "bad")), [], section, fault.start, fault.end
    )


def _raw(entry: Entry, people: People, sections: list[Section]) -> list[Branch]:
    """The fields of a PDU, or bytes nobody could read."""
    from dicomsniff.dicom.pdu import layout, secret_spans

    section = Section(entry.kind, entry.raw, frames=entry.frames)
    sections.append(section)
    if entry.pdu is None or (people.on and isinstance(entry.pdu, UnknownPDU)):
        section.hidden += people.hidden_fields([], len(entry.raw))
        return [Branch("Bytes", (("Bytes", "name"),), [], 0, 0, len(entry.raw))]
    root = layout(entry.raw)
    section.hidden += secret_spans(entry.raw)
    section.hidden += people.hidden_fields(root.children, len(entry.raw))
    return [_node(node, str(i), people, section) for i, node in enumerate(root.children)]


def _node(node: Node, key: str, people: People, section: Section) -> Branch:
    """A field of a PDU."""
    hidden = people.hides(node)
    if node.sensitive:
        section.hidden.append((node.start, node.end))
    value = safe(people.text(node.value) if hidden else node.value)
    role: Role = "dim" if hidden or node.sensitive else ""
    cells: tuple[Cell, ...] = ((safe(node.name), "key"), (" " + value if value else "", role))
    children = [
        _node(child, f"{child.name}{i}", people, section) for i, child in enumerate(node.children)
    ]
    return Branch(f"{node.name}{key}", cells, children, 0, node.start, node.end, value=value)


# ---------------------------------------------------------------------------- messages


def _uid(uid: str | None) -> str:
    """A UID with its name, or a dash."""
    if not uid:
        return "–"
    name = names.uid_name(uid)
    return f"{safe(uid)} {name}" if name else safe(uid)


def _message(
    entry: Entry,
    message: Message,
    dataset: DataSet | None,
    people: People,
    sections: list[Section],
) -> list[Branch]:
    """Context, command set and data set of a message."""
    frames = entry.frames
    words = Section("Command set", message.command_bytes, frames=frames[:1])
    sections.append(words)
    branches = [_context(message)]
    command = []
    for element in message.command.values():
        shown = people.command(element)
        if shown.value != element.value:
            words.hidden.append((element.start + 8, element.end))
        command.append(_command_element(message, shown))
    branches.append(
        Branch(
            "Command set",
            (("Command set", "name"), (f", {len(message.command_bytes)} bytes", "dim")),
            command,
            0,
            0,
            len(message.command_bytes),
            open=True,
        )
    )
    held = message.dataset
    if held is None:
        return branches
    section = Section("Data set", held.held, held.skips, [], message.chunks, frames)
    sections.append(section)
    notes = []
    if held.inflated:
        notes.append("inflated")
    if not held.complete:
        notes.append("▲ bytes missing")
    head = ", ".join([size(held.length), *notes])
    below: list[Branch] = [_fault(f"kept{i}", f, 1) for i, f in enumerate(held.faults)]
    if dataset is None:
        if people.on:
            section.hidden.append((0, len(held.held)))
        below.append(Branch("decoding", (("decoding …", "dim"),)))
    else:
        below += [_fault(f"fault{i}", f, 1) for i, f in enumerate(dataset.faults)]
        below += [
            Branch(f"note{i}", (("· ", "warn"), (safe(note), "warn")))
            for i, note in enumerate(dataset.notes)
        ]
        shown_set = people.dataset(dataset)
        section.hidden += people.hidden(dataset, shown_set, len(held.held))
        below += _elements(shown_set.elements)
    branches.append(
        Branch(
            "Data set",
            (("Data set", "name"), (f", {head}", "dim")),
            below,
            1,
            0,
            len(held.held),
            open=True,
        )
    )
    return branches


def _context(message: Message) -> Branch:
    """The presentation context, and the PDVs that carried the message."""
    guess = " (guessed)" if message.transfer_syntax_guessed else ""
    below = [
        Branch("abstract", (("Abstract syntax ", "key"), (_uid(message.abstract_syntax), ""))),
        Branch(
            "transfer", (("Transfer syntax ", "key"), (_uid(message.transfer_syntax) + guess, ""))
        ),
    ]
    for at, part in enumerate(message.fragments):
        what = "command" if part.control & 1 else "data set"
        last = ", last" if part.control & 2 else ""
        pdu = f"P-DATA-TF {part.pdu_length} bytes, " if part.pdu_length is not None else ""
        text = f"frame {part.frame}: {pdu}PDV {part.pdv_length} bytes, {what}{last}"
        below.append(Branch(f"pdv{at}", ((text, "dim"),)))
    if message.fragment_count > len(message.fragments):
        more = message.fragment_count - len(message.fragments)
        below.append(Branch("more", ((f"… and {more} more", "dim"),)))
    count = message.fragment_count
    head = f", {count} PDV{'' if count == 1 else 's'}"
    return Branch(
        "Context", ((f"Presentation context {message.context_id}", "name"), (head, "dim")), below
    )


def _command_element(message: Message, element: CommandElement) -> Branch:
    """An element of group 0000, with the meaning of its number."""
    entry = names.COMMAND_ELEMENTS.get(element.tag)
    keyword = entry[1] if entry is not None else "Unknown"
    value = element.value
    role: Role = ""
    if value is None:
        text = ""
    elif element.tag == 0x00000900 and isinstance(value, int):
        status = names.status(message.service, message.sop_class, value)
        text = f"0x{value:04X} {status.category}: {status.meaning}"
        category = str(status.category)
        role = {"Failure": "bad", "Warning": "warn", "Cancel": "warn"}.get(category, "good")  # type: ignore[assignment]
    elif element.tag == 0x00000100 and isinstance(value, int):
        text = f"0x{value:04X} {names.COMMAND_FIELDS.get(value, 'unknown')}"
    elif element.tag == 0x00000800 and isinstance(value, int):
        text = f"0x{value:04X} {'no data set' if value == 0x0101 else 'data set follows'}"
    elif element.tag == 0x00000700 and isinstance(value, int):
        text = f"{value} {names.PRIORITIES.get(value, '')}".rstrip()
    elif element.vr == "UI":
        text = _uid(str(value))
    elif element.vr == "AT":
        tags = value if isinstance(value, tuple) else (value,)
        text = " ".join(tag_text(tag) if isinstance(tag, int) else safe(tag) for tag in tags)
    elif isinstance(value, bytes):
        text = value[:64].hex(" ")
    elif isinstance(value, tuple):
        text = "\\".join(map(str, value))
    else:
        text = safe(value)
    length = element.end - element.start - 8
    return Branch(
        f"{element.tag:08X}",
        _element_cells(element.tag, keyword, element.vr, str(length), text, role),
        [],
        0,
        element.start,
        element.end,
        value=text,
    )


# ---------------------------------------------------------------------------- data sets


def _element_cells(
    tag: int, label: str, vr: str, length: str, value: str, role: Role
) -> tuple[Cell, ...]:
    """Tag, keyword, VR, length and value."""
    return (
        (tag_text(tag) + " ", "dim"),
        (label + " ", "key"),
        (f"{vr} {length} ", "optional"),
        (value, role),
    )


def _elements(elements: list[Element]) -> list[Branch]:
    return [_element(element) for element in elements]


def value_text(element: Element, *, limit: int | None = VALUES_SHOWN) -> str:
    """The values of an element on one line, safe to print."""
    if element.bulk_length is not None:
        parts = f" in {element.fragments} fragments" if element.fragments else ""
        return f"<{size(element.bulk_length)}{parts}>"
    values = element.values
    shown = values if limit is None else values[:limit]
    if element.vr == "AT":
        texts = [tag_text(v) if isinstance(v, int) else str(v) for v in shown]
    else:
        texts = [v[:64].hex(" ") if isinstance(v, bytes) else safe(v) for v in shown]
    text = "\\".join(texts)
    if len(values) > len(shown):
        text += f" … ({len(values)} values)"
    if element.vr == "UI" and len(values) == 1 and (name := names.uid_name(str(values[0]))):
        text += f" {name}"
    return text


def _element(element: Element) -> Branch:
    """A data element; a sequence opens."""
    label = element.keyword or f"[{safe(element.name)}]"
    length = "undefined" if element.length is None else str(element.length)
    vr = element.vr + ("?" if element.vr_guessed else "")
    role: Role = ""
    is_sequence = bool(element.items) or element.vr == "SQ"
    if is_sequence:
        count = len(element.items)
        text, role = f"{count} item{'' if count == 1 else 's'}", "dim"
    else:
        text = value_text(element)
        if element.bulk_length is not None:
            role = "dim"
    if element.charset and not is_sequence:
        text += f"  (read as {safe(element.charset)}, not declared)"
    marks = [_fault(f"fault{i}", f, 1) for i, f in enumerate(element.faults)] + [
        Branch(f"note{i}", (("· ", "warn"), (safe(note), "warn")))
        for i, note in enumerate(element.notes)
    ]

    def below() -> list[Branch]:
        return marks + [_item(item, number) for number, item in enumerate(element.items)]

    children: list[Branch] | Callable[[], list[Branch]] = below if element.items else marks
    cells = _element_cells(element.tag, label, vr, length, text, role)
    if element.faults:
        cells = (*cells, (" !", "bad"))
    return Branch(
        f"{element.tag:08X}",
        cells,
        children,
        1,
        element.start,
        element.end,
        open=bool(element.faults),
        value=text,
    )


def _item(item: Item, number: int) -> Branch:
    length = "undefined length" if item.length is None else f"{item.length} bytes"
    faults = [_fault(f"fault{i}", f, 1) for i, f in enumerate(item.faults)]
    return Branch(
        f"item{number}",
        ((f"Item {number + 1}", "name"), (f", {length}", "dim")),
        lambda: faults + _elements(item.elements),
        1,
        item.start,
        item.end,
        open=True,
    )


def as_text(detail: Detail) -> str:
    """The tree as lines, everything open: what copying it takes."""
    return "\n".join("  " * len(path) + join(branch.cells) for path, branch in detail.walk())

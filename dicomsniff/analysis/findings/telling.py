"""What the rules about data sets tell in common: which key, whom to call. No rules here."""

from __future__ import annotations

from collections.abc import Iterable

from dicomsniff.analysis.findings.words import listed
from dicomsniff.dicom.elements import name, tag_text
from dicomsniff.dicom.names import is_uid
from dicomsniff.model import Association, Entry, Side

Path = tuple[int, ...]
"""Tags from the outermost sequence inwards, without item numbers."""


def key(path: Path | int) -> str:
    """``Modality (0008,0060)``; inside a sequence ``Code Value (0008,0100) in … Sequence``."""
    if isinstance(path, int):
        return f"{name(path)} {tag_text(path)}"
    text = f"{name(path[-1])} {tag_text(path[-1])}"
    return f"{text} in {name(path[-2])}" if len(path) > 1 else text


def keys(paths: Iterable[Path | int]) -> str:
    """Keys in one sentence; those of one sequence together, behind those of the top level."""
    groups: dict[Path, list[int]] = {}
    for path in dict.fromkeys((path,) if isinstance(path, int) else path for path in paths):
        groups.setdefault(path[:-1][-1:], []).append(path[-1])
    told = []
    for inside in sorted(groups, key=len):
        names = listed(key(tag) for tag in groups[inside])
        told.append(f"{names} in {name(inside[0])}" if inside else names)
    return ", and ".join(told) if told else "nothing"


def call(association: Association, side: Side) -> str:
    """Whom to call: ``MOZI (acceptor, 192.0.2.2 port 104, implementation DCM4CHE_5)``."""
    peer = association.peer(side)
    known = [side, peer.address + (f" port {peer.port}" if side == "acceptor" else "")]
    implementation = peer.implementation_version_name or peer.implementation_class_uid
    if implementation and (peer.implementation_version_name or is_uid(implementation)):
        known.append(f"implementation {implementation}")
    return f"{peer.ae_title or 'the peer'} ({', '.join(known)})"


def title(association: Association, side: Side) -> str:
    """AE title, or the address where there is none."""
    peer = association.peer(side)
    return peer.ae_title or peer.address


def of(part: int, whole: int, thing: str) -> str:
    """``all 3 answers``, ``2 of 3 answers``, ``the answer``."""
    if whole == 1:
        return f"the {thing}"
    if part == whole:
        return "both " + thing + "s" if whole == 2 else f"all {whole:,} {thing}s"
    return f"{part:,} of {whole:,} {thing}s"


def places(entries: Iterable[Entry]) -> str:
    """``entry 4``, ``entries 4, 5 and 6``."""
    numbers = [str(entry.number) for entry in entries]
    return ("entry " if len(numbers) == 1 else "entries ") + listed(numbers)


def upper(text: str) -> str:
    """With a capital first."""
    return text[:1].upper() + text[1:]

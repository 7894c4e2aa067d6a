"""Captures with segments taken away, and what is left of their messages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from random import Random
from typing import NamedTuple

import pytest

from dicomsniff.dicom import dimse, track
from dicomsniff.model import Association, Frame
from tests import rewrite
from tests.rewrite import Packet


def lose(packets: list[Packet], share: float, random: Random) -> list[Packet]:
    """Without this share of the segments that carry data."""
    data = [at for at, packet in enumerate(packets) if packet.payload]
    away = set(random.sample(data, round(share * len(data))))
    return [packet for at, packet in enumerate(packets) if at not in away]


def snapped(frames: Iterable[Frame], length: int) -> list[Frame]:
    """As a capture with a snap length has them."""
    return [frame._replace(data=frame.data[:length]) for frame in frames]


def kinds(associations: Iterable[Association], *, complete: bool) -> Counter[str]:
    """How many PDUs and messages of each kind; ``complete``: those alone that are whole."""
    return Counter(
        entry.kind
        for association in associations
        for entry in association.timeline
        if entry.kind not in ("GAP", "CONNECTION-LOST", "UNDECODED")
        and (entry.complete or not complete)
    )


class Unit(NamedTuple):
    """A PDU or message, and the segments that carried a byte of it."""

    said: tuple[object, ...]
    segments: frozenset[tuple[tuple[bytes, int, bytes, int], int]]
    """Direction and sequence number."""


def units(packets: list[Packet]) -> list[Unit]:
    """Everything said in a capture without loss, with what carried it."""
    out = []
    with pytest.MonkeyPatch.context() as patch:
        for module in (track, dimse):
            # Every segment of the longest message.
            patch.setattr(module, "FRAMES_KEPT", len(packets))
        associations = rewrite.rebuild(packets)
    for association in associations:
        for entry in association.timeline:
            carried = (packets[number - 1] for number in entry.frames)
            out.append(
                Unit(
                    (entry.sender, entry.kind, entry.length, _body(entry)),
                    frozenset((packet.way, packet.seq) for packet in carried),
                )
            )
    return out


def said(associations: Iterable[Association]) -> Counter[tuple[object, ...]]:
    """Everything whole that was rebuilt, in the form of :class:`Unit`."""
    return Counter(
        (entry.sender, entry.kind, entry.length, _body(entry))
        for association in associations
        for entry in association.timeline
        if entry.complete
    )


def _body(entry: object) -> object:
    message = getattr(entry, "message", None)
    if message is None:
        return getattr(entry, "raw", b"")
    dataset = message.dataset
    return message.command_bytes, None if dataset is None else (dataset.length, dataset.held)


def whole(packets: list[Packet], left: list[Packet]) -> Counter[tuple[object, ...]]:
    """What a capture with loss holds every segment of."""
    there = {(packet.way, packet.seq) for packet in left if packet.payload}
    return Counter(unit.said for unit in units(packets) if unit.segments <= there)

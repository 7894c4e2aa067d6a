"""No bytes make a rule, a linker or a journey fail, or say what may not be said."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from dicomsniff.analysis.findings import Checker
from dicomsniff.analysis.journey import Journeys
from dicomsniff.analysis.links import Linker
from dicomsniff.model import Association, CaptureInfo
from dicomsniff.output.journey import text
from dicomsniff.output.redact import Redactor
from tests.output.build import HARMFUL, Kept, run
from tests.support import CAPTURES

NAMES = [
    "commitment",
    "get",
    "journey",
    "move",
    "mpps",
    "print",
    "query-study",
    "store",
    "worklist",
    "worklist-abandoned",
    "worklist-faulty",
]


def spoil(association: Association, rng: random.Random) -> None:
    """Change bytes and values of everything that was said."""
    for entry in association.timeline:
        message = entry.message
        if message is None:
            continue
        if message.dataset is not None and rng.random() < 0.8:
            held = bytearray(message.dataset.held)
            for _ in range(rng.randrange(1, 9)):
                if held:
                    held[rng.randrange(len(held))] = rng.choice((0, 0x1B, 0x5C, 0xFF, 0xFE, 0x3D))
            if rng.random() < 0.3:
                del held[rng.randrange(len(held) + 1) :]
            skips = tuple(each for each in message.dataset.skips if each.at <= len(held))
            message.dataset = message.dataset._replace(held=bytes(held), skips=skips)
        for tag, element in list(message.command.items()):
            if rng.random() < 0.1:
                value = rng.choice((None, b"\xff\x00", "", "\x1b[2J", 65535, (1, 2)))
                message.command = {**message.command, tag: element._replace(value=value)}
        if rng.random() < 0.1:
            message.sop_instance = rng.choice((None, "", "\x1b", "1.2"))
        if rng.random() < 0.1:
            message.dataset = None
    for operation in association.operations:
        if rng.random() < 0.1:
            operation.request = None
        if operation.responses and rng.random() < 0.2:
            operation.status = rng.choice((None, 0, 0xA801, 0xFFFF, 0xB000, 0x0110))
        if rng.random() < 0.1:
            operation.responses.clear()
            operation.status = None
    if rng.random() < 0.2:
        association.requestor.ae_title = None
        association.acceptor.ae_title = "\x1b]0;x\x07"
    association.findings.clear()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", range(20))
def test_spoiled_conversations(name: str, seed: int) -> None:
    rng = random.Random(seed)
    kept = Kept()
    run(Path(CAPTURES / f"{name}.pcapng"), kept)
    info = CaptureInfo("", "")
    info.last = kept.associations[-1].ended
    checker, linker, journeys = Checker(info), Linker(), Journeys()
    for association in kept.associations:
        spoil(association, rng)
        checker.began(association)
    for association in kept.associations:
        for operation in association.operations:
            operation.linked.clear()
            for entry in (operation.request, *operation.responses):
                if entry is not None:
                    linker.add(association, operation, entry)
        linker.ended(association)
        checker.association(association)
        journeys.association_ended(association)
    found = [each for association in kept.associations for each in association.findings]
    found += checker.finish(info)
    assert all(each.title and each.detail and each.advice for each in found)
    for line in text(journeys.journeys(), Redactor()):
        assert not HARMFUL.search(line)

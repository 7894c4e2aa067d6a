"""What was written before is written again exactly as it would be made anew."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Hashable
from pathlib import Path

import pytest

from dicomsniff.analysis.pipeline import read
from dicomsniff.model import CaptureInfo
from dicomsniff.output import pseudonyms, remembered
from dicomsniff.output.lines import line
from dicomsniff.output.redact import Redactor
from dicomsniff.output.remembered import Remembered
from dicomsniff.output.shapes import Shaper
from dicomsniff.output.transcript import TranscriptWriter
from tests import wire
from tests.dicom.datasets import EXPLICIT
from tests.dicom.test_conversation import converse
from tests.support import CAPTURES


class Forgetful(Remembered):
    """Makes every text anew."""

    def text(self, key: Hashable, make: Callable[[], str]) -> str:
        del key
        return make()

    def get(self, key: Hashable) -> str | None:
        del key
        return None


def transcript(path: Path, times: int, kind: type[Remembered], **options: bool) -> bytes:
    out = io.BytesIO()
    ndjson = options.pop("ndjson", False)
    with TranscriptWriter(
        out, Redactor(**options), info=CaptureInfo(path.name, "scapy"), ndjson=ndjson
    ) as writer:
        writer._remembered = kind(writer._shaper)
        for association in [*read(str(path), reader="scapy", checks=False)] * times:
            writer.association(association)
        writer.finish(CaptureInfo(path.name, "scapy"))
    return out.getvalue()


@pytest.mark.parametrize("path", sorted(CAPTURES.glob("*.pcapng")), ids=lambda path: path.stem)
def test_transcripts_are_the_same(path: Path) -> None:
    """With the counts of what was replaced, which stand in the redaction block."""
    assert transcript(path, 2, Remembered) == transcript(path, 2, Forgetful)


@pytest.mark.parametrize(
    "options", [{"ndjson": True}, {"keep_phi": True}, {"mask_ae": True, "mask_addresses": True}]
)
def test_with_every_option(options: dict[str, bool]) -> None:
    path = CAPTURES / "worklist.pcapng"
    known = transcript(path, 2, Remembered, **options)
    assert known == transcript(path, 2, Forgetful, **options)


def test_rows_are_those_of_the_shaper() -> None:
    path = CAPTURES / "worklist.pcapng"
    (association,) = read(str(path), reader="scapy", checks=False)
    shaper = Shaper(Redactor())
    text = transcript(path, 1, Remembered).decode()
    shaper.association(association)
    for entry in association.timeline:
        assert line(shaper.entry(association, entry)) in text


def test_a_title_that_was_heard_of_meanwhile_is_shown() -> None:
    """An AE title is shown from when it takes part in an association: what was written before that
    is not written again as it was."""
    shaper = Shaper(Redactor())
    known = Remembered(shaper)
    made = []

    def make() -> str:
        made.append(str(shaper.redactor.value(0x00400001, "AE", "FLC1270")))
        return made[-1]

    first = known.text("key", make)
    assert first != "FLC1270"
    assert known.text("key", make) == first
    assert len(made) == 1
    shaper.redactor.ae_title("FLC1270")
    assert known.text("key", make) == "FLC1270"
    assert len(made) == 2


def test_a_text_that_changes_how_things_are_shown_is_made_anew() -> None:
    """Its beginning may have been made before the change."""
    shaper = Shaper(Redactor())
    known = Remembered(shaper)

    def make() -> str:
        told = str(shaper.redactor.value(0x00400001, "AE", "FLC1270"))
        return f"{told} {shaper.redactor.ae_title('FLC1270')}"

    assert known.text("key", make) != "FLC1270 FLC1270"
    assert known.text("key", make) == "FLC1270 FLC1270"


def test_what_there_is_no_room_for_is_counted_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pseudonyms, "DISTINCT_LIMIT", 0)
    shaper = Shaper(Redactor())
    known = Remembered(shaper)
    for times in (1, 2, 3):
        known.text("key", lambda: shaper.redactor.text("Hopper"))
        assert shaper.redactor.indistinct == times


def test_a_long_value_is_named_by_its_own_row() -> None:
    """The same data set in two answers; a value longer than 1 KiB is not written into either."""
    text = b"x" * 3000
    element = wire.element(0x0040, 0xA160, "UT", text)
    answer = wire.command(1, 0x8020, 1, status=0xFF00, dataset=True)
    heard = converse(
        (0, wire.request([(1, wire.STUDY_ROOT_FIND, [EXPLICIT])])),
        (1, wire.accept([(1, 0, EXPLICIT)])),
        *[(1, answer + wire.data(1, element))] * 2,
    )
    out = io.BytesIO()
    with TranscriptWriter(
        out, Redactor(keep_phi=True), info=CaptureInfo("made", "scapy"), ndjson=True
    ) as writer:
        writer.association(heard.associations[0])
    rows = json.loads(out.getvalue())["timeline"]
    told = [row["dataset"]["0040A160"]["BulkDataURI"] for row in rows if row.get("dataset")]
    assert [f"entry/{row['number']}/" in uri for row, uri in zip(rows[2:], told, strict=True)] == [
        True,
        True,
    ]


def test_no_more_than_so_many_are_kept() -> None:
    known = Remembered(Shaper(Redactor()))
    for number in range(3 * remembered.KEPT):
        known.text(number, lambda: "text")
    assert len(known._known) <= remembered.KEPT
    known.text("long", lambda: "x" * (remembered.LONGEST + 1))
    assert "long" not in known._known

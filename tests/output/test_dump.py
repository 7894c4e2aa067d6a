"""The dump has dcmtk's layout: its own tools say the same of the same objects."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from pydicom import Dataset

from dicomsniff.dicom.dataset import decode
from dicomsniff.model import Association, DataSetBytes, Entry, Message
from dicomsniff.output.djson import dataset_json
from dicomsniff.output.dump import WIDTH, dump
from dicomsniff.output.dump_dataset import dataset_lines
from dicomsniff.output.extract import Extractor
from dicomsniff.output.redact import Redactor
from tests.output import build
from tests.support import capture, require

OBJECTS = ["store", "store-transfer-syntaxes", "store-implicit", "orthanc-store", "get", "move"]


@pytest.mark.parametrize("name", OBJECTS)
def test_the_lines_of_an_object_are_dcmdumps(name: str, tmp_path: Path) -> None:
    dcmdump = require("dcmdump")
    kept = build.Kept()
    extractor = Extractor(tmp_path)
    build.run(capture(f"{name}.pcapng"), kept, extractor, tap=extractor)
    extractor.finish()
    sent: dict[tuple[int, int | None], Message] = {
        (association.id, entry.number): entry.message
        for association in kept.associations
        for entry in association.timeline
        if entry.message is not None
    }
    assert extractor.objects
    for told in extractor.objects:
        message = sent[told.association, told.entry]
        assert message.dataset is not None
        decoded = decode(message.dataset, message.transfer_syntax)
        ours = list(dataset_lines(decoded, message.dataset, Redactor(keep_phi=True)))[2:]
        text = subprocess.run(
            [dcmdump, "-q", str(tmp_path / told.file)], capture_output=True, check=True
        ).stdout.decode("gb18030")
        theirs = text.partition("# Dicom-Data-Set\n")[2].splitlines()[1:]
        # Pixel data is measured here, and printed there.
        assert [line for line in ours if not line.startswith("(7fe0,0010)")] == [
            line
            for line in theirs
            if line.strip() and not line.startswith("(7fe0,0010)") and " pi " not in line
        ]


def test_words_are_dcmdumps_in_both_byte_orders(tmp_path: Path) -> None:
    """dcmtk swaps the words when it converts; both have to read the same, here and as JSON."""
    raw = bytes(range(1, 25))
    sent = Dataset()
    sent.SOPClassUID, sent.SOPInstanceUID = build.CT, "1.2.3.4"
    sent.add_new(0x00283006, "OW", raw)
    sent.add_new(0x00283002, "US", [256, 0, 16])
    sent.add_new(0x00420011, "OB", raw * 9)
    sent.add_new(0x00660129, "OL", raw * 9)
    inner = Dataset()
    inner.add_new(0x00283006, "OW", raw)
    sent.add_new(0x00283010, "SQ", [inner])
    path = tmp_path / "sent.dcm"
    sent.save_as(path, implicit_vr=False, little_endian=True)
    told, shown = [], []
    for option, syntax in (("+te", build.EXPLICIT), ("+tb", "1.2.840.10008.1.2.2")):
        other = tmp_path / f"{option}.dcm"
        convert = [require("dcmconv"), "-f", "-F", option, str(path), str(other)]
        subprocess.run(convert, check=True, capture_output=True)
        data = other.read_bytes()
        held = DataSetBytes(len(data), data)
        decoded = decode(held, syntax)
        ours = list(dataset_lines(decoded, held, Redactor(keep_phi=True)))[2:]
        read = [require("dcmdump"), "-q", "-f", f"-t{option[2]}", str(other)]
        text = subprocess.run(read, capture_output=True, check=True).stdout.decode()
        assert ours == [line for line in text.splitlines() if line[:1] in ("(", " ")]
        shown.append(ours)
        told.append(dataset_json(decoded, Redactor(keep_phi=True)))
    assert shown[0] == shown[1]
    assert told[0] == told[1]
    assert Dataset.from_json(json.dumps(told[1]))[0x00283006].value == raw


def text_of(name: str, redactor: Redactor | None = None) -> str:
    kept = build.Kept()
    build.run(capture(name), kept)
    redactor = redactor or Redactor(keep_phi=True)
    return "\n".join(line for one in kept.associations for line in dump(one, redactor))


def block(text: str, kind: str, number: int = 0) -> list[str]:
    """The lines of a block as dcmtk begins and ends it."""
    found = re.findall(rf"^=+ BEGIN {kind} =+\n(.*?)^=+ END {kind} =+$", text, re.M | re.S)
    return str(found[number]).splitlines()


def test_association_parameters() -> None:
    text = text_of("get.pcapng")
    asked, answered = block(text, "A-ASSOCIATE-RQ"), block(text, "A-ASSOCIATE-AC")
    assert "Requestor Implementation Version Name:   OFFIS_DCMTK_367" in asked
    assert not any("Our " in line or "Their " in line for line in asked + answered)
    assert "    Proposed SCP/SCU Role: SCP" in asked  # C-GET: the requestor stores as an SCP
    assert "    Accepted SCP/SCU Role: SCP" in answered
    assert "    Abstract Syntax: =CT Image Storage" in asked
    assert any(line.startswith("    Accepted Transfer Syntax: =") for line in answered)
    assert any(re.fullmatch(r"Acceptor Max PDU Receive Size: +\d+", line) for line in answered)


def test_what_dcmtk_logs_is_there_in_the_same_words() -> None:
    # From a log of storescu 3.6.7 with -d, for a message like this one.
    text = text_of("store.pcapng")
    for line in (
        "Message Type                  : C-STORE RQ",
        "Message ID                    : 1",
        "Affected SOP Class UID        : CT Image Storage",
        "Data Set                      : present",
        "Priority                      : medium",
        "======================= END DIMSE MESSAGE =======================",
        "Message Type                  : C-STORE RSP",
        "Message ID Being Responded To : 1",
        "Data Set                      : none",
        "DIMSE Status                  : 0x0000: Success",
        "====================== BEGIN A-ASSOCIATE-RQ =====================",
        "======================= END A-ASSOCIATE-RQ ======================",
        "================ DIMSE MESSAGE FROM THE REQUESTOR ===============",
    ):
        assert line in text.splitlines(), line
    assert re.search(r"^Presentation Context ID       : \d+$", text, re.M)
    for line in text.splitlines():
        if line.startswith("=="):
            assert len(line) == WIDTH


def test_refusals_and_aborts() -> None:
    assert "  Context ID:        1 (Rejected: " in text_of("no-context.pcapng")
    assert "Outcome:   rejected (" in text_of("worklist-refused.pcapng")
    assert "Outcome:   aborted (by the acceptor" in text_of("store-aborted-by-scp.pcapng")
    lost = text_of("lost-reset.pcapng")
    assert "Outcome:   lost (" in lost
    assert "W: bytes of this data set are missing in the capture" in lost


def test_identity_is_told_and_its_proof_is_not() -> None:
    shown = text_of("negotiation.pcapng")
    assert "Requested User Identity Negotiation:" in shown
    assert re.search(r"^  Username: \[.+\]$", shown, re.M)
    assert "  Passcode: " in shown or "Authentication mode 1" in shown
    name = re.findall(r"^  Username: \[(.+)\]$", shown, re.M)[0]
    masked = text_of("negotiation.pcapng", Redactor())
    assert "  Username: [" in masked
    assert name not in masked


def test_people_are_masked_by_default() -> None:
    masked, shown = text_of("worklist.pcapng", Redactor()), text_of("worklist.pcapng")
    names = re.findall(r"^\(0010,0010\) PN \[(.+?)\]", shown, re.M)
    assert len(names) == 8
    for name in names:
        assert name not in masked
    assert len(re.findall(r"^\(0010,0010\) PN \[", masked, re.M)) == 8
    assert "FLC1270" in masked
    assert "FLC1270" not in text_of("worklist.pcapng", Redactor(mask_ae=True))


def test_sequences_show_how_they_were_encoded() -> None:
    held = bytes.fromhex(
        "4000 0001 5351 0000 ffffffff"  # (0040,0100) SQ of undefined length
        "feff 00e0 ffffffff"  # an item of undefined length
        "0800 6000 4353 0200 4354"  # (0008,0060) CS [CT]
        "feff 0de0 00000000"
        "feff dde0 00000000"
    )
    lines = list(_lines(held))
    assert lines[2:] == [
        "(0040,0100) SQ (Sequence with undefined length #=1)     # u/l, 1 "
        "ScheduledProcedureStepSequence",
        "  (fffe,e000) na (Item with undefined length #=1)         # u/l, 1 Item",
        "    (0008,0060) CS [CT]                                     #   2, 1 Modality",
        "  (fffe,e00d) na (ItemDelimitationItem)                   #   0, 0 ItemDelimitationItem",
        "(fffe,e0dd) na (SequenceDelimitationItem)               #   0, 0 SequenceDelimitationItem",
    ]
    cut = list(_lines(held[:-16]))
    assert any("(ItemDelimitationItem missing)" in line for line in cut)
    assert any("(SequenceDelimitationItem missing)" in line for line in cut)
    assert any(line.lstrip().startswith("W: ") for line in cut)


def _lines(held: bytes) -> list[str]:
    data = DataSetBytes(len(held), held)
    return list(dataset_lines(decode(data, build.EXPLICIT), data, Redactor(keep_phi=True)))


def test_nothing_acts_on_the_terminal() -> None:
    evil = "\x1b[2J\u202eIZOM\x9b31m\n"
    made: Association = build.association()
    made.requestor.ae_title = evil
    made.outcome_detail = evil
    values = {0x0100: 0x8001, 0x0120: 1, 0x0900: 0xC000, 0x0902: evil}
    build.entry(made, values, "acceptor", dataset=b"\x08\x00\x05\x00CS\x06\x00\x1b[2J\r\n")
    made.timeline.append(Entry(2, "UNDECODED", "acceptor", 1, 1, (1,), 1, 1, 1, detail=evil))
    for redactor in (Redactor(), Redactor(keep_phi=True)):
        for line in dump(made, redactor):
            assert not build.HARMFUL.search(line), line

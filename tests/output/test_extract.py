"""Objects pulled out: what is on disk is what crossed the wire, all of it inside the folder."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import random
import resource
import socket
import stat
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dicomsniff.dicom.command import make_message
from dicomsniff.model import Association, Entry
from dicomsniff.output import OutputError, extract, part10
from dicomsniff.output.extract import Extractor
from tests import rewrite
from tests.output import build
from tests.support import CAPTURES, capture, missing, require

DATA = bytes.fromhex("0800160055491a00") + b"1.2.840.10008.5.1.4.1.1.2\0"


def dataset_of(path: Path) -> bytes:
    """What stands behind the file meta information, found by pydicom."""
    with path.open("rb") as stream:
        pydicom.filereader.read_preamble(stream, force=False)
        pydicom.filereader._read_file_meta_info(stream)
        return stream.read()


def index_of(folder: Path, name: str = "index.json") -> list[dict[str, object]]:
    objects = json.loads((folder / name).read_text())["objects"]
    assert isinstance(objects, list)
    return objects


def put(
    extractor: Extractor, uid: str | None, *data: bytes, complete: bool = True
) -> extract.Extracted:
    """One object, on an association of its own."""
    association = build.association(len(extractor.objects) + 1)
    sink = extractor.open(association, "requestor", build.store(association, uid))
    assert sink is not None
    for piece in data:
        sink.write(piece)
    sink.close(complete)
    extractor.association_ended(association)
    return extractor.objects[-1]


def test_a_part_10_file_says_what_was_negotiated(tmp_path: Path) -> None:
    extractor = Extractor(tmp_path / "out", source="ct.pcapng")
    association = build.association()
    message = build.store(association, "1.2.3.4", 7)
    sink = extractor.open(association, "requestor", message)
    assert sink is not None
    for offset in range(0, len(DATA), 5):
        sink.write(DATA[offset : offset + 5])
    sink.close(True)
    request = build.entry(association, message, dataset=DATA)
    extractor.entry_added(association, request)
    response = build.entry(association, {0x0100: 0x8001, 0x0120: 7, 0x0900: 0xB000}, "acceptor")
    extractor.entry_added(association, response)
    build.operation(association, request, response)
    extractor.association_ended(association)
    extractor.finish()

    path = tmp_path / "out" / "1.2.3.4.dcm"
    read = pydicom.dcmread(path)
    assert read.preamble == b"\0" * 128
    meta = read.file_meta
    assert meta.MediaStorageSOPClassUID == build.CT
    assert meta.MediaStorageSOPInstanceUID == "1.2.3.4"
    assert meta.TransferSyntaxUID == build.EXPLICIT
    assert meta.ImplementationClassUID == part10.IMPLEMENTATION_CLASS_UID
    assert meta.SourceApplicationEntityTitle == "FLC1270"
    assert meta.ReceivingApplicationEntityTitle == "MOZI"
    pydicom.dataset.validate_file_meta(meta)
    assert dataset_of(path) == DATA

    (row,) = index_of(tmp_path / "out")
    assert row["file"] == "1.2.3.4.dcm"
    assert row["complete"] is True
    assert row["missing"] == []
    assert row["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert row["size"] == path.stat().st_size
    assert row["dataset_length"] == len(DATA)
    assert row["status"] == {
        "code": "0xB000",
        "category": "Warning",
        "meaning": "Coercion of Data Elements",
    }
    assert row["frames"] == [1]
    assert row["capture"] == "ct.pcapng"
    assert row["message_id"] == 7
    assert row["entry"] == 1


def test_group_length_of_the_file_meta_information_is_right(tmp_path: Path) -> None:
    # pydicom reads on without it; dcmtk and others trust it.
    extractor = Extractor(tmp_path)
    put(extractor, "1.2", DATA)
    data = (tmp_path / "1.2.dcm").read_bytes()
    assert data[128:140] == b"DICM\x02\x00\x00\x00UL\x04\x00"
    assert data[144 + int.from_bytes(data[140:144], "little") :] == DATA


def test_only_the_owner_may_read(tmp_path: Path) -> None:
    extractor = Extractor(tmp_path / "out")
    put(extractor, "1.2", DATA)
    extractor.finish()
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) & 0o077 == 0
    for path in (tmp_path / "out").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "uid",
    [
        None,
        "",
        "..",
        ".",
        "../../etc/passwd",
        "/etc/passwd",
        "1.2/../../3",
        "1.2\0.3",
        "1..2",
        "1.2.",
        "-rf",
        "1. 2",
        "1.2\n",
        "١.٢",
        "1." * 40 + "1",
        "con",
        "1.2.dcm",
    ],
)
def test_a_hostile_uid_is_no_name(tmp_path: Path, uid: str | None) -> None:
    folder = tmp_path / "a" / "b" / "out"
    extractor = Extractor(folder)
    told = put(extractor, uid, DATA)
    extractor.finish()
    assert told.file == "object-1.dcm"
    assert sorted(path.name for path in folder.iterdir()) == ["index.json", "object-1.dcm"]
    assert sorted(tmp_path.rglob("*.dcm*")) == [folder / "object-1.dcm"]
    assert dataset_of(folder / "object-1.dcm") == DATA


@settings(max_examples=60, deadline=None)
@given(uids=st.lists(st.text(max_size=70) | st.text("0123456789.", max_size=66), max_size=5))
def test_whatever_a_peer_calls_its_objects(
    tmp_path_factory: pytest.TempPathFactory, uids: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("any") / "in" / "out"
    extractor = Extractor(folder)
    told = [put(extractor, uid, DATA) for uid in uids]
    extractor.finish()
    assert len({row.file for row in told}) == len(uids)
    for row in told:
        assert set(row.file.removesuffix(".dcm")) <= set("0123456789.-object")
        assert dataset_of(folder / row.file) == DATA
    assert len(list(folder.parent.parent.rglob("*.dcm"))) == len(uids)


@pytest.mark.parametrize("names", [2, 1], ids=["a file may have two names", "only one"])
def test_the_same_object_twice_and_a_file_that_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: int
) -> None:
    def one_only(*_: object) -> None:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    if names == 1:
        monkeypatch.setattr(os, "link", one_only)
    (tmp_path / "1.2.dcm").write_text("mine")
    (tmp_path / "index.json").write_text("mine too")
    target = tmp_path / "target"
    (tmp_path / "1.2-2.dcm").symlink_to(target)
    (tmp_path / "1.2.dcm.partial").symlink_to(target)
    extractor = Extractor(tmp_path)
    files = [put(extractor, "1.2", DATA).file for _ in range(3)]
    assert files == ["1.2-3.dcm", "1.2-4.dcm", "1.2-5.dcm"]
    assert extractor.finish() == tmp_path / "index-2.json"
    assert (tmp_path / "1.2.dcm").read_text() == "mine"
    assert (tmp_path / "index.json").read_text() == "mine too"
    assert not target.exists()


def test_missing_bytes_are_told_and_keep_the_rest_in_its_place(tmp_path: Path) -> None:
    extractor = Extractor(tmp_path)
    association = build.association()
    sink = extractor.open(association, "requestor", build.store(association, "1.2"))
    assert sink is not None
    sink.write(b"A" * 10)
    sink.lost(1448)
    sink.write(b"B" * 20)
    sink.lost(4)
    sink.close(True)
    extractor.association_ended(association)
    extractor.finish()
    (row,) = index_of(tmp_path)
    assert row["file"] == "1.2.dcm.partial"
    assert row["complete"] is False
    assert row["missing"] == [
        {"offset": 10, "length": 1448, "filled": True},
        {"offset": 1478, "length": 4, "filled": True},
    ]
    assert row["sha256"] is None
    path = tmp_path / "1.2.dcm.partial"
    assert dataset_of(path) == b"A" * 10 + bytes(1448) + b"B" * 20 + bytes(4)
    assert row["size"] == path.stat().st_size
    assert extractor.objects[0].told() == (
        "1.2.dcm.partial: missing 1448 bytes at byte 10, 4 bytes at byte 1478"
    )


def test_a_store_that_never_ended(tmp_path: Path) -> None:
    extractor = Extractor(tmp_path)
    told = put(extractor, "1.2", DATA[:9], complete=False)
    assert told.told() == "1.2.dcm.partial: missing everything from byte 9 on"
    assert dataset_of(tmp_path / "1.2.dcm.partial") == DATA[:9]
    # Interrupted before the association ended: the same, told by finish.
    association = build.association(9)
    sink = extractor.open(association, "requestor", build.store(association, "1.3"))
    assert sink is not None
    sink.write(DATA[:11])
    extractor.finish()
    rows = index_of(tmp_path)
    assert [row["file"] for row in rows] == ["1.2.dcm.partial", "1.3.dcm.partial"]
    assert rows[1]["missing"] == [{"offset": 11, "length": None, "filled": False}]
    assert rows[1]["outcome"] == "open"


def test_a_length_made_up_makes_no_giant_file(tmp_path: Path) -> None:
    extractor = Extractor(tmp_path)
    association = build.association()
    sink = extractor.open(association, "requestor", build.store(association, "1.2"))
    assert sink is not None
    sink.write(DATA)
    sink.lost(0xFFFFFFF0)
    sink.close(False)
    extractor.finish()
    (row,) = index_of(tmp_path)
    assert row["missing"] == [{"offset": len(DATA), "length": 0xFFFFFFF0, "filled": False}]
    assert (tmp_path / "1.2.dcm.partial").stat().st_size < 1000


def test_more_objects_at_once_than_files_may_be_open(tmp_path: Path) -> None:
    extractor = Extractor(tmp_path)
    associations = [build.association(number) for number in range(1, 101)]
    sinks = []
    for association in associations:
        sink = extractor.open(
            association, "requestor", build.store(association, f"1.2.{association.id}")
        )
        assert sink is not None
        sinks.append(sink)
    piece = bytes(range(256)) * (extract.BUFFERED // 256)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(2):
        for sink in sinks:
            sink.write(piece)
    assert len(os.listdir("/proc/self/fd")) - before <= extract.OPEN_FILES
    for sink, association in zip(sinks, associations, strict=True):
        sink.write(b"end")
        sink.close(True)
        extractor.association_ended(association)
    assert len(os.listdir("/proc/self/fd")) <= before
    extractor.finish()
    rows = index_of(tmp_path)
    assert all(row["complete"] for row in rows)
    for row in rows:
        path = tmp_path / str(row["file"])
        assert hashlib.sha256(path.read_bytes()).hexdigest() == row["sha256"]
        assert dataset_of(path) == piece * 2 + b"end"


def test_a_file_replaced_while_it_is_written_is_left_alone(tmp_path: Path) -> None:
    extractor = Extractor(tmp_path)
    association = build.association()
    sink = extractor.open(association, "requestor", build.store(association, "1.2"))
    assert sink is not None
    sink.write(bytes(extract.BUFFERED))
    sink.rest()
    (tmp_path / "1.2.dcm.partial").unlink()
    (tmp_path / "1.2.dcm.partial").write_text("mine")
    with pytest.raises(OutputError, match="taken its place"):
        sink.write(bytes(extract.BUFFERED))
    assert (tmp_path / "1.2.dcm.partial").read_text() == "mine"


def test_only_what_is_wanted_stays(tmp_path: Path) -> None:
    extractor = Extractor(tmp_path, wanted=lambda association, _entry: association.id != 2)
    for uid in ("1.1", "1.2", "1.3"):
        put(extractor, uid, DATA)
    extractor.finish()
    assert [row["file"] for row in index_of(tmp_path)] == ["1.1.dcm", "1.3.dcm"]
    assert sorted(path.name for path in tmp_path.glob("*.dcm*")) == ["1.1.dcm", "1.3.dcm"]


def test_other_messages_are_not_objects(tmp_path: Path) -> None:
    extractor = Extractor(tmp_path)
    association = build.association()
    for values in ({0x0100: 0x0020, 0x0110: 1, 0x0800: 1}, {}):
        message = build.message(values, association.contexts[1])
        assert extractor.open(association, "requestor", message) is None
    extractor.finish()
    assert index_of(tmp_path) == []


@pytest.mark.parametrize(
    ("data", "syntax"),
    [
        (bytes.fromhex("0800160055490400") + b"1.2\0", build.EXPLICIT),
        (bytes.fromhex("0800160004000000") + b"1.2\0", build.IMPLICIT),
        (bytes.fromhex("0008001655490004") + b"1.2\0", "1.2.840.10008.1.2.2"),
    ],
)
def test_a_transfer_syntax_that_was_not_captured_is_a_guess(
    tmp_path: Path, data: bytes, syntax: str
) -> None:
    extractor = Extractor(tmp_path)
    association = build.association(syntax=None)
    sink = extractor.open(association, "requestor", build.store(association, "1.2"))
    assert sink is not None
    sink.write(data)
    sink.close(True)
    extractor.finish()
    (row,) = index_of(tmp_path)
    assert row["transfer_syntax"] is not None
    assert row["transfer_syntax_guessed"] is True
    read = pydicom.dcmread(tmp_path / "1.2.dcm")
    assert read.file_meta.TransferSyntaxUID == syntax
    assert read.SOPClassUID == "1.2"


def test_a_full_disk_is_one_clear_line(tmp_path: Path) -> None:
    extractor = Extractor(tmp_path)
    association = build.association()
    sink = extractor.open(association, "requestor", build.store(association, "1.2"))
    assert sink is not None
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(OutputError) as caught:
            sink.write(bytes(extract.BUFFERED))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert str(caught.value) == f"cannot write {tmp_path / '1.2.dcm.partial'}: File too large"


def test_what_to_do_stands_behind_what_went_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"file: File exists; -d must name a folder"):
        Extractor(tmp_path / "file")
    extractor = Extractor(tmp_path)

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OutputError, match=r"No space left on device; make room or choose another"):
        put(extractor, "1.2", DATA)


# ---------------------------------------------------------------------------- real tools


def extracted(name: str, folder: Path) -> Extractor:
    """The objects of one of the project's captures."""
    extractor = Extractor(folder, source=name)
    build.run(capture(name), extractor, tap=extractor)
    extractor.finish()
    return extractor


@pytest.mark.parametrize("name", ["store-transfer-syntaxes", "move"])
def test_what_the_storage_scp_wrote_bit_for_bit(name: str, tmp_path: Path) -> None:
    received = sorted((CAPTURES / "objects" / name).glob("*.dcm"))
    assert len(received) >= 5
    extractor = extracted(f"{name}.pcapng", tmp_path)
    assert len(extractor.objects) == len(received)
    syntaxes = set()
    for theirs in received:
        meta = pydicom.dcmread(theirs, stop_before_pixels=True).file_meta
        ours = tmp_path / f"{meta.MediaStorageSOPInstanceUID}.dcm"
        assert dataset_of(ours) == dataset_of(theirs)
        told = pydicom.dcmread(ours, stop_before_pixels=True).file_meta
        assert told.TransferSyntaxUID == meta.TransferSyntaxUID
        assert told.MediaStorageSOPClassUID == meta.MediaStorageSOPClassUID
        assert told.SourceApplicationEntityTitle == meta.SourceApplicationEntityTitle
        syntaxes.add(str(meta.TransferSyntaxUID))
    assert len(syntaxes) == {"store-transfer-syntaxes": 6, "move": 1}[name]
    for row in index_of(tmp_path):
        assert row["complete"] is True
        assert row["status"] == {"code": "0x0000", "category": "Success", "meaning": "Success"}


def test_objects_come_the_other_way_with_c_get(tmp_path: Path) -> None:
    extractor = extracted("get.pcapng", tmp_path)
    assert len(extractor.objects) == 4
    for row in index_of(tmp_path):
        assert row["sender"] == "acceptor"
        assert row["source"] == "ARCHIVE"
        pydicom.dcmread(tmp_path / str(row["file"]))


@pytest.mark.parametrize("name", ["lost-reset", "lost-fin"])
def test_an_object_that_was_cut_off_is_partial(name: str, tmp_path: Path) -> None:
    extracted(f"{name}.pcapng", tmp_path)
    partial = [row for row in index_of(tmp_path) if not row["complete"]]
    assert partial
    for row in partial:
        assert str(row["file"]).endswith(".dcm.partial")
        assert row["missing"] == [
            {"offset": row["dataset_length"], "length": None, "filled": False}
        ]
        assert row["status"] is None
        assert row["outcome"] in ("lost", "aborted")
        assert len(dataset_of(tmp_path / str(row["file"]))) == row["dataset_length"]


def without(name: str, number: int, folder: Path) -> Path:
    """One of the project's captures without one of its frames."""
    frames = list(rewrite.raw_frames(capture(name)))
    del frames[number - 1]
    path = folder / "without.pcap"
    path.write_bytes(rewrite.pcap(frames))
    return path


@pytest.mark.parametrize("number", [9, 12, 15])
def test_an_object_all_of_whose_bytes_are_missing_is_partial(number: int, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    extractor = Extractor(folder)
    build.run(without("async.pcapng", number, tmp_path), extractor, tap=extractor)
    extractor.finish()
    rows = index_of(folder)
    assert len(rows) == 3
    (row,) = (row for row in rows if not row["complete"])
    (told,) = (told for told in extractor.objects if not told.complete)
    assert told.told() == f"{row['sop_instance']}.dcm.partial: missing everything from byte 0 on"
    assert row["file"] == f"{row['sop_instance']}.dcm.partial"
    assert row["missing"] == [{"offset": 0, "length": None, "filled": False}]
    assert row["status"] == {"code": "0x0000", "category": "Success", "meaning": "Success"}
    assert row["frames"] == [number - 1]
    assert row["dataset_length"] == 0
    assert dataset_of(folder / str(row["file"])) == b""
    assert extractor.left_out() == ""


def test_a_data_set_that_was_announced_and_never_began(tmp_path: Path) -> None:
    asked = []

    def wanted(association: Association, entry: Entry | None) -> bool:
        asked.append(entry)
        return association.id != 2

    extractor = Extractor(tmp_path, wanted=wanted)
    for number, uid in enumerate(("1.1", "1.2", None), 1):
        association = build.association(number, syntax=None if uid is None else build.EXPLICIT)
        message = build.store(association, uid)
        extractor.entry_added(association, build.entry(association, message))
        extractor.association_ended(association)
    # A C-STORE without a data set, and what is no C-STORE.
    association = build.association(4)
    for values in ({0x0100: 1, 0x0110: 1, 0x0800: 0x0101}, {0x0100: 0x20, 0x0110: 2, 0x0800: 1}):
        extractor.entry_added(association, build.entry(association, values))
    extractor.association_ended(association)
    extractor.finish()
    files = ["1.1.dcm.partial", "object-3.dcm.partial"]
    assert [row["file"] for row in index_of(tmp_path)] == files
    assert sorted(path.name for path in tmp_path.glob("*.dcm*")) == files
    assert [entry.number for entry in asked if entry is not None] == [1, 1, 1]
    assert extractor.left_out() == ""


def test_what_has_no_request_is_left_out_and_told(tmp_path: Path) -> None:
    for name, number, objects, told in (
        ("store.pcapng", 10, 3, "1 C-STORE response without a request"),
        (
            "store-small-pdu.pcapng",
            9,
            0,
            "1 data set (or the rest of one) without a command set, "
            "1 C-STORE response without a request",
        ),
    ):
        path = without(name, number, tmp_path)
        extractor = Extractor(tmp_path / name)
        build.run(path, extractor, tap=extractor)
        extractor.finish()
        assert len(extractor.objects) == objects
        assert extractor.left_out() == f"left out: {told}"
        unwanted = Extractor(tmp_path / f"{name}-unwanted", wanted=lambda *_: False)
        build.run(path, unwanted, tap=unwanted)
        assert unwanted.left_out() == ""


def test_a_data_set_that_cannot_be_an_object_is_not_told(tmp_path: Path) -> None:
    extractor = Extractor(tmp_path)
    for number, sop_class in enumerate((build.CT, build.WORKLIST, build.CT), 1):
        association = build.association(number, sop_class=sop_class)
        message = make_message(1, {}, b"", association.contexts[1])
        extractor.entry_added(association, build.entry(association, message, dataset=DATA))
        extractor.association_ended(association)
    assert extractor.left_out() == (
        "left out: 2 data sets (or the rest of one) without a command set"
    )


def test_a_store_that_failed_has_its_status(tmp_path: Path) -> None:
    extracted("store-failed.pcapng", tmp_path)
    categories = {str(row["status"]["category"]) for row in index_of(tmp_path)}  # type: ignore[index]
    assert "Failure" in categories


@pytest.mark.parametrize(
    "options", [["-xi"], ["-xe"], ["-xb"], ["-xd"], ["-xe", "--max-pdu", "4096"]], ids=" ".join
)
def test_live_storescu_to_storescp(options: list[str], tmp_path: Path) -> None:
    storescp, storescu, dumpcap = require("storescp"), require("storescu"), require("dumpcap")
    generator = random.Random(str(options))
    sent = tmp_path / "sent.dcm"
    image = pydicom.dcmread(capture("objects/store-transfer-syntaxes/" + PLAIN))
    image.Rows = image.Columns = 256
    image.PixelData = generator.randbytes(256 * 256)
    image.save_as(sent)
    received, ours, trace = tmp_path / "received", tmp_path / "ours", tmp_path / "trace.pcapng"
    received.mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    with ExitStack() as stack:
        sniffer = stack.enter_context(
            subprocess.Popen(
                [dumpcap, "-q", "-i", "lo", "-f", f"tcp port {port}", "-w", str(trace)],
                stderr=subprocess.PIPE,
            )
        )
        stack.callback(sniffer.terminate)
        assert sniffer.stderr is not None
        first = sniffer.stderr.readline()
        if b"Capturing" not in first:
            missing(f"dumpcap may not capture on lo: {first.decode().strip()}")
        scp = stack.enter_context(
            subprocess.Popen([storescp, "+xa", "+B", "-od", str(received), port])
        )
        stack.callback(scp.terminate)
        until(lambda: listens(int(port)))
        subprocess.run([storescu, *options, "127.0.0.1", port, str(sent)], check=True)
        until(lambda: trace.exists() and released(trace))
    extractor = Extractor(ours)
    build.run(trace, extractor, tap=extractor)
    extractor.finish()
    (theirs,) = received.iterdir()
    (told,) = extractor.objects
    assert told.complete
    assert dataset_of(ours / told.file) == dataset_of(theirs)
    assert told.dataset_length > 60_000 or "-xd" in options
    syntax = pydicom.dcmread(theirs, stop_before_pixels=True).file_meta.TransferSyntaxUID
    assert told.transfer_syntax == syntax


PLAIN = "SC.2.25.48211992140256794226192575592357058636.dcm"
"""An explicit VR little endian image of captures/objects."""


def until(true: Callable[[], bool]) -> None:
    """Wait for something that has to come true."""
    limit = time.monotonic() + 15
    while not true():
        assert time.monotonic() < limit, "it never did"
        time.sleep(0.05)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def released(trace: Path) -> bool:
    """The release was answered and is on disk."""
    kept = build.Kept()
    build.run(trace, kept)
    return any(one.outcome == "released" for one in kept.associations)

"""The packets of associations, copied: what tshark takes for the same connections."""

from __future__ import annotations

import os
import struct
import subprocess
from pathlib import Path

import pytest
from scapy.layers.inet import IP, TCP, fragment
from scapy.layers.l2 import Ether

import dicomsniff
from dicomsniff.model import Association, Frame
from dicomsniff.output import OutputError, packets
from dicomsniff.sources import open_capture
from tests.support import capture, require


def frames_of(path: Path) -> list[Frame]:
    return list(open_capture(str(path), reader="scapy"))


def associations_of(path: Path) -> list[Association]:
    return list(dicomsniff.read(str(path), reader="scapy"))


def copied(
    path: Path, out: Path, stretches: list[packets.Stretch]
) -> list[tuple[int, int, bytes, int]]:
    """What of each frame must be the same in the copy."""
    count = packets.write(open_capture(str(path), reader="scapy"), out, stretches)
    found = [frame[1:] for frame in frames_of(out)]
    assert len(found) == count
    return found


def streams_of(path: Path) -> dict[int, str]:
    """The TCP stream of each frame, by tshark."""
    command = [require("tshark"), "-n", "-r", str(path), "-T", "fields"]
    command += ["-e", "frame.number", "-e", "tcp.stream"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = (line.split("\t") for line in done.stdout.splitlines())
    return {int(number): stream for number, stream in rows}


@pytest.mark.parametrize("name", ["move.pcapng", "concurrent.pcapng", "echo-ipv6.pcapng"])
def test_a_whole_connection_is_tsharks_stream(name: str, tmp_path: Path) -> None:
    path = capture(name)
    everything = associations_of(path)
    frames = frames_of(path)
    streams = streams_of(path)
    for association in everything:
        stretches = packets.of_associations([association], everything)
        found = copied(path, tmp_path / f"{association.id}.pcapng", stretches)
        stream = streams[association.timeline[0].last_frame]
        assert found == [frame[1:] for frame in frames if streams[frame.number] == stream]


def test_the_copy_says_what_the_capture_says(tmp_path: Path) -> None:
    path = capture("move.pcapng")
    everything = associations_of(path)
    out = tmp_path / "two.pcapng"
    copied(path, out, packets.of_associations(everything[1:], everything))
    (again,) = associations_of(out)
    assert [e.kind for e in again.timeline] == [e.kind for e in everything[1].timeline]
    assert not again.partial


def test_two_associations_of_one_connection_are_kept_apart(tmp_path: Path) -> None:
    path = capture("two-associations-one-connection.pcapng")
    everything = associations_of(path)
    frames = frames_of(path)
    assert len(everything) == 2
    parts = [
        copied(path, tmp_path / f"{a.id}.pcapng", packets.of_associations([a], everything))
        for a in everything
    ]
    begins = everything[1].timeline[0].frames[0]
    assert parts[0] == [frame[1:] for frame in frames if frame.number < begins]
    assert parts[1] == [f[1:] for f in frames if f.number <= 3 or f.number >= begins]


def test_rows_bring_the_frames_between(tmp_path: Path) -> None:
    path = capture("store.pcapng")
    (association, *_) = associations_of(path)
    entry = max(association.timeline, key=lambda e: e.frame_count)
    assert entry.frame_count > 1
    found = copied(path, tmp_path / "row.pcapng", packets.of_rows([(association, entry)]))
    wanted = [f for f in frames_of(path) if entry.frames[0] <= f.number <= entry.last_frame]
    assert found == [frame[1:] for frame in wanted]


def test_a_port_that_is_used_again_is_another_connection(tmp_path: Path) -> None:
    """The frames of a capture twice, an hour apart: the same addresses and ports."""
    path = capture("worklist.pcapng")
    frames = frames_of(path)
    later = [
        frame._replace(number=frame.number + len(frames), time=frame.time + 3_600_000_000_000)
        for frame in frames
    ]
    twice = tmp_path / "twice.pcap"
    with twice.open("wb") as stream:
        stream.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262_144, frames[0].link_type))
        for frame in [*frames, *later]:
            seconds, rest = divmod(frame.time, 1_000_000_000)
            stream.write(struct.pack("<IIII", seconds, rest, len(frame.data), frame.length))
            stream.write(frame.data)
    everything = associations_of(twice)
    assert len(everything) == 2
    for association, wanted in zip(everything, (frames, later), strict=True):
        stretches = packets.of_associations([association], everything)
        found = copied(twice, tmp_path / f"{association.id}.pcapng", stretches)
        assert found == [frame[1:] for frame in wanted]


def test_fragments_and_other_links_come_along(tmp_path: Path) -> None:
    path = capture("worklist.pcapng")
    frames = frames_of(path)
    (association,) = associations_of(path)
    entry = association.timeline[0]
    wire: list[Frame] = []
    for frame in frames:
        packet = Ether(frame.data)[IP] if frame.link_type == 1 else IP(frame.data[4:])
        if frame.number == entry.last_frame:
            del packet[IP].len, packet[IP].chksum
            pieces = fragment(packet, fragsize=96)
            assert len(pieces) > 1
            wire += [frame._replace(data=bytes(Ether() / p), link_type=1) for p in pieces]
        else:
            assert TCP in packet
            wire.append(frame._replace(data=bytes(packet), link_type=101))
    wire = [f._replace(number=n, length=len(f.data)) for n, f in enumerate(wire, 1)]

    class Made:
        reader, name, truncated, dropped = "scapy", "made", False, None
        notices: list[str] = []  # noqa: RUF012

        def __iter__(self):  # type: ignore[no-untyped-def]  # noqa: ANN204
            return iter(wire)

        def close(self) -> None:
            pass

    pair = packets.of_associations([association], [association])[0]
    stretch = pair._replace(last=len(wire), first=4)
    out = tmp_path / "out.pcapng"
    packets.write(Made(), out, [stretch])
    assert [f[1:] for f in frames_of(out)] == [f[1:] for f in wire]


def test_nothing_is_replaced_and_nothing_is_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = capture("worklist.pcapng")
    everything = associations_of(path)
    stretches = packets.of_associations(everything, everything)
    taken = tmp_path / "taken.pcapng"
    taken.write_text("yesterday's")
    with pytest.raises(FileExistsError):
        packets.write(open_capture(str(path), reader="scapy"), taken, stretches)
    assert taken.read_text() == "yesterday's"
    other = [s._replace(pair=frozenset()) for s in stretches]
    with pytest.raises(OutputError, match="none of the packets"):
        packets.write(open_capture(str(path), reader="scapy"), tmp_path / "none.pcapng", other)

    class EnoughError(Exception):
        pass

    def step(_: float | None) -> None:
        raise EnoughError

    monkeypatch.setattr(packets, "STEP", 4)
    source = open_capture(str(path), reader="scapy")
    with pytest.raises(EnoughError):
        packets.write(source, tmp_path / "half.pcapng", stretches, step=step)
    assert sorted(os.listdir(tmp_path)) == ["taken.pcapng"]

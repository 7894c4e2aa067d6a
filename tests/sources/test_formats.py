"""Whatever tshark opens, the session in it is the same; several files are one session."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from dicomsniff.analysis.pipeline import Listener, Pipeline, run
from dicomsniff.model import Association
from dicomsniff.sources import SourceError, open_captures
from tests import rewrite
from tests.sources.files import PcapNg
from tests.support import capture, require


class Kept(Listener):
    def __init__(self) -> None:
        self.associations: list[Association] = []

    def association_ended(self, association: Association) -> None:
        self.associations.append(association)


def story(*paths: Path | str, reader: str = "auto") -> tuple[object, Pipeline]:
    kept = Kept()
    pipeline = Pipeline(listener=kept)
    run(open_captures([str(path) for path in paths], reader=reader), pipeline)
    return rewrite.story(kept.associations), pipeline


@pytest.fixture(scope="module")
def ethernet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The worklist session on Ethernet, which every format can hold."""
    path = tmp_path_factory.mktemp("formats") / "worklist.pcap"
    path.write_bytes(rewrite.pcap(rewrite.frames(rewrite.load(capture("worklist.pcapng")))))
    return path


def by_editcap(form: str) -> Callable[[Path, Path], None]:
    def make(source: Path, target: Path) -> None:
        subprocess.run([require("editcap"), "-F", form, source, target], check=True)

    return make


def by_program(*command: str) -> Callable[[Path, Path], None]:
    def make(source: Path, target: Path) -> None:
        target.write_bytes(
            subprocess.run(
                [require(command[0]), *command[1:], source], check=True, capture_output=True
            ).stdout
        )

    return make


def erf(source: Path, target: Path) -> None:
    """Records of Ethernet, one of them with an extension header."""
    out = []
    for frame in rewrite.raw_frames(source):
        seconds, rest = divmod(frame.time, 1_000_000_000)
        time = struct.pack("<Q", seconds << 32 | (rest << 32) // 1_000_000_000)
        extension = bytes(8) if frame.number == 4 else b""
        kind = 2 | (0x80 if extension else 0)
        size = 18 + len(extension) + len(frame.data)
        head = struct.pack(">BBHHH", kind, 4, size, 0, frame.length)
        out.append(time + head + extension + b"\0\0" + frame.data)
    target.write_bytes(b"".join(out))


FORMATS: dict[str, Callable[[Path, Path], None]] = {
    "session.snoop": by_editcap("snoop"),
    "netmon1.cap": by_editcap("netmon1"),
    "netmon2.cap": by_editcap("netmon2"),
    "modified.pcap": by_editcap("modpcap"),
    "sniffer.enc": by_editcap("ngsniffer"),
    "windows.cap": by_editcap("ngwsniffer_2_0"),
    "ethernet.5vw": by_editcap("5views"),
    "lan.tr1": by_editcap("lanalyzer"),
    "nokia.pcap": by_editcap("nokiapcap"),
    "visual.cap": by_editcap("visual"),
    # Those that tshark reads and does not write.
    "commview.ncf": by_editcap("commview-ncf"),
    "k12.txt": by_editcap("k12text"),
    "hpux.trc": by_editcap("nettl"),
    "card.erf": erf,
    "session.pcap.gz": by_program("gzip", "-c"),
    "session.pcap.zst": by_program("zstd", "-q", "-c"),
    "session.pcap.lz4": by_program("lz4", "-q", "-c"),
}


@pytest.mark.parametrize("name", FORMATS)
def test_formats_through_tshark(name: str, ethernet: Path, tmp_path: Path) -> None:
    require("tshark")
    path = tmp_path / name
    FORMATS[name](ethernet, path)
    expected, _ = story(ethernet, reader="scapy")
    if (
        name == "nokia.pcap"
        and subprocess.run([require("tshark"), "-r", path], capture_output=True).returncode
    ):
        pytest.skip("this tshark writes the form and does not know it again (4.6 does not)")
    found, _ = story(path)
    assert found == expected
    # Two begin as pcap does, and are not quite.
    if not name.endswith(("gz", "modified.pcap", "nokia.pcap")):
        with pytest.raises(SourceError, match="tshark") as refused:
            story(path, reader="scapy")
        assert "\n" not in str(refused.value)
        for ending, program in ((".zst", "zstd -dc"), (".lz4", "lz4 -dc")):
            assert (program in str(refused.value)) == name.endswith(ending)


@pytest.mark.parametrize("program", ["zstd", "lz4"])
def test_a_compressed_file_that_ends_in_its_first_block(
    program: str, ethernet: Path, tmp_path: Path
) -> None:
    """tshark has no packet, and before 4.4 says nothing of it."""
    require("tshark")
    path = tmp_path / "cut.pcap.packed"
    by_program(program, "-q", "-c")(ethernet, path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    source = open_captures([str(path)], reader="pyshark")
    pipeline = Pipeline()
    told = ""
    try:
        run(source, pipeline)
    except SourceError as error:
        told = str(error)
    assert pipeline.info.packets == 0
    if told:
        assert told.startswith(f"{path}: tshark: ")
        assert "cut short" in told
        return
    (notice,) = source.notices
    assert f"{program} -t {path}" in notice


def parts(path: Path, folder: Path, names: list[str]) -> list[Path]:
    """A capture cut into several, each with every frame of some time."""
    frames = list(rewrite.raw_frames(path))
    out = []
    for number, name in enumerate(names):
        at, end = (len(frames) * n // len(names) for n in (number, number + 1))
        target = folder / name
        target.write_bytes(rewrite.pcap(frames[at:end]))
        out.append(target)
    return out


@pytest.mark.parametrize("form", ["nokiapcap", "rh6_1pcap"])
def test_a_variant_of_pcap_that_scapy_does_not_know(
    form: str, ethernet: Path, tmp_path: Path
) -> None:
    """It looks like pcap at first; the line that says so names the way."""
    path = tmp_path / "variant.pcap"
    by_editcap(form)(ethernet, path)
    source = open_captures([str(path)], reader="scapy")
    run(source, Pipeline())
    (notice,) = source.notices
    assert "leave out --reader scapy" in notice
    assert source.truncated


@pytest.mark.parametrize("reader", ["scapy", "pyshark"])
def test_several_files_are_one_session(reader: str, ethernet: Path, tmp_path: Path) -> None:
    if reader == "pyshark":
        require("tshark")
    ring = parts(ethernet, tmp_path, ["c.pcap0", "a.pcap1", "b.pcap2"])
    (tmp_path / "readme.txt").write_text("not a capture")
    expected, whole = story(ethernet, reader="scapy")
    for named in (ring[::-1], [tmp_path], [f"{tmp_path}/*.pcap?"], [*ring, ring[0], tmp_path]):
        found, pipeline = story(*named, reader=reader)
        assert found == expected
        assert pipeline.info.packets == whole.info.packets


def test_interfaces_captured_beside_each_other(ethernet: Path, tmp_path: Path) -> None:
    """Each direction in a file of its own."""
    frames = list(rewrite.raw_frames(ethernet))
    ways = [[f for f in frames if f.data[26:30] + f.data[34:36] == end] for end in
            dict.fromkeys(f.data[26:30] + f.data[34:36] for f in frames)]  # fmt: skip
    assert len(ways) == 2
    files = []
    for number, way in enumerate(ways):
        files.append(tmp_path / f"{number}.pcap")
        files[-1].write_bytes(rewrite.pcap(way))
    assert story(*files, reader="scapy")[0] == story(ethernet, reader="scapy")[0]


@pytest.mark.parametrize("seed", range(12))
def test_frames_of_one_time_are_numbered_as_mergecap_numbers_them(
    seed: int, tmp_path: Path
) -> None:
    """Also where a file is not in the order of its own time, or has frames without one."""
    random = Random(seed)
    paths = []
    for number in range(random.randint(2, 4)):
        times = [random.randint(0, 6) for _ in range(random.randint(1, 8))]
        if random.random() < 0.7:
            times.sort()
        paths.append(tmp_path / f"{number}.pcapng")
        untimed = random.random() < 0.3
        file = PcapNg().section().interface()
        for at, time in enumerate(times):
            data = b"\x02" * 12 + b"\x88\xb5" + f"{number}.{at}".encode().ljust(46, b"\0")
            if untimed:
                file.block(3, struct.pack("<I", len(data)) + data)
            else:
                file.packet(data, 1_000_000_000 + time)
        paths[-1].write_bytes(file.data)
    target = tmp_path / "merged.pcapng"
    subprocess.run([require("mergecap"), "-w", target, *paths], check=True)
    told = subprocess.run(
        [
            require("tshark"),
            "-r",
            target,
            "-T",
            "fields",
            "-e",
            "data.data",
            "-d",
            "ethertype==0x88b5,data",
        ],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    source = open_captures([str(path) for path in paths], reader="scapy")
    assert [(frame.number, frame.data[14:].hex()) for frame in source] == list(enumerate(told, 1))


def test_a_ring_is_not_opened_all_at_once(ethernet: Path, tmp_path: Path) -> None:
    from dicomsniff.model import Source
    from dicomsniff.sources import open_capture
    from dicomsniff.sources.merge import Merged

    ring = [str(p) for p in parts(ethernet, tmp_path, [f"{n}.pcap" for n in range(8)])]
    opened: list[str] = []

    def open_one(path: str) -> Source:
        opened.append(path)
        return open_capture(path, reader="scapy")

    merged = iter(Merged(ring[::-1], open_one))
    next(merged)
    assert opened == ring[:1]
    assert sum(1 for _ in merged) == len(list(rewrite.raw_frames(ethernet))) - 1
    assert opened == ring


def test_nothing_to_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no captures in this folder"):
        open_captures([str(tmp_path)])
    with pytest.raises(SourceError, match="no file has such a name"):
        open_captures([f"{tmp_path}/*.pcap"])
    with pytest.raises(SourceError, match="stdin"):
        open_captures(["-", "-"])

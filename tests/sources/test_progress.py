"""How far a capture was read, while it is read."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from dicomsniff.sources import open_capture, open_captures
from tests.support import capture, require


def shares(source: object) -> list[float | None]:
    """The progress told at each frame."""
    return [source.progress for _ in source]  # type: ignore[attr-defined]


@pytest.mark.parametrize("reader", ["scapy", "pyshark"])
def test_a_file_tells(reader: str) -> None:
    if reader == "pyshark":
        require("tshark")
    told = shares(open_capture(str(capture("store.pcapng")), reader=reader))
    assert all(share is not None and 0 < share <= 1 for share in told)
    assert told == sorted(told)  # type: ignore[type-var]
    assert told[-1] > 0.9  # type: ignore[operator]


def test_several_files_tell_together() -> None:
    names = [str(capture(name)) for name in ("worklist.pcapng", "store.pcapng", "move.pcapng")]
    source = open_captures(names, reader="scapy")
    told = shares(source)
    assert told == sorted(told)  # type: ignore[type-var]
    assert told[0] < 0.9 < told[-1] <= 1  # type: ignore[operator]


def test_a_compressed_file_tells_by_what_was_read_of_it(tmp_path: Path) -> None:
    file = tmp_path / "worklist.pcapng.gz"
    file.write_bytes(gzip.compress(capture("worklist.pcapng").read_bytes()))
    assert shares(open_capture(str(file), reader="scapy"))[-1] == 1
    require("tshark")
    assert set(shares(open_capture(str(file), reader="pyshark"))) == {None}


def test_a_pipe_cannot_tell() -> None:
    read, write = os.pipe()
    os.write(write, capture("worklist.pcapng").read_bytes())
    os.close(write)
    try:
        source = open_capture(f"/dev/fd/{read}", reader="scapy")
        assert set(shares(source)) == {None}
    finally:
        os.close(read)

"""A transcript that was saved shows on the same screen as the capture it came from."""

from __future__ import annotations

from pathlib import Path

import pytest

import dicomsniff
from dicomsniff.cli import main
from dicomsniff.tui.loader import Loader
from tests.support import capture


def test_a_saved_transcript_gives_the_rows_of_its_capture(tmp_path: Path) -> None:
    saved = tmp_path / "worklist.json"
    assert (
        main(["transcript", "--reader", "scapy", str(capture("worklist.pcapng")), "-o", str(saved)])
        == 0
    )

    from dicomsniff.output import reload

    loader = Loader(lambda: reload.load(saved))
    loader.start()
    loader.close()
    assert loader.done
    assert not loader.error
    (association,) = dicomsniff.read(str(capture("worklist.pcapng")), reader="scapy")
    assert [entry.kind for _, entry in loader.rows] == [e.kind for e in association.timeline]
    assert loader.ended == 1
    assert loader.associations[0].acceptor.ae_title == "MOZI"


def test_without_a_terminal_a_saved_transcript_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = str(capture("worklist.pcapng"))
    saved = tmp_path / "worklist.json"
    assert main(["transcript", "--reader", "scapy", name, "-o", str(saved)]) == 0
    assert main(["timeline", "--reader", "scapy", name]) == 0
    rows = capsys.readouterr().out
    assert main(["open", str(saved)]) == 0
    assert capsys.readouterr().out == rows

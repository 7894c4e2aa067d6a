"""What is needed later is there before the files it comes from may not be read any more."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dicomsniff import preload
from tests.support import CAPTURES

LATER = """
import argparse, io, sys
from pathlib import Path

from dicomsniff.preload import preload

preload(screen=True)


class Nothing:
    def find_spec(self, name, path=None, target=None):
        raise AssertionError(f"{name} is imported late")


sys.meta_path.insert(0, Nothing())

from dicomsniff.analysis.pipeline import Listener, Pipeline, run
from dicomsniff.output.redact import Redactor
from dicomsniff.output.stream import EventWriter
from dicomsniff.output.transcript import TranscriptWriter
from dicomsniff.sources.pcapfile import CaptureFile

told = 0


class Both(Listener):
    def entry_added(self, association, entry):
        self.events.entry(association, entry)

    def association_ended(self, association):
        global told
        told += 1
        self.lines.association(association)


for path in sys.argv[1:]:
    both = Both()
    pipeline = Pipeline(listener=both, endless=True)
    out = io.BytesIO()
    both.events = EventWriter(out, Redactor(), info=pipeline.info)
    with TranscriptWriter(out, Redactor(), info=pipeline.info, ndjson=True) as both.lines:
        run(CaptureFile(path), pipeline)
print(told)
"""


def test_nothing_is_imported_once_it_goes_on() -> None:
    # All kinds: character sets, private elements, structured reports, tunnels, TLS.
    names = ["worklist", "charsets", "query", "store", "print", "journey", "tls", "get", "commit"]
    paths = [str(p) for p in sorted(CAPTURES.glob("*.pcap*")) if p.name.startswith(tuple(names))]
    assert len(paths) > 15
    done = subprocess.run(
        [sys.executable, "-c", LATER, *paths], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > len(paths)


def test_all_is_imported_only_for_whom_it_is_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    inside = home / "venv"
    inside.mkdir(parents=True)
    monkeypatch.setattr(preload, "_places", lambda: {str(inside)})
    done: list[bool] = []
    monkeypatch.setattr(preload, "preload", lambda *, screen: done.append(screen))
    owner, other = inside.stat().st_uid, inside.stat().st_uid + 1
    preload.prepare(owner, screen=False)
    assert done == []
    home.chmod(0o700)
    preload.prepare(owner, screen=False)
    assert done == []
    preload.prepare(other, screen=True)
    assert done == [True]
    monkeypatch.setattr(preload, "_places", lambda: {"/no/such/place"})
    preload.prepare(owner, screen=False)
    assert done == [True, False]
    monkeypatch.setattr(preload, "_places", lambda: {"/"})
    preload.prepare(other, screen=False)
    assert len(done) == 2

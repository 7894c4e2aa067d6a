"""The two readers give the same transcript, to the byte, except for their own name."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from dicomsniff.analysis.pipeline import Listener, Pipeline, run
from dicomsniff.model import Association
from dicomsniff.output.redact import Redactor
from dicomsniff.output.transcript import TranscriptWriter
from dicomsniff.sources import open_capture
from tests import rewrite
from tests.support import CAPTURES, PUBLIC_CAPTURES, require

PATHS = sorted(CAPTURES.glob("*.pcapng")) + sorted(PUBLIC_CAPTURES.rglob("*.pcap"))


def transcript(path: Path, reader: str) -> bytes:
    stream = io.BytesIO()
    source = open_capture(str(path), reader=reader)

    class Write(Listener):
        writer: TranscriptWriter

        def association_ended(self, association: Association) -> None:
            self.writer.association(association)

    listener = Write()
    pipeline = Pipeline(listener=listener)
    pipeline.info.source, pipeline.info.reader = source.name, source.reader
    listener.writer = TranscriptWriter(stream, Redactor(keep_phi=True), info=pipeline.info)
    run(source, pipeline)
    with listener.writer as writer:
        writer.finish(pipeline.info, pipeline.findings)
    return stream.getvalue()


@pytest.fixture(scope="module")
def replayed() -> Iterator[dict[Path, Future[bytes]]]:
    """tshark takes a while to start: two at a time."""
    require("tshark")
    with ThreadPoolExecutor(2) as pool:
        yield {path: pool.submit(transcript, path, "pyshark") for path in PATHS}


@pytest.mark.parametrize("path", PATHS, ids=lambda p: p.name)
def test_the_same_transcript_to_the_byte(path: Path, replayed: dict[Path, Future[bytes]]) -> None:
    scapys = transcript(path, "scapy")
    told = json.loads(scapys)
    assert told["capture"]["reader"] == "scapy"
    assert told["capture"]["packets"] == len(list(rewrite.raw_frames(path)))
    pysharks = replayed[path].result()
    assert pysharks.replace(b'"pyshark"', b'"scapy"') == scapys

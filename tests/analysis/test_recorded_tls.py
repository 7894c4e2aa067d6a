"""Recorded sessions inside of TLS: the same that their twins in clear say, and who refused what.

Each of ``tls-1.2`` and ``tls-1.3`` holds one session twice, in clear and inside of TLS, between the
same tools.
"""

from __future__ import annotations

import io
import json
import struct
import subprocess
from collections import defaultdict
from pathlib import Path
from random import Random
from typing import Any

import pytest

from dicomsniff.analysis.pipeline import Listener, Pipeline, run
from dicomsniff.model import Association
from dicomsniff.output.redact import Redactor
from dicomsniff.output.transcript import TranscriptWriter
from dicomsniff.sources import open_captures
from tests import rewrite
from tests.support import capture, require

VERSIONS = ("1.2", "1.3")

PLACES = frozenset(
    (
        # times
        *("time", "began", "elapsed", "started", "ended", "duration", "first_response"),
        "transport",
        # frames
        *("frames", "frame_count", "last_frame"),
        # addresses, and the number of the association, which names the pair
        *("address", "port", "id", "linked", "BulkDataURI"),
        # what is there to be different
        *("encrypted", "tls"),
    )
)
"""Keys of a transcript in which twins may differ."""

OTHERWISE = frozenset(("store-duplicate", "delayed-acknowledgement"))
"""Findings that only one of the twins has: the second one stores what is stored already, and
acknowledgements are a matter of time."""


def transcript(version: str) -> dict[str, Any]:
    """With the secrets."""
    require("tshark")
    stream = io.BytesIO()

    class Write(Listener):
        def association_ended(self, association: Association) -> None:
            writer.association(association)

    listener = Write()
    pipeline = Pipeline(listener=listener)
    writer = TranscriptWriter(stream, Redactor(keep_phi=True), info=pipeline.info)
    source = open_captures(
        [str(capture(f"tls-{version}.pcapng"))], keylog=str(capture(f"tls-{version}.keys"))
    )
    run(source, pipeline)
    with writer:
        writer.finish(pipeline.info, pipeline.findings)
    assert source.notices == []
    told: dict[str, Any] = json.loads(stream.getvalue())
    return told


def without_places(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_places(each) for key, each in value.items() if key not in PLACES}
    if isinstance(value, list):
        return [
            without_places(each)
            for each in value
            if not (isinstance(each, dict) and each.get("code") in OTHERWISE)
        ]
    return value


@pytest.mark.parametrize("version", VERSIONS)
def test_twins_say_the_same(version: str) -> None:
    told = transcript(version)
    pairs: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for association in told["associations"]:
        pairs[association["requestor"]["ae_title"]].append(association)
    assert set(pairs) == {"FLC1270", "MODALITY1", "MODALITY2", "SCU0", "SCU1", "SCU2", "SCU3"}
    for clear, inside in pairs.values():
        assert (clear["encrypted"], inside["encrypted"]) == (False, True)
        assert clear["timeline"]
        assert without_places(inside) == without_places(clear)
    # The image takes many records, which cross segments; two storescu sent at once.
    sent = [e for e in pairs["MODALITY1"][1]["timeline"] if e["kind"] == "C-STORE-RQ"]
    assert [e["dataset_length"] > 3 * (1 << 14) for e in sent] == [True]
    first, second = pairs["MODALITY1"][1], pairs["MODALITY2"][1]
    assert max(first["started"], second["started"]) < min(first["ended"], second["ended"])

    subjects = {
        side: [f"CN={side}.invented.example, O=Invented Hospital"]
        for side in ("acceptor", "requestor")
    }
    for name, (_, inside) in pairs.items():
        tls = inside["tls"]
        assert (tls["decrypted"], tls["version"]) == (True, f"TLS {version}")
        resumed = name in ("SCU1", "SCU2")
        assert tls["resumed"] is resumed
        assert tls["client_asked"] is (None if resumed else True)
        for key, side in (
            ("server_certificates", "acceptor"),
            ("client_certificates", "requestor"),
        ):
            assert [each["subject"] for each in tls[key]] == ([] if resumed else subjects[side])
    assert {inside["acceptor"]["port"] for _, inside in pairs.values()} == {2762, 10443}


# ---------------------------------------------------------------------------- on a bad day


def inside(packets: list[rewrite.Packet], version: str, path: Path) -> list[Association]:
    """What is told of packets that were changed."""
    path.write_bytes(rewrite.pcap(rewrite.frames(rewrite.timed(packets, packets[0].time))))
    return associations(path, version)


def associations(path: Path, version: str) -> list[Association]:
    require("tshark")
    kept: list[Association] = []

    class Keep(Listener):
        def association_ended(self, association: Association) -> None:
            kept.append(association)

    source = open_captures([str(path)], keylog=str(capture(f"tls-{version}.keys")))
    run(source, Pipeline(listener=Keep()))
    return kept


def on_a_cable(version: str) -> list[rewrite.Packet]:
    """The packets inside of TLS to pynetdicom, in segments that a cable carries."""
    packets = rewrite.load(capture(f"tls-{version}.pcapng"))
    return rewrite.cut([p for p in packets if 2762 in (p.sport, p.dport)], 1000, 1400, Random(1))


@pytest.mark.parametrize("version", VERSIONS)
def test_neighbours_that_change_places(version: str, tmp_path: Path) -> None:
    packets = on_a_cable(version)
    path = tmp_path / "tls.pcap"
    expected = rewrite.story(inside(packets, version, path))
    random, changed = Random(1), list(packets)
    for at in range(1, len(changed)):
        one, two = changed[at - 1 : at + 1]
        if one.way == two.way and one.payload and two.payload and random.random() < 0.3:
            changed[at - 1 : at + 1] = two, one
    assert changed != packets
    assert rewrite.story(inside(changed, version, path)) == expected


@pytest.mark.parametrize("version", VERSIONS)
def test_a_segment_that_is_missing_is_told_and_nobody_blamed(version: str, tmp_path: Path) -> None:
    packets = on_a_cable(version)
    large = [at for at, packet in enumerate(packets) if len(packet.payload) > 900]
    del packets[large[len(large) // 2]]
    told = inside(packets, version, tmp_path / "tls.pcap")
    assert len(told) == 6
    (torn,) = [each for each in told if each.gaps]
    assert torn.requestor.ae_title == "MODALITY1"
    assert [gap.sender for gap in torn.gaps] == ["requestor"]
    assert "C-STORE-RSP" in [entry.kind for entry in torn.timeline]
    assert [finding.code for finding in torn.findings] == ["capture-incomplete"]
    assert all(each.outcome == "released" for each in told)


def test_a_ring_that_brings_its_secrets_in_the_first_file(tmp_path: Path) -> None:
    """As dumpcap and Wireshark write them: connections go on in files that bring none."""
    require("mergecap")
    source, keylog = capture("tls-1.3.pcapng"), capture("tls-1.3.keys")
    whole = tmp_path / "whole.pcapng"
    words = [require("editcap"), "--inject-secrets", f"tls,{keylog}", str(source), str(whole)]
    subprocess.run(words, check=True, capture_output=True)
    data, at = whole.read_bytes(), 0
    heads: list[bytes] = []
    secrets: list[bytes] = []
    packets: list[bytes] = []
    while at < len(data):
        kind, size = struct.unpack_from("<II", data, at)
        listed = {6: packets, 10: secrets, 0x0A0D0D0A: heads, 1: heads}.get(kind, [])
        listed.append(data[at : at + size])
        at += size
    ring = tmp_path / "ring"
    ring.mkdir()
    for part, name in enumerate("dbca"):
        share = packets[part * len(packets) // 4 : (part + 1) * len(packets) // 4]
        blocks = [*heads, *(secrets if part == 0 else []), *share]
        (ring / f"{name}.pcapng").write_bytes(b"".join(blocks))
    kept: list[Association] = []

    class Keep(Listener):
        def association_ended(self, association: Association) -> None:
            kept.append(association)

    run(open_captures([str(ring)]), Pipeline(listener=Keep()))
    assert rewrite.story(kept) == rewrite.story(associations(source, "1.3"))


def test_refusals_name_who_refused_and_why() -> None:
    class Kept(Listener):
        def __init__(self) -> None:
            self.associations: list[Association] = []

        def association_ended(self, association: Association) -> None:
            self.associations.append(association)

    kept = Kept()
    pipeline = Pipeline(listener=kept)
    run(open_captures([str(capture("tls-refused.pcapng"))], reader="scapy"), pipeline)
    told = [
        [(f.code, f.severity, f.title) for f in a.findings if f.severity != "note"]
        for a in kept.associations
    ]
    expired = "The acceptor's certificate expired on 2026-01-01 00:00 UTC"
    refused = "tls-handshake-refused"
    assert told == [
        [("tls-version-mismatch", "error", "The two have no TLS version in common")],
        [(refused, "error", "The requestor refused TLS: unknown_ca")],
        [
            (refused, "error", "The requestor refused TLS: certificate_expired"),
            ("tls-certificate-date", "error", expired),
        ],
        [(refused, "error", "The acceptor refused TLS: handshake_failure")],
        [
            # TLS 1.3 encrypts the alert: told by its length.
            (
                *(refused, "warning"),
                "The acceptor most likely refused the requestor's certificate, or its lack of one",
            )
        ],
    ]
    assert {a.outcome for a in kept.associations} == {"lost"}
    assert [f.code for f in pipeline.findings if f.severity == "error"] == ["tls-on-plain-port"]

"""Inside of TLS is told what is told in clear; what cannot be read is told by its handshake."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomsniff.analysis.pipeline import Listener, Pipeline, run
from dicomsniff.model import Association
from dicomsniff.sources import open_captures
from dicomsniff.tcp import x509
from dicomsniff.tcp.tls import Handshake
from tests import rewrite
from tests.analysis.findings.wire import Wire
from tests.analysis.findings.wire import run as run_wire
from tests.support import capture, require
from tests.tls import HOST, Setting
from tests.tls import certificate as certificate_of

TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


class Kept(Listener):
    def __init__(self) -> None:
        self.associations: list[Association] = []

    def association_ended(self, association: Association) -> None:
        self.associations.append(association)


def read(
    path: Path, ports: Iterable[int] = (), **options: object
) -> tuple[list[Association], Pipeline, list[str]]:
    kept = Kept()
    pipeline = Pipeline(listener=kept, ports=ports)
    source = open_captures([str(path)], **options)  # type: ignore[arg-type]
    run(source, pipeline)
    return kept.associations, pipeline, source.notices


def write(path: Path, packets: list[rewrite.Packet]) -> Path:
    # Times of their own, so that merging and sorting cannot hide disorder.
    timed = rewrite.timed(packets, 1_700_000_000_000_000_000, 50_000)
    path.write_bytes(rewrite.pcap(rewrite.frames(timed)))
    return path


WAYS: dict[str, Callable[[Path], Setting]] = {
    "1.2": lambda folder: Setting(folder, TLS12),
    "1.3": lambda folder: Setting(folder, TLS13),
    "1.2 mutual": lambda folder: Setting(folder, TLS12, mutual=True),
    "1.3 mutual": lambda folder: Setting(folder, TLS13, mutual=True),
    "1.2 resumed": lambda folder: Setting(folder, TLS12, resume=True),
    "1.3 resumed": lambda folder: Setting(folder, TLS13, resume=True),
    "1.2 CBC": lambda folder: Setting(folder, TLS12, "ECDHE-RSA-AES128-SHA256"),
    "1.3 in segments of 700": lambda folder: Setting(folder, TLS13, size=700),
    "1.2 in segments of 33": lambda folder: Setting(folder, TLS12, size=33),
    "1.3 with new keys": lambda folder: Setting(folder, TLS13, key_update=True),
}


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all tests: making a key takes a while."""
    path = tmp_path_factory.getbasetemp() / "tls"
    path.mkdir(exist_ok=True)
    (path / "keys.txt").unlink(missing_ok=True)
    return path


@pytest.mark.parametrize(
    ("name", "way"),
    [
        *(("worklist", way) for way in WAYS),
        *(("move", way) for way in ("1.2 resumed", "1.3 resumed")),
        ("store-large-pdu", "1.3"),
        ("store-large-pdu", "1.2 in segments of 33"),
        ("get", "1.2 mutual"),
        ("two-associations-one-connection", "1.3"),
        ("lost-reset", "1.2"),
        ("store-aborted-by-scp", "1.3"),
    ],
)
def test_the_same_as_in_clear(name: str, way: str, folder: Path, tmp_path: Path) -> None:
    require("tshark")
    packets = rewrite.load(capture(f"{name}.pcapng"))
    clear, _, _ = read(write(tmp_path / "clear.pcap", packets), reader="scapy")
    setting = WAYS[way](folder)
    path = write(tmp_path / "tls.pcap", setting.encrypt(packets))
    decrypted, pipeline, notices = read(path, keylog=str(setting.keylog))
    assert rewrite.story(decrypted) == rewrite.story(clear)
    assert notices == []
    assert pipeline.info.attempts == []
    version = "TLS 1.2" if way.startswith("1.2") else "TLS 1.3"
    for association in decrypted:
        tls = association.tls
        assert tls is not None
        assert association.encrypted
        assert not association.opaque
        assert tls.version == version
        assert tls.server_name == "pacs.invented.example"
    if way.endswith("resumed") and name == "move":
        assert {association.tls.resumed for association in decrypted if association.tls} == {
            False,
            True,
        }


# ---------------------------------------------------------------------------- other secrets


def encrypted(
    folder: Path, tmp_path: Path, name: str = "worklist", **setting: object
) -> tuple[Path, Setting]:
    made = Setting(folder, **setting)  # type: ignore[arg-type]
    packets = made.encrypt(rewrite.load(capture(f"{name}.pcapng")))
    return write(tmp_path / "tls.pcap", packets), made


def clear_story(name: str = "worklist") -> object:
    return rewrite.story(read(capture(f"{name}.pcapng"), reader="scapy")[0])


def test_a_private_key_where_the_cipher_allows(folder: Path, tmp_path: Path) -> None:
    require("tshark")
    key = str(folder / f"{HOST}.key")
    path, _ = encrypted(folder, tmp_path, version=TLS12, ciphers="AES128-GCM-SHA256:@SECLEVEL=0")
    found, _, notices = read(path, tls_keys=[key])
    assert rewrite.story(found) == clear_story()
    assert notices == []
    # No forward secrecy, which is what makes this possible; and the capture's times lie years
    # before the certificate was made.
    told = [f.code for f in found[0].findings if f.code.startswith("tls")]
    assert told == ["tls-certificate-date", "tls-outdated"]

    path, _ = encrypted(folder, tmp_path, version=TLS13)
    found, _, notices = read(path, tls_keys=[key])
    assert [association.opaque for association in found] == [True] * len(found)
    assert len(notices) == 1
    assert "--keylog" in notices[0]


def test_secrets_inside_the_capture(folder: Path, tmp_path: Path) -> None:
    path, setting = encrypted(folder, tmp_path)
    both = tmp_path / "both.pcapng"
    subprocess.run(
        [require("editcap"), "--inject-secrets", f"tls,{setting.keylog}", path, both],
        check=True,
        capture_output=True,
    )
    found, _, notices = read(both)
    assert rewrite.story(found) == clear_story()
    assert notices == []
    # What cannot do it says so, with the way that works.
    _, _, notices = read(both, reader="scapy")
    assert [n for n in notices if "tshark" in n]


def test_a_display_filter_leaves_gaps_and_no_guesses(folder: Path, tmp_path: Path) -> None:
    require("tshark")
    path, setting = encrypted(folder, tmp_path, name="store-large-pdu")
    whole, _, _ = read(path, keylog=str(setting.keylog))
    row = next(e for e in whole[0].timeline if e.kind == "C-STORE-RQ")
    missing = row.frames[0]
    some, _, _ = read(path, keylog=str(setting.keylog), display_filter=f"frame.number != {missing}")
    assert some[0].gaps
    assert some[0].outcome == whole[0].outcome
    assert [e.kind for e in some[0].timeline if e.kind.startswith("A-")] == [
        e.kind for e in whole[0].timeline if e.kind.startswith("A-")
    ]


def test_a_ring_of_files_in_any_order(folder: Path, tmp_path: Path) -> None:
    """The handshake is in another file than what it protects."""
    require("mergecap")
    path, setting = encrypted(folder, tmp_path)
    frames = list(rewrite.raw_frames(path))
    ring = tmp_path / "ring"
    ring.mkdir()
    for number, name in enumerate("zaqk"):
        part = frames[number * len(frames) // 4 : (number + 1) * len(frames) // 4]
        (ring / f"{name}.pcap{number}").write_bytes(rewrite.pcap(part))
    (ring / "notes.txt").write_text("no capture")
    found, pipeline, _ = read(ring, keylog=str(setting.keylog))
    assert rewrite.story(found) == clear_story()
    assert pipeline.info.packets == len(frames)


# ---------------------------------------------------------------------------- without secrets


def test_what_cannot_be_read_is_told_by_its_handshake(folder: Path, tmp_path: Path) -> None:
    packets = Setting(folder, TLS12, mutual=True).encrypt(rewrite.load(capture("echo.pcapng")))
    found, pipeline, _ = read(
        write(tmp_path / "tls.pcap", packets), reader="scapy", ports=[packets[0].dport]
    )
    assert found
    for association in found:
        tls = association.tls
        assert tls is not None
        assert association.opaque
        assert association.partial
        assert (tls.version, tls.server_name) == ("TLS 1.2", HOST)
        assert tls.cipher == "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"
        assert tls.client_asked
        subject = f"CN={HOST}, O=Invented Hospital, C=XX"
        for chain in (tls.server_certificates, tls.client_certificates):
            assert [each.subject for each in chain] == [subject]
            assert chain[0].names == (HOST, "192.0.2.1")
            lasts = (chain[0].not_after or 0) - (chain[0].not_before or 0)
            assert lasts == 2 * 86_400 * 1_000_000_000
        assert min(tls.bytes) > 0
        # The capture's times lie years before the certificate was made.
        codes = [finding.code for finding in association.findings]
        assert codes == ["tls-certificate-date"] * 2
    assert [attempt.answer for attempt in pipeline.info.attempts] == ["tls"]


def test_what_the_capture_misses_of_it_is_told(folder: Path, tmp_path: Path) -> None:
    packets = Setting(folder, TLS12).encrypt(rewrite.load(capture("store.pcapng")))
    port = packets[0].dport
    sent = [packet for packet in packets if packet.dport == port and len(packet.payload) > 1000]
    lost = sent[1:3]
    kept = [packet for packet in packets if packet not in lost]
    found, _, _ = read(write(tmp_path / "tls.pcap", kept), reader="scapy", ports=[port])
    (association,) = found
    missing = sum(len(packet.payload) for packet in lost)
    assert association.opaque
    assert sum(gap.length for gap in association.gaps) == missing
    before = sum(len(p.payload) for p in packets[: packets.index(lost[0])] if p.dport == port)
    assert association.gaps[0].offset == before
    assert {gap.sender for gap in association.gaps} == {"requestor"}
    rows = [entry for entry in association.timeline if entry.kind == "GAP"]
    assert len(rows) == len(association.gaps)
    assert "encrypted bytes of the requestor were not captured" in rows[0].detail
    (told,) = [each for each in association.findings if each.code == "capture-incomplete"]
    assert f"misses {missing:,} bytes" in told.title


def test_certificates_agree_with_openssl(folder: Path) -> None:
    public = folder / f"{HOST}.crt"
    certificate_of(folder)
    run_openssl = [require("openssl"), "x509", "-in", str(public)]
    told = subprocess.run(
        [*run_openssl, "-noout", "-dates", "-subject", "-nameopt", "rfc2253"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    der = subprocess.run([*run_openssl, "-outform", "DER"], check=True, capture_output=True).stdout
    read_by_us = x509.read(der)
    assert read_by_us is not None
    assert f"subject={read_by_us.subject.replace(', ', ',')}\n" in told
    for name, time in (("Before", read_by_us.not_before), ("After", read_by_us.not_after)):
        moment = datetime.fromtimestamp((time or 0) // 1_000_000_000, UTC)
        assert f"not{name}={moment:%b} {moment.day:2} {moment:%H:%M:%S %Y} GMT" in told


@given(st.binary(max_size=300), st.integers(0, 1))
def test_no_bytes_raise(data: bytes, side: int) -> None:
    x509.read(data)
    x509.read(b"\x30\x82" + len(data).to_bytes(2, "big") + data)
    handshake = Handshake(0)
    handshake.feed(side, b"\x16\x03\x03" + (len(data) + 4).to_bytes(2, "big"), 1, 1)
    for kind in (1, 2, 11):
        message = bytes((kind,)) + len(data).to_bytes(3, "big") + data
        handshake.feed(side, message, 1, 1)
    handshake.feed(1 - side, data, 1, 1)


def test_a_version_that_the_other_does_not_speak(folder: Path) -> None:
    """The server's refusal, as OpenSSL makes it."""
    client, server = Setting(folder, TLS13).client, Setting(folder, TLS12).server
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    caller = client.wrap_bio(into, out, server_hostname=HOST)
    with pytest.raises(ssl.SSLWantReadError):
        caller.do_handshake()
    hello = out.read()
    into.write(hello)
    answer = ssl.MemoryBIO()
    with pytest.raises(ssl.SSLError):
        server.wrap_bio(into, answer, server_side=True).do_handshake()
    wire = Wire(port=2762).open().say(0, hello).say(1, answer.read()).close()
    ran = run_wire(wire)
    finding = ran.only("tls-version-mismatch")
    assert "offers TLS 1.3." in finding.detail
    assert "acceptor refused" in finding.detail
    assert ran.associations[0].outcome == "lost"

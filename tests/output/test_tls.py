"""What is told of TLS, and to whom names are shown."""

from __future__ import annotations

import json

from dicomsniff.model import Certificate, Tls, TlsAlert
from dicomsniff.output.dump import dump
from dicomsniff.output.redact import Redactor
from dicomsniff.output.shapes import Shaper
from dicomsniff.output.tls import facts
from tests.tui import fake

DAY = 86_400_000_000_000
CERTIFICATE = Certificate("CN=a.example", "CN=ca.example", 0, 20 * DAY, ("a.example", "192.0.2.1"))
OWN = Certificate("CN=b.example", "CN=b.example", None, None, ())


def test_all_that_a_handshake_shows() -> None:
    tls = Tls(
        "TLS 1.2",
        "TLS_X",
        "a.example",
        ("TLS 1.3", "TLS 1.2"),
        4,
        True,
        True,
        (CERTIFICATE,),
        (OWN,),
        [TlsAlert(1, True, 48, "unknown_ca", 7, 0)],
        [10, 2000],
    )
    assert list(facts(tls)) == [
        ("TLS", "TLS 1.2, TLS_X, an earlier session resumed, not decrypted"),
        ("Server name", "a.example"),
        ("Offered", "TLS 1.3, TLS 1.2; 4 cipher suites"),
        ("Mutual", "the acceptor asked for a certificate of the requestor"),
        (
            "Certificate of the acceptor",
            "CN=a.example, issued by CN=ca.example, valid from 1970-01-01 to 1970-01-21, "
            "for a.example, 192.0.2.1",
        ),
        ("Certificate of the requestor", "CN=b.example, issued by itself"),
        ("Alert", "fatal, unknown_ca, from the acceptor in frame 7"),
        ("Encrypted", "10 bytes of the requestor, 2,000 of the acceptor"),
    ]
    shown = dict(facts(tls, lambda _: "HOST", lambda _: "SOMEBODY"))
    assert shown["Server name"] == "HOST"
    assert shown["Certificate of the requestor"] == "SOMEBODY, issued by itself"
    assert "example" not in " ".join(shown.values())


def test_people_in_certificates_are_masked_where_associations_are_told() -> None:
    named = Certificate("emailAddress=quoin@example.org, CN=a.example", "CN=Z. Quoin", 0, DAY)
    association = fake.association()
    association.tls = Tls("TLS 1.2", server_certificates=(named._replace(issuer="CN=ca.example"),))
    association.tls.client_certificates = (named,)
    for redactor, shown in ((Redactor(), False), (Redactor(keep_phi=True), True)):
        for text in (
            "\n".join(dump(association, redactor)),
            json.dumps(Shaper(redactor).tls(association.tls)),
        ):
            assert "CN=a.example" in text
            assert ("quoin" in text.lower()) == shown


def test_where_next_to_nothing_was_seen() -> None:
    assert list(facts(Tls())) == [
        ("TLS", "version not agreed on, not decrypted"),
        ("Encrypted", "0 bytes of the requestor, 0 of the acceptor"),
    ]


def test_names_from_the_wire_reach_no_terminal_unescaped() -> None:
    assert "\x1b" not in dict(facts(Tls(server_name="a\x1b[31m")))["Server name"]

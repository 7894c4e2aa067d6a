"""What is known of a TLS connection, as lines for people."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from dicomsniff.model import Certificate, Tls
from dicomsniff.output.info import escape
from dicomsniff.output.times import time_text

Masked = Callable[[str], str]
"""A name as it may be shown."""


def facts(tls: Tls, host: Masked = str, somebody: Masked = str) -> Iterator[tuple[str, str]]:
    """Labels and texts. ``host`` masks names of hosts, ``somebody`` those of the requestor's
    certificate, which may be a person's."""
    parts = [tls.version or "version not agreed on"]
    if tls.cipher is not None:
        parts.append(tls.cipher)
    if tls.resumed:
        parts.append("an earlier session resumed")
    parts.append("decrypted" if tls.decrypted else "not decrypted")
    yield "TLS", ", ".join(parts)
    if tls.server_name is not None:
        yield "Server name", escape(host(tls.server_name))
    if tls.offered_versions:
        offered = ", ".join(tls.offered_versions)
        yield "Offered", f"{offered}; {tls.offered_ciphers} cipher suites"
    if tls.client_asked:
        yield "Mutual", "the acceptor asked for a certificate of the requestor"
    for side, chain, mask in (
        ("acceptor", tls.server_certificates, host),
        ("requestor", tls.client_certificates, somebody),
    ):
        for certificate in chain:
            yield f"Certificate of the {side}", _certificate(certificate, mask)
    for alert in tls.alerts:
        level = "fatal" if alert.fatal else "warning"
        sender = "acceptor" if alert.side else "requestor"
        yield "Alert", f"{level}, {alert.meaning}, from the {sender} in frame {alert.frame}"
    yield "Encrypted", f"{tls.bytes[0]:,} bytes of the requestor, {tls.bytes[1]:,} of the acceptor"


def _certificate(certificate: Certificate, mask: Masked) -> str:
    subject, issuer = mask(certificate.subject), mask(certificate.issuer)
    by = "itself" if subject == issuer else issuer
    text = f"{escape(subject)}, issued by {escape(by)}"
    if certificate.not_before is not None and certificate.not_after is not None:
        begins, ends = (time_text(t)[:10] for t in (certificate.not_before, certificate.not_after))
        text += f", valid from {begins} to {ends}"
    if certificate.names:
        text += f", for {escape(', '.join(map(mask, certificate.names)))}"
    return text

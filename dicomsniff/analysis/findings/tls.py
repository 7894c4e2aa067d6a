"""TLS: who refused the handshake and why, certificates out of date, versions and ciphers too old.

The yardstick is the BCP 195 TLS profile of PS3.15 B.12 and what it refers to, RFC 9325. The rules
look at every association that was inside of TLS, decrypted or not.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from dicomsniff.analysis.findings import View, finding, rule
from dicomsniff.model import Certificate, Finding, Severity, Side, Tls, TlsAlert

PROFILE = "PS3.15 B.12"

SIDES: tuple[Side, Side] = ("requestor", "acceptor")

CLOSE_NOTIFY, PROTOCOL_VERSION, USER_CANCELED = 0, 70, 90
"""Alerts that mean no error, and the one about versions (RFC 8446 6)."""

ENCRYPTED_ALERT = 19
"""Length of a TLS 1.3 record that holds an alert: two bytes, its content type, and the 16 of the
authentication tag. The shortest record of DICOM has ten bytes more than the alert."""

OUTDATED = ("SSL 3.0", "TLS 1.0", "TLS 1.1")
"""Versions that RFC 9325 3.1.1 forbids."""

_TRUST = (
    "Install the certificate of the authority that signed it, or the certificate itself, among "
    "those that the {refuser} trusts; see to it that the {other} sends its intermediate "
    "certificates too."
)
_ADVICE = {
    40: "Compare the versions and cipher suites that both sides are set to; a server without any "
    "certificate, and one that wants a certificate of the client, answer like this as well.",
    41: "Give the {other} a certificate and key: the {refuser} asks for mutual authentication.",
    42: "Check the {other}'s certificate: damaged, signed wrongly, or of a kind that the {refuser} "
    "does not take.",
    43: "Give the {other} a certificate of a kind and for a use that the {refuser} takes.",
    44: "Give the {other} a new certificate: this one was revoked.",
    45: "Give the {other} a new certificate, and check the clocks of both.",
    46: _TRUST,
    48: _TRUST,
    49: "The {refuser} knows the {other}'s certificate and does not let it in: add it there.",
    51: "Check that the {other}'s certificate and its private key belong together.",
    71: "Switch on stronger cipher suites at the {other}.",
    112: "Call the host by the name that is in its certificate.",
    116: "Give the {other} a certificate and key: the {refuser} asks for mutual authentication.",
}
"""What to do, by alert, from the side that sent it to the other."""


def _day(time: int) -> str:
    moment = datetime.fromtimestamp(time // 1_000_000_000, UTC)
    return moment.strftime("%Y-%m-%d %H:%M UTC")


def _tls(view: View) -> Tls | None:
    return view.association.tls


def _any_tls(view: View) -> bool:
    return _tls(view) is not None


def _refusal(view: View) -> TlsAlert | None:
    """The alert that ended the handshake."""
    association = view.association
    for alert in association.tls.alerts if association.tls is not None else ():
        if not alert.fatal or alert.code in (CLOSE_NOTIFY, USER_CANCELED):
            continue
        sender = SIDES[alert.side]
        if association.opaque or not any(e.sender == sender for e in association.timeline):
            return alert
        # It had spoken DICOM before: the handshake was over. OpenSSL answers a connection that
        # ends without a farewell with decode_error, for one.
    return None


@rule(
    "tls-version-mismatch",
    "error",
    "tls",
    "Requestor and acceptor have no version of TLS in common.",
    PROFILE,
    when=_any_tls,
)
def version_mismatch(view: View) -> Iterator[Finding]:
    """The alert protocol_version."""
    tls = _tls(view)
    alert = _refusal(view)
    if tls is None or alert is None or alert.code != PROTOCOL_VERSION:
        return
    offered = ", ".join(tls.offered_versions) or "none that can be read"
    chosen = f" The acceptor chose {tls.version}." if tls.version else ""
    yield finding(
        "tls-version-mismatch",
        "The two have no TLS version in common",
        f"The requestor offers {offered}.{chosen} The {SIDES[alert.side]} refused with the alert "
        "protocol_version.",
        "Switch on TLS 1.2 and 1.3 on both sides, as the BCP 195 TLS profile asks; the older of "
        "the two may need an update.",
        frames=[alert.frame],
    )


@rule(
    "tls-handshake-refused",
    "error",
    "tls",
    "A TLS handshake was refused, and by whom. A warning where that has to be guessed from the "
    "length of what was said.",
    "PS3.15 B.12",
    when=_any_tls,
)
def handshake_refused(view: View) -> Iterator[Finding]:
    """A fatal alert in clear, or one that is encrypted and the last thing said."""
    tls = _tls(view)
    if tls is None:
        return
    alert = _refusal(view)
    if alert is not None:
        if alert.code == PROTOCOL_VERSION:
            return
        refuser, other = SIDES[alert.side], SIDES[1 - alert.side]
        unsent = ""
        if alert.side == 1 and tls.client_asked and not tls.client_certificates:
            unsent = " The acceptor had asked for a certificate, and the requestor sent none."
        advice = _ADVICE.get(alert.code, "Look into the {refuser}'s log: it knows why.")
        yield finding(
            "tls-handshake-refused",
            f"The {refuser} refused TLS: {alert.meaning}",
            f"The {refuser} ended the handshake with the alert {alert.meaning} ({alert.code})."
            f"{unsent}",
            advice.format(refuser=refuser, other=other),
            frames=[alert.frame],
        )
    elif (
        view.association.opaque
        and tls.version == "TLS 1.3"
        and tls.bytes[0] == ENCRYPTED_ALERT
        and view.association.outcome == "lost"
    ):
        last = [entry for entry in view.association.timeline if entry.sender == "requestor"]
        yield finding(
            "tls-handshake-refused",
            "The requestor most likely refused the acceptor's certificate",
            "All it sent behind its ClientHello has the length of an encrypted alert; then the "
            "connection ended.",
            _TRUST.format(refuser="requestor", other="acceptor"),
            *last[-1:],
            severity="warning",
        )
    elif (
        view.association.opaque
        and tls.version == "TLS 1.3"
        and tls.answered == ENCRYPTED_ALERT
        and view.association.outcome == "lost"
    ):
        last = [entry for entry in view.association.timeline if entry.sender == "acceptor"]
        yield finding(
            "tls-handshake-refused",
            "The acceptor most likely refused the requestor's certificate, or its lack of one",
            "All it sent behind the requestor's part of the handshake has the length of an "
            "encrypted alert; then the connection ended.",
            "Give the requestor a certificate and key where it has none. "
            + _TRUST.format(refuser="acceptor", other="requestor"),
            *last[-1:],
            severity="warning",
        )


@rule(
    "tls-certificate-date",
    "error",
    "tls",
    "A certificate had expired, or was not valid yet, when it was used (TLS 1.3 encrypts it: there "
    "with the secrets alone). A warning where the handshake went through all the same.",
    "RFC 5280 4.1.2.5",
    when=_any_tls,
)
def certificate_date(view: View) -> Iterator[Finding]:
    """Certificates against the time of the capture."""
    tls = _tls(view)
    if tls is None:
        return
    now = view.association.started
    for side, chain in zip(SIDES, (tls.client_certificates, tls.server_certificates), strict=True):
        for place, certificate in enumerate(chain):
            wrong = _out_of_date(certificate, now)
            if wrong is None:
                continue
            whose = "certificate" if not place else f"certificate {place + 1} of the chain"
            shown = [entry for entry in view.association.timeline if entry.sender == side]
            yield finding(
                "tls-certificate-date",
                f"The {side}'s {whose} {wrong}",
                f"The connection was made at {_day(now)}.",
                f"Renew the {side}'s certificate, and check the clocks of both sides.",
                *[entry for entry in shown if entry.detail.startswith("Certificate")][:1],
                severity="error" if _refusal(view) is not None else "warning",
            )


def _out_of_date(certificate: Certificate, now: int) -> str | None:
    if certificate.not_after is not None and now > certificate.not_after:
        return f"expired on {_day(certificate.not_after)}"
    if certificate.not_before is not None and now < certificate.not_before:
        return f"is not valid before {_day(certificate.not_before)}"
    return None


@rule(
    "tls-outdated",
    "warning",
    "tls",
    "A version of TLS below 1.2 was agreed on, or a cipher suite that does not protect. A note "
    "for suites without forward secrecy.",
    PROFILE,
    when=_any_tls,
)
def outdated(view: View) -> Iterator[Finding]:
    """What was agreed on, against RFC 9325 3.1 and 4.1."""
    tls = _tls(view)
    if tls is None or tls.version is None or tls.cipher is None:
        return
    shown = [e for e in view.association.timeline if e.detail.startswith("ServerHello")][:1]
    if tls.version in OUTDATED:
        yield finding(
            "tls-outdated",
            f"{tls.version} was agreed on",
            f"The requestor offers {', '.join(tls.offered_versions)}; the acceptor chose "
            f"{tls.version}, which the BCP 195 TLS profile forbids.",
            "Switch on TLS 1.2 and 1.3 on the side that stops below them.",
            *shown,
        )
    weak = _weakness(tls.cipher)
    if weak is not None:
        severity, why = weak
        yield finding(
            "tls-outdated",
            f"The cipher suite {why}",
            f"{tls.cipher} was agreed on.",
            "Switch on suites with ECDHE or DHE and AES-GCM on both sides, and the old ones off.",
            *shown,
            severity=severity,
        )


def _weakness(cipher: str) -> tuple[Severity, str] | None:
    """How bad a suite is and why, from its name; None: nothing against it."""
    if "_NULL_" in cipher:
        return "warning", "encrypts nothing"
    if "_anon_" in cipher:
        return "warning", "authenticates nobody"
    if "_RC4_" in cipher or "_3DES_" in cipher:
        return "warning", "is broken or too short"
    if cipher.startswith("TLS_RSA_WITH_"):
        return "note", "has no forward secrecy: who gets the server's key reads all of it later"
    return None

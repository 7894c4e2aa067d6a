# SPDX-License-Identifier: GPL-2.0-or-later
"""Inside of TLS, and beside it."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from typing import Any

from pydicom import Dataset
from pynetdicom import AE, build_context, evt

from recording.connections import key_log
from recording.invented import PATIENTS, image, save, uid_of, worklist_item, worklist_query
from recording.peers import associated, expect
from recording.stage import HOST, PORT, PORT_SECOND, PORT_TLS, RecordingError, Stage, scenario

# The same peers in clear, in the capture of their twin inside of TLS.
PORT_CLEAR = PORT
# storescp: the second acceptor, in clear and inside of TLS (a port that nobody registered).
PORT_CLEAR_SECOND, PORT_TLS_SECOND = PORT_SECOND, 10443

AUTHORITY = """\
[ca]
default_ca = invented
[invented]
database = index.txt
rand_serial = yes
new_certs_dir = .
default_md = sha256
policy = any
email_in_dn = no
[any]
commonName = supplied
organizationName = optional
"""


def certificate(stage: Stage, name: str, start: str = "", end: str = "") -> tuple[str, str]:
    """A self-signed certificate for ``name``, thrown away with its key: their files.

    ``start`` and ``end`` (YYMMDDHHMMSSZ) where it is not to be valid for a day from now on.
    """
    key, public = f"{name}.key", f"{name}.crt"
    subject = f"/O=Invented Hospital/CN={name}.invented.example"
    new = ("openssl", "req", "-newkey", "rsa:2048", "-nodes", "-subj", subject, "-keyout", key)
    if not start:
        stage.prepare(*new, "-x509", "-days", "1", "-out", public)
        return key, public
    (stage.folder / "ca.cnf").write_text(AUTHORITY)
    (stage.folder / "index.txt").touch()
    stage.prepare(*new, "-out", f"{name}.csr")
    stage.prepare(
        *("openssl", "ca", "-config", "ca.cnf", "-batch", "-notext", "-selfsign"),
        *("-keyfile", key, "-startdate", start, "-enddate", end),
        *("-in", f"{name}.csr", "-out", public),
    )
    return key, public


class Resuming(ssl.SSLContext):
    """A client that takes up an earlier session, where the server lets it."""

    connection: ssl.SSLSocket | None = None
    taken_up: ssl.SSLSession | None = None

    def wrap_socket(self, *arguments: Any, **options: Any) -> ssl.SSLSocket:
        """As ``SSLContext`` does it, with that session."""
        self.connection = super().wrap_socket(*arguments, session=self.taken_up, **options)
        return self.connection

    def remember(self) -> None:
        """Take up the session of the connection that is open now from here on."""
        self.taken_up = self.connection.session if self.connection is not None else None


def twins(stage: Stage, version: ssl.TLSVersion) -> None:
    """The same session in clear, then inside of TLS, with a certificate on both sides."""
    (acceptor_key, acceptor), (requestor_key, requestor) = (
        certificate(stage, name) for name in ("acceptor", "requestor")
    )

    def answer(_event: Any) -> Iterator[tuple[int, Dataset | None]]:
        for number in range(len(PATIENTS)):
            yield 0xFF00, worklist_item(number)

    save(stage.folder / "query.dcm", worklist_query())
    save(stage.folder / "large.dcm", image("CT", size=160))
    for number in range(3):
        save(stage.folder / f"ct{number}.dcm", image("CT", number, size=32))
    names = ("Verification", "CTImageStorage", "ModalityWorklistInformationFind")
    contexts = [build_context(uid_of(name)) for name in names]

    with key_log(stage) as secrets:
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(stage.folder / acceptor, stage.folder / acceptor_key)
        server.load_verify_locations(stage.folder / requestor)
        server.verify_mode = ssl.CERT_REQUIRED
        client = Resuming(ssl.PROTOCOL_TLS_CLIENT)
        client.load_cert_chain(stage.folder / requestor, stage.folder / requestor_key)
        client.load_verify_locations(stage.folder / acceptor)
        client.check_hostname = False  # the name that pynetdicom asks for is not in it
        for context in (server, client):
            context.minimum_version = context.maximum_version = version
            context.keylog_filename = str(secrets)

        for port, tls in ((PORT_CLEAR, None), (PORT_TLS, server)):
            ae = AE("STORAGE")
            for each in contexts:
                ae.add_supported_context(each.abstract_syntax)
            handlers = [(evt.EVT_C_STORE, lambda _event: 0x0000), (evt.EVT_C_FIND, answer)]
            stage.host(ae, port, handlers, tls=tls)
        for port, options in (
            (PORT_CLEAR_SECOND, ()),
            (PORT_TLS_SECOND, ("+tls", acceptor_key, acceptor, "+cf", requestor)),
        ):
            stage.serve(*("storescp", "--ignore", *options, str(port)), port=port)

        with stage.recording():
            for first, second, options, context in (
                (PORT_CLEAR, PORT_CLEAR_SECOND, (), None),
                (
                    *(PORT_TLS, PORT_TLS_SECOND),
                    ("+tls", requestor_key, requestor, "+cf", acceptor),
                    client,
                ),
            ):
                stage.run(
                    *("findscu", "-W", "-aet", "FLC1270", "-aec", "STORAGE", *options),
                    *(HOST, str(first), "query.dcm"),
                )
                together = [
                    stage.start(
                        *("storescu", "-R", "-aet", f"MODALITY{number + 1}", "-aec", "STORAGE"),
                        *(*options, HOST, str(first), *files),
                    )
                    for number, files in enumerate((("large.dcm",), ("ct0.dcm", "ct1.dcm")))
                ]
                for each in together:
                    stage.finish(each)
                for number in range(3):  # the first of them is the one that the others resume
                    with associated(
                        HOST, contexts[:2], calling=f"SCU{number}", port=first, tls=context
                    ) as scu:
                        expect(scu.send_c_echo(), 0x0000)
                        if context is not None and not number:
                            context.remember()
                if context is not None:
                    context.taken_up = None
                with associated(
                    HOST, contexts[:2], calling="SCU3", port=second, tls=context
                ) as scu:
                    expect(scu.send_c_store(stage.folder / "ct2.dcm"), 0x0000)


TWINS = (
    "the same session twice, in clear and inside of {} with a certificate on both sides: a "
    "worklist query, two storescu at once, one of them with an image of many records, three "
    "associations of pynetdicom of which two resume the session of the first, and a C-STORE to "
    "storescp on port 10443; the secrets are in {}.keys"
)


@scenario(
    "tls-1.2",
    TWINS.format("TLS 1.2", "tls-1.2"),
    requestor="findscu + storescu + pynetdicom",
    acceptor="pynetdicom + storescp",
    ports=(PORT_CLEAR, PORT_CLEAR_SECOND, PORT_TLS, PORT_TLS_SECOND),
    tools=("openssl",),
)
def tls_1_2(stage: Stage) -> None:
    twins(stage, ssl.TLSVersion.TLSv1_2)


@scenario(
    "tls-1.3",
    TWINS.format("TLS 1.3", "tls-1.3"),
    requestor="findscu + storescu + pynetdicom",
    acceptor="pynetdicom + storescp",
    ports=(PORT_CLEAR, PORT_CLEAR_SECOND, PORT_TLS, PORT_TLS_SECOND),
    tools=("openssl",),
)
def tls_1_3(stage: Stage) -> None:
    twins(stage, ssl.TLSVersion.TLSv1_3)


@scenario(
    "tls-refused",
    "six handshakes that fail: TLS 1.2 for a server of TLS 1.3; a certificate that the requestor "
    "does not trust; one that had expired; no certificate of the requestor where the acceptor "
    "asks for one, in TLS 1.2 and in TLS 1.3; and a server that speaks DICOM in clear on the port "
    "of TLS",
    requestor="echoscu + pynetdicom",
    acceptor="pynetdicom",
    ports=(PORT_TLS,),
    tools=("openssl",),
)
def tls_refused(stage: Stage) -> None:
    requestor_key, requestor = certificate(stage, "requestor")
    servers = {name: certificate(stage, name) for name in ("acceptor", "stranger")}
    servers["expired"] = certificate(stage, "expired", "250101000000Z", "260101000000Z")
    old, new = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3

    def echo(*options: str) -> None:
        stage.run(
            *("echoscu", "-v", "-aet", "FLC1270", "-aec", "STORAGE", *options),
            *(HOST, str(PORT_TLS)),
            fails=True,
        )

    def attempt(
        name: str, version: ssl.TLSVersion, call: Callable[[], None], *, asks: bool = False
    ) -> None:
        tls = None
        if name:
            key, public = servers[name]
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(stage.folder / public, stage.folder / key)
            tls.minimum_version = tls.maximum_version = version
            if asks:
                tls.load_verify_locations(stage.folder / requestor)
                tls.verify_mode = ssl.CERT_REQUIRED
        ae = AE("STORAGE")
        ae.add_supported_context(uid_of("Verification"))
        server: Any = ae.start_server((HOST, PORT_TLS), block=False, ssl_context=tls)
        try:
            call()
        finally:
            server.shutdown()

    def old_client() -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(stage.folder / servers["acceptor"][1])
        context.maximum_version = old
        refused = AE("FLC1270").associate(
            *(HOST, PORT_TLS, [build_context(uid_of("Verification"))]),
            ae_title="STORAGE",
            tls_args=(context, "acceptor.invented.example"),
        )
        if refused.is_established:
            raise RecordingError("it was to be refused")

    with_certificate = ("+tls", requestor_key, requestor)
    with stage.recording():
        attempt("acceptor", new, old_client)
        attempt("stranger", old, lambda: echo(*with_certificate, "+cf", servers["acceptor"][1]))
        attempt("expired", old, lambda: echo(*with_certificate, "+cf", servers["expired"][1]))
        for version in (old, new):
            attempt("acceptor", version, lambda: echo("+tla", "-ic"), asks=True)
        attempt("", old, lambda: echo(*with_certificate, "-ic"))

"""Where frames come from: a saved capture, a pipe, or an interface.

Three implementations of ``model.Source``, one kind of frame:

- ``replay``: saved captures through pyshark, whose tshark hands over raw frames. Reads whatever
  Wireshark reads, filters as Wireshark filters.
- ``pcapfile``: pcap and pcapng through scapy's raw readers, files and pipes, without tshark.
- ``live``: an interface through scapy's sockets.

Each is imported when it is asked for: none of scapy and pyshark comes with this package.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dicomsniff.model import Source
    from dicomsniff.sources.decrypting import Decrypting
    from dicomsniff.sources.live import LiveCapture
    from dicomsniff.sources.stream import Descriptor

__all__ = [
    "READERS",
    "SourceError",
    "decrypted",
    "open_capture",
    "open_captures",
    "open_live",
    "source_name",
]

READERS = ("auto", "pyshark", "scapy")
"""What ``open_capture`` takes as its reader."""

STDIN = "-"
"""The path that means the standard input."""

NAMES_SHOWN = 8
"""Names of files that are told one by one; a ring may have hundreds."""

GIVES_UP = (
    "tshark is not installed: scapy reads pcap and pcapng alone, without display filters, "
    "TLS decryption and the other formats Wireshark opens"
)
"""What the user is told, once, where ``auto`` has to do without tshark."""


class SourceError(Exception):
    """Frames cannot be had. The text is one line for the user: what, where, and what to do."""


def open_capture(
    path: str,
    *,
    reader: str = "auto",
    display_filter: str | None = None,
    keylog: str | None = None,
    tls_keys: Sequence[str] = (),
) -> Source:
    """Open a saved capture; ``-`` is a capture stream on the standard input.

    ``reader`` ``auto`` replays files through pyshark where tshark is installed, else reads them
    with scapy and leaves a notice. Streams (stdin, a FIFO) of pcap and pcapng go to scapy even
    where tshark is there, unless a display filter is asked for: tshark writes in blocks of 4 KiB,
    which holds back the last frames of a quiet network.

    ``display_filter`` is an expression in Wireshark's words, ``keylog`` a file of TLS secrets in
    the SSLKEYLOGFILE format, ``tls_keys`` are files of servers' RSA private keys; all of them need
    tshark. Frames that complete TLS records are then :class:`dicomsniff.model.Decrypted`; so they
    are without, where a pcapng file brings its secrets along.

    Raises ``SourceError`` for what is known at once. What shows only in the bytes (a filter that
    tshark refuses, a stream that is no capture) is raised by the first step of the iteration.
    """
    if reader not in READERS:
        raise SourceError(f"unknown reader {reader!r}: choose one of {', '.join(READERS)}")
    stream = _check(path)
    if keylog is not None or tls_keys:
        from dicomsniff.sources.decryption import check_secrets

        check_secrets(keylog, tls_keys)
    needs_tshark = [
        what
        for what, asked in (
            ("a display filter", display_filter is not None),
            ("a key log", keylog is not None),
            ("a private key", bool(tls_keys)),
        )
        if asked
    ]
    if reader == "scapy" and needs_tshark:
        raise SourceError(
            f"{path}: {' and '.join(needs_tshark)} needs tshark; leave out --reader scapy"
        )

    notices: list[str] = []
    if reader == "auto":
        from dicomsniff.sources.tshark import find_tshark

        if find_tshark() is None:
            if needs_tshark:
                raise SourceError(
                    f"{path}: {' and '.join(needs_tshark)} needs tshark, which is not installed: "
                    "install Wireshark's command line (package tshark)"
                )
            notices.append(GIVES_UP)
            reader = "scapy"
        elif stream and display_filter is None:
            reader = "stream"
        else:
            reader = "pyshark"

    source: Source
    if reader == "pyshark":
        from dicomsniff.sources.decryption import Secrets, brings_secrets
        from dicomsniff.sources.replay import Replay

        # A file that is the standard input can be looked into as well.
        embedded = not stream and brings_secrets("/dev/stdin" if path == STDIN else path)
        secrets = Secrets(keylog, tuple(tls_keys), embedded)
        source = Replay(path, display_filter=display_filter, secrets=secrets)
    elif reader == "stream":
        from dicomsniff.sources.pcapfile import CaptureFile

        source = CaptureFile(path, otherwise=lambda rest, head: _replay_rest(path, rest, head))
        source = decrypted(source, keylog=keylog, tls_keys=tls_keys)
    else:
        from dicomsniff.sources.pcapfile import CaptureFile

        source = CaptureFile(path)
    source.notices.extend(notices)
    return source


def open_captures(
    paths: Sequence[str],
    *,
    reader: str = "auto",
    display_filter: str | None = None,
    keylog: str | None = None,
    tls_keys: Sequence[str] = (),
) -> Source:
    """Open captures as one session, their frames merged by time, whatever order they are named in.

    A folder stands for the captures in it, a name with wildcards that no file has for those it
    matches. The rest is as in :func:`open_capture`.
    """
    from dicomsniff.sources.files import expand

    files = expand(paths)
    if STDIN in files and len(files) > 1:
        raise SourceError("stdin: goes with no other file; merge them first: mergecap -w - …")
    if len(files) == 1:
        return open_capture(
            files[0],
            reader=reader,
            display_filter=display_filter,
            keylog=keylog,
            tls_keys=tls_keys,
        )
    for path in files:
        _check(path)

    def open_one(path: str) -> Source:
        return open_capture(
            path,
            reader=reader,
            display_filter=display_filter,
            keylog=keylog,
            tls_keys=tls_keys,
        )

    from dicomsniff.sources.merge import Merged, merged_by_mergecap

    if reader != "scapy" and (keylog is not None or tls_keys or _any_brings_secrets(files)):
        # A TLS connection may go from one file into the next: tshark has to see it whole.
        one = merged_by_mergecap(files)
        if one is not None:
            from dicomsniff.sources.decryption import Secrets, brings_secrets
            from dicomsniff.sources.replay import Replay

            open_one(files[0]).close()  # raises what the user has to be told
            return Replay(
                one.name,
                display_filter=display_filter,
                secrets=Secrets(keylog, tuple(tls_keys), brings_secrets(one.name)),
                spool=one,
                name=source_names(files),
            )
    return Merged(files, open_one)


def _any_brings_secrets(files: Sequence[str]) -> bool:
    from dicomsniff.sources.decryption import brings_secrets
    from dicomsniff.sources.tshark import find_tshark

    return find_tshark() is not None and any(map(brings_secrets, files))


def decrypted(source: Source, *, keylog: str | None, tls_keys: Sequence[str] = ()) -> Decrypting:
    """A pipe or an interface, decrypted while it goes on, with a key log that may grow meanwhile.

    Raises ``SourceError`` where tshark is not installed or a file of secrets cannot be read.
    """
    from dicomsniff.sources.decrypting import Decrypting
    from dicomsniff.sources.decryption import Secrets, check_secrets

    check_secrets(keylog, tls_keys)
    return Decrypting(source, Secrets(keylog, tuple(tls_keys)))


def open_live(
    *interfaces: str,
    capture_filter: str | None = None,
    promiscuous: bool = True,
    snaplen: int | None = None,
    duration: float | None = None,
    count: int | None = None,
) -> LiveCapture:
    """Capture on interfaces (on Linux also ``any``), until the source is closed.

    ``capture_filter`` is an expression in libpcap's words, applied in the kernel; ``snaplen``
    cuts every frame after so many bytes; ``duration`` (seconds) and ``count`` (packets) end the
    capture. Raises ``SourceError`` where an interface, the permission or a library is missing.
    """
    from dicomsniff.sources.live import LiveCapture

    return LiveCapture(
        *interfaces,
        capture_filter=capture_filter,
        promiscuous=promiscuous,
        snaplen=snaplen,
        duration=duration,
        count=count,
    )


def _replay_rest(path: str, rest: Descriptor, head: bytes) -> Source:
    """tshark on a pipe that holds neither pcap nor pcapng."""
    from dicomsniff.sources.replay import Replay

    return Replay(path, stream=rest, head=head)


def source_name(path: str) -> str:
    """What the transcript calls a capture: the file's name without its folder, or ``stdin``.

    A descriptor by name (``/dev/fd/63``, as a shell's process substitution has it) is a stream
    that somebody handed over, and no name.
    """
    if path == STDIN or path.startswith(("/dev/fd/", "/proc/self/fd/", "/dev/stdin")):
        return "stdin"
    return os.path.basename(path)


def source_names(paths: Sequence[str]) -> str:
    """What the transcript calls several captures together."""
    names = [source_name(path) for path in paths]
    if len(names) > NAMES_SHOWN:
        names[NAMES_SHOWN - 1 :] = [f"{len(names) - NAMES_SHOWN + 1} more"]
    return ", ".join(names)


def label(path: str) -> str:
    """What notices and errors call a capture: the path as the user gave it, or ``stdin``."""
    return "stdin" if source_name(path) == "stdin" else path


def _check(path: str) -> bool:
    """Whether ``path`` is a stream; raises ``SourceError`` where it cannot be read at all."""
    if path == STDIN:
        try:
            mode = os.fstat(0).st_mode
        except OSError:
            raise SourceError("stdin: closed; pipe a pcap or pcapng stream into it") from None
        if os.isatty(0):
            raise SourceError(
                "stdin: a terminal, not a capture; pipe one into it, "
                "for instance tcpdump -U -w - | dicomsniff open -"
            )
        return not stat.S_ISREG(mode)
    try:
        information = os.stat(path)
    except FileNotFoundError:
        raise SourceError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise SourceError(f"{path}: {reason}") from None
    if stat.S_ISDIR(information.st_mode):
        raise SourceError(f"{path}: a folder; name the capture files in it")
    if not os.access(path, os.R_OK):
        raise SourceError(f"{path}: no permission to read it")
    if not stat.S_ISREG(information.st_mode):
        return True
    if information.st_size == 0:
        raise SourceError(f"{path}: empty, not a capture")
    return False

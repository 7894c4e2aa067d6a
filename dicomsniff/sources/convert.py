"""Formats that tshark reads and does not write: CommView, text of a K12, HP-UX's nettl.

They say of each packet what it was captured on, in more words than pcap and pcapng have. editcap
leaves those out when it is told that the packets are Ethernet frames.
"""

from __future__ import annotations

import subprocess
import tempfile
from typing import IO, Final

from dicomsniff.sources.tshark import find_tshark

ETHERNET: Final = frozenset(("1", "71"))
"""tshark's numbers for Ethernet, and for Ethernet in a nettl file (``wtap.h``)."""

LOOKED_AT: Final = 1000
"""Packets that are asked what they are."""


def converted(path: str) -> IO[bytes] | None:
    """The capture as pcap in a temporary file, with the same packets in the same order; None where
    Wireshark's tools cannot do that."""
    tshark, editcap = find_tshark(), find_tshark("editcap")
    if tshark is None or editcap is None:
        return None
    words = [tshark, "-n", "-r", path, "-c", str(LOOKED_AT), "-T", "fields"]
    kinds = _run([*words, "-e", "frame.encap_type"])
    if kinds is None or not kinds.split() or not ETHERNET.issuperset(kinds.split()):
        return None
    spool: IO[bytes] = tempfile.NamedTemporaryFile(prefix="dicomsniff-")  # noqa: SIM115
    if _run([editcap, "-T", "ether", "-F", "nsecpcap", path, spool.name]) is None:
        spool.close()
        return None
    return spool


def _run(words: list[str]) -> str | None:
    """What a program writes, None where it fails."""
    done = subprocess.run(
        words,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    return None if done.returncode else done.stdout

"""What is installed and permitted for getting at frames, and how to mend what is not."""

from __future__ import annotations

import ctypes.util
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from dicomsniff.sources.interfaces import (
    CAPABILITY_NET_RAW,
    THREE_WAYS,
    capabilities,
    may_capture,
)
from dicomsniff.sources.tshark import find_tshark

LIBRARIES: Final = (
    ("scapy", "reads captures and interfaces"),
    ("pyshark", "replays captures through tshark"),
    ("pydicom", "knows data elements and character sets"),
    ("textual", "draws the screen"),
)
"""What the package needs, and what for."""

TSHARK_LEAST: Final = (3, 0)
"""Oldest version whose preferences have the names used here (TLS was SSL before)."""

PATIENCE: Final = 20.0
"""Seconds tshark may take to tell its version: it loads its plug-ins first."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at."""

    name: str
    ok: bool
    detail: str
    """What was found."""
    mend: str = ""
    """How to mend it; empty where there is nothing to mend."""


def examine() -> Iterator[Check]:
    """Look at everything, one by one."""
    yield Check(
        "python",
        sys.version_info >= (3, 11),
        ".".join(str(part) for part in sys.version_info[:3]),
        "" if sys.version_info >= (3, 11) else "install Python 3.11 or later",
    )
    for library, purpose in LIBRARIES:
        yield _library(library, purpose)
    yield _tshark()
    yield _dumpcap()
    yield _libpcap()
    yield _privileges()


def _library(name: str, purpose: str) -> Check:
    try:
        return Check(name, True, f"{version(name)}, {purpose}")
    except PackageNotFoundError:
        return Check(name, False, f"not installed, {purpose}", f"pip install {name}")


def _tshark() -> Check:
    path = find_tshark()
    if path is None:
        return Check(
            "tshark",
            False,
            "not installed: no display filters, no TLS, no formats but pcap and pcapng",
            "install Wireshark's command line (Debian, Ubuntu, Fedora's wireshark-cli: tshark; "
            "macOS: brew install wireshark)",
        )
    found = tshark_version(path)
    if found is None:
        return Check("tshark", False, f"{path} does not run", "install it again")
    numbers = tuple(int(part) for part in found.split(".")[:2] if part.isdecimal())
    if numbers < TSHARK_LEAST:
        least = ".".join(map(str, TSHARK_LEAST))
        return Check(
            "tshark",
            False,
            f"{found}, {path}, is too old",
            f"install Wireshark {least} or later, or use --reader scapy",
        )
    return Check("tshark", True, f"{found}, {path}")


def tshark_version(path: str) -> str | None:
    """The version tshark tells, for instance ``4.0.17``; None where it does not run."""
    try:
        told = subprocess.run(
            [path, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE,
            check=True,
        ).stdout.decode(errors="replace")
    except (OSError, subprocess.SubprocessError):
        return None
    words = told.split("\n", 1)[0].split()
    return next((word.rstrip(".") for word in words if word[:1].isdigit()), None)


def _dumpcap() -> Check:
    path = find_tshark("dumpcap")
    if path is None:
        return Check(
            "dumpcap",
            True,
            "not installed; only Wireshark's own live capture needs it",
        )
    if not os.access(path, os.X_OK):
        return Check("dumpcap", True, f"{path}, which this user may not run")
    return Check("dumpcap", True, path)


def _libpcap() -> Check:
    found = ctypes.util.find_library("pcap")
    if found is None:
        return Check(
            "libpcap",
            False,
            "not installed: no capture filters on interfaces",
            "install libpcap (Debian, Ubuntu: libpcap0.8; Fedora: libpcap)",
        )
    return Check("libpcap", True, found)


def _privileges() -> Check:
    """Whether interfaces may be captured on, and why."""
    allowed = may_capture()
    held = capabilities()
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        why = "root"
    elif held is not None and held >> CAPABILITY_NET_RAW & 1:
        why = "capability CAP_NET_RAW"
    else:
        why = "an ordinary user"
    if allowed:
        return Check("privileges", True, f"may capture on interfaces ({why})")
    if why == "root":
        return Check(
            "privileges",
            False,
            "root without CAP_NET_RAW (a container?): may not capture on interfaces",
            "start the container with --cap-add NET_RAW --cap-add NET_ADMIN",
        )
    return Check("privileges", False, f"may not capture on interfaces ({why})", THREE_WAYS)

"""Where tests find system programs and captures, and what happens where they are missing.

A missing program skips the test and says which one. Where everything must be there, as in
continuous integration, ``DICOMSNIFF_REQUIRE_ALL=1`` turns those skips into failures.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Final, NoReturn

import pytest

CAPTURES: Final = Path(__file__).resolve().parent.parent / "captures"
"""The project's own captures: real tools, recorded by ``captures/record.py``."""

PUBLIC_CAPTURES: Final = Path(
    os.environ.get("DICOMSNIFF_PUBLIC_CAPTURES")
    or Path(__file__).resolve().parents[2] / "shared" / "captures"
)
"""Captures of other projects, which are not part of this repository."""

REQUIRE_ALL: Final = os.environ.get("DICOMSNIFF_REQUIRE_ALL") == "1"
"""True where a missing program or capture is a failure rather than a skip."""


def missing(reason: str) -> NoReturn:
    """Skip the test for ``reason``, or fail it where everything has to be there."""
    if REQUIRE_ALL:
        pytest.fail(f"{reason}, and DICOMSNIFF_REQUIRE_ALL=1 asks for everything")
    pytest.skip(reason)


def require(tool: str) -> str:
    """The path of a system program, for instance ``require("tshark")``.

    Not one that a Python package brought along: pynetdicom installs a ``storescp``, too.
    """
    ours = Path(sys.executable).parent
    folders = [each for each in os.get_exec_path() if Path(each) != ours]
    path = shutil.which(tool, path=os.pathsep.join(folders))
    if path is None:
        missing(f"{tool} is not installed")
    return path


def capture(name: str) -> Path:
    """One of the project's own captures, for instance ``capture("echo.pcapng")``."""
    path = CAPTURES / name
    if not path.exists():
        missing(f"captures/{name} is not here")
    return path


def public(name: str) -> Path:
    """One of the public captures, for instance ``public("ndpi/dicom.pcap")``.

    They live outside the repository, so a checkout without them skips, always.
    """
    path = PUBLIC_CAPTURES / name
    if not path.exists():
        pytest.skip(f"the public capture {name} is not here")
    return path


def require_root() -> None:
    """Skip unless this runs as root with the rights to make network namespaces."""
    if os.geteuid() != 0:
        missing("needs root: network namespaces and packet sockets")

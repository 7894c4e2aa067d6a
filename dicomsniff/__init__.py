"""Passive DICOM protocol analyzer.

One way through, and imports point the other way::

    sources ──frames──▶ tcp ──ordered bytes──▶ dicom ──PDUs, messages──▶ analysis ──▶ output | tui

``sources`` hand over frames (a capture through pyshark or scapy, an interface). ``tcp`` peels the
headers, orders the bytes of each direction and tells what is missing. ``dicom`` turns bytes into
PDUs and DIMSE messages and knows nothing of files or sockets. ``analysis`` rebuilds associations
and joins requests with responses. ``output`` and ``tui`` show them. ``model`` holds what they all
speak of.

    import dicomsniff
    for association in dicomsniff.read("ct.pcapng"):
        print(association.requestor.ae_title, association.outcome)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

__all__ = ["__version__", "read"]

if TYPE_CHECKING:
    from dicomsniff.analysis.pipeline import read


def __getattr__(name: str) -> Any:
    # Late, so that `import dicomsniff` and `dicomsniff --version` cost nothing.
    if name == "read":
        from dicomsniff.analysis.pipeline import read

        return read
    raise AttributeError(f"module 'dicomsniff' has no attribute {name!r}")

"""pyshark as it is usually used, a peer: a packet object for each frame, its DICOM layer looked at.

``python -m tests.benchmarks.packets FILE``
"""

from __future__ import annotations

import asyncio
import sys

FRAMES = 1000
"""Frames that are read: it makes 100 to 2,000 a second."""


def main(path: str) -> None:
    """Read the beginning of a capture."""
    from pyshark import FileCapture

    # Python 3.12 and later have no event loop where none was set, and pyshark asks for one.
    asyncio.set_event_loop(asyncio.new_event_loop())
    with FileCapture(path, keep_packets=False) as packets:
        for number, packet in enumerate(packets, 1):
            if "dicom" in packet:
                str(packet.dicom)
            if number >= FRAMES:
                break


if __name__ == "__main__":
    main(sys.argv[1])

"""How the screen bears a million rows. Run it: ``python -m tests.benchmarks.bench_tui [ROWS]``.

A real capture, made while it is read, goes through the whole pipeline into the running screen:
associations of 10,000 rows, C-ECHO requests and responses in turn. Measured are

- the time from the start of reading until rows are on the screen (promised: 1 s),
- the worst gap between two beats of a 20 ms timer of the screen's event loop while it loads
  (promised: 100 ms), which is how long a key may have to wait,
- a page down with all rows loaded, from the key's command to the drawn screen (promised: 50 ms),
- memory a row, all of it: decoded messages, their bytes, and the screen (promised: 1 KB).

On a machine that does other things as well, a wait measures those. So beside each time there is the
processor time that the program itself took meanwhile: what it would have been on a machine of its
own.

Nothing here runs with the tests: a busy machine would make them fail for no reason.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from dicomsniff.model import Frame
from dicomsniff.tui.app import DicomsniffApp
from dicomsniff.tui.config import Config
from tests.benchmarks import dicom
from tests.benchmarks.traffic import ACK, Connection, Packet

ROWS = 1_000_000
AN_ASSOCIATION = 10_000
BEAT = 0.02
PAGES = 200


def _packets(rows: int) -> Iterator[Packet]:
    """C-ECHOs, a packet each: acknowledgements come with the data, as they do in a quick LAN."""
    context = dicom.Context(1, dicom.VERIFICATION)
    for number in range(rows // AN_ASSOCIATION):
        connection = Connection(3 + number, 2, client_port=20_000 + number)
        names = (f"CT{number}", "PACS")
        yield from connection.open()
        yield from connection.send(0, (dicom.request(*names, context),))
        yield from connection.send(1, (dicom.accept(*names, context),))
        for message in range((AN_ASSOCIATION - 4) // 2):
            asks = dicom.command(
                0x0030,
                sop_class=dicom.VERIFICATION,
                message_id=message + 1,
                dataset=dicom.NO_DATA_SET,
            )
            answer = dicom.command(
                0x8030,
                sop_class=dicom.VERIFICATION,
                responded=message + 1,
                dataset=dicom.NO_DATA_SET,
                status=0,
            )
            yield connection._packet(0, ACK, b"".join(dicom.pdus(1, 1, (asks,))))
            yield connection._packet(1, ACK, b"".join(dicom.pdus(1, 1, (answer,))))
        yield from connection.send(0, (dicom.RELEASE_REQUEST,))
        yield from connection.send(1, (dicom.RELEASE_RESPONSE,))
        yield from connection.close()


class Endless:
    """A source that makes its frames as they are read."""

    reader = "scapy"
    name = "made"
    truncated = False
    dropped: int | None = None

    def __init__(self, rows: int) -> None:
        self.notices: list[str] = []
        self.rows = rows
        self.closed = False

    def __iter__(self) -> Iterator[Frame]:
        now = 1_767_600_900_000_000_000
        for number, (headers, payload) in enumerate(_packets(self.rows), 1):
            if self.closed:
                return
            data = headers + payload
            now += 10_000
            yield Frame(number, now, 1, data, len(data))

    def close(self) -> None:
        self.closed = True


def _resident() -> int:
    """Bytes of memory that are resident now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


async def _beats(gaps: list[tuple[float, float, float]], until: asyncio.Event) -> None:
    """A timer in the screen's event loop: how late it was, and how much of that was ours."""
    last, used = time.perf_counter(), time.process_time()
    while not until.is_set():
        await asyncio.sleep(BEAT)
        now, used_now = time.perf_counter(), time.process_time()
        gaps.append((now - last, now, used_now - used))
        last, used = now, used_now


async def bench(rows: int) -> dict[str, float]:
    """The figures, in seconds and bytes."""
    figures: dict[str, float] = {}
    app = DicomsniffApp(lambda: Endless(rows), title="made", config=Config())
    before = _resident()
    used = time.process_time()
    async with app.run_test(size=(160, 45)) as pilot:
        while not app.pane("timeline")._known:
            await asyncio.sleep(0.005)
        figures["first rows"] = time.monotonic() - app.loader.began
        figures["first rows, ours"] = time.process_time() - used
        gaps: list[tuple[float, float, float]] = []
        done = asyncio.Event()
        beat = asyncio.create_task(_beats(gaps, done))
        await pilot.press("a", "2")
        presses = 0
        while not app.loader.done:
            await pilot.press("pagedown")
            presses += 1
            await asyncio.sleep(0.2)
        done.set()
        await beat
        figures["loading"] = app.loader.seconds
        figures["rows"] = len(app.loader.rows)
        start = gaps[0][1]
        gaps.sort()
        figures["worst gap"] = gaps[-1][0]
        figures["worst gap after"] = gaps[-1][1] - start
        figures["second worst gap"] = gaps[-2][0]
        figures["99th gap"] = gaps[len(gaps) * 99 // 100][0]
        ours = sorted(min(gap, used) for gap, _, used in gaps)
        figures["worst gap, ours"] = ours[-1]
        figures["99th gap, ours"] = ours[len(ours) * 99 // 100]
        app.look()
        await pilot.pause()
        table = app.pane("timeline")
        worst = total = 0.0
        worst_ours = total_ours = 0.0
        table.command("top")
        for page in range(PAGES):
            if page == PAGES // 2:
                table.move(len(app.loader.rows) // 2)
            start, used = time.perf_counter(), time.thread_time()
            table.command("page-down")
            await asyncio.sleep(0)
            app.screen._compositor.render_strips(app.screen.size)
            took, ours_took = time.perf_counter() - start, time.thread_time() - used
            worst, total = max(worst, took), total + took
            worst_ours, total_ours = max(worst_ours, ours_took), total_ours + ours_took
            await pilot.pause()
        figures["page down, worst"] = worst
        figures["page down, mean"] = total / PAGES
        figures["page down, worst, ours"] = worst_ours
        figures["page down, mean, ours"] = total_ours / PAGES
        figures["bytes a row"] = (_resident() - before) / max(1, len(app.loader.rows))
    return figures


def main() -> int:
    """Print the figures beside what is promised."""
    rows = int(sys.argv[1].replace("_", "")) if len(sys.argv) > 1 else ROWS
    figures = asyncio.run(bench(rows))
    promised = {
        "first rows": 1.0,
        "worst gap": 0.1,
        "page down, worst": 0.05,
        "bytes a row": 1024,
    }
    failed = False
    for name, value in figures.items():
        limit = promised.get(name)
        unit = "" if name in ("rows", "bytes a row") else " s"
        text = f"{value:,.0f}" if not unit else f"{value:.3f}"
        verdict = ""
        if limit is not None:
            late = value > limit
            failed |= late
            verdict = f"   promised {limit:g}{unit}: {'NO' if late else 'yes'}"
        print(f"{name:22} {text:>12}{unit}{verdict}")
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())

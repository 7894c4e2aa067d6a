"""What is left of captures that miss segments, beside tshark: ``python -m tests.benchmarks.loss``.

Takes away 1, 5 and 20 percent of the segments that carry data (not their repetitions: as a mirror
port drops them), reads the rest with both, and counts PDUs and messages that were whole in the
rest: those whose every segment is there. tshark is asked twice, as it comes and with
``tcp.reassemble_out_of_order``, on the ports that speak DICOM; a message counts for it when the
command set is dissected, with or without its data set.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from pathlib import Path
from random import Random

from dicomsniff.model import Association
from tests import rewrite
from tests.agreement.dissector import oracle
from tests.hostile.loss import kinds, lose, said, snapped, units
from tests.support import capture

NAMES = ("store", "worklist", "get", "query-study", "move", "async", "print", "store-small-pdu")
SHARES = (0.01, 0.05, 0.2)
OUT_OF_ORDER = ("-o", "tcp.reassemble_out_of_order:TRUE")


def _dissected(path: Path, ports: set[int], *options: str) -> Counter[str]:
    return Counter(told.kind for told in oracle(path, ports, *options).told)


def _common(expected: Counter[str], found: Counter[str]) -> int:
    return (expected & found).total()


def _gaps(associations: list[Association]) -> int:
    return sum(gap.length for association in associations for gap in association.gaps)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.loss", description=__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="losses of each kind (default 3)")
    arguments = parser.parse_args()
    print("Segments of at most 1460 bytes; PDUs and messages all of whose segments are left.")
    print(
        f"{'lost':>5} {'whole':>6} {'dicomsniff':>11} {'tshark':>7} {'out of order':>13}"
        f" {'bytes away':>11} {'told as gaps':>13}"
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "lossy.pcap")
        for share in SHARES:
            total = [0] * 6
            for name in NAMES:
                packets = rewrite.cut(
                    rewrite.load(capture(f"{name}.pcapng")), 1400, 1460, Random(1)
                )
                parts = units(packets)
                ports = {packet.dport for packet in packets if packet.flags & 18 == 2}
                for seed in range(arguments.seeds):
                    left = lose(packets, share, Random(seed))
                    there = {(packet.way, packet.seq) for packet in left if packet.payload}
                    expected = Counter(unit.said for unit in parts if unit.segments <= there)
                    names: Counter[str] = Counter()
                    for key, number in expected.items():
                        names[str(key[1])] += number
                    associations = rewrite.rebuild(left)
                    path.write_bytes(rewrite.pcap(rewrite.frames(left)))
                    total[0] += expected.total()
                    total[1] += (expected & said(associations)).total()
                    total[2] += _common(names, _dissected(path, ports))
                    total[3] += _common(names, _dissected(path, ports, *OUT_OF_ORDER))
                    total[4] += sum(len(p.payload) for p in packets) - sum(
                        len(p.payload) for p in left
                    )
                    total[5] += _gaps(associations)
            print("{:>4.0%} {:>7} {:>11} {:>7} {:>13} {:>11,} {:>13,}".format(share, *total))
        print()
        print("A snap length of 96 bytes: PDUs and messages with a kind, whole or in part.")
        print(f"{'capture':<16} {'sent':>5} {'dicomsniff':>11} {'tshark':>7}")
        for name in NAMES:
            packets = rewrite.load(capture(f"{name}.pcapng"))
            ports = {packet.dport for packet in packets if packet.flags & 18 == 2}
            sent = kinds(rewrite.rebuild(packets), complete=True)
            frames = snapped(rewrite.frames(packets), 96)
            path.write_bytes(rewrite.pcap(frames))
            found = kinds(_read(path), complete=False)
            print(
                f"{name:<16} {sent.total():>5} {_common(sent, found):>11} "
                f"{_common(sent, _dissected(path, ports)):>7}"
            )


def _read(path: Path) -> list[Association]:
    from dicomsniff.analysis.pipeline import read

    return list(read(str(path), reader="scapy", checks=False))


if __name__ == "__main__":
    main()

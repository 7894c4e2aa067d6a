"""The fuzzers' targets hold on their own seeds, whole and damaged: they can be trusted to fail."""

from __future__ import annotations

from random import Random

import pytest

from tests.fuzz.__main__ import _NAMES, judge
from tests.fuzz.seeds import FOUND, SMALL, found, seeds
from tests.fuzz.targets import TARGETS

SLOW = {"capture": 6, "transcript": 8, "framing": 12, "ways": 8}
"""Seeds tried of targets that take long; of the others there are 60."""


def test_every_target_has_its_name() -> None:
    assert list(TARGETS) == _NAMES


@pytest.mark.parametrize("target", TARGETS)
def test_on_what_was_recorded_and_with_bytes_changed(target: str) -> None:
    random = Random(11)
    listed = sorted({seed for seed in seeds(target) if 0 < len(seed) <= SMALL}, key=len)
    assert listed, "there is something to begin with"
    many = SLOW.get(target, 60)
    for seed in random.sample(listed, min(many, len(listed))):
        TARGETS[target](seed)
        damaged = bytearray(seed)
        for _ in range(4):
            damaged[random.randrange(len(damaged))] = random.randrange(256)
        TARGETS[target](bytes(damaged[: random.randrange(len(damaged)) + 1]))
    TARGETS[target](b"")


@pytest.mark.parametrize("target", TARGETS)
def test_what_broke_it_once_does_so_no_more(target: str) -> None:
    for path in found(target):
        TARGETS[target](path.read_bytes())


def test_everything_found_has_a_target() -> None:
    assert {path.name for path in FOUND.iterdir() if path.is_dir()} <= set(TARGETS)


DONE = "#1234\tDONE   cov: 80 ft: 200 corp: 30/2000b lim: 100 exec/s: 20 rss: 90Mb\n"


@pytest.mark.parametrize(
    ("log", "status", "took", "problem"),
    [
        (DONE, 0, 60.5, ""),
        (DONE, 77, 60.5, "exit status 77"),
        (DONE, -9, 60.5, "exit status -9"),
        (DONE, 0, 12.0, "it ended after 12 of 60 s"),
        ("", 0, 60.5, "it does not say what it did"),
        (DONE.replace("1234", "0"), 0, 60.5, "nothing was executed"),
    ],
)
def test_only_what_ran_for_its_time_has_held(
    log: str, status: int, took: float, problem: str
) -> None:
    assert judge(log, status, asked=60, took=took)[0] == problem

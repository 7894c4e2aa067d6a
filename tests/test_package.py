"""The package as others see it: a version, types, and no more imported than is used."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata, resources
from pathlib import Path

import pytest

import dicomsniff
from dicomsniff.sources import open_capture
from tests import rewrite
from tests.support import capture, missing

ROOT = Path(__file__).resolve().parent.parent

HEAVY = frozenset(("scapy", "pydicom", "pyshark", "textual", "rich", "pynetdicom", "asyncio"))
"""Packages whose import takes a tenth of a second or more."""


def imported(statements: str) -> set[str]:
    """Names of all modules that a fresh interpreter holds after ``statements``."""
    told = subprocess.run(
        [sys.executable, "-c", f"import sys\n{statements}\nprint(*sys.modules, file=sys.stderr)"],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
    ).stderr
    return set(told.split())


def packages(modules: set[str]) -> set[str]:
    return {module.partition(".")[0] for module in modules}


def test_the_version_is_the_one_that_is_installed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", dicomsniff.__version__)
    assert project["version"] == dicomsniff.__version__ == metadata.version("dicomsniff")


def test_it_is_typed() -> None:
    assert resources.files("dicomsniff").joinpath("py.typed").is_file()


def test_what_is_not_there_is_told_by_name() -> None:
    with pytest.raises(AttributeError, match="no attribute 'decode'"):
        _ = dicomsniff.decode  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "statement",
    [
        "import dicomsniff",
        "import dicomsniff.model",
        "import dicomsniff.cli",
        "import dicomsniff.sources",
        "import dicomsniff.analysis.pipeline",
        "import dicomsniff.output.timeline",
        "import dicomsniff.output.transcript, dicomsniff.output.redact",
    ],
)
def test_importing_costs_nothing(statement: str) -> None:
    assert packages(imported(statement)) & HEAVY == set()


def run_main(*arguments: str) -> str:
    return f"from dicomsniff.cli import main\nassert main({list(arguments)!r}) == 0"


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_options_that_say_something_import_nothing(option: str) -> None:
    modules = imported(run_main(option))
    assert packages(modules) & HEAVY == set()
    parts = ("model", "sources", "tcp", "dicom", "analysis", "output", "tui")
    assert modules & {f"dicomsniff.{part}" for part in parts} == set()
    assert "dicomsniff.cli" in modules


def test_a_timeline_imports_neither_pydicom_nor_the_screen() -> None:
    path = str(capture("worklist.pcapng"))
    modules = imported(run_main("timeline", "--reader", "scapy", path))
    assert packages(modules) & HEAVY == {"scapy"}
    # Every layer of scapy: 0.7 s.
    assert "scapy.all" not in modules
    assert "dicomsniff.dicom.dataset" not in modules


def test_a_pcap_needs_no_scapy(tmp_path: Path) -> None:
    path = tmp_path / "worklist.pcap"
    source = open_capture(str(capture("worklist.pcapng")), reader="scapy")
    path.write_bytes(rewrite.pcap(source))
    modules = imported(run_main("timeline", "--reader", "scapy", str(path)))
    assert packages(modules) & HEAVY == set()


def test_a_transcript_needs_the_tables_of_pydicom_and_no_more() -> None:
    path = str(capture("worklist.pcapng"))
    modules = imported(run_main("transcript", "--reader", "scapy", path))
    assert packages(modules) & HEAVY == {"scapy"}
    assert "dicomsniff.dicom.tables" in modules


def test_the_schema_needs_nothing_but_itself() -> None:
    assert packages(imported(run_main("schema"))) & HEAVY == set()


def test_imports_point_one_way() -> None:
    program = shutil.which("lint-imports", path=Path(sys.executable).parent)
    if program is None:
        missing("import-linter is not installed")
    done = subprocess.run([program], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout

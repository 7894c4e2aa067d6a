"""``python -m dicomsniff.cli``."""

from __future__ import annotations

from dicomsniff.cli import program

program()

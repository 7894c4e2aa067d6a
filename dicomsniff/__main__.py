"""``python -m dicomsniff``."""

from dicomsniff.cli import program

program()

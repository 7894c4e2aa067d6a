"""Writes the reference page: ``python -m dicomsniff.analysis.where > docs/filter.md``."""

from __future__ import annotations

import sys

from dicomsniff.analysis.where.reference import reference

sys.stdout.write(reference())

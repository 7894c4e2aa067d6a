"""The one filter language: ``--where`` of the commands, ``/`` on the screen.

    >>> from dicomsniff.analysis import where
    >>> chosen = where.compile("called = MOZI and service = C-FIND and status != Success")
    >>> chosen.matches(association)         # any of its rows
    >>> chosen.matches(association, entry)  # this row

``tokens`` and ``syntax`` make a tree of the text, ``words`` is the table of what it may ask for
(``attributes`` adds the data dictionary), ``values`` and its neighbours say what may stand behind
an operator, ``evaluate`` runs it. ``completion`` and ``reference`` are made from the same table.
"""

from __future__ import annotations

from dicomsniff.analysis.where.completion import Completion, complete
from dicomsniff.analysis.where.evaluate import Filter
from dicomsniff.analysis.where.evaluate import compile_filter as compile
from dicomsniff.analysis.where.reference import reference
from dicomsniff.analysis.where.syntax import parse
from dicomsniff.analysis.where.tokens import FilterError
from dicomsniff.analysis.where.words import WORDS, Word

__all__ = [
    "WORDS",
    "Completion",
    "Filter",
    "FilterError",
    "Word",
    "compile",
    "complete",
    "parse",
    "reference",
]

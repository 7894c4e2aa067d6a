"""pydicom's tables, without the rest of pydicom.

``import pydicom._dicom_dict`` imports all of pydicom first: codecs for pixels, downloads, progress
bars. That takes a quarter of a second, longer than a small capture takes to read, and nobody here
asks for any of it. The tables themselves are modules that hold data and import nothing, so they
are loaded by their place in the installed package. They are pydicom's own all the same, of
whichever version is installed.
"""

from __future__ import annotations

import sys
from functools import cache
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec
from pathlib import Path
from typing import Any, Final, cast

_PACKAGE: Final = "pydicom"

DictionaryEntry = tuple[str, str, str, str, str]
"""VR, VM, name, ``Retired`` or empty, keyword."""


@cache
def _table(name: str) -> Any:
    """A module of pydicom that holds nothing but data, for instance ``sr._concepts_dict``."""
    full = f"{_PACKAGE}.{name}"
    if full in sys.modules:
        return sys.modules[full]
    package = find_spec(_PACKAGE)
    folder, _, last = name.rpartition(".")
    places = package.submodule_search_locations if package is not None else None
    spec = PathFinder.find_spec(last, [str(Path(place, folder)) for place in places or ()])
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"No module named {full!r}", name=full)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def elements() -> dict[int, DictionaryEntry]:
    """PS3.6 chapter 6 by tag."""
    return cast("dict[int, DictionaryEntry]", _table("_dicom_dict").DicomDictionary)


def repeating() -> dict[str, DictionaryEntry]:
    """Repeating groups (PS3.5 7.6) by tags with ``x`` for any digit: ``60xx3000``."""
    return cast("dict[str, DictionaryEntry]", _table("_dicom_dict").RepeatersDictionary)


@cache
def by_keyword() -> dict[str, int]:
    """Tags by keyword."""
    return {entry[4]: tag for tag, entry in elements().items() if entry[4]}


def private() -> dict[str, dict[str, tuple[str, str, str, str]]]:
    """Elements of private creators, by creator and tag with ``x``: VR, VM, name, retired."""
    return cast(
        "dict[str, dict[str, tuple[str, str, str, str]]]",
        _table("_private_dict").private_dictionaries,
    )


def uids() -> dict[str, tuple[str, str, str, str, str]]:
    """PS3.6 annex A by UID: name, type, information, ``Retired`` or empty, keyword."""
    return cast("dict[str, tuple[str, str, str, str, str]]", _table("_uid_dict").UID_dictionary)


def concepts() -> dict[str, dict[str, dict[str, tuple[str, list[int]]]]]:
    """Codes of PS3.16 by scheme and keyword: code to meaning and context groups."""
    return cast(
        "dict[str, dict[str, dict[str, tuple[str, list[int]]]]]",
        _table("sr._concepts_dict").concepts,
    )


def retired_snomed() -> dict[str, str]:
    """Codes of SNOMED RT to those of SNOMED CT (PS3.16 annex O)."""
    return cast("dict[str, str]", _table("sr._snomed_dict").mapping.get("SRT", {}))

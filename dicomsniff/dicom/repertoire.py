"""What to think of bytes that (0008,0005) does not declare, or that contradict it.

GBK sent without a declaration is the commonest fault of all on site. Which character set bytes are
in is told by what they decode to: names are made of a few hundred characters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from dicomsniff.dicom.charset import ESCAPE, JIS, CharacterSet, character_set
from dicomsniff.dicom.elements import DataSet, Element
from dicomsniff.dicom.values import split

_CHINESE: Final = frozenset(
    "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁"
    "魏薛叶阎余潘杜戴夏钟汪田任姜范方石姚谭廖邹熊金陆郝孔白崔康毛邱秦江史顾侯邵孟龙万段雷钱汤尹黎"
    "易常武乔贺赖龚文小明华国建军平志伟东海强晓生光新永德秀英丽芳玉兰美红春梅云燕玲静敏医院科胸部"
    "头颅腹检查平扫增强中心人民第一二三上下"
)
"""Characters of Chinese surnames, given names and departments: what identifiers are made of."""
_KOREAN: Final = frozenset(
    "김이박최정강조윤장임한오서신권황안송전홍유고문양손배백허남심노하곽성차주우구민진지나엄채원천"
    "방공현함변염여추도소석선설마길연위표명기반왕금옥육인맹제모탁국은수영준철호동희숙자경미순병원"
)
"""Syllables of Korean surnames and given names."""

SAMPLE_LIMIT: Final = 16 * 1024
"""Bytes looked at to guess a character set: names tell, books take longer and tell no more."""


def guess(values: Iterable[bytes]) -> str | None:
    """The character set that undeclared bytes are most probably in, None where none fits.

    Valid UTF-8 is hardly ever anything else. Of the East Asian sets that of the characters
    people are named with wins; on a tie GB18030, which most often goes undeclared. Bytes
    above 7FH one by one between ASCII letters are Latin.
    """
    sample = _sample(values)
    if not sample:
        return None
    if all(_decodes(value, "utf_8") for value in sample):
        return "ISO_IR 192"
    if any(b"\x1b$)C" in value for value in sample):
        return "ISO 2022 IR 149"
    joined = b"\n".join(sample)
    runs = re.findall(rb"[\x80-\xff]+", joined)
    latin = not re.search(rb"[\x80-\x9f]", joined)
    if latin and all(len(run) == 1 for run in runs):
        return "ISO_IR 100"
    scores = {
        "GB18030": _score(sample, "gb18030", _CHINESE, 0x4E00, 0x9FFF),
        "ISO 2022 IR 149": _score(sample, "euc_kr", _KOREAN, 0xAC00, 0xD7A3),
        "ISO_IR 13": _score(sample, JIS, frozenset(), 0x3041, 0x30FE),
    }
    best = max(scores, key=lambda name: scores[name])
    if latin and scores[best] < 0.9 and all(len(run) <= 2 for run in runs):
        return "ISO_IR 100"
    if scores[best] > 0:
        return best
    return "ISO_IR 100" if latin else None


def _sample(values: Iterable[bytes]) -> list[bytes]:
    """The values with bytes above 7FH, as many as it takes to judge."""
    sample: list[bytes] = []
    size = 0
    for value in values:
        if not value.isascii():
            sample.append(value)
            size += len(value)
            if size > SAMPLE_LIMIT:
                break
    return sample


def _decodes(raw: bytes, codec: str) -> bool:
    try:
        raw.decode(codec)
    except UnicodeDecodeError:
        return False
    return True


def _score(sample: list[bytes], codec: str, common: frozenset[str], low: int, high: int) -> float:
    """How well the characters above ASCII look in ``codec``: 0 not at all, 3 all of them common."""
    total = 0
    points = 0.0
    for value in sample:
        try:
            text = value.decode(codec)
        except UnicodeDecodeError:
            return 0.0
        for char in text:
            code = ord(char)
            if code < 0x80:
                continue
            total += 1
            if char in common:
                points += 3
            elif low <= code <= high:
                points += 1 if codec != "gb18030" or _is_plain_chinese(char) else 0.2
            elif codec == JIS and (0x4E00 <= code <= 0x9FFF or 0xFF61 <= code <= 0xFF9F):
                # Halfwidth katakana are single bytes: anything at all decodes as them.
                points += 0.5 if code <= 0x9FFF else 0.1
    return points / total if total else 0.0


def _is_plain_chinese(char: str) -> bool:
    """True for the 3,755 characters in daily use, the first level of GB 2312."""
    try:
        raw = char.encode("gb2312")
    except UnicodeEncodeError:
        return False
    return 0xB0 <= raw[0] <= 0xD7


def doubt(declared: CharacterSet, values: list[bytes], names: Iterable[bytes] = ()) -> str | None:
    """The character set that values seem to be in although ``declared`` decodes them, or None.

    A Latin set decodes every byte, so GBK or UTF-8 under it is only seen by how it looks. Which of
    the values are ``names`` helps: it has no ideographs for their second component group.
    """
    if declared.codec is not None or declared.g1 in ("ascii", JIS) or declared.extensions:
        return None
    sample = _sample(value for value in values if ESCAPE not in value)
    if not sample:
        return None
    if all(_decodes(value, "utf_8") for value in sample):
        return "ISO_IR 192"
    runs = re.findall(rb"[\x80-\xff]+", b"\n".join(sample))
    if sum(map(len, runs)) < 4 or any(len(run) % 2 for run in runs):
        return None
    chinese = _score(sample, "gb18030", _CHINESE, 0x4E00, 0x9FFF)
    # Names of two and three characters that are all common in Chinese are no accident.
    if chinese >= 2 or (declared.label in _LATIN and chinese and _all_plain(sample)):
        return "GB18030"
    groups = [name.split(b"=")[1] for name in names if b"=" in name]
    ideographs = _sample(group for group in groups if ESCAPE not in group)
    if declared.label in _LATIN and _all_plain(ideographs, IDEOGRAPHS_LEAST, 0.5):
        return "GB18030"
    return None


_LATIN: Final = frozenset(
    f"{prefix}IR {number}"
    for prefix in ("ISO_", "ISO 2022 ")
    for number in (100, 101, 109, 110, 148, 203)
)
"""Western sets: the first byte of a Chinese character in daily use is a sign or a capital letter
in them, so that four such pairs in a row are no word of theirs."""

PLAIN_LEAST: Final = 4
"""Chinese characters that make a text Chinese."""


IDEOGRAPHS_LEAST: Final = 2
"""The same where they stand in the place of ideographs, half of them in daily use: the first byte
of the others is a small letter in a Western set, and names are not made of those alone."""


def _all_plain(sample: list[bytes], least: int = PLAIN_LEAST, share: float = 0.9) -> bool:
    """Whether nearly all characters above ASCII are Chinese ones in daily use, or a share of them
    is."""
    text = b"\n".join(sample).decode("gb18030", "replace")
    above = [char for char in text if ord(char) > 0x7F]
    plain = sum(map(_is_plain_chinese, above))
    return len(above) >= least and plain >= share * len(above)


# ---------------------------------------------------------------------------- in a data set


def read_undeclared(result: DataSet, undeclared: list[tuple[Element, bytes]]) -> None:
    """Read bytes that no character set was declared for as what they look like."""
    label = guess(raw for _, raw in undeclared)
    for element, raw in undeclared:
        if label is None:
            element.notes.append("bytes above 7F, and (0008,0005) declares nothing for them")
            continue
        decoded = character_set((label,)).decode(raw, element.vr == "PN")
        element.values = split(element.vr, decoded.text)
        element.charset = label
        element.notes.append(f"undeclared bytes above 7F; {label} would decode them")
        if decoded.problem:
            element.notes.append(decoded.problem)
    said = "does not cover" if result.character_sets else "is missing for"
    what = f"; {label} would decode them" if label is not None else ""
    result.notes.append(f"(0008,0005) {said} bytes above 7F{what}")


def tell_doubts(result: DataSet, declared: list[tuple[Element, bytes, CharacterSet, bool]]) -> None:
    """Say which character set would decode what the declared one does not, or hardly. Of each
    value: its element, its bytes, what was declared, whether it decoded."""
    failed = [raw for _, raw, _, decoded in declared if not decoded]
    label = guess(failed) if failed else None
    if label is not None:
        better = character_set((label,))
        for element, raw, charset, decoded in declared:
            same = label in charset.label.split("\\")
            if not decoded and not same and not better.decode(raw).problem:
                element.notes.append(f"{label} would decode it")
    for charset in {id(each[2]): each[2] for each in declared}.values():
        mine = [each for each in declared if each[2] is charset and each[3]]
        names = [raw for element, raw, _, _ in mine if element.vr == "PN"]
        label = doubt(charset, [raw for _, raw, _, _ in mine], names)
        if label is None:
            continue
        result.notes.append(f"declared as {charset.label}, the bytes look like {label}")
        for element, _, _, _ in mine:
            element.notes.append(f"looks like {label}")

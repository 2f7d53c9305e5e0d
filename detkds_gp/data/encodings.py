"""Encodings of text that does not say its own: the readings that give words."""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence

from charset_normalizer import from_bytes

LEGACY = (
    "gb18030", "big5", "cp932", "euc_jp", "cp949",
    "cp1250", "cp1251", "cp1252", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258", "cp874", "koi8_r",
)  # fmt: skip
"""What files that are not UTF-8 are written in, by systems in their languages' settings."""
WIDER = {"gbk": "gb18030", "gb2312": "gb18030", "shift_jis": "cp932", "euc_kr": "cp949", "iso8859-1": "cp1252"}
"""Encodings that are read by one that holds them: files say the narrow one and use the wide one."""
EVERYDAY: dict[str, Callable[[bytes], bool]] = {
    "gb18030": lambda code: len(code) == 2 and 0xB0 <= code[0] <= 0xD7 and code[1] >= 0xA1,
    "big5": lambda code: 0xA440 <= int.from_bytes(code, "big") <= 0xC67E,
    "cp932": lambda code: 0x8140 <= int.from_bytes(code, "big") <= 0x9872,
    "euc_jp": lambda code: len(code) == 2 and (code[0] in (0xA4, 0xA5) or 0xB0 <= code[0] <= 0xCF),
    "cp949": lambda code: 0xB0 <= code[0] <= 0xC8 and code[1] >= 0xA1,
}
"""Whether a character is of the first level of its standard, which holds those that people use."""
ONE_SCRIPT = {"HIRAGANA": "CJK", "KATAKANA": "CJK"}


def known_encoding(name: str) -> str | None:
    """Return Python's name of an encoding, or of the wider one that it is read by; None if it has none."""
    try:
        found = codecs.lookup(name).name
    except LookupError:
        return None
    return WIDER.get(found, found)


def decodes(raw: bytes, encoding: str) -> bool:
    """Return whether bytes are text in an encoding."""
    try:
        raw.decode(encoding)
    except (UnicodeDecodeError, LookupError):
        return False
    return True


def readings(texts: Iterable[bytes]) -> dict[str, list[str]]:
    """Return the encodings in which all texts are words, each with its words; equal words count once.

    A word is of letters of one script, and of everyday characters where some encoding gives such. Class names are too
    short to tell more: where several readings remain, the first is what charset-normalizer takes for the likeliest,
    which is often wrong (three short Chinese names are Korean to it).

    Args:
        texts: those that are not ASCII.
    """
    distinct = sorted(set(texts))
    every = {
        encoding: [raw.decode(encoding) for raw in distinct] for encoding in LEGACY if _all_decode(distinct, encoding)
    }
    wordy = {encoding: words for encoding, words in every.items() if all(map(_is_word, words))}
    everyday = {encoding: words for encoding, words in wordy.items() if _everyday(words, encoding)}
    found = everyday or wordy
    ranked = [match.encoding for match in from_bytes(b"\n".join(distinct), cp_isolation=list(found))] if found else []
    once: dict[tuple[str, ...], str] = {}
    for encoding in sorted(found, key=lambda e: ranked.index(e) if e in ranked else len(ranked)):
        once.setdefault(tuple(found[encoding]), encoding)
    return {encoding: list(words) for words, encoding in once.items()}


def _all_decode(texts: Sequence[bytes], encoding: str) -> bool:
    return all(decodes(raw, encoding) for raw in texts)


def _is_word(text: str) -> bool:
    """Return whether what is not ASCII in a text is letters, of one script in each word."""
    if not all(unicodedata.category(letter)[0] in "LM" for letter in text if not letter.isascii()):
        return False
    return all(
        len({_script(letter) for letter in word if letter.isalpha()}) < 2 for word in re.split(r"[\W\d_]+", text)
    )


def _script(letter: str) -> str:
    name = unicodedata.name(letter, "?").split()[0]
    return ONE_SCRIPT.get(name, name)


def _everyday(texts: Iterable[str], encoding: str) -> bool:
    asked = EVERYDAY.get(encoding)
    return asked is None or all(
        asked(letter.encode(encoding)) for text in texts for letter in text if not letter.isascii()
    )

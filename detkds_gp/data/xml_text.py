"""XML files of any encoding: as they declare it, else as their neighbours or their bytes tell."""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from charset_normalizer import from_bytes

from detkds_gp.errors import DataError

DECLARATION = r"^\s*<\?xml[^>]*?\?>"
ENCODING = re.compile(rb"""<\?xml[^>]*?encoding\s*=\s*["']\s*([\w.:-]+)\s*["']""")
MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
SHOWN = 6
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


@dataclass
class XmlFiles:
    """XML files, parsed.

    Attributes:
        roots: the root element of each that can be read.
        faults: why each of the others cannot.
        encodings: how many files are not UTF-8, by the encoding that they were read by.
        detected: the encoding that was told from bytes and not from a declaration, or empty.
    """

    roots: dict[Path, ElementTree.Element] = field(default_factory=dict)
    faults: dict[Path, str] = field(default_factory=dict)
    encodings: Counter[str] = field(default_factory=Counter)
    detected: str = ""

    def parse(self, path: Path, raw: bytes, encoding: str) -> None:
        """Add a file of a known encoding."""
        text = re.sub(DECLARATION, "", raw.decode(encoding).removeprefix("\ufeff"))
        try:
            self.roots[path] = ElementTree.fromstring(text)
        except (ElementTree.ParseError, ValueError) as error:
            self.faults[path] = f"is broken XML ({error})"
            return
        if encoding not in ("utf-8", "utf-8-sig", "ascii") and not raw.isascii():
            self.encodings[encoding] += 1


def parse_files(paths: Iterable[Path], encoding: str | None = None) -> XmlFiles:
    """Parse XML files.

    The encoding is the one that a file declares, else UTF-8, where its bytes allow it. The files that neither reads
    are taken together, since a few letters of one file tell too little: all are read by ``encoding``, else by what
    their neighbours declare, else by the one that gives them words of their neighbours, else by the only one in
    which they are words.

    Raises:
        DataError: there is no such encoding, or several give words.
    """
    given = None if encoding is None else known_encoding(encoding)
    if encoding is not None and given is None:
        raise DataError(f"--encoding got {encoding!r}, which Python does not know; give one such as gbk, big5, cp1252")
    found = XmlFiles()
    unread: dict[Path, bytes] = {}
    for path in paths:
        try:
            raw = path.read_bytes()
        except OSError as error:
            found.faults[path] = f"cannot be read ({error.strerror})"
            continue
        own = next((e for e in (_declared(raw), "utf-8") if e and decodes(e, raw)), None)
        if own is None:
            unread[path] = raw
        else:
            found.parse(path, raw, own)
    told = given or (_told(found, unread) if unread else None)
    for path, raw in unread.items():
        if told is None:
            found.faults[path] = "neither declares its encoding nor is UTF-8; write it in UTF-8, or give --encoding"
        elif decodes(told, raw):
            found.parse(path, raw, told)
        else:
            found.faults[path] = f"is neither UTF-8 nor {told}; write it in UTF-8"
    found.detected = "" if given else told or ""
    return found


def _declared(raw: bytes) -> str | None:
    """Return Python's name of the encoding that a file declares or begins with; None if it says none that exists."""
    marked = next((name for mark, name in MARKS.items() if raw.startswith(mark)), None)
    named = ENCODING.match(raw.lstrip())
    return marked or (known_encoding(named[1].decode("ascii")) if named else None)


def _told(found: XmlFiles, unread: Mapping[Path, bytes]) -> str | None:
    """Return the encoding of files that do not say theirs; None if no encoding reads them all.

    Raises:
        DataError: several do.
    """
    texts = {text.strip() for raw in unread.values() for text in re.findall(rb">([^<>]+)<", raw) if not text.isascii()}
    fitting = [e for e in dict.fromkeys([*found.encodings, *LEGACY]) if decodes(e, *unread.values())]
    if fitting and fitting[0] in found.encodings:
        return fitting[0]
    known = {text for root in found.roots.values() for text in map(str.strip, root.itertext()) if not text.isascii()}
    shared = {e: len(known & {text.decode(e, "replace") for text in texts}) for e in fitting}
    if any(shared.values()):
        return max(shared, key=lambda e: shared[e])
    words = {e: read for e, read in readings(texts).items() if e in fitting}
    if len(words) > 1:
        shown = "; ".join(f"{e}: {', '.join(read[:3])}" for e, read in list(words.items())[:SHOWN])
        raise DataError(
            f"{next(iter(unread))} and {len(unread) - 1} more files do not declare their encoding, and their texts are "
            f"words in several ({shown}); say which by --encoding"
        )
    return next(iter(words), None)


def known_encoding(name: str) -> str | None:
    """Return Python's name of an encoding, or of the wider one that it is read by; None if it has none."""
    try:
        found = codecs.lookup(name).name
    except LookupError:
        return None
    return WIDER.get(found, found)


def decodes(encoding: str, *texts: bytes) -> bool:
    """Return whether bytes are text in an encoding."""
    try:
        for raw in texts:
            raw.decode(encoding)
    except (UnicodeDecodeError, LookupError):
        return False
    return True


def readings(texts: Iterable[bytes]) -> dict[str, list[str]]:
    """Return the encodings in which all texts are words, each with its words; equal words count once.

    A word is of letters of one script, and of everyday characters where some encoding gives such. Class names are too
    short to tell more: where several readings remain, the first is what charset-normalizer takes for the likeliest,
    which is often wrong (three short Chinese names are Korean to it). The texts are those that are not ASCII.
    """
    distinct = sorted(set(texts))
    every = {
        encoding: [raw.decode(encoding) for raw in distinct] for encoding in LEGACY if decodes(encoding, *distinct)
    }
    wordy = {encoding: words for encoding, words in every.items() if all(map(_is_word, words))}
    everyday = {encoding: words for encoding, words in wordy.items() if _everyday(words, encoding)}
    found = everyday or wordy
    ranked = [match.encoding for match in from_bytes(b"\n".join(distinct), cp_isolation=list(found))] if found else []
    once: dict[tuple[str, ...], str] = {}
    for encoding in sorted(found, key=lambda e: ranked.index(e) if e in ranked else len(ranked)):
        once.setdefault(tuple(found[encoding]), encoding)
    return {encoding: list(words) for words, encoding in once.items()}


def _is_word(text: str) -> bool:
    """Return whether what is not ASCII in a text is letters, of one script in each word."""
    letters = all(unicodedata.category(letter)[0] in "LM" for letter in text if not letter.isascii())
    named = [[unicodedata.name(x, "?").split()[0] for x in word if x.isalpha()] for word in re.split(r"[\W\d_]+", text)]
    return letters and all(len({ONE_SCRIPT.get(script, script) for script in scripts}) < 2 for scripts in named)


def _everyday(texts: Iterable[str], encoding: str) -> bool:
    asked = EVERYDAY.get(encoding)
    return asked is None or all(
        asked(letter.encode(encoding)) for text in texts for letter in text if not letter.isascii()
    )

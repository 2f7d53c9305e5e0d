"""XML files of any encoding: as they declare it, else as their neighbours or their bytes tell."""

from __future__ import annotations

import codecs
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from detkds_gp.data.encodings import LEGACY, decodes, known_encoding, readings
from detkds_gp.errors import DataError

DECLARATION = r"^\s*<\?xml[^>]*?\?>"
ENCODING = re.compile(rb"""<\?xml[^>]*?encoding\s*=\s*["']\s*([\w.:-]+)\s*["']""")
MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
SHOWN = 6


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

    Args:
        paths: the files.
        encoding: of the files that neither declare theirs nor are UTF-8.

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
        own = next((e for e in (_declared(raw), "utf-8") if e and decodes(raw, e)), None)
        if own is None:
            unread[path] = raw
        else:
            found.parse(path, raw, own)
    if unread:
        _parse_unread(found, unread, given)
    return found


def _parse_unread(found: XmlFiles, unread: Mapping[Path, bytes], given: str | None) -> None:
    """Add the files that do not say their encoding."""
    told = given or _told(found, unread)
    for path, raw in unread.items():
        if told is None:
            found.faults[path] = "neither declares its encoding nor is UTF-8; write it in UTF-8, or give --encoding"
        elif decodes(raw, told):
            found.parse(path, raw, told)
        else:
            found.faults[path] = f"is neither UTF-8 nor {told}; write it in UTF-8"
    found.detected = "" if given else told or ""


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
    fitting = [e for e in dict.fromkeys([*found.encodings, *LEGACY]) if all(decodes(raw, e) for raw in unread.values())]
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

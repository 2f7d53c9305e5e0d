"""XML files of any encoding: as they declare it, else as their bytes, or those of their neighbours, tell."""

from __future__ import annotations

import codecs
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from charset_normalizer import from_bytes

DECLARATION = re.compile(rb"^\s*<\?xml[^>]*?\?>")
ENCODING = re.compile(rb"""encoding\s*=\s*["']\s*([\w.:-]+)\s*["']""")
LEGACY = (
    "gb18030", "big5", "cp932", "euc_jp", "cp949",
    "cp1250", "cp1251", "cp1252", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258", "cp874", "koi8_r",
)  # fmt: skip
"""What files that are not UTF-8 are written in, by today's systems in their languages' settings."""
WIDER = {"gbk": "gb18030", "gb2312": "gb18030", "iso8859-1": "cp1252"}
"""Encodings that are read by one that holds them: files say the narrow one and use the wide one."""


@dataclass(frozen=True)
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


def parse_files(paths: Iterable[Path]) -> XmlFiles:
    """Parse XML files.

    The encoding is the one that a file declares, else UTF-8, where its bytes allow it. The files that neither reads
    are taken together, since a few letters of one file tell too little: all are read by what their neighbours declare,
    else by the encoding that gives them words of their neighbours, else by what charset-normalizer makes of them.
    """
    found = XmlFiles()
    unread: dict[Path, bytes] = {}
    for path in paths:
        try:
            raw = path.read_bytes()
        except OSError as error:
            found.faults[path] = f"cannot be read ({error.strerror})"
            continue
        encoding = next((e for e in (_declared(raw), "utf-8") if e and _decodes(raw, e)), None)
        if encoding is None:
            unread[path] = raw
        else:
            _parse(found, path, raw, encoding)
    if not unread:
        return found
    told = _told(found, list(unread.values()))
    for path, raw in unread.items():
        if told is None:
            found.faults[path] = (
                "is in an encoding that it does not declare and its bytes do not tell; write it in UTF-8"
            )
        else:
            _parse(found, path, raw, told)
    return XmlFiles(found.roots, found.faults, found.encodings, told or "")


def _declared(raw: bytes) -> str | None:
    """Return Python's name of the encoding that a file declares or begins with; None if it says none that exists."""
    for mark, name in (
        (codecs.BOM_UTF8, "utf-8-sig"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if raw.startswith(mark):
            return name
    head = DECLARATION.match(raw)
    named = ENCODING.search(head[0]) if head else None
    if named is None:
        return None
    try:
        name = codecs.lookup(named[1].decode("ascii")).name
    except LookupError:
        return None
    return WIDER.get(name, name)


def _decodes(raw: bytes, encoding: str) -> bool:
    try:
        raw.decode(encoding)
    except (UnicodeDecodeError, LookupError):
        return False
    return True


def _told(found: XmlFiles, unread: list[bytes]) -> str | None:
    """Return the encoding of files that do not say theirs."""
    fitting = [e for e in dict.fromkeys([*found.encodings, *LEGACY]) if all(_decodes(raw, e) for raw in unread)]
    if fitting and fitting[0] in found.encodings:
        return fitting[0]
    known = {text for root in found.roots.values() for text in map(str.strip, root.itertext()) if not text.isascii()}
    shared = {e: len(known & _texts(raw.decode(e) for raw in unread)) for e in fitting}
    if any(shared.values()):
        return max(shared, key=lambda e: shared[e])
    plausible = [e for e in fitting if not any(map(_mixes_scripts, _texts(raw.decode(e) for raw in unread)))]
    best = from_bytes(b"\n".join(unread), cp_isolation=plausible).best() if plausible else None
    return None if best is None else best.encoding


def _mixes_scripts(text: str) -> bool:
    """Return whether Korean and Chinese letters stand in one text: Chinese in GB18030 reads so as Korean."""
    return bool(re.search("[\uac00-\ud7a3]", text) and re.search("[\u4e00-\u9fff]", text))


def _texts(pages: Iterable[str]) -> set[str]:
    """Return the texts between tags that are not ASCII."""
    every = (text.strip() for page in pages for text in re.findall(r">([^<>]+)<", page))
    return {text for text in every if not text.isascii()}


def _parse(found: XmlFiles, path: Path, raw: bytes, encoding: str) -> None:
    decoded = re.sub(r"^\s*<\?xml[^>]*?\?>", "", raw.decode(encoding).removeprefix("\ufeff"))
    try:
        root = ElementTree.fromstring(decoded)
    except (ElementTree.ParseError, ValueError) as error:
        found.faults[path] = f"is broken XML ({error})"
        return
    found.roots[path] = root
    if encoding not in ("utf-8", "utf-8-sig", "ascii") and not raw.isascii():
        found.encodings[encoding] += 1

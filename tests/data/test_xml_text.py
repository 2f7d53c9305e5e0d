from __future__ import annotations

from pathlib import Path

import pytest

from detkds_gp.data.voc import convert_voc
from detkds_gp.data.xml_text import parse_files
from detkds_gp.errors import DataError

from .made_layouts import voc, xml

CHINESE = {"cat": "安全帽", "dog": "反光衣", "cow": "人员"}
JAPANESE = {"cat": "信号機", "dog": "歩行者", "cow": "自転車"}
RUSSIAN = {"cat": "кошка", "dog": "собака", "cow": "корова"}


def _folder(root: Path, called: dict[str, str], encodings: list[tuple[str, str | None]]) -> None:
    """Write a VOC folder, each file in (encoding, what it declares), over and over."""
    voc(root, 12)
    for number in range(12):
        encoding, declared = encodings[number % len(encodings)]
        changes = {} if declared is None else {"declared": declared}
        xml(root / f"Annotations/{number:03d}.xml", f"{number:03d}.png", number, encoding, called=called, **changes)


@pytest.mark.parametrize(
    ("called", "encodings", "read"),
    [
        (CHINESE, [("utf-8", "utf-8"), ("gbk", "gbk")], {"gb18030": 6}),  # declared
        (CHINESE, [("gbk", "GB2312")], {"gb18030": 12}),  # by its narrower name
        (CHINESE, [("utf-8", None), ("gbk", "gbk"), ("gbk", None)], {"gb18030": 8}),  # as its neighbours declare
        (CHINESE, [("utf-8", None), ("gbk", None)], {"gb18030": 6}),  # the words of its neighbours
        (CHINESE, [("utf-8", "utf-8"), ("gbk", "utf-8")], {"gb18030": 6}),  # declares what it is not
        (RUSSIAN, [("utf-8", None), ("koi8-r", None)], {"koi8_r": 6}),
        (JAPANESE, [("shift_jis", None)], {"cp932": 12}),  # the only one that gives words
        ({"cat": "汽車", "dog": "行人", "cow": "機車"}, [("big5", None)], {"big5": 12}),
        (CHINESE, [("utf-16", "utf-16"), ("utf-8-sig", "utf-8")], {"utf-16": 6}),
        (CHINESE, [("utf-8", "no-such-code")], {}),
    ],
)
def test_class_names_of_any_encoding(
    called: dict[str, str], encodings: list[tuple[str, str | None]], read: dict[str, int], tmp_path: Path
) -> None:
    _folder(tmp_path / "voc", called, encodings)
    report = convert_voc(tmp_path / "voc", tmp_path / "out")
    assert report.classes == tuple(sorted(called.values()))
    told = [f"files that are not UTF-8: {count} in {name}" for name, count in read.items()]
    assert [note.split(" (")[0] for note in report.notes if "UTF-8" in note] == told
    assert sum(report.images.values()) == 12
    assert report.left_out == ()


def test_an_encoding_that_is_not_declared_is_said_with_the_names_to_look_at(tmp_path: Path) -> None:
    _folder(tmp_path / "voc", JAPANESE, [("shift_jis", None)])
    said = str(convert_voc(tmp_path / "voc", tmp_path / "out"))
    assert "12 in cp932 (cp932 is not declared but told from their bytes: check the class names)" in said


@pytest.mark.parametrize(
    ("called", "encoding", "shown"),
    [
        ({"cat": "猫", "dog": "狗", "cow": "马"}, "gbk", "gb18030: 狗, 马, 猫"),
        (RUSSIAN, "cp1251", "cp1251: корова, кошка, собака"),
        ({"cat": "évêque", "dog": "fenêtre", "cow": "été"}, "cp1252", "cp1252: fenêtre, été, évêque"),
        ({"cat": "자동차", "dog": "사람", "cow": "버스"}, "cp949", "cp949: 버스, 사람, 자동차"),
    ],
)
def test_several_readings_are_shown_with_their_words_and_the_flag_decides(
    called: dict[str, str], encoding: str, shown: str, tmp_path: Path
) -> None:
    _folder(tmp_path / "voc", called, [(encoding, None)])
    with pytest.raises(DataError, match=r"000.xml and 11 more files do not declare their encoding.*--encoding") as told:
        convert_voc(tmp_path / "voc", tmp_path / "out")
    assert shown in str(told.value)
    report = convert_voc(tmp_path / "voc", tmp_path / "out", encoding=encoding)
    assert report.classes == tuple(sorted(called.values()))
    assert "told from their bytes" not in str(report)
    with pytest.raises(DataError, match="--encoding got 'klingon'"):
        convert_voc(tmp_path / "voc", tmp_path / "out2", encoding="klingon")


def test_what_no_encoding_reads_is_named_with_the_reason(tmp_path: Path) -> None:
    voc(tmp_path / "voc", 6)
    path = tmp_path / "voc/Annotations/000.xml"
    path.write_bytes(path.read_bytes().replace(b"<name>cat", b"<name>\x81\xff\xfe\x98\x81\x00"))
    report = convert_voc(tmp_path / "voc", tmp_path / "out")
    (line,) = report.left_out
    assert line.startswith("Annotations/000.xml neither declares its encoding nor is UTF-8")


def test_entities_and_comments_do_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_text('<?xml version="1.0"?>\n<!-- by hand --><annotation><name>cat &amp; dog</name></annotation>')
    found = parse_files([path, tmp_path / "gone.xml"])
    assert found.roots[path].findtext("name") == "cat & dog"
    assert "No such file" in found.faults[tmp_path / "gone.xml"]

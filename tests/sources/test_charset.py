"""Text that is not UTF-8: read as named, guessed where asked to, and never altered without a note."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from charset_normalizer import from_bytes

from tests.support.reading import open_binary, read
from winnow.sources.read import format_of, read_slice
from winnow.sources.readers.charset import wide_encoding
from winnow.sources.records import FOREIGN, REPLACED
from winnow.sources.slices import FileSlice
from winnow.sources.source import SourceConfig

GERMAN = "Die Prüfung der Größe war für alle Bürger schön. Äpfel und Öl gehören in die Küche, sagte die Köchin."
FRENCH = "L’été dernier, nous avons mangé à la plage avec des élèves très gâtés. Où êtes-vous allés à la fin ?"
CZECH = "Dnes je krásný den a maminka vaří oběd pro celou rodinu, zatímco děti si hrají na hřišti a tatínek čte."
RUSSIAN = "Москва является столицей России и крупнейшим городом страны, а лиса прыгает через ленивую собаку."
CHINESE = "北京是中华人民共和国的首都，也是全国的政治、文化中心。今天天气很好，我们去公园散步吧。"
TAIWANESE = "台北是中華民國的首都，今天天氣很好，我們去公園散步吧。學校裡有很多學生在讀書。"
JAPANESE = "東京は日本の首都です。今日は天気がとてもいいので、公園へ散歩に行きましょう。カタカナも使います。"
KOREAN = "서울은 대한민국의 수도이다. 오늘은 날씨가 매우 좋아서 공원에 산책하러 갑시다."
GUESSES = [
    (GERMAN, "cp1252", "cp1252"),
    (GERMAN, "latin-1", "cp1252"),
    (FRENCH, "cp1252", "cp1252"),
    (CZECH, "cp1250", "cp1250"),
    (RUSSIAN, "cp1251", "cp1251"),
    (RUSSIAN, "koi8-r", "koi8_r"),
    (CHINESE, "gbk", "gb18030"),
    (TAIWANESE, "big5", "big5"),
    (JAPANESE, "shift_jis", "cp932"),
    (JAPANESE, "euc-jp", "euc_jp"),
    (JAPANESE, "iso2022-jp", "iso2022_jp"),
    (KOREAN, "euc-kr", "cp949"),
    (GERMAN, "utf-16", "utf_16"),
    (RUSSIAN, "utf-16-le", "utf_16_le"),
    (GERMAN, "utf-32-be", "utf_32_be"),
]


def batches(path, batch_bytes=1 << 20, **settings):
    source = SourceConfig(name="s", path=str(path), **settings)
    part = FileSlice(path=str(path), file=0, source="s", format=format_of(str(path), source), size=path.stat().st_size)
    return list(read_slice(part, source, open_binary, batch_bytes))


def notes(path, **settings) -> dict[str, int]:
    return {note: number for batch in batches(path, **settings) for note, (number, _) in batch.noted.items()}


@pytest.mark.parametrize(("text", "encoding", "guess"), GUESSES)
def test_a_text_is_read_as_named_and_as_guessed(tmp_path, text, encoding, guess):
    path = tmp_path / "a.txt"
    path.write_bytes(text.encode(encoding))
    named = read(path, encoding=encoding)
    assert named.texts == [text] and not named.replaced and not notes(path, encoding=encoding)
    assert read(path, encoding="detect").texts == [text]
    assert notes(path, encoding="detect") == {f"guessed {guess}": 1}


@pytest.mark.parametrize(("text", "encoding", "guess"), GUESSES)
@pytest.mark.parametrize("batch_bytes", [1, 1 << 20])
def test_records_share_the_guess_of_their_file_however_it_is_cut(tmp_path, text, encoding, guess, batch_bytes):
    short = [piece for piece in text.replace("，", ", ").replace("。", ". ").split() if not piece.isascii()]
    path = tmp_path / "a.jsonl"
    lines = [json.dumps({"text": piece, "id": str(n)}, ensure_ascii=False) for n, piece in enumerate([text, *short])]
    path.write_bytes(("\n".join(lines) + "\n").encode(encoding))
    found = read(path, batch_bytes, encoding="detect", id="id")
    assert found.texts == [text, *short] and found.ids == [str(n) for n in range(len(short) + 1)]
    assert read(path, batch_bytes, encoding=encoding).texts == found.texts
    assert not found.unreadable and found.rows == list(range(len(short) + 1))


def test_what_is_utf_8_stays_so_beside_what_is_not(tmp_path):
    path = tmp_path / "a.jsonl"
    lines = [json.dumps({"text": GERMAN}, ensure_ascii=False)] * 2
    path.write_bytes(lines[0].encode() + b"\n" + lines[1].encode("cp1252") + b"\n" + b'{"text": "plain"}\n')
    assert read(path, encoding="detect").texts == [GERMAN, GERMAN, "plain"]
    assert notes(path, encoding="detect") == {"guessed cp1252": 1}


def test_damage_is_not_taken_for_another_encoding(tmp_path):
    path = tmp_path / "a.txt"
    for damaged in ((GERMAN + " …").encode()[:-1], "…".encode()[:-1], b"x" * 5000 + b"\xe2\x80"):
        path.write_bytes(damaged)
        assert notes(path, encoding="detect") == {REPLACED: 1}
        assert read(path, encoding="detect").texts == [damaged.decode(errors="replace")]


def test_a_document_in_another_encoding_is_told_from_a_damaged_one(tmp_path):
    path = tmp_path / "a.txt"
    for text in (GERMAN.encode("cp1252"), CHINESE.encode("gbk"), RUSSIAN.encode("utf-16-le"), b"PK\0\0\0\1\2\3" * 9):
        path.write_bytes(text)
        assert notes(path) == {FOREIGN: 1}, text
    path.write_bytes(GERMAN.encode() + b" \xff")
    assert notes(path) == {REPLACED: 1}
    path.write_bytes(b"plain words " * 1000 + b"\x93")
    assert notes(path) == {REPLACED: 1}
    path.write_bytes("\ufffd stood there already".encode())
    assert notes(path) == {}


def test_bytes_that_the_named_encoding_lacks_are_replaced_or_rejected(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text": "a\x81b"}\n{"text": "fine \xe9"}\n')
    found = read(path, encoding="cp1252")
    assert found.texts == ["a\ufffdb", "fine é"] and found.replaced == 1
    found = read(path, encoding="cp1252", invalid_utf8="reject")
    assert found.texts == ["fine é"] and found.unreadable[0].reason == "invalid cp1252: byte 11 of the line"
    wide = tmp_path / "b.txt"
    wide.write_bytes("ab".encode("utf-16-le") + b"\x00\xd8" + "c".encode("utf-16-le"))
    assert read(wide, encoding="utf-16-le").texts == ["ab\ufffdc"]
    assert notes(wide, encoding="utf-16-le") != {}


def test_a_separator_is_cut_at_in_the_named_encoding(tmp_path):
    path = tmp_path / "a.txt"
    for encoding in ("cp1252", "utf-16"):
        path.write_bytes("größer§kleiner§".encode(encoding))
        assert read(path, encoding=encoding, separator="§").texts == ["größer", "kleiner"]


def test_values_of_parquet_that_are_not_utf_8_are_read_so(tmp_path):
    path = tmp_path / "a.parquet"
    values = [GERMAN.encode("cp1252"), GERMAN.encode(), None]
    pq.write_table(pa.table({"text": pa.array(values, pa.binary())}), path)
    assert read(path, encoding="cp1252").texts == [GERMAN, GERMAN]
    assert read(path, encoding="detect").texts == [GERMAN, GERMAN]
    assert notes(path, encoding="detect") == {"guessed cp1252": 1} and notes(path) == {FOREIGN: 1}


def test_utf_16_without_the_setting_names_the_setting(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(GERMAN.encode("utf-16"))
    assert "set `encoding: utf-16` or `detect`" in read(path).unreadable[0].reason


def test_a_guess_is_the_same_each_time():
    data = FRENCH.encode("cp1252")
    assert len({str(from_bytes(data).best().encoding) for _ in range(3)}) == 1


def test_utf_16_is_seen_without_a_mark_and_not_in_plain_text():
    assert wide_encoding("a b".encode("utf-16-be") * 20) == "utf_16_be"
    assert wide_encoding(b"plain") == "" and wide_encoding(b"\0\0\1\1" * 50) == "" and wide_encoding(b"") == ""


def test_names_of_encodings_are_checked_and_have_one_spelling():
    def encoding(name):
        return SourceConfig(name="s", path="p", encoding=name).encoding

    assert {encoding(name) for name in ("utf-8", "UTF8", "utf-8-sig", "us-ascii")} == {"utf_8"}
    assert encoding("Latin-1") == "iso8859_1" and encoding("DETECT") == "detect"
    for name in ("rot13", "latin-99", "", "unicode_escape", "base64", "a\0b"):
        with pytest.raises(ValueError, match="must be `detect`, or the name"):
            encoding(name)

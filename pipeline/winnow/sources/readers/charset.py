"""From the bytes of a file to text: as UTF-8, in the encoding that a source names, or in one that is guessed.

Nothing here fails silently: what a record's text is beside its bytes comes back with it, as one of the notes below.
Encodings in which every ASCII byte means itself (UTF-8, Windows-1252, GBK, Shift JIS ...) are decoded record by record,
so that files are cut and counted by their bytes. Others (UTF-16, UTF-32, ISO-2022-JP ...) are decoded as a stream.

``detect`` leaves valid UTF-8 as it is. Other bytes are guessed by charset_normalizer from at most ``SAMPLE_BYTES`` of
them, file by file: from the foreign lines in the first ``HEAD_BYTES`` of text, so that short records share one guess;
else from the record alone. Both are functions of the file's bytes, however it is cut.
"""

import codecs
from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

from winnow.sources.encoding import DETECT, UTF_8, is_ascii_superset
from winnow.sources.fields import BadRecordError
from winnow.sources.readers.decoders import DECODERS
from winnow.sources.readers.streams import Chunk, read_chunks
from winnow.sources.records import FOREIGN, GUESSED, REPLACED, FileFaultError
from winnow.sources.source import SourceConfig
from winnow.sources.stored_file import StoredFile, compression_of

HEAD_BYTES = 1 << 20
"""Of a file's text, in which foreign lines are looked for."""
SAMPLE_BYTES = 64 << 10
"""Of foreign lines, from which an encoding is guessed."""
_CHARACTERS = 1_000
"""A record is foreign when half as much was lost as was right beside ASCII, and at least one character of so many."""
_ZEROS = 64
"""Bytes of which one is zero, at least, are no text in UTF-8: UTF-16, or no text at all."""

_LATIN = ("cp1252", "iso8859_2", "cp1250", "cp1254", "cp1257")
_OTHER_LETTERS = ("cp1251", "koi8_r", "cp1253", "cp1255", "cp1256", "cp874", "cp866", "iso8859_5")
_EAST_ASIAN = ("euc_jp", "cp949", "cp932", "big5", "gb18030")
"""Encodings of the web (WHATWG's list, the rare ones apart), each in the order in which equal guesses are preferred."""
_NEARLY = 0.02
"""Guesses whose two figures (mess, coherence) differ by less are equal."""
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "utf_32"),  # before UTF-16: it begins like that
    (codecs.BOM_UTF32_BE, "utf_32"),
    (codecs.BOM_UTF16_LE, "utf_16"),
    (codecs.BOM_UTF16_BE, "utf_16"),
)
_ISO_2022_JP = (b"\x1b$B", b"\x1b$@")
_BAD_BYTE = "winnow_bad_byte"
"""Error handler that puts the byte 0xff in place of what cannot be decoded in a stream: no UTF-8 text holds it."""
codecs.register_error(_BAD_BYTE, lambda error: ("\udcff", error.end))  # type: ignore[attr-defined]


class Decoded(NamedTuple):
    """A record's text."""

    text: str
    note: str = ""
    """``REPLACED``, ``FOREIGN``, or ``GUESSED`` and the encoding; empty where the text is what the source says."""


class Charset:
    """How the bytes of one file of a source become text."""

    def __init__(self, source: SourceConfig, file: StoredFile, path: str) -> None:
        self._file = file
        self._path = path
        self._reject = source.invalid_utf8 == "reject"
        self.detects = source.encoding == DETECT
        named = UTF_8 if self.detects else source.encoding
        self.stream = "" if is_ascii_superset(named) else named
        """The encoding that the file is decoded from as a whole; else empty."""
        self.guessed_stream = ""
        if self.detects and (found := wide_encoding(self._head(4 << 10))):
            self.stream = self.guessed_stream = found
        self.named = UTF_8 if self.stream else named
        """The encoding of records."""

    def chunks(self) -> Iterator[Chunk]:
        """The whole file, decompressed, and as UTF-8 where it is decoded as a stream.

        Raises:
            FileFaultError: after the chunks that could be read.
        """
        compression = compression_of(self._path)
        if not self.stream:
            yield from read_chunks(self._file, compression)
            return
        decoder = codecs.getincrementaldecoder(self.stream)(_BAD_BYTE)
        position = 0
        try:
            for chunk in read_chunks(self._file, compression, wide=True):
                position = chunk.position
                yield Chunk(decoder.decode(chunk.data).encode(errors="surrogateescape"), position)
        finally:
            rest = decoder.decode(b"", final=True).encode(errors="surrogateescape")
        if rest:
            yield Chunk(rest, position)

    def decode(self, data: bytes | bytearray, what: str = "text") -> Decoded:
        """A record's bytes as text.

        Raises:
            BadRecordError: they are not in the source's encoding, and the source rejects such records.
        """
        try:
            text = data.decode(self.named)
        except UnicodeDecodeError as error:
            wrong = error
        else:
            if self.named == UTF_8 and not self.stream and _is_disguised(data):
                return Decoded(text, FOREIGN)
            return Decoded(text, GUESSED + self.guessed_stream if self.guessed_stream else "")
        replaced, lost, foreign = _replaced(data, self.named, wrong)
        if self.detects and foreign and not self.stream:
            for name in (self._of_file, _guess(bytes(data))):
                if name:
                    try:
                        return Decoded(data.decode(name), GUESSED + name)
                    except UnicodeDecodeError:
                        continue
        if self._reject:
            name = "UTF-8" if self.named == UTF_8 else self.named
            raise BadRecordError(f"invalid {name}: byte {wrong.start:,} of the {what}")
        return Decoded(replaced, FOREIGN if foreign and lost * _CHARACTERS >= len(replaced) else REPLACED)

    @cached_property
    def _of_file(self) -> str:
        """The encoding of the file's foreign lines; empty for none."""
        return _guess(self._head(HEAD_BYTES))

    def _head(self, limit: int) -> bytes:
        """The first bytes of the file's text; the file is then read on where it was."""
        at = self._file.raw.tell()
        stored = StoredFile(self._file.raw, self._file.size)
        head = bytearray()
        try:
            stored.seek(0)
            for piece in DECODERS[compression_of(self._path)](stored):
                head += piece
                if len(head) >= limit:
                    break
        except FileFaultError:
            pass  # met again, and told, by whoever reads the file
        finally:
            self._file.raw.seek(at)
        return bytes(head[:limit])


def wide_encoding(head: bytes) -> str:
    """UTF-16 or UTF-32, by the byte order mark or by where zeros stand among the first bytes; else empty.

    ASCII, of which every text has some, has three zeros of four in UTF-32, and all on one side in UTF-16.
    """
    marked = next((name for mark, name in _BYTE_ORDER_MARKS if head.startswith(mark)), "")
    if marked or not _is_disguised(head):
        return marked
    if any(mark in head for mark in _ISO_2022_JP):
        return "iso2022_jp"
    zeros = [head[at::4].count(0) for at in range(4)]
    if sum(zeros) * 2 > len(head):
        return "utf_32_le" if zeros[3] > zeros[0] else "utf_32_be"
    even, odd = zeros[0] + zeros[2], zeros[1] + zeros[3]
    if min(even, odd) * 20 > max(even, odd):
        return ""
    return "utf_16_le" if odd > even else "utf_16_be"


def _is_disguised(data: bytes | bytearray) -> bool:
    """Whether bytes that may be valid UTF-8 are no text in it: many zeros, or the escapes of ISO-2022-JP."""
    return data.count(0) * _ZEROS > len(data) or any(mark in data for mark in _ISO_2022_JP)


def _replaced(data: bytes | bytearray, encoding: str, wrong: UnicodeDecodeError) -> tuple[str, int, bool]:
    """Bytes that could not be decoded, as text all the same.

    Args:
        data: the bytes; they may hold U+FFFD themselves.
        encoding: in which they were decoded.
        wrong: the first fault.

    Returns:
        The text with U+FFFD, how many of them stand for bytes that were lost, and whether the bytes seem to be in
        another encoding, not just damaged: half as much was lost, at least, as was right beside ASCII. One character
        that was cut in two, by a limit in bytes, is damage.
    """
    text = data.decode(encoding, errors="replace")
    lost = text.count("\ufffd") - data.count("\ufffd".encode(encoding, errors="ignore") or b"\xef\xbf\xbd")
    right = len(text) - len(text.encode("ascii", "ignore")) - lost
    cut_in_two = lost == 1 and wrong.end - wrong.start > 1
    return text, lost, lost * 2 > right and not cut_in_two


def _foreign_lines(data: bytes) -> bytes:
    """Lines that are not UTF-8, up to SAMPLE_BYTES."""
    lines, size = [], 0
    for line in data.splitlines(keepends=True):
        if line.isascii():
            continue
        try:
            line.decode()
        except UnicodeDecodeError as wrong:
            if _replaced(line, UTF_8, wrong)[2]:
                lines.append(line)
                size += len(line)
        if size >= SAMPLE_BYTES:
            break
    return b"".join(lines)[:SAMPLE_BYTES]


def _guess(data: bytes) -> str:
    """The likely encoding of the foreign lines among some bytes; empty where none is likely."""
    from charset_normalizer import from_bytes  # noqa: PLC0415 - only where something is to be guessed

    sample = _foreign_lines(data)
    if not sample:
        return ""
    found = list(from_bytes(sample, cp_isolation=[*_EAST_ASIAN, *_LATIN, *_OTHER_LETTERS], enable_fallback=False))
    if not found:
        return ""
    best = found[0]
    equal = {
        name
        for match in found
        if match.chaos - best.chaos < _NEARLY and best.coherence - match.coherence < _NEARLY
        for name in match.could_be_from_charset
    }
    if any(0x80 <= byte < 0xA0 for byte in sample):  # controls in ISO 8859
        equal -= {"iso8859_2", "iso8859_5"}
    elif "iso8859_2" in equal:
        equal -= {"cp1250"}  # Czech and Polish have letters there
    letters = [_LATIN, _OTHER_LETTERS]
    if sum(byte >= 0x80 for byte in sample) * 2 > sum(byte > 0x40 for byte in sample):  # few letters are ASCII
        letters.reverse()
    return next((name for names in (_EAST_ASIAN, *letters) for name in names if name in equal), best.encoding)

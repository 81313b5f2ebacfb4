"""Plain text: one document a file, or several with a separator between them."""

from collections.abc import Iterator

from winnow.sources.fields import BadRecordError
from winnow.sources.readers.charset import Charset
from winnow.sources.readers.cuts import BLANK, SPLIT_COMPRESSIONS, separated_pieces, stretch
from winnow.sources.readers.reader import Reader
from winnow.sources.readers.split import Group, split_chunks
from winnow.sources.readers.streams import Chunk
from winnow.sources.records import MAX_ROWS, BatchBuilder, FileFaultError, RecordBatch, Unreadable
from winnow.sources.slices import FileSlice
from winnow.sources.source import SourceConfig
from winnow.sources.stored_file import StoredFile, compression_of


def read_text(file_slice: FileSlice, source: SourceConfig, file: StoredFile, batch_bytes: int) -> Iterator[RecordBatch]:
    """Read a text file, or a part of one that has a separator.

    Without a separator the file is one record, row 0, even when it is empty. With one, each piece is a row,
    and a piece of white space only is not a record. A byte order mark is part of the text. Ids and kept
    columns are null.

    Raises:
        FileFaultError: after everything before it has been yielded.
    """
    compression = compression_of(file_slice.path)
    charset = Charset(source, file, file_slice.path, is_text=True)
    chunks = charset.chunks() if file_slice.stop is None else stretch(file_slice, file)
    batch = BatchBuilder(source.carried, position=file.position)
    maximum = source.max_document_bytes
    separator = None if source.separator is None else source.separator.encode(charset.named)
    groups = split_chunks(chunks, separator, maximum, BLANK) if separator else iter([_whole(chunks, maximum)])
    nothing: list[str | None] = [None] * len(source.carried)
    row = file_slice.first_row
    for group in groups:
        if row + len(group.records) + group.skipped > MAX_ROWS:
            yield batch.take(file.position)
            raise FileFaultError(f"too many rows: a file may have {MAX_ROWS:,} pieces; split it", group.position)
        offset = file_slice.start + group.start
        for index, piece in enumerate(group.records):
            length = (group.dropped_bytes if index == 0 else 0) or len(piece)
            position = group.position if compression else offset
            offset += length + len(separator or b"")
            bad, text, note = None, "", ""
            if group.fault is not None:
                if not length:
                    continue
                bad = f"cut off: the file ends within the text ({group.fault.reason.split(':')[0]})"
            elif length > maximum:
                bad = f"too large: a text of {length:,} bytes; max_document_mb is less"
            else:
                try:
                    text, note = charset.decode(piece)
                except BadRecordError as error:
                    bad = str(error)
            if bad is not None:
                batch.refuse(Unreadable(row + index, position, bad, length))
            elif separator is None or not (not text or text.isspace()):
                batch.add(row + index, text, None, nothing, length)
                batch.note(row + index, note)
            if batch.size >= batch_bytes:
                yield batch.take(file.position)
        row += len(group.records) + group.skipped
        if group.unended and (batch or file.position > batch.position):
            yield batch.take(file.position)
        if group.fault is not None:
            raise group.fault


def _whole(chunks: Iterator[Chunk], maximum: int) -> Group:
    """The stream as one record; only counted once it is larger than ``maximum``."""
    data = bytearray()
    length = 0
    fault = None
    try:
        for chunk in chunks:
            length += len(chunk.data)
            if length <= maximum:
                data += chunk.data
            else:
                data.clear()
    except FileFaultError as error:
        fault = error
    return Group([data], 0, 0, length if length > maximum else 0, unended=True, fault=fault)


READER = Reader(
    name="text",
    suffixes=(".txt", ".text", ".md", ".markdown", ".rst", ".org", ".adoc", ".tex"),
    read=read_text,
    has_fields=False,
    pieces=separated_pieces,
    by_bytes=True,
    by_separator=True,
    split_compressions=SPLIT_COMPRESSIONS,
)

"""mbox as an input format: each mail stands behind a line that begins with ``From ``, and is a document."""

from winnow.sources.readers.reader import BadRecordError, Reader, batches_of, open_text


def read(part, source, file, batch_bytes):
    mails = split(open_text(file, part.path), source.max_document_bytes)
    yield from batches_of(map(record, mails), part, source, file, batch_bytes)


def split(lines, most):
    """Each mail as its lines; None for one that is too large, of which nothing is held."""
    mail, size = [], 0
    for line in lines:
        if line.startswith("From ") and size:
            yield mail if size <= most else None
            mail, size = [], 0
        size += len(line)
        if size <= most:
            mail.append(line.removeprefix(">") if line.startswith(">From ") else line)
        else:
            mail.clear()
    if size:
        yield mail if size <= most else None


def record(mail):
    """A mail as a dict; one that cannot be read as a BadRecordError."""
    if mail is None:
        return BadRecordError("too large: a mail of more than max_document_mb")
    head, blank, text = "".join(mail[1:]).partition("\n\n")
    fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in head.split("\n"))}
    if not mail[0].startswith("From ") or not blank:
        return BadRecordError("malformed mail: it lacks a line `From `, or a blank line behind its header")
    if "content-transfer-encoding" in fields or "multipart/" in fields.get("content-type", ""):
        return BadRecordError("no plain text: the mail is encoded, or has several parts")
    return {**fields, "text": text.removesuffix("\n")}


READER = Reader(name="mbox", suffixes=(".mbox",), read=read)

"""PDF as an input format, read by pypdf: each file is a document, with its number of pages.

A PDF can take a parser any time and memory, so a child process does it, with bounds. Seconds of a processor are not the
same on every machine: a file near the bound may be read here and not there.
"""

import json
import subprocess
import sys

from winnow.sources.readers.reader import BadRecordError, Reader, batches_of, compression_of, read_chunks

SECONDS, MEMORY_BYTES, MOST_PAGES, MOST_BYTES = 60, 2 << 30, 10_000, 200_000_000

CHILD = """
import io, json, resource, sys

def limits(seconds, memory):
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))

def text_of(data, most_pages):
    from pypdf import PdfReader

    pdf = PdfReader(io.BytesIO(data))
    if pdf.is_encrypted and not pdf.decrypt(""):
        return {"bad": "encrypted PDF: it needs a password"}
    if len(pdf.pages) > most_pages:
        return {"bad": f"too large: a PDF of {len(pdf.pages):,} pages"}
    texts = [page.extract_text() for page in pdf.pages]
    title = pdf.metadata.title if pdf.metadata else None
    return {"text": "\\n\\n".join(texts), "pages": len(texts), "title": title}

try:
    limits(int(sys.argv[1]), int(sys.argv[2]))
    found = text_of(sys.stdin.buffer.read(), int(sys.argv[3]))
except MemoryError:
    found = {"bad": "too large: the PDF takes more memory than it is given"}
except Exception as error:
    found = {"bad": f"malformed PDF: {type(error).__name__}"}
print(json.dumps(found))
"""


def read(part, source, file, batch_bytes):
    yield from batches_of(record(part, file), part, source, file, batch_bytes)


def record(part, file):
    data = bytearray()
    for chunk in read_chunks(file, compression_of(part.path)):
        data += chunk.data
        if len(data) > MOST_BYTES:
            yield BadRecordError(f"too large: a PDF of over {MOST_BYTES:,} bytes", None, len(data))
            return
    line = [sys.executable, "-c", CHILD, str(SECONDS), str(MEMORY_BYTES), str(MOST_PAGES)]
    try:
        done = subprocess.run(line, input=bytes(data), capture_output=True, timeout=10 * SECONDS, check=False)
        found = json.loads(done.stdout)
    except (ValueError, subprocess.TimeoutExpired):  # ended by its bound, or by a fault of its own
        found = {"bad": f"too slow: the PDF takes over {SECONDS} seconds, or ends its reader"}
    yield BadRecordError(found["bad"], None, len(data)) if "bad" in found else found


READER = Reader(name="pdf", suffixes=(".pdf",), read=read, packages=("pypdf",))

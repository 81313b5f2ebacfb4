"""What comes out of an archive, with all that is told of it."""

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.reading import Gathered, open_binary
from winnow.sources.read import format_of, read_slice
from winnow.sources.slices import FileSlice
from winnow.sources.source import SourceConfig


@dataclass
class Told(Gathered):
    """Records, and what is counted beside them."""

    passed: dict[str, int] = field(default_factory=dict)

    @property
    def bad(self) -> dict[str | None, str]:
        """Reasons by id."""
        return {bad.id: bad.reason for bad in self.unreadable}


def look(path: Path, data: bytes | None = None, batch_bytes: int = 1 << 20, **settings) -> Told:
    """Read a file, after writing it."""
    if data is not None:
        path.write_bytes(data)
    where = {name: settings.pop(name) for name in ("start", "stop", "first_row") if name in settings}
    source = SourceConfig(name="s", path=str(path), **settings)
    kind, size = format_of(str(path), source), path.stat().st_size
    found = Told()
    part = FileSlice(path=str(path), file=0, source="s", format=kind, size=size, **where)
    for batch in read_slice(part, source, open_binary, batch_bytes):
        found.add(batch)
        for what, number in batch.passed.items():
            found.passed[what] = found.passed.get(what, 0) + number
    return found


CONTAINER = """<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container" version="1.0"><rootfiles>\
<rootfile full-path="OEBPS/book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>"""


def chapter(number: int, more: str = "") -> str:
    """A chapter as XHTML."""
    return f"""<?xml version="1.0" encoding="utf-8"?><!DOCTYPE html><html xmlns="http://www.w3.org/1999/xhtml"><head>\
<title/></head><body><h1>Chapter {number}</h1><p>What is told in chapter {number}, naïvely.</p>{more}</body></html>"""


def package(*names: str, more: str = "", entities: str = "") -> str:
    """An OPF package whose spine names items."""
    items = "".join(
        f'<item id="c{n}" href="{name}" media-type="application/xhtml+xml"/>' for n, name in enumerate(names)
    )
    refs = "".join(f'<itemref idref="c{n}"/>' for n in range(len(names)))
    return f"""<?xml version="1.0"?>{entities}<package xmlns="http://www.idpf.org/2007/opf" version="3.0"><metadata \
xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>A Book &amp; more</dc:title><dc:language>en</dc:language>\
<dc:creator>Ann</dc:creator><dc:creator>Bob</dc:creator><dc:identifier>urn:isbn:1</dc:identifier></metadata>\
<manifest>{items}{more}</manifest><spine>{refs}</spine></package>"""


def write_epub(path: Path, chapters: Mapping[str, str | bytes], opf: str | None = None, **more: str) -> None:
    """An EPUB; ``more`` are further members."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as book:
        book.writestr("mimetype", "application/epub+zip", zipfile.ZIP_STORED)
        book.writestr("META-INF/container.xml", CONTAINER)
        book.writestr("OEBPS/book.opf", opf or package(*(name.replace(" ", "%20") for name in chapters)))
        for name, text in chapters.items():
            book.writestr(f"OEBPS/{name}", text)
        for name, text in more.items():
            book.writestr(name, text)

"""An object as a file: the ranges that are read are fetched, in blocks that grow while reading goes on in order."""

import io
from typing import Any

from winnow.storage.object_files import ObjectFiles

FIRST_BLOCK_BYTES = 1 << 18
"""Fetched at least: a header or footer with its neighbourhood, for the price of one request."""
LARGEST_BLOCK_BYTES = 8 << 20
"""Fetched at most ahead of what was asked for; the next block comes while this one is used."""


class ObjectReader(io.BufferedIOBase):
    """Seekable, for one thread at a time. ``read(n)`` gives n bytes unless the object ends.

    Args:
        files: the store.
        url: of the object.
        size: its bytes, where they are known; else they are asked for when needed.
    """

    def __init__(self, files: ObjectFiles, url: str, size: int | None = None) -> None:
        self.name = url
        self._files = files
        self._size = size
        self._at = 0
        self._block = FIRST_BLOCK_BYTES
        self._held = memoryview(b"")
        self._held_at = 0
        self._next: tuple[int, int, Any] | None = None  # first byte, end, future
        self._expected_end = 0

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def tell(self) -> int:
        """Where the next byte is read from."""
        return self._at

    def size(self) -> int:
        """Bytes of the object.

        Raises:
            FileNotFoundError: there is none.
        """
        if self._size is None:
            state = self._files.state(self.name)
            if state is None:
                raise FileNotFoundError(2, "no such object", self.name)
            self._size = state.bytes
        return self._size

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go on reading elsewhere."""
        begin = {io.SEEK_SET: 0, io.SEEK_CUR: self._at}.get(whence)
        self._at = offset + (self.size() if begin is None else begin)
        return self._at

    def expect(self, end: int) -> None:
        """Say that the bytes from here to ``end`` will be read: they begin to come, and nothing behind them.

        They come in blocks of the largest size. What is read behind ``end`` all the same comes as ever.
        """
        self._expected_end = end
        if self._at < end:
            self._fetch_ahead(self._at, min(end, self._at + LARGEST_BLOCK_BYTES))

    def read(self, size: int | None = -1) -> bytes:
        """``size`` bytes, or all that are left."""
        if size is None or size < 0:
            size = max(0, self.size() - self._at)
        pieces = []
        while size > 0 and (piece := self._some(size)):
            pieces.append(piece)
            size -= len(piece)
        return bytes(pieces[0]) if len(pieces) == 1 else b"".join(pieces)

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer, unless the object ends."""
        target = memoryview(buffer).cast("B")
        at = 0
        while at < len(target) and (piece := self._some(len(target) - at)):
            target[at : at + len(piece)] = piece
            at += len(piece)
        return at

    def _some(self, wanted: int) -> memoryview:
        """At least one byte from here, at most ``wanted``; none at the end."""
        inside = self._at - self._held_at
        if not 0 <= inside < len(self._held):
            self._fetch(wanted)
            inside = self._at - self._held_at
        piece = self._held[inside : inside + wanted]
        self._at += len(piece)
        return piece

    def _fetch(self, wanted: int) -> None:
        in_order = self._at == self._held_at + len(self._held) and self._at > 0
        expected = self._at < self._expected_end
        if expected:
            self._block = LARGEST_BLOCK_BYTES
        else:
            self._block = min(self._block * 2, LARGEST_BLOCK_BYTES) if in_order else FIRST_BLOCK_BYTES
        if self._next is not None and self._next[0] == self._at:
            _, end, future = self._next
            data = future.result()
        else:
            end = self._at + max(wanted, self._block)
            end = min(end, self._expected_end) if expected else end
            data = self._range(end)
        self._next = None
        self._held, self._held_at = memoryview(data), self._at
        if len(data) < end - self._at:
            if data:  # else this place may lie behind the end
                self._size = self._at + len(data)
        elif expected:
            if end < self._expected_end:
                self._fetch_ahead(end, min(end + self._block, self._expected_end))
        elif in_order and self._block == LARGEST_BLOCK_BYTES and (self._size is None or end < self._size):
            self._fetch_ahead(end, end + self._block)

    def _fetch_ahead(self, first: int, end: int) -> None:
        self._next = first, end, self._files.later(lambda: self._files.read_range(self.name, first, end))

    def _range(self, end: int) -> bytes:
        if self._size is not None:
            end = min(end, self._size)
        return self._files.read_range(self.name, self._at, end) if end > self._at else b""

    def close(self) -> None:
        """Let go of what is held."""
        if self._next is not None:
            self._next[2].cancel()
        self._next, self._held = None, memoryview(b"")
        super().close()
